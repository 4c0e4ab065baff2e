"""A state image back into an empty engine.

Owner of: what an image may contain.  Every id, code and count is checked before it is used as an index, because an
image may come from anywhere; whether the sums agree is the audit's business.  A refused image leaves an engine that
must be thrown away: the caller restores into a new one and keeps the old.
"""
from libc.stdint cimport uint32_t, uint64_t

from tradecore_ext.framecheck cimport instrument_in_range
from tradecore_ext.instrument cimport open_book
from tradecore_ext.keytable cimport position_find, position_get, wallet_find, wallet_get
from tradecore_ext.records cimport (
    IMAGE_VERSION,
    AssetRecord,
    EngineRecord,
    Image,
    InstrumentRecord,
    NodeRecord,
    PositionRecord,
    WalletRecord,
    find_section,
    refuse,
)
from tradecore_ext.restore_orders cimport restore_orders
from tradecore_ext.state cimport NIL, Book, Engine, Position, RiskNode, Rules, Wallet
from tradecore_ext.sums cimport sums_start
from tradecore_ext.timers cimport TIMER_PHASE, timer_set
from tradecore_ext.types cimport (
    TC_LIM_GROSS_NOTIONAL,
    TC_LIM_OPEN_ORDERS,
    TC_LIM_POSITION,
    TC_SCOPE_ACCOUNT,
    TC_SCOPE_FIRM,
    TC_SCOPE_GROUP,
)


cdef inline int restore_instruments(Engine* e, Image* im) noexcept nogil:
    cdef uint64_t n, i
    cdef const InstrumentRecord* r = <const InstrumentRecord*>find_section(
        im, b"instruments", sizeof(InstrumentRecord), &n
    )
    cdef Book* b
    if r == NULL or n > e.max_instruments:
        return refuse(im, b"section instruments is missing, torn or larger than this engine")
    for i in range(n):
        if r[i].spec.instrument_id >= e.max_instruments or not instrument_in_range(&r[i].spec):
            return refuse(im, b"an instrument is out of range for this engine")
        if e.accounts and (r[i].spec.base_asset >= e.max_assets or r[i].spec.quote_asset >= e.max_assets):
            return refuse(im, b"an instrument's asset is out of range for this engine")
        b = e.book + r[i].spec.instrument_id
        if b.exists or r[i].phase < 1 or r[i].phase > 5:
            return refuse(im, b"an instrument stands twice or has no phase")
        open_book(e, r[i].spec.instrument_id, &r[i].spec)
        b.phase = r[i].phase
        b.last_px = r[i].last_px
        b.mark_px = r[i].mark_px
        b.lo_px = r[i].lo_px
        b.hi_px = r[i].hi_px
        b.mark_ts_ns = r[i].mark_ts_ns
        b.auction_ref_px = r[i].auction_ref_px
        b.restricted = r[i].restricted
        if b.restricted:
            e.restricted_any = 1
        if r[i].phase_deadline:
            timer_set(
                e, r[i].phase_deadline, r[i].spec.instrument_id, TIMER_PHASE, r[i].spec.instrument_id
            )
    return 0


cdef inline int restore_nodes(Engine* e, Image* im) noexcept nogil:
    cdef uint64_t n, n_rules, i
    cdef uint64_t next_rules = 0
    cdef const NodeRecord* r = <const NodeRecord*>find_section(im, b"nodes", sizeof(NodeRecord), &n)
    cdef const Rules* x = <const Rules*>find_section(im, b"rules", sizeof(Rules), &n_rules)
    cdef RiskNode* a
    cdef Rules* rules
    if r == NULL or x == NULL or n == <uint64_t>-1 or n_rules == <uint64_t>-1:
        return refuse(im, b"sections nodes and rules are missing or torn")
    for i in range(n):
        if r[i].scope == TC_SCOPE_FIRM and r[i].id == 0:
            a = &e.firm
            rules = &e.firm_rules
        elif r[i].scope == TC_SCOPE_GROUP and 0 < r[i].id < e.max_groups:
            a = e.group + r[i].id
            rules = e.group_rules + r[i].id
        elif r[i].scope == TC_SCOPE_ACCOUNT and r[i].id < e.max_accounts:
            a = e.account + r[i].id
            rules = e.account_rules + r[i].id
            if a.exists:
                return refuse(im, b"an account stands twice")
            a.exists = 1
        else:
            return refuse(im, b"an account or group is out of range for this engine")
        if r[i].group_id >= e.max_groups:
            return refuse(im, b"an account's group is out of range for this engine")
        a.group_id = r[i].group_id
        a.trade_group = r[i].trade_group
        a.killed = r[i].killed
        if r[i].has_rules:
            if next_rules == n_rules:
                return refuse(im, b"section rules is too short")
            rules[0] = x[next_rules]
            next_rules += 1
            a.limited = rules.limits.any
            if a.limited and r[i].scope != TC_SCOPE_ACCOUNT:
                e.limited_any = 1
    return 0 if next_rules == n_rules else refuse(im, b"section rules is too long")


cdef inline int restore_wallets(Engine* e, Image* im) noexcept nogil:
    cdef uint64_t n, i
    cdef const WalletRecord* r = <const WalletRecord*>find_section(im, b"wallets", sizeof(WalletRecord), &n)
    cdef uint32_t slot
    cdef Wallet* w
    if r == NULL or n > e.max_wallets:
        return refuse(im, b"section wallets is missing, torn or larger than this engine")
    for i in range(n):
        if r[i].account_id >= e.max_accounts or not e.account[r[i].account_id].exists:
            return refuse(im, b"a wallet belongs to no account")
        if r[i].asset_id >= e.max_assets or r[i].state > 5:
            return refuse(im, b"a wallet is out of range for this engine")
        if wallet_find(e, r[i].account_id, r[i].asset_id) != NIL:
            return refuse(im, b"a wallet stands twice")
        slot = wallet_get(e, r[i].account_id, r[i].asset_id)
        w = e.wallet + slot
        w.total = r[i].total
        w.hold = r[i].hold
        w.upnl = r[i].upnl
        w.initial_margin = r[i].initial_margin
        w.maintenance_margin = r[i].maintenance_margin
        w.state = r[i].state
        w.round = r[i].round
        w.marked = r[i].marked
        w.suspended = r[i].suspended
    return 0


cdef inline int restore_positions(Engine* e, Image* im) noexcept nogil:
    cdef uint64_t n, i
    cdef const PositionRecord* r = <const PositionRecord*>find_section(
        im, b"positions", sizeof(PositionRecord), &n
    )
    cdef Position* p
    cdef uint32_t slot
    if r == NULL or n > e.max_positions:
        return refuse(im, b"section positions is missing, torn or larger than this engine")
    for i in range(n):
        if r[i].account_id >= e.max_accounts or not e.account[r[i].account_id].exists:
            return refuse(im, b"a position belongs to no account")
        if r[i].instrument_id >= e.max_instruments or not e.book[r[i].instrument_id].exists:
            return refuse(im, b"a position belongs to no instrument")
        if r[i].mode > 1 or r[i].state > 5 or position_find(e, r[i].account_id, r[i].instrument_id) != NIL:
            return refuse(im, b"a position stands twice or has an unknown state")
        slot = position_get(e, r[i].account_id, r[i].instrument_id)
        if slot == NIL:
            return refuse(im, b"a position finds no wallet or no slot")
        p = e.position + slot
        p.qty = r[i].qty
        p.cost = r[i].cost
        p.realised = r[i].realised
        p.fees = r[i].fees
        p.open_buy = r[i].open_buy
        p.open_sell = r[i].open_sell
        p.initial_margin = r[i].initial_margin
        p.maintenance_margin = r[i].maintenance_margin
        p.upnl = r[i].upnl
        p.iso_margin = r[i].iso_margin
        p.held_im = r[i].held_im
        p.mode = r[i].mode
        p.state = r[i].state
        p.round = r[i].round
        p.restricted = r[i].restricted
        p.marked = r[i].marked
        p.suspended = r[i].suspended
    return 0


cdef inline int restore_assets(Engine* e, Image* im) noexcept nogil:
    cdef uint64_t n, i
    cdef const AssetRecord* r = <const AssetRecord*>find_section(im, b"assets", sizeof(AssetRecord), &n)
    if r == NULL or n > e.max_assets:
        return refuse(im, b"section assets is missing, torn or larger than this engine")
    for i in range(n):
        if r[i].asset_id >= e.max_assets:
            return refuse(im, b"an asset is out of range for this engine")
        e.fees[r[i].asset_id] = r[i].fees
        e.deposits[r[i].asset_id] = r[i].deposits
        e.clearing[r[i].asset_id] = r[i].clearing
        e.rate[r[i].asset_id] = r[i].rate
    return 0


cdef inline bint sums_wanted(const Engine* e) noexcept nogil:
    """Whether a limit needs sums over accounts: then they are added up once, as when it was set."""
    cdef uint32_t over = TC_LIM_GROSS_NOTIONAL | TC_LIM_OPEN_ORDERS | TC_LIM_POSITION
    cdef uint32_t i
    if e.firm.limited & over:
        return True
    for i in range(1, e.max_groups):
        if e.group[i].limited & over:
            return True
    for i in range(e.max_accounts):
        if e.account[i].limited & TC_LIM_GROSS_NOTIONAL:
            return True
    return False


cdef inline int image_restore(Engine* e, Image* im) noexcept nogil:
    """Fill a new engine; -1 and a reason when the image cannot be a state of it. O(state)."""
    cdef uint64_t n
    cdef const EngineRecord* r = <const EngineRecord*>find_section(im, b"engine", sizeof(EngineRecord), &n)
    im.error = b""
    if r == NULL or n != 1:
        return refuse(im, b"section engine is missing or torn")
    if r.version != IMAGE_VERSION:
        return refuse(im, b"the image is of another version")
    if r.accounts != e.accounts:
        return refuse(im, b"the image was made with accounts switched the other way")
    if restore_instruments(e, im):
        return -1
    if e.accounts:
        if restore_nodes(e, im) or restore_wallets(e, im) or restore_positions(e, im) or restore_assets(e, im):
            return -1
        e.firm.killed = r.firm_killed != 0
    if restore_orders(e, im):
        return -1
    e.now = r.now
    e.in_seq = r.in_seq
    e.out_seq = r.out_seq
    e.entry = r.entry
    e.epoch = <uint32_t>r.epoch
    e.liq_counter = r.liq_counter
    e.dirty_base = r.dirty_base
    if e.accounts and sums_wanted(e):
        sums_start(e)
    return 0
