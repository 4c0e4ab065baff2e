"""Risk of a plain limit order on a spot instrument, without the questions that only other orders need.

Owner of: speed only, no rule.  The checks are those of risk.pxd, in its order, the holds those of holds.pxd; whatever
is refused here takes the general way, which says why.  The property tests, which compare with the oracle, drive both.
"""
from libc.stdint cimport int64_t, uint32_t

from tradecore_ext.held cimport count_working, link_order
from tradecore_ext.holds cimport hold_wallet, spot_need
from tradecore_ext.keytable cimport position_find, position_get
from tradecore_ext.limits cimport Ask, limits_check, limits_consume
from tradecore_ext.margin cimport margin_free
from tradecore_ext.mathx cimport int128, unlikely
from tradecore_ext.risk cimport (
    NewOrder,
    RiskResult,
    ask_of,
    check_reach,
    check_room,
    check_spot_values,
    check_switches,
    is_limited,
    wallet_of,
)
from tradecore_ext.state cimport NIL, OF_HELD, Book, Engine, Money, Order, Position, RiskNode
from tradecore_ext.sums cimport order_gross, sums_order
from tradecore_ext.types cimport TC_STATE_REDUCE_ONLY, tc_command

cdef struct SpotHold:        # what an order that passed will take
    uint32_t position
    uint32_t wallet
    int64_t need
    bint limited             # some limit looks at the account: ask is filled in
    Ask ask


cdef inline uint32_t position_near(
    const Engine* e, uint32_t account_id, uint32_t instrument_id, uint32_t hint
) noexcept nogil:
    """position_find, with a slot that was found ahead and may have been wrong even then."""
    if hint < e.n_positions:
        if e.position[hint].account_id == account_id and e.position[hint].instrument_id == instrument_id:
            return hint
    return position_find(e, account_id, instrument_id)


cdef inline bint limits_pass(Engine* e, const Book* b, const Position* p, const tc_command* c, Ask* q) noexcept nogil:
    """The limits of account, group and firm; an age limit is left to the general way."""
    cdef NewOrder n
    cdef RiskResult r
    if c.sent_ts_ns:
        return False
    n.account_id = c.account_id
    n.instrument_id = c.instrument_id
    n.side = c.side
    n.ord_type = c.ord_type
    n.px = c.px
    n.order_qty = c.order_qty
    n.cash_order_qty = 0
    ask_of(e, b, &n, q)
    return limits_check(e, q, p, &r.observed, &r.limit, &r.scope) == 0


cdef inline bint spot_covers(
    Engine* e, const Book* b, const Position* p, const tc_command* c, SpotHold* s
) noexcept nogil:
    """Whether the wallet covers what the order can cost."""
    cdef RiskResult r
    cdef int128 need = spot_need(b, c.side, c.px, c.order_qty, False, 0, 0)
    if unlikely(
        check_reach(p, c.order_qty, &r) != 0 or check_spot_values(b, c.side, c.px, c.order_qty, False, need, &r) != 0
        or need > margin_free(e, s.wallet)
    ):
        return False
    s.need = <int64_t>need
    return True


cdef inline bint first_order_check(Engine* e, const Book* b, const tc_command* c, SpotHold* s) noexcept nogil:
    """The same for an account's first order in the instrument, whose position comes into being with it. An account
    that does not exist has no wallet. O(1)."""
    cdef const RiskNode* a = e.account + c.account_id
    cdef RiskResult r
    if check_switches(e, a, b, NULL) != 0 or is_limited(e, a, NULL):
        return False
    s.limited = False
    s.wallet = wallet_of(e, b, NULL, c.account_id, c.side)
    return (
        s.wallet != NIL and e.wallet[s.wallet].state < TC_STATE_REDUCE_ONLY and spot_covers(e, b, NULL, c, s)
        and check_room(e, b, c.account_id, &r) == 0
    )


cdef inline bint spot_check(Engine* e, Book* b, const tc_command* c, uint32_t hint, SpotHold* s) noexcept nogil:
    """Whether a plain limit order passes every risk check; changes nothing. O(1)."""
    cdef RiskNode* a = e.account + c.account_id
    cdef Position* p
    if unlikely(c.account_id >= e.max_accounts or b.linear):
        return False
    s.position = position_near(e, c.account_id, c.instrument_id, hint)
    if s.position == NIL:
        return first_order_check(e, b, c, s)
    p = e.position + s.position
    s.wallet = hold_wallet(p, c.side)
    if unlikely(check_switches(e, a, b, p) != 0 or e.wallet[s.wallet].state >= TC_STATE_REDUCE_ONLY):
        return False
    s.limited = is_limited(e, a, p)
    if unlikely(s.limited) and not limits_pass(e, b, p, c, &s.ask):
        return False
    return spot_covers(e, b, p, c, s)


cdef inline void spot_accept(Engine* e, uint32_t slot, int64_t px, const SpotHold* s) noexcept nogil:
    """The order that passed spot_check comes in: hold, list, counters, messages. O(1)."""
    cdef Order* o = e.order + slot
    cdef Money* m = e.money + slot
    o.flags = OF_HELD
    m.position = s.position
    if unlikely(s.position == NIL):
        m.position = position_get(e, o.account_id, o.instrument_id)  # there is room: first_order_check
    m.hold = s.need
    m.own.adverse = 0
    m.own.wallet = s.wallet
    m.fee_rem = 0
    link_order(e, slot)
    count_working(e, o, e.position + m.position, o.leaves_qty)
    if unlikely(e.track):
        sums_order(e, o.account_id, 1, order_gross(e, o, px, o.leaves_qty))
    e.wallet[s.wallet].hold += s.need
    if unlikely(s.limited):
        limits_consume(e, &s.ask)
