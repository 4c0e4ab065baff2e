"""Commands about money: open, pay in and out, limit, restrict, fund, set margin.

A handler emits its events itself and answers None, or answers the refusal and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from tradecore.testing.oracle import orders
from tradecore.testing.oracle.checks import Refusal, refusal
from tradecore.testing.oracle.holders import BILLION, LIMIT_NAMES, Account, Node, is_linear
from tradecore.testing.oracle.layout import ANY, LIM, MAX_CASH, MAX_TIME, SCOPE, E, K, S
from tradecore.testing.oracle.margin import free, initial, upnl
from tradecore.testing.oracle.records import Instrument

if TYPE_CHECKING:
    from tradecore.testing.oracle.accounts import Accounts

Answer = Refusal | None
FIELDS: Final = {
    LIM.ORDER_QTY: ("max_order_qty",),
    LIM.ORDER_NOTIONAL: ("max_order_notional",),
    LIM.POSITION: ("max_position_qty",),
    LIM.GROSS_NOTIONAL: ("max_gross_notional",),
    LIM.OPEN_ORDERS: ("max_open_orders",),
    LIM.RATE: ("rate_per_s", "rate_burst"),
    LIM.DUPLICATE: ("duplicate_window_ns", "duplicate_count"),
    LIM.COLLAR: ("collar_ppm",),
    LIM.STALE: ("stale_ns",),
}


def _done(book: Accounts, c: Any, head: bytes) -> Answer:
    book.e.reject(head, c.kind, refusal(S.OK), E.DONE)
    return None


def account(book: Accounts, c: Any, head: bytes) -> Answer:
    """ACCOUNT: open it, or set its groups."""
    room = book.e.config
    if c.account_id >= room.max_accounts:
        return refusal(S.CAPACITY_ACCOUNTS, c.account_id, room.max_accounts)
    if c.group_id >= room.max_groups:
        return refusal(S.CAPACITY_GROUPS, c.group_id, room.max_groups)
    a = book.accounts.get(c.account_id)
    if a is None:
        a = book.accounts[c.account_id] = Account(SCOPE.ACCOUNT, id=c.account_id)
    elif a.group != c.group_id and (a.orders or any(p.qty for p in a.positions.values())):
        return refusal(S.BAD_FIELD, a.group, c.group_id)
    a.group, a.trade_group = c.group_id, c.contra_account_id
    return _done(book, c, head)


def _cash(book: Accounts, c: Any) -> Answer:
    """Check what every cash command checks: amount, account, asset."""
    if not 1 <= c.amount <= MAX_CASH:
        return refusal(S.BAD_FIELD)
    if c.kind == K.TRANSFER and c.contra_account_id == c.account_id:
        return refusal(S.BAD_FIELD)
    if not book.known(c.account_id):
        return refusal(S.UNKNOWN_ACCOUNT)
    if c.kind == K.TRANSFER and not book.known(c.contra_account_id):
        return refusal(S.UNKNOWN_ACCOUNT)
    if c.asset_id >= book.e.config.max_assets:
        return refusal(S.CAPACITY_ASSETS, c.asset_id, book.e.config.max_assets)
    return None


def _receive(book: Accounts, a: Account, c: Any) -> Answer:
    """Check that an account can take an amount."""
    wallet = a.wallets.get(c.asset_id)
    if (wallet.total if wallet else 0) + c.amount > MAX_CASH:
        return refusal(S.BALANCE_OVERFLOW, c.amount, MAX_CASH)
    return None if wallet else book.room_for_wallets(1)


def _move(book: Accounts, a: Account, c: Any, amount: int) -> Answer:
    wallet = book.wallet(a, c.asset_id)
    wallet.total += amount
    book.balance_event(a.id, amount, wallet.total, c.asset_id, c.kind)
    return None


def deposit(book: Accounts, c: Any, _head: bytes) -> Answer:
    """DEPOSIT: money comes in."""
    why = _cash(book, c)
    if why:
        return why
    a = book.accounts[c.account_id]
    if book.deposits[c.asset_id] + c.amount > MAX_CASH:
        return refusal(S.BALANCE_OVERFLOW, c.amount, MAX_CASH)
    why = _receive(book, a, c)
    if why:
        return why
    book.deposits[c.asset_id] += c.amount
    return _move(book, a, c, c.amount)


def withdraw(book: Accounts, c: Any, _head: bytes) -> Answer:
    """WITHDRAW: money leaves, never more than is free."""
    why = _cash(book, c)
    if why:
        return why
    a = book.accounts[c.account_id]
    room = free(a, c.asset_id)
    if c.amount > room:
        return refusal(S.INSUFFICIENT_FUNDS, c.amount, room)
    book.deposits[c.asset_id] -= c.amount
    return _move(book, a, c, -c.amount)


def transfer(book: Accounts, c: Any, _head: bytes) -> Answer:
    """TRANSFER: from one account to another, both or neither."""
    why = _cash(book, c)
    if why:
        return why
    giver, taker = book.accounts[c.account_id], book.accounts[c.contra_account_id]
    room = free(giver, c.asset_id)
    if c.amount > room:
        return refusal(S.INSUFFICIENT_FUNDS, c.amount, room)
    why = _receive(book, taker, c)
    if why:
        return why
    _move(book, giver, c, -c.amount)
    return _move(book, taker, c, c.amount)


def _scope(book: Accounts, c: Any) -> Answer | Node:
    """Return the node that a scope names, or why it names none."""
    if (c.account_id and c.scope != SCOPE.ACCOUNT) or (c.group_id and c.scope != SCOPE.GROUP):
        return refusal(S.BAD_FIELD)
    if c.scope == SCOPE.ACCOUNT:
        return book.accounts.get(c.account_id) or refusal(S.UNKNOWN_ACCOUNT)
    if c.scope == SCOPE.FIRM:
        return book.firm
    if not 1 <= c.group_id < book.e.config.max_groups:
        return refusal(S.CAPACITY_GROUPS, c.group_id, book.e.config.max_groups)
    return book.group(c.group_id)


def kill_switch(book: Accounts, c: Any, head: bytes) -> Answer:
    """KILL_SWITCH: stop new orders of a scope and cancel its live ones; or allow them again."""
    if c.state > 1 or not SCOPE.ACCOUNT <= c.scope <= SCOPE.FIRM:
        return refusal(S.BAD_FIELD)
    node = _scope(book, c)
    if not isinstance(node, Node):
        return node
    node.killed = bool(c.state)
    if c.state:
        who = {a.id for a in book.members(node)}
        chosen = [o for o in book.e.live.values() if o.account in who]
        orders.mass_cancel(book.e, chosen, S.KILL_SWITCH)
    return _done(book, c, head)


def restrict(book: Accounts, c: Any, head: bytes) -> Answer:
    """RESTRICT: close an instrument for one account or for everybody."""
    if c.state > 1:
        return refusal(S.BAD_FIELD)
    inst = book.e.instruments.get(c.instrument_id)
    if inst is None:
        return refusal(S.UNKNOWN_INSTRUMENT)
    if c.account_id == ANY:
        (book.closed.add if c.state else book.closed.discard)(inst.id)
        return _done(book, c, head)
    a = book.accounts.get(c.account_id)
    if a is None:
        return refusal(S.UNKNOWN_ACCOUNT)
    why = book.room_for(a, inst)
    if why:
        return why
    book.position(a, inst).restricted = bool(c.state)
    return _done(book, c, head)


def rate(book: Accounts, c: Any, head: bytes) -> Answer:
    """RATE: note a conversion rate for reports."""
    if not 0 <= c.amount <= MAX_CASH:
        return refusal(S.BAD_FIELD)
    if c.asset_id >= book.e.config.max_assets:
        return refusal(S.CAPACITY_ASSETS, c.asset_id, book.e.config.max_assets)
    book.rates[c.asset_id] = c.amount
    return _done(book, c, head)


def limits(book: Accounts, c: Any, head: bytes) -> Answer:
    """LIMITS: set the named limits of one node, leave the others."""
    fine = (
        SCOPE.ACCOUNT <= c.scope <= SCOPE.FIRM
        and c.mask < 512
        and all(0 <= getattr(c, name) <= MAX_CASH for name in LIMIT_NAMES if name[:3] == "max")
        and c.duplicate_window_ns <= MAX_TIME
        and c.stale_ns <= MAX_TIME
    )
    if not fine:
        return refusal(S.BAD_FIELD)
    node = _scope(book, c)
    if not isinstance(node, Node):
        return node
    for bit, names in FIELDS.items():
        if c.mask & bit:
            for name in names:
                node.limits[name] = getattr(c, name)
    if c.mask & LIM.RATE:
        node.tokens = max(node.limits["rate_burst"], 1) * BILLION
        node.refilled = book.e.now
    if c.mask & LIM.DUPLICATE:
        node.seen_key = None
    return _done(book, c, head)


def _linear(book: Accounts, c: Any) -> Answer | Instrument:
    """Return the linear instrument that a command names, or why there is none."""
    inst = book.e.instruments.get(c.instrument_id)
    if inst is None:
        return refusal(S.UNKNOWN_INSTRUMENT)
    return inst if is_linear(inst) else refusal(S.BAD_FIELD)


def funding(book: Accounts, c: Any, head: bytes) -> Answer:
    """FUNDING: longs pay shorts (or the other way round) so much per lot."""
    inst = _linear(book, c)
    if not isinstance(inst, Instrument):
        return inst
    if abs(c.amount) > MAX_CASH:
        return refusal(S.BAD_FIELD)
    payers = [(a, a.positions[inst.id]) for _, a in sorted(book.accounts.items()) if a.qty(inst)]
    for a, p in payers:
        cash = p.iso_margin if p.isolated else book.wallet(a, inst.quote_asset).total
        if abs(p.qty * c.amount) > MAX_CASH or abs(cash - p.qty * c.amount) > MAX_CASH:
            return refusal(S.BALANCE_OVERFLOW)
    for a, p in payers:
        amount = -p.qty * c.amount
        if p.isolated:
            p.iso_margin += amount
            left = p.iso_margin
        else:
            wallet = book.wallet(a, inst.quote_asset)
            wallet.total += amount
            left = wallet.total
        book.balance_event(a.id, amount, left, inst.quote_asset, c.kind, S.FUNDING, inst.id)
    return _done(book, c, head)


def _owner(book: Accounts, c: Any) -> Answer | tuple[Account, Instrument]:
    a = book.accounts.get(c.account_id)
    if a is None:
        return refusal(S.UNKNOWN_ACCOUNT)
    inst = _linear(book, c)
    return (a, inst) if isinstance(inst, Instrument) else inst


def margin_mode(book: Accounts, c: Any, head: bytes) -> Answer:
    """MARGIN_MODE: cross or isolated, while nothing is open."""
    found = _owner(book, c)
    if not found or not isinstance(found[0], Account):
        return found
    a, inst = found
    if c.state > 1:
        return refusal(S.BAD_FIELD)
    why = book.room_for(a, inst)
    if why:
        return why
    p = a.positions.get(inst.id)
    if p is not None and (p.qty or a.open(inst, 1) or a.open(inst, 2) or p.iso_margin or p.state):
        return refusal(S.MARGIN_CHANGE)
    book.position(a, inst).mode = c.state
    return _done(book, c, head)


def margin_transfer(book: Accounts, c: Any, head: bytes) -> Answer:
    """MARGIN_TRANSFER: cash into an isolated position, or out of it down to its initial margin."""
    found = _owner(book, c)
    if not found or not isinstance(found[0], Account):
        return found
    a, inst = found
    if not c.amount or abs(c.amount) > MAX_CASH:
        return refusal(S.BAD_FIELD)
    p = a.positions.get(inst.id)
    if p is None or not p.isolated or not p.qty:
        return refusal(S.MARGIN_CHANGE)
    asset = inst.quote_asset
    if c.amount > 0:
        room, wanted = free(a, asset), c.amount
    else:
        room = max(0, p.iso_margin + min(upnl(p), 0) - initial(inst, p.qty))
        wanted = -c.amount
    if wanted > room:
        return refusal(S.INSUFFICIENT_FUNDS, wanted, room)
    wallet = book.wallet(a, asset)
    wallet.total -= c.amount
    p.iso_margin += c.amount
    book.balance_event(a.id, -c.amount, wallet.total, asset, c.kind, 0, inst.id)
    return _done(book, c, head)


HANDLERS: Final[dict[int, Callable[[Any, Any, bytes], Answer]]] = {
    K.ACCOUNT: account,
    K.DEPOSIT: deposit,
    K.WITHDRAW: withdraw,
    K.TRANSFER: transfer,
    K.KILL_SWITCH: kill_switch,
    K.RESTRICT: restrict,
    K.RATE: rate,
    K.LIMITS: limits,
    K.FUNDING: funding,
    K.MARGIN_MODE: margin_mode,
    K.MARGIN_TRANSFER: margin_transfer,
}
