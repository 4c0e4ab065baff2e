"""Collect live orders for the commands that end many of them.

Owner of: who belongs to a scope.  Fills Engine.scratch with slots; the caller sorts and ends them.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from tradecore_ext.ending cimport end_order
from tradecore_ext.keytable cimport position_find
from tradecore_ext.ladder cimport ladder_next, rank_of
from tradecore_ext.sorting cimport BY_ID, sort_slots
from tradecore_ext.state cimport NIL, OF_LINKED, ST_ACTIVE, ST_FREE, Book, Engine, Order
from tradecore_ext.types cimport TC_ANY, TC_TIF_DAY


cdef struct Scope:
    uint32_t account_id     # TC_ANY = every account
    uint32_t instrument_id  # TC_ANY = every instrument
    uint8_t side            # 0 = both
    uint8_t day_only        # only orders of the trading day


cdef inline void gather_one(Engine* e, const Scope* s, uint32_t slot) noexcept nogil:
    """Add the order, and its pending children, where they fit the scope."""
    cdef Order* o = e.order + slot
    cdef uint32_t c
    if (
        (s.account_id == TC_ANY or o.account_id == s.account_id)
        and (s.instrument_id == TC_ANY or o.instrument_id == s.instrument_id)
        and (s.side == 0 or o.side == s.side)
        and (not s.day_only or o.tif == TC_TIF_DAY)
    ):
        e.scratch[e.n_scratch] = slot
        e.n_scratch += 1
    if o.flags & OF_LINKED:
        c = e.terms[o.terms].child
        while c != NIL:
            gather_one(e, s, c)
            c = e.terms[e.order[c].terms].next_child


cdef inline void gather_book(Engine* e, const Scope* s, Book* b) noexcept nogil:
    cdef int which
    cdef uint32_t lv, n
    for which in range(4):
        lv = b.ladder[which].best_level
        while lv != NIL:
            n = e.level[lv].head
            while n != NIL:
                gather_one(e, s, n)
                n = e.order[n].next
            lv = ladder_next(e, &b.ladder[which], rank_of(which, e.level[lv].px))
    n = b.trailing_head
    while n != NIL:
        gather_one(e, s, n)
        n = e.terms[e.order[n].terms].trail_next


cdef inline void gather_position(Engine* e, const Scope* s, uint32_t position) noexcept nogil:
    cdef uint32_t n = e.position[position].orders_head
    while n != NIL:
        gather_one(e, s, n)
        n = e.money[n].held_next


cdef inline void gather_account(Engine* e, const Scope* s, uint32_t account_id) noexcept nogil:
    """The account's orders that fit. O(its positions and orders), O(its orders there) where one instrument is named."""
    cdef uint32_t p
    if s.instrument_id != TC_ANY:
        p = position_find(e, account_id, s.instrument_id)
        if p != NIL:
            gather_position(e, s, p)
        return
    p = e.account[account_id].positions_head
    while p != NIL:
        gather_position(e, s, p)
        p = e.position[p].acct_next


cdef inline void gather(Engine* e, const Scope* s) noexcept nogil:
    """Fill the scratch list. With accounts on and one account named: O(its positions and orders), else O(orders)."""
    cdef uint32_t i
    e.n_scratch = 0
    if e.accounts and s.account_id != TC_ANY:
        gather_account(e, s, s.account_id)
    elif s.instrument_id != TC_ANY:
        gather_book(e, s, e.book + s.instrument_id)
    else:
        for i in range(e.max_instruments):
            if e.book[i].exists and e.book[i].n_live:
                gather_book(e, s, e.book + i)


cdef inline uint32_t end_gathered(Engine* e, uint8_t kind, uint16_t status) noexcept nogil:
    """End the gathered orders in order-id order; members that died with a sibling are passed over.

    Nothing is allocated meanwhile, so a slot that is free now is one that died here."""
    cdef uint32_t i
    cdef uint32_t n = e.n_scratch
    sort_slots(e, NULL, BY_ID, e.scratch, n)
    for i in range(n):
        if e.order[e.scratch[i]].state != ST_FREE:
            end_order(e, e.scratch[i], kind, status)
    return n
