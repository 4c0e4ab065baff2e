"""Limits of an account, its group and the firm: checks 6 to 13 of docs/reference/accounts.md section 3.

Owner of: the token bucket, the duplicate window, and which level refuses.  Only runs for accounts that have a
limit themselves, or while a group or the firm has one.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tradecore_ext.keytable cimport firm_find, group_find
from tradecore_ext.mathx cimport I64_MAX, PPM, buy_mask, int128, likely, pick128, uint128, unlikely
from tradecore_ext.state cimport NIL, Book, Bucket, Engine, GroupPosition, Limits, Position, RiskNode, Rules
from tradecore_ext.types cimport (
    TC_LIM_COLLAR,
    TC_LIM_DUPLICATE,
    TC_LIM_GROSS_NOTIONAL,
    TC_LIM_OPEN_ORDERS,
    TC_LIM_ORDER_NOTIONAL,
    TC_LIM_ORDER_QTY,
    TC_LIM_POSITION,
    TC_LIM_RATE,
    TC_SIDE_BUY,
)

cdef enum:
    SK_LIMIT_ORDER_QTY = 305
    SK_LIMIT_ORDER_NOTIONAL = 306
    SK_COLLAR = 307
    SK_DUPLICATE_WINDOW = 308
    SK_MESSAGE_RATE = 309
    SK_LIMIT_OPEN_ORDERS = 310
    SK_LIMIT_POSITION = 311
    SK_LIMIT_GROSS_NOTIONAL = 312
    MESSAGE = 1000000000   # nano-messages

cdef struct Ask:           # an order, or the new values of one, as the limits see it
    const Book* book
    uint32_t account_id
    uint32_t instrument_id
    uint8_t side
    uint8_t ord_type
    bint replace           # no duplicate window, no open-orders check
    int64_t px
    int64_t order_qty      # as sent, for the duplicate window
    int64_t cash_order_qty
    int64_t lots           # Q
    int128 value           # V
    int64_t old_lots       # replace: what the order counts now
    int128 old_gross

cdef struct Level3:        # account, group (NULL if none), firm
    RiskNode* node[3]
    Rules* rules[3]


cdef inline int64_t clip(int128 x) noexcept nogil:
    """A value as an event shows it."""
    if x > I64_MAX:
        return I64_MAX
    if x < -<int128>I64_MAX:
        return -I64_MAX
    return <int64_t>x


cdef inline void levels_of(Engine* e, uint32_t account_id, Level3* v) noexcept nogil:
    cdef uint32_t g = e.account[account_id].group_id
    v.node[0] = e.account + account_id
    v.rules[0] = e.account_rules + account_id
    v.node[1] = NULL
    v.rules[1] = NULL
    if g:
        v.node[1] = e.group + g
        v.rules[1] = e.group_rules + g
    v.node[2] = &e.firm
    v.rules[2] = &e.firm_rules


# ---- token bucket and duplicate window -----------------------------------------------------------------


cdef inline uint64_t bucket_cap(const Limits* l) noexcept nogil:
    return <uint64_t>MESSAGE * (l.rate_burst if l.rate_burst else 1)


cdef inline uint64_t tokens_now(const Rules* r, uint64_t now) noexcept nogil:
    """Nano-messages in the bucket at log time now."""
    cdef uint128 x = <uint128>(now - r.bucket.refilled_ns) * r.limits.rate_per_s + r.bucket.tokens
    cdef uint64_t cap = bucket_cap(&r.limits)
    return cap if x > cap else <uint64_t>x


cdef inline bint identical(const Bucket* k, const Ask* q, uint64_t window_ns, uint64_t now) noexcept nogil:
    """Whether the order is the one that the window remembers, inside the window."""
    return (
        k.dup_seen != 0 and now - k.dup_since_ns < window_ns
        and k.dup_instrument == q.instrument_id and k.dup_side == q.side and k.dup_ord_type == q.ord_type
        and k.dup_px == q.px and k.dup_qty == q.order_qty and k.dup_cash == q.cash_order_qty
    )


cdef inline void consume_one(const Engine* e, Rules* r, uint32_t on, const Ask* q) noexcept nogil:
    cdef uint64_t tokens
    if on & TC_LIM_RATE:
        tokens = tokens_now(r, e.now)
        r.bucket.tokens = tokens - MESSAGE if tokens > MESSAGE else 0
        r.bucket.refilled_ns = e.now
    if on & TC_LIM_DUPLICATE and not q.replace:
        if identical(&r.bucket, q, r.limits.duplicate_window_ns, e.now):
            r.bucket.dup_seen += 1
        else:
            r.bucket.dup_seen = 1
            r.bucket.dup_since_ns = e.now
            r.bucket.dup_instrument = q.instrument_id
            r.bucket.dup_side = q.side
            r.bucket.dup_ord_type = q.ord_type
            r.bucket.dup_px = q.px
            r.bucket.dup_qty = q.order_qty
            r.bucket.dup_cash = q.cash_order_qty


cdef inline uint32_t limited_by(const Engine* e, uint32_t account_id) noexcept nogil:
    """All limits that some level of an account has."""
    cdef const RiskNode* a = e.account + account_id
    cdef uint32_t on = a.limited | e.firm.limited
    return on | e.group[a.group_id].limited if unlikely(a.group_id != 0) else on


cdef inline void limits_consume(Engine* e, const Ask* q) noexcept nogil:
    """An order (or a re-checked replace) was accepted: take a message and note it, at every level."""
    cdef Level3 v
    cdef int i
    if likely(not limited_by(e, q.account_id) & (TC_LIM_RATE | TC_LIM_DUPLICATE)):
        return
    levels_of(e, q.account_id, &v)
    for i in range(3):
        if v.node[i] != NULL and v.node[i].limited & (TC_LIM_RATE | TC_LIM_DUPLICATE):
            consume_one(e, v.rules[i], v.node[i].limited, q)


# ---- one check over the levels -----------------------------------------------------------------------------


cdef inline int128 position_reach(
    Engine* e, const Ask* q, int level, const Position* p, uint32_t group_id
) noexcept nogil:
    """Largest position on the order's side if everything that works there filled, the order included."""
    cdef const GroupPosition* g
    cdef uint32_t slot
    cdef int128 have = 0
    if level == 0:
        if p != NULL:
            have = pick128(buy_mask(q.side), <int128>p.qty + p.open_buy, <int128>p.open_sell - p.qty)
    else:
        slot = group_find(e, group_id, q.instrument_id) if level == 1 else firm_find(e, q.instrument_id)
        if slot != NIL:
            g = e.group_position + slot
            have = pick128(buy_mask(q.side), g.qty + g.open_buy, g.open_sell - g.qty)
    return have - q.old_lots + q.lots


cdef inline bint outside_collar(const Ask* q, uint32_t collar_ppm, int64_t* bound) noexcept nogil:
    """Whether the price is too far from mark (or last trade) on the side where the order would lose."""
    cdef int64_t ref = q.book.mark_px if q.book.mark_px else q.book.last_px
    cdef int128 width
    if ref == 0:
        return False
    width = <int128>ref * collar_ppm / PPM
    if q.side == TC_SIDE_BUY:
        bound[0] = clip(ref + width)
        return q.px > ref + width
    bound[0] = clip(ref - width)
    return q.px < ref - width


cdef inline bint exceeds(
    Engine* e, const Ask* q, const Position* p, const RiskNode* node, const Rules* r, int i, uint32_t check,
    int64_t* observed, int64_t* limit
) noexcept nogil:
    """Whether an order breaks one limit, switched on, of one level; what an event then shows. For one constant
    check the compiler keeps one branch of this."""
    cdef const Limits* l = &r.limits
    cdef int128 x
    cdef int128 most
    if check == TC_LIM_COLLAR:
        observed[0] = q.px
        return q.px > 0 and outside_collar(q, l.collar_ppm, limit)
    if check == TC_LIM_ORDER_QTY:
        x = q.lots
        most = l.max_order_qty
    elif check == TC_LIM_ORDER_NOTIONAL:
        x = q.value
        most = l.max_order_notional
    elif check == TC_LIM_DUPLICATE:
        if q.replace or not identical(&r.bucket, q, l.duplicate_window_ns, e.now):
            return False
        x = <int64_t>r.bucket.dup_seen + 1
        most = l.duplicate_count
    elif check == TC_LIM_RATE:
        observed[0] = <int64_t>tokens_now(r, e.now)
        limit[0] = MESSAGE
        return observed[0] < MESSAGE
    elif check == TC_LIM_OPEN_ORDERS:
        x = <int64_t>node.open_orders + 1
        most = l.max_open_orders
    elif check == TC_LIM_POSITION:
        x = position_reach(e, q, i, p, e.account[q.account_id].group_id)
        most = l.max_position_qty
    else:
        x = node.gross_notional - q.old_gross + q.value
        most = l.max_gross_notional
    if likely(x <= most) or (check == TC_LIM_OPEN_ORDERS and q.replace):
        return False
    observed[0] = clip(x)
    limit[0] = clip(most)
    return True


cdef inline bint level_allows(
    Engine* e, const Ask* q, const Position* p, const RiskNode* node, const Rules* r, int i
) noexcept nogil:
    """Whether no limit of one level refuses."""
    cdef int64_t observed, limit
    cdef uint32_t on = node.limited
    return not (
        (on & TC_LIM_ORDER_QTY and exceeds(e, q, p, node, r, i, TC_LIM_ORDER_QTY, &observed, &limit))
        or (on & TC_LIM_ORDER_NOTIONAL and exceeds(e, q, p, node, r, i, TC_LIM_ORDER_NOTIONAL, &observed, &limit))
        or (on & TC_LIM_COLLAR and exceeds(e, q, p, node, r, i, TC_LIM_COLLAR, &observed, &limit))
        or (on & TC_LIM_DUPLICATE and exceeds(e, q, p, node, r, i, TC_LIM_DUPLICATE, &observed, &limit))
        or (on & TC_LIM_RATE and exceeds(e, q, p, node, r, i, TC_LIM_RATE, &observed, &limit))
        or (on & TC_LIM_OPEN_ORDERS and exceeds(e, q, p, node, r, i, TC_LIM_OPEN_ORDERS, &observed, &limit))
        or (on & TC_LIM_POSITION and exceeds(e, q, p, node, r, i, TC_LIM_POSITION, &observed, &limit))
        or (on & TC_LIM_GROSS_NOTIONAL and exceeds(e, q, p, node, r, i, TC_LIM_GROSS_NOTIONAL, &observed, &limit))
    )


cdef inline bint levels_allow(Engine* e, const Ask* q, const Position* p) noexcept nogil:
    """Whether no limit of any level refuses. A level without limits costs one question."""
    cdef const RiskNode* a = e.account + q.account_id
    cdef uint32_t g = a.group_id
    if unlikely(a.limited != 0) and not level_allows(e, q, p, a, e.account_rules + q.account_id, 0):
        return False
    if unlikely(g != 0) and e.group[g].limited and not level_allows(e, q, p, e.group + g, e.group_rules + g, 1):
        return False
    return e.firm.limited == 0 or level_allows(e, q, p, &e.firm, &e.firm_rules, 2)


cdef inline uint16_t first_refusal(
    Engine* e, const Ask* q, const Position* p, const Level3* v, int64_t* observed, int64_t* limit, uint8_t* scope
) noexcept nogil:
    """Checks 6 to 13 in their order, each over account, group, firm: the status of the first that refuses."""
    cdef uint32_t[8] checks = [
        TC_LIM_ORDER_QTY, TC_LIM_ORDER_NOTIONAL, TC_LIM_COLLAR, TC_LIM_DUPLICATE,
        TC_LIM_RATE, TC_LIM_OPEN_ORDERS, TC_LIM_POSITION, TC_LIM_GROSS_NOTIONAL,
    ]
    cdef uint16_t[8] statuses = [
        SK_LIMIT_ORDER_QTY, SK_LIMIT_ORDER_NOTIONAL, SK_COLLAR, SK_DUPLICATE_WINDOW,
        SK_MESSAGE_RATE, SK_LIMIT_OPEN_ORDERS, SK_LIMIT_POSITION, SK_LIMIT_GROSS_NOTIONAL,
    ]
    cdef int i, k
    for k in range(8):
        for i in range(3):
            scope[0] = i + 1
            if v.node[i] != NULL and v.node[i].limited & checks[k] and exceeds(
                e, q, p, v.node[i], v.rules[i], i, checks[k], observed, limit
            ):
                return statuses[k]
    scope[0] = 0
    return 0


cdef inline uint16_t limits_check(
    Engine* e, const Ask* q, const Position* p, int64_t* observed, int64_t* limit, uint8_t* scope
) noexcept nogil:
    """Checks 6 to 13, each over account, group, firm. Changes nothing. O(1).

    Which check refuses is only asked for when one of them does: until then the order of the checks does not matter."""
    cdef Level3 v
    scope[0] = 0
    if likely(levels_allow(e, q, p)):
        return 0
    levels_of(e, q.account_id, &v)
    return first_refusal(e, q, p, &v, observed, limit, scope)
