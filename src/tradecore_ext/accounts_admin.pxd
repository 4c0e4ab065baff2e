"""Commands on accounts: opening, money in and out, switches, limits.

Owner of: docs/reference/accounts.md section 2.  Every command is checked whole and then carried out; a refusal
changes nothing.
"""
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

from tradecore_ext.emit cimport emit_next
from tradecore_ext.gather cimport Scope, end_gathered, gather, gather_account
from tradecore_ext.keytable cimport position_find, position_get, position_room, wallet_find, wallet_get, wallets_missing
from tradecore_ext.limits_admin cimport set_limits
from tradecore_ext.liquidation cimport liquidation_step
from tradecore_ext.margin cimport margin_cash_changed, margin_free
from tradecore_ext.margin_admin cimport margin_command
from tradecore_ext.phase cimport after_book
from tradecore_ext.reply cimport *
from tradecore_ext.state cimport NIL, Book, Engine, Position, RiskNode
from tradecore_ext.types cimport *
from tradecore_ext.watch cimport watch_account, watch_group


# ---- accounts --------------------------------------------------------------------------------------------


cdef inline bint is_idle(const Engine* e, const RiskNode* a) noexcept nogil:
    """No held order and no open position: only then may an account change its risk group."""
    cdef uint32_t n = a.positions_head
    while n != NIL:
        if e.position[n].qty != 0 or e.position[n].orders_head != NIL:
            return False
        n = e.position[n].acct_next
    return True


cdef inline void account_command(Engine* e, const tc_admin* a) noexcept nogil:
    """ACCOUNT: open, or change the groups."""
    cdef RiskNode* r
    if a.account_id >= e.max_accounts:
        refuse(e, a, SA_CAPACITY_ACCOUNTS, a.account_id, e.max_accounts)
        return
    if a.group_id >= e.max_groups and a.group_id != 0:
        refuse(e, a, SA_CAPACITY_GROUPS, a.group_id, e.max_groups)
        return
    r = e.account + a.account_id
    if r.exists and r.group_id != a.group_id and not is_idle(e, r):
        refuse(e, a, SA_BAD_FIELD, r.group_id, a.group_id)
        return
    r.exists = 1
    r.group_id = a.group_id
    r.trade_group = a.contra_account_id
    watch_account(e, a.account_id)
    done(e, a)


# ---- money in, out, across ---------------------------------------------------------------------------------


cdef inline void emit_balance(
    Engine* e, uint32_t account_id, uint32_t wallet, int64_t amount, uint16_t command_kind
) noexcept nogil:
    """BALANCE of a movement that belongs to no position; the total is new already."""
    cdef tc_balance_event* v = <tc_balance_event*>emit_next(e)
    v.account_id = account_id
    v.kind = TC_EVT_BALANCE
    v.amount = amount
    v.balance = e.wallet[wallet].total
    v.asset_id = e.wallet[wallet].asset_id
    v.command_kind = command_kind


cdef inline bint in_range(int64_t amount) noexcept nogil:
    return 0 < amount <= TC_MAX_CASH


cdef inline int64_t free_cash(Engine* e, uint32_t wallet) noexcept nogil:
    return 0 if wallet == NIL else margin_free(e, wallet)


cdef inline bint too_full(const Engine* e, uint32_t wallet, int64_t amount) noexcept nogil:
    """Whether the wallet's total would leave the ledger's range of 2^62."""
    return wallet != NIL and e.wallet[wallet].total > TC_MAX_CASH - amount


cdef inline void move_cash(
    Engine* e, uint32_t account_id, uint32_t wallet, int64_t amount, uint16_t kind
) noexcept nogil:
    e.wallet[wallet].total += amount
    margin_cash_changed(e, wallet)
    emit_balance(e, account_id, wallet, amount, kind)


cdef inline void deposit(Engine* e, const tc_admin* a) noexcept nogil:
    cdef uint32_t wallet
    if not in_range(a.amount):
        refuse(e, a, SA_BAD_FIELD, 0, 0)
        return
    if not known(e, a.account_id):
        refuse(e, a, SA_UNKNOWN_ACCOUNT, 0, 0)
        return
    if a.asset_id >= e.max_assets:
        refuse(e, a, SA_CAPACITY_ASSETS, a.asset_id, e.max_assets)
        return
    wallet = wallet_find(e, a.account_id, a.asset_id)
    if e.deposits[a.asset_id] > TC_MAX_CASH - a.amount or too_full(e, wallet, a.amount):
        refuse(e, a, SA_BALANCE_OVERFLOW, a.amount, TC_MAX_CASH)
        return
    if wallet == NIL and e.n_wallets >= e.max_wallets:
        refuse(e, a, SA_CAPACITY_WALLETS, e.n_wallets, e.max_wallets)
        return
    wallet = wallet_get(e, a.account_id, a.asset_id)
    e.deposits[a.asset_id] += a.amount
    move_cash(e, a.account_id, wallet, a.amount, a.kind)


cdef inline void withdraw(Engine* e, const tc_admin* a) noexcept nogil:
    cdef uint32_t wallet
    if not in_range(a.amount):
        refuse(e, a, SA_BAD_FIELD, 0, 0)
        return
    if not known(e, a.account_id):
        refuse(e, a, SA_UNKNOWN_ACCOUNT, 0, 0)
        return
    if a.asset_id >= e.max_assets:
        refuse(e, a, SA_CAPACITY_ASSETS, a.asset_id, e.max_assets)
        return
    wallet = wallet_find(e, a.account_id, a.asset_id)
    if a.amount > free_cash(e, wallet):
        refuse(e, a, SA_INSUFFICIENT_FUNDS, a.amount, free_cash(e, wallet))
        return
    e.deposits[a.asset_id] -= a.amount
    move_cash(e, a.account_id, wallet, -a.amount, a.kind)


cdef inline void transfer(Engine* e, const tc_admin* a) noexcept nogil:
    """Between two accounts, both movements or none."""
    cdef uint32_t giver, taker
    if not in_range(a.amount) or a.contra_account_id == a.account_id:
        refuse(e, a, SA_BAD_FIELD, 0, 0)
        return
    if not known(e, a.account_id) or not known(e, a.contra_account_id):
        refuse(e, a, SA_UNKNOWN_ACCOUNT, 0, 0)
        return
    if a.asset_id >= e.max_assets:
        refuse(e, a, SA_CAPACITY_ASSETS, a.asset_id, e.max_assets)
        return
    giver = wallet_find(e, a.account_id, a.asset_id)
    taker = wallet_find(e, a.contra_account_id, a.asset_id)
    if a.amount > free_cash(e, giver):
        refuse(e, a, SA_INSUFFICIENT_FUNDS, a.amount, free_cash(e, giver))
        return
    if too_full(e, taker, a.amount):
        refuse(e, a, SA_BALANCE_OVERFLOW, a.amount, TC_MAX_CASH)
        return
    if taker == NIL and e.n_wallets >= e.max_wallets:
        refuse(e, a, SA_CAPACITY_WALLETS, e.n_wallets, e.max_wallets)
        return
    taker = wallet_get(e, a.contra_account_id, a.asset_id)
    move_cash(e, a.account_id, giver, -a.amount, a.kind)
    move_cash(e, a.contra_account_id, taker, a.amount, a.kind)


# ---- switches ------------------------------------------------------------------------------------------------


cdef inline void gather_group(Engine* e, uint32_t group_id) noexcept nogil:
    """All live orders of a group's accounts. O(accounts + their orders)."""
    cdef Scope s
    cdef uint32_t i
    s.account_id = TC_ANY
    s.instrument_id = TC_ANY
    s.side = 0
    s.day_only = 0
    e.n_scratch = 0
    for i in range(e.max_accounts):
        if e.account[i].exists and e.account[i].group_id == group_id:
            gather_account(e, &s, i)


cdef inline void settle_books(Engine* e) noexcept nogil:
    """Step 5 for every instrument whose stops look at quotes: orders may have gone from any of them."""
    cdef uint32_t i
    cdef Book* b
    for i in range(e.max_instruments):
        b = e.book + i
        if b.exists and b.spec.trigger == TC_TRIGGER_QUOTE and (b.n_stops or b.n_trailing):
            after_book(e, b)


cdef inline void kill_switch(Engine* e, const tc_admin* a) noexcept nogil:
    """KILL_SWITCH: stop new orders of the scope and cancel what is live, or let orders in again."""
    cdef Scope s
    if a.state > 1 or a.scope < TC_SCOPE_ACCOUNT or a.scope > TC_SCOPE_FIRM:
        refuse(e, a, SA_BAD_FIELD, 0, 0)
        return
    if (a.scope != TC_SCOPE_ACCOUNT and a.account_id) or (a.scope != TC_SCOPE_GROUP and a.group_id):
        refuse(e, a, SA_BAD_FIELD, 0, 0)
        return
    if a.scope == TC_SCOPE_ACCOUNT and not known(e, a.account_id):
        refuse(e, a, SA_UNKNOWN_ACCOUNT, 0, 0)
        return
    if a.scope == TC_SCOPE_GROUP and (a.group_id == 0 or a.group_id >= e.max_groups):
        refuse(e, a, SA_CAPACITY_GROUPS, a.group_id, e.max_groups)
        return
    if a.scope == TC_SCOPE_ACCOUNT:
        e.account[a.account_id].killed = a.state
        watch_account(e, a.account_id)
    elif a.scope == TC_SCOPE_GROUP:
        e.group[a.group_id].killed = a.state
        watch_group(e, a.group_id)
    else:
        e.firm.killed = a.state
    if a.state:
        if a.scope == TC_SCOPE_GROUP:
            gather_group(e, a.group_id)
        else:
            s.account_id = a.account_id if a.scope == TC_SCOPE_ACCOUNT else TC_ANY
            s.instrument_id = TC_ANY
            s.side = 0
            s.day_only = 0
            gather(e, &s)
        end_gathered(e, TC_EVT_CANCELED, SA_KILL_SWITCH)
    done(e, a)
    if a.state:
        settle_books(e)


cdef inline void restrict(Engine* e, const tc_admin* a) noexcept nogil:
    """RESTRICT: no new orders on an instrument, of one account or of all."""
    cdef Book* b
    cdef uint32_t pos, i
    if a.state > 1:
        refuse(e, a, SA_BAD_FIELD, 0, 0)
        return
    if a.instrument_id >= e.max_instruments or not e.book[a.instrument_id].exists:
        refuse(e, a, SA_UNKNOWN_INSTRUMENT, 0, 0)
        return
    b = e.book + a.instrument_id
    if a.account_id == TC_ANY:
        b.restricted = a.state
        e.restricted_any = 0
        for i in range(e.max_instruments):
            e.restricted_any |= e.book[i].restricted
        done(e, a)
        return
    if not known(e, a.account_id):
        refuse(e, a, SA_UNKNOWN_ACCOUNT, 0, 0)
        return
    pos = position_find(e, a.account_id, a.instrument_id)
    if pos == NIL:
        if not position_room(e):
            refuse(e, a, SA_CAPACITY_POSITIONS, e.n_positions, e.max_positions)
            return
        if e.n_wallets + wallets_missing(e, b, a.account_id) > e.max_wallets:
            refuse(e, a, SA_CAPACITY_WALLETS, e.n_wallets, e.max_wallets)
            return
        pos = position_get(e, a.account_id, a.instrument_id)
    e.position[pos].restricted = a.state
    done(e, a)


cdef inline void set_rate(Engine* e, const tc_admin* a) noexcept nogil:
    """RATE: base currency per unit of the asset, for reports."""
    if a.amount < 0 or a.amount > TC_MAX_CASH:
        refuse(e, a, SA_BAD_FIELD, 0, 0)
        return
    if a.asset_id >= e.max_assets:
        refuse(e, a, SA_CAPACITY_ASSETS, a.asset_id, e.max_assets)
        return
    e.rate[a.asset_id] = a.amount
    done(e, a)


# ---- all of them -----------------------------------------------------------------------------------------------


cdef inline void accounts_command(Engine* e, const tc_command* c) noexcept nogil:
    """Every command on accounts and margin; frames are checked already, time and timers have run."""
    cdef const tc_admin* a = <const tc_admin*>c
    cdef uint16_t kind = c.kind
    if kind == TC_CMD_DEPOSIT:
        deposit(e, a)
    elif kind == TC_CMD_WITHDRAW:
        withdraw(e, a)
    elif kind == TC_CMD_TRANSFER:
        transfer(e, a)
    elif kind == TC_CMD_ACCOUNT:
        account_command(e, a)
    elif kind == TC_CMD_LIMITS:
        set_limits(e, <const tc_limits*>c)
    elif kind == TC_CMD_KILL_SWITCH:
        kill_switch(e, a)
    elif kind == TC_CMD_RESTRICT:
        restrict(e, a)
    elif kind == TC_CMD_RATE:
        set_rate(e, a)
    else:
        margin_command(e, c)
    liquidation_step(e)
