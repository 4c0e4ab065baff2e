"""The state as canonical bytes: what is saved, in which order.

Owner of: the order of the records, which is canonical: by id, by price and queue.  Sums that can be recomputed are left
out.  Callers: engine.pyx, which hands the sections out.
"""
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc, qsort

from tradecore_ext.emit cimport order_px
from tradecore_ext.ladder cimport ladder_next, rank_of
from tradecore_ext.mathx cimport prefetch
from tradecore_ext.records cimport (
    IMAGE_VERSION,
    AssetRecord,
    EngineRecord,
    Image,
    InstrumentRecord,
    NodeRecord,
    OrderRecord,
    PositionRecord,
    TermsRecord,
    WalletRecord,
)
from tradecore_ext.state cimport NIL, OF_HELD, OF_LINKED, Book, Engine, Order, Position, RiskNode, Rules, Terms, Wallet
from tradecore_ext.types cimport TC_SCOPE_ACCOUNT, TC_SCOPE_FIRM, TC_SCOPE_GROUP

cdef enum:
    FEW = 24               # records that insertion sorts

cdef struct Keyed:           # a slot and the key it is sorted by
    uint64_t key
    uint32_t slot
    uint32_t reserved


cdef inline int by_key(const void* a, const void* b) noexcept nogil:
    cdef uint64_t x = (<const Keyed*>a).key
    cdef uint64_t y = (<const Keyed*>b).key
    return -1 if x < y else (1 if x > y else 0)


cdef inline void sort_keyed(Keyed* k, uint32_t n) noexcept nogil:
    """By key: the few records of one account by insertion, which needs no call and no memory, many by qsort."""
    cdef uint32_t i, j
    cdef Keyed x
    if n > FEW:
        qsort(k, n, sizeof(Keyed), by_key)
        return
    for i in range(1, n):
        x = k[i]
        j = i
        while j > 0 and k[j - 1].key > x.key:
            k[j] = k[j - 1]
            j -= 1
        k[j] = x


# Sections are bytes objects from the start, so that handing them out copies nothing. calloc gives them pages that are
# zero without writing, in huge pages where the system has them.
cdef extern from *:
    """
    #include <sys/mman.h>
    static void *tc_bytes_new(uint64_t size, void **owner) { /* the caller holds the GIL */
        PyObject *bytes = PyObject_CallFunction((PyObject *)&PyBytes_Type, "n", (Py_ssize_t)size);
        if (bytes == NULL) { PyErr_Clear(); return NULL; }
        *owner = bytes;
    #ifdef MADV_HUGEPAGE
        if (size >= ((uint64_t)4 << 20)) {
            uintptr_t first = ((uintptr_t)PyBytes_AS_STRING(bytes) + 4095) & ~(uintptr_t)4095;
            madvise((void *)first, (size - 4096) & ~(uint64_t)4095, MADV_HUGEPAGE);
        }
    #endif
        return PyBytes_AS_STRING(bytes);
    }
    """
    void* bytes_new "tc_bytes_new"(uint64_t size, void** owner) noexcept nogil


cdef inline void* section(Image* im, const char* name, uint64_t size) noexcept nogil:
    """Open the next section with room for `size` bytes, zeroed; NULL without memory. The GIL is held."""
    cdef void* p = bytes_new(size, &im.owner[im.count])
    im.name[im.count] = name
    im.data[im.count] = p
    im.size[im.count] = size
    im.count += 1
    return p


# ---- orders ---------------------------------------------------------------------------------------------


cdef struct OrderWriter:
    OrderRecord* order
    TermsRecord* terms


cdef inline void put_order(Engine* e, OrderWriter* w, uint32_t slot) noexcept nogil:
    """One order, then its pending children."""
    cdef Order* o = e.order + slot
    cdef OrderRecord* r = w.order
    cdef TermsRecord* x
    cdef Terms* t
    cdef uint32_t c
    w.order += 1
    r.order_id = o.order_id
    r.px = order_px(e, o)
    r.order_qty = o.order_qty
    r.cum_qty = o.cum_qty
    r.leaves_qty = o.leaves_qty
    r.account_id = o.account_id
    r.instrument_id = o.instrument_id
    r.flags = o.flags
    r.side = o.side
    r.ord_type = o.ord_type
    r.tif = o.tif
    r.stp = o.stp
    r.state = o.state
    if o.flags & OF_HELD:
        # A pending list member has no hold yet; its slot still has the figures of the order before it.
        r.hold = e.money[slot].hold
        r.adverse = e.money[slot].own.adverse if e.book[o.instrument_id].linear else 0
        r.fee_rem = e.money[slot].fee_rem
    if o.terms == NIL:
        return
    r.has_terms = 1
    t = e.terms + o.terms
    x = w.terms
    w.terms += 1
    x.px = r.px
    x.stop_px = t.stop_px
    x.display_qty = t.display_qty
    x.visible_qty = t.visible_qty
    x.min_qty = t.min_qty
    x.expire_ts_ns = t.expire_ts_ns
    x.cash_left = t.cash_left
    x.extreme_px = t.extreme_px
    x.entry = t.entry
    x.trailing_bps = t.trailing_bps
    x.trail_hit = t.trail_hit
    x.sibling_id = 0 if t.sibling == NIL else e.order[t.sibling].order_id
    x.parent_id = 0 if t.parent == NIL else e.order[t.parent].order_id
    if o.flags & OF_LINKED:
        c = t.child
        while c != NIL:
            put_order(e, w, c)
            c = e.terms[e.order[c].terms].next_child


cdef inline int put_trailing(Engine* e, const Book* b, OrderWriter* w) noexcept nogil:
    """Trailing stops by their order of acceptance: the list itself has none."""
    cdef Keyed* k
    cdef uint32_t n = b.trailing_head
    cdef uint32_t i = 0
    if b.n_trailing == 0:
        return 0
    k = <Keyed*>malloc(b.n_trailing * sizeof(Keyed))
    if k == NULL:
        return -1
    while n != NIL:
        k[i].key = e.terms[e.order[n].terms].entry
        k[i].slot = n
        i += 1
        n = e.terms[e.order[n].terms].trail_next
    qsort(k, i, sizeof(Keyed), by_key)
    for n in range(i):
        put_order(e, w, k[n].slot)
    free(k)
    return 0


cdef inline int save_orders(Engine* e, Image* im) noexcept nogil:
    cdef OrderWriter w
    cdef Book* b
    cdef uint32_t i, which, lv, n, nxt
    w.order = <OrderRecord*>section(im, b"orders", e.live * sizeof(OrderRecord))
    w.terms = <TermsRecord*>section(im, b"terms", e.n_terms * sizeof(TermsRecord))
    if w.order == NULL or w.terms == NULL:
        return -1
    for i in range(e.max_instruments):
        b = e.book + i
        if not b.exists or b.n_live == 0:
            continue
        for which in range(4):
            lv = b.ladder[which].best_level
            while lv != NIL:
                n = e.level[lv].head
                while n != NIL:
                    nxt = e.order[n].next
                    if nxt != NIL:
                        prefetch(e.order + nxt)
                        if e.accounts:
                            prefetch(e.money + nxt)
                    put_order(e, &w, n)
                    n = nxt
                lv = ladder_next(e, &b.ladder[which], rank_of(which, e.level[lv].px))
        if put_trailing(e, b, &w):
            return -1
    return 0


# ---- everything else --------------------------------------------------------------------------------------


cdef inline int save_engine(Engine* e, Image* im) noexcept nogil:
    cdef EngineRecord* r = <EngineRecord*>section(im, b"engine", sizeof(EngineRecord))
    if r == NULL:
        return -1
    r.version = IMAGE_VERSION
    r.accounts = e.accounts
    r.now = e.now
    r.in_seq = e.in_seq
    r.out_seq = e.out_seq
    r.entry = e.entry
    r.epoch = e.epoch
    r.liq_counter = e.liq_counter
    r.dirty_base = e.dirty_base
    r.firm_killed = e.firm.killed
    return 0


cdef inline int save_instruments(Engine* e, Image* im) noexcept nogil:
    cdef InstrumentRecord* r
    cdef Book* b
    cdef uint32_t i
    cdef uint64_t n = 0
    for i in range(e.max_instruments):
        n += e.book[i].exists
    r = <InstrumentRecord*>section(im, b"instruments", n * sizeof(InstrumentRecord))
    if r == NULL:
        return -1
    for i in range(e.max_instruments):
        b = e.book + i
        if not b.exists:
            continue
        r.spec = b.spec
        r.last_px = b.last_px
        r.mark_px = b.mark_px
        r.lo_px = b.lo_px
        r.hi_px = b.hi_px
        r.mark_ts_ns = b.mark_ts_ns
        r.auction_ref_px = b.auction_ref_px
        r.phase_deadline = 0 if b.phase_timer == NIL else e.timer[b.phase_timer].deadline
        r.phase = b.phase
        r.restricted = b.restricted
        r += 1
    return 0


cdef inline bint rules_used(const Rules* r) noexcept nogil:
    """Whether the node has anything in its rules: limits, a bucket, a remembered order."""
    cdef const uint64_t* p = <const uint64_t*>r
    cdef uint64_t found = 0
    cdef uint64_t i
    for i in range(sizeof(Rules) // sizeof(uint64_t)):
        found |= p[i]
    return found != 0


cdef inline void put_node(
    NodeRecord* r, Rules** rules, uint32_t scope, uint32_t id, const RiskNode* n, const Rules* x
) noexcept nogil:
    r.scope = scope
    r.id = id
    r.group_id = n.group_id
    r.trade_group = n.trade_group
    r.killed = n.killed
    if rules_used(x):
        r.has_rules = 1
        rules[0][0] = x[0]
        rules[0] += 1


cdef inline int save_nodes(Engine* e, Image* im) noexcept nogil:
    """Firm, groups, accounts, each by id; only nodes that differ from a new one (accounts: all open ones)."""
    cdef NodeRecord* r
    cdef Rules* x
    cdef uint64_t nodes = 1
    cdef uint64_t used = rules_used(&e.firm_rules)
    cdef uint32_t i
    for i in range(1, e.max_groups):
        if e.group[i].killed or rules_used(e.group_rules + i):
            nodes += 1
            used += rules_used(e.group_rules + i)
    for i in range(e.max_accounts):
        if e.account[i].exists:
            nodes += 1
            used += rules_used(e.account_rules + i)
    r = <NodeRecord*>section(im, b"nodes", nodes * sizeof(NodeRecord))
    x = <Rules*>section(im, b"rules", used * sizeof(Rules))
    if r == NULL or x == NULL:
        return -1
    put_node(r, &x, TC_SCOPE_FIRM, 0, &e.firm, &e.firm_rules)
    r += 1
    for i in range(1, e.max_groups):
        if e.group[i].killed or rules_used(e.group_rules + i):
            put_node(r, &x, TC_SCOPE_GROUP, i, e.group + i, e.group_rules + i)
            r += 1
    for i in range(e.max_accounts):
        if e.account[i].exists:
            put_node(r, &x, TC_SCOPE_ACCOUNT, i, e.account + i, e.account_rules + i)
            r += 1
    return 0


cdef inline int save_wallets(Engine* e, Image* im) noexcept nogil:
    cdef WalletRecord* r = <WalletRecord*>section(im, b"wallets", e.n_wallets * sizeof(WalletRecord))
    cdef Keyed* k = <Keyed*>malloc((e.n_wallets + 1) * sizeof(Keyed))
    cdef Wallet* w
    cdef uint32_t i, a, first
    cdef uint32_t n = 0
    if r == NULL or k == NULL:
        free(k)
        return -1
    for a in range(e.max_accounts):
        first = n
        i = e.account[a].wallets_head
        while i != NIL:
            k[n].key = e.wallet[i].asset_id
            k[n].slot = i
            n += 1
            i = e.wallet[i].acct_next
        sort_keyed(k + first, n - first)
    for i in range(n):
        w = e.wallet + k[i].slot
        r.account_id = w.account_id
        r.asset_id = w.asset_id
        r.total = w.total
        r.hold = w.hold
        r.upnl = w.upnl
        r.initial_margin = w.initial_margin
        r.maintenance_margin = w.maintenance_margin
        r.state = w.state
        r.round = w.round
        r.marked = w.marked
        r.suspended = w.suspended
        r += 1
    free(k)
    return 0


cdef inline int save_positions(Engine* e, Image* im) noexcept nogil:
    cdef PositionRecord* r = <PositionRecord*>section(im, b"positions", e.n_positions * sizeof(PositionRecord))
    cdef Keyed* k = <Keyed*>malloc((e.n_positions + 1) * sizeof(Keyed))
    cdef Position* p
    cdef uint32_t i, a, first
    cdef uint32_t n = 0
    if r == NULL or k == NULL:
        free(k)
        return -1
    for a in range(e.max_accounts):
        first = n
        i = e.account[a].positions_head
        while i != NIL:
            k[n].key = e.position[i].instrument_id
            k[n].slot = i
            n += 1
            i = e.position[i].acct_next
        sort_keyed(k + first, n - first)
    for i in range(n):
        p = e.position + k[i].slot
        r.account_id = p.account_id
        r.instrument_id = p.instrument_id
        r.qty = p.qty
        r.cost = p.cost
        r.realised = p.realised
        r.fees = p.fees
        r.open_buy = p.open_buy
        r.open_sell = p.open_sell
        r.initial_margin = p.initial_margin
        r.maintenance_margin = p.maintenance_margin
        r.upnl = p.upnl
        r.iso_margin = p.iso_margin
        r.held_im = p.held_im
        r.mode = p.mode
        r.state = p.state
        r.round = p.round
        r.restricted = p.restricted
        r.marked = p.marked
        r.suspended = p.suspended
        r += 1
    free(k)
    return 0


cdef inline int save_assets(Engine* e, Image* im) noexcept nogil:
    cdef AssetRecord* r
    cdef uint64_t n = 0
    cdef uint32_t i
    for i in range(e.max_assets):
        n += (e.fees[i] | e.deposits[i] | e.clearing[i] | e.rate[i]) != 0
    r = <AssetRecord*>section(im, b"assets", n * sizeof(AssetRecord))
    if r == NULL:
        return -1
    for i in range(e.max_assets):
        if (e.fees[i] | e.deposits[i] | e.clearing[i] | e.rate[i]) != 0:
            r.asset_id = i
            r.fees = e.fees[i]
            r.deposits = e.deposits[i]
            r.clearing = e.clearing[i]
            r.rate = e.rate[i]
            r += 1
    return 0


cdef inline int image_save(Engine* e, Image* im) noexcept nogil:
    """Write every section; -1 without memory (the caller frees what is there). O(state log state)."""
    im.count = 0
    if save_engine(e, im) or save_instruments(e, im) or save_orders(e, im):
        return -1
    if e.accounts and (save_nodes(e, im) or save_wallets(e, im) or save_positions(e, im) or save_assets(e, im)):
        return -1
    return 0
