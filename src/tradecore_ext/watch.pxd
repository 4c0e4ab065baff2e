"""Which accounts their orders have to look at: the killed, the limited, those of a killed group.

Owner of: Position.watched, and the count of open orders that only watched accounts keep.  An account's record is a
line of memory that nothing else of a plain order needs, so its positions, which every order reads, say whether to look
at all.  The switches are rare commands; they walk the positions.
"""
from libc.stdint cimport uint32_t

from tradecore_ext.state cimport NIL, Engine, RiskNode


cdef inline bint account_watched(const Engine* e, uint32_t account_id) noexcept nogil:
    """Whether some rule looks at the account when it orders. (The firm's switch and limits are asked for anyway.)"""
    cdef const RiskNode* a = e.account + account_id
    return a.killed or a.limited != 0 or (a.group_id != 0 and e.group[a.group_id].killed)


cdef inline uint32_t count_orders(const Engine* e, uint32_t account_id) noexcept nogil:
    """Live held orders of the account. O(positions + orders of the account)."""
    cdef uint32_t p = e.account[account_id].positions_head
    cdef uint32_t count = 0
    cdef uint32_t n
    while p != NIL:
        n = e.position[p].orders_head
        while n != NIL:
            count += 1
            n = e.money[n].held_next
        p = e.position[p].acct_next
    return count


cdef inline void watch_account(Engine* e, uint32_t account_id) noexcept nogil:
    """A switch, a limit or the group of the account has changed. O(positions + orders of the account)."""
    cdef uint32_t p = e.account[account_id].positions_head
    cdef bint watched = account_watched(e, account_id)
    e.account[account_id].open_orders = count_orders(e, account_id) if watched else 0
    while p != NIL:
        e.position[p].watched = watched
        p = e.position[p].acct_next


cdef inline void watch_group(Engine* e, uint32_t group_id) noexcept nogil:
    """A group's switch has changed. O(accounts + positions and orders of the group)."""
    cdef uint32_t i
    for i in range(e.max_accounts):
        if e.account[i].exists and e.account[i].group_id == group_id:
            watch_account(e, i)
