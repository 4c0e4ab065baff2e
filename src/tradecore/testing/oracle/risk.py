"""Check 9: may this account send this order?  One list of checks, three levels where it says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tradecore.testing.oracle.checks import Refusal, refusal
from tradecore.testing.oracle.holders import (
    BILLION,
    Account,
    Node,
    hold_asset,
    is_linear,
    need_of,
    notional,
)
from tradecore.testing.oracle.layout import MAX_CASH, MAX_I64, STATE, F, S
from tradecore.testing.oracle.margin import BOUND, available, free, held, initial, worst
from tradecore.testing.oracle.records import BUY, SELL, Order

if TYPE_CHECKING:
    from tradecore.testing.oracle.accounts import Accounts


class Asked:
    """The order as the checks see it: new, or with the values a replace would give it."""

    def __init__(self, book: Accounts, o: Order, change: Any = None) -> None:
        inst = o.inst
        self.order, self.inst, self.side = o, inst, o.side
        self.account: Account = book.accounts[o.account]
        self.replacing = change is not None
        self.px: int = change.px if change else o.px
        self.old_leaves = o.leaves if change else 0
        self.old_gross = notional(inst, o.px, o.leaves) if change else 0
        self.old_hold: int = o.held.hold if change else 0
        self.fee_rem: int = o.held.fee_rem if change else 0
        self.leaves: int = change.leaves if change else o.leaves
        mark = inst.mark or 0
        gap = self.px - mark if o.side == BUY else mark - self.px
        self.adverse = max(0, gap) * inst.multiplier if is_linear(inst) else 0
        self.qty = self._most_lots()
        self.value = self._value()

    def _most_lots(self) -> int:
        o = self.order
        if not o.is_cash:
            return self.leaves
        price = self.inst.best(SELL) if o.side == BUY else self.px
        return min(o.cash // (price * self.inst.multiplier), MAX_I64) if price else 0

    def _value(self) -> int:
        if self.order.is_cash:
            return self.order.cash
        price = self.px or (is_linear(self.inst) and self.inst.mark) or self.inst.last or 0
        return notional(self.inst, price, self.qty)

    @property
    def need(self) -> int:
        """Return the hold the order would take."""
        return need_of(self.order, self.px, self.leaves, self.fee_rem, self.adverse)


def check(book: Accounts, ask: Asked) -> Refusal | None:
    """Return the first refusal of check 9, or None."""
    a, inst, o = ask.account, ask.inst, ask.order
    nodes = book.levels(a)
    for node, status in zip(
        reversed(nodes),
        (S.KILLED_FIRM, S.KILLED_GROUP, S.KILLED_ACCOUNT)
        if len(nodes) == 3
        else (S.KILLED_FIRM, S.KILLED_ACCOUNT),
        strict=True,
    ):
        if node.killed:
            return refusal(status)
    position = a.positions.get(inst.id)
    if inst.id in book.closed or (position is not None and position.restricted):
        return refusal(S.RESTRICTED)
    if o.is_cash and is_linear(inst):
        return refusal(S.BAD_COMBINATION)
    state = pool_state(ask)
    if state >= STATE.LIQ_CANCEL:
        return refusal(S.LIQUIDATION, state)
    if state == STATE.REDUCE_ONLY and not o.flags & F.REDUCE_ONLY:
        return refusal(S.ACCOUNT_REDUCE_ONLY, state)
    qty = a.qty(inst)
    if o.flags & F.REDUCE_ONLY and (qty >= 0 if o.side == BUY else qty <= 0):
        return refusal(S.REDUCE_ONLY, ask.leaves if ask.replacing else o.qty)
    return _limits(book, ask, nodes) or credit(book, ask)


def pool_state(ask: Asked) -> int:
    """Return the liquidation state of the pool that would carry the order."""
    a, inst = ask.account, ask.inst
    position = a.positions.get(inst.id)
    if is_linear(inst):
        if position is not None and position.isolated:
            return position.state
        wallet = a.wallets.get(inst.quote_asset)
    else:
        wallet = a.wallets.get(hold_asset(ask.order))
    return wallet.state if wallet is not None else 0


def _limits(book: Accounts, ask: Asked, nodes: list[Node]) -> Refusal | None:
    checks = [_quantity, _value, _collar, _rate, _position, _gross]
    if not ask.replacing:
        checks = [_quantity, _value, _collar, _duplicate, _rate, _open, _position, _gross]
    for look in checks:
        for node in nodes:
            found = look(book, ask, node)
            if found:
                return refusal(*found, node.scope)
    return None


Found = tuple[int, int, int] | None


def _quantity(_book: Accounts, ask: Asked, node: Node) -> Found:
    limit = node.limits["max_order_qty"]
    return (S.LIMIT_ORDER_QTY, ask.qty, limit) if limit and ask.qty > limit else None


def _value(_book: Accounts, ask: Asked, node: Node) -> Found:
    limit = node.limits["max_order_notional"]
    return (S.LIMIT_ORDER_NOTIONAL, ask.value, limit) if limit and ask.value > limit else None


def _collar(_book: Accounts, ask: Asked, node: Node) -> Found:
    collar = node.limits["collar_ppm"]
    ref = ask.inst.mark or ask.inst.last
    if not collar or not ask.px or not ref:
        return None
    room = ref * collar // 1_000_000
    if ask.side == BUY:
        return (S.COLLAR, ask.px, ref + room) if ask.px > ref + room else None
    return (S.COLLAR, ask.px, ref - room) if ask.px < ref - room else None


def _duplicate(book: Accounts, ask: Asked, node: Node) -> Found:
    if not node.watches_duplicates or not node.identical(book.key(ask.order), book.e.now):
        return None
    count = node.limits["duplicate_count"]
    if node.seen_count >= count:
        return S.DUPLICATE_WINDOW, node.seen_count + 1, count
    return None


def _rate(book: Accounts, _ask: Asked, node: Node) -> Found:
    if not node.limits["rate_per_s"]:
        return None
    tokens = node.tokens_at(book.e.now)
    return (S.MESSAGE_RATE, tokens, BILLION) if tokens < BILLION else None


def _open(book: Accounts, ask: Asked, node: Node) -> Found:
    limit = node.limits["max_open_orders"]
    if not limit:
        return None
    count = sum(len(a.orders) for a in book.members(node)) + 1
    return (S.LIMIT_OPEN_ORDERS, count, limit) if count > limit else None


def _position(book: Accounts, ask: Asked, node: Node) -> Found:
    limit = node.limits["max_position_qty"]
    if not limit:
        return None
    sign = 1 if ask.side == BUY else -1
    total = ask.qty - ask.old_leaves
    for a in book.members(node):
        total += sign * a.qty(ask.inst) + a.open(ask.inst, ask.side)
    return (S.LIMIT_POSITION, total, limit) if total > limit else None


def _gross(book: Accounts, ask: Asked, node: Node) -> Found:
    limit = node.limits["max_gross_notional"]
    if not limit:
        return None
    total = sum(a.gross() for a in book.members(node)) + ask.value - ask.old_gross
    return (S.LIMIT_GROSS_NOTIONAL, total, limit) if total > limit else None


def credit(book: Accounts, ask: Asked) -> Refusal | None:
    """Check the money last, as every other refusal is cheaper."""
    a, inst, o = ask.account, ask.inst, ask.order
    lots = abs(a.qty(inst)) + a.open(inst, BUY) + a.open(inst, SELL) + ask.qty - ask.old_leaves
    if lots > MAX_CASH:
        return refusal(S.NOTIONAL_OVERFLOW, lots, MAX_CASH)
    linear = is_linear(inst)
    needs_px = linear or (o.is_cash if o.side == SELL else not o.is_cash)
    if needs_px and not ask.px:
        return refusal(S.NEEDS_PRICE)
    if linear:
        found = _margin(ask)
    else:
        if ask.px and not o.is_cash and notional(inst, ask.px, ask.qty) > MAX_CASH:
            return refusal(S.NOTIONAL_OVERFLOW, notional(inst, ask.px, ask.qty), MAX_CASH)
        need, room = ask.need, free(a, hold_asset(o)) + ask.old_hold
        if need > MAX_CASH and (o.side == BUY or o.is_cash):
            return refusal(S.NOTIONAL_OVERFLOW, need, MAX_CASH)
        short = S.INSUFFICIENT_FUNDS if o.side == BUY else S.INSUFFICIENT_POSITION
        found = refusal(short, need, room) if need > room else None
    return found or (None if ask.replacing else book.room_for(a, inst))


def _margin(ask: Asked) -> Refusal | None:
    a, inst, o = ask.account, ask.inst, ask.order
    if not inst.mark:
        return refusal(S.NO_MARK, ask.px)
    more = ask.leaves - ask.old_leaves
    buy, sell = (more, 0) if ask.side == BUY else (0, more)
    largest = max(worst(a, inst, buy, sell), ask.leaves) * max(ask.px, inst.mark) * inst.multiplier
    if largest > BOUND:
        return refusal(S.NOTIONAL_OVERFLOW, largest, BOUND)
    position = a.positions.get(inst.id)
    isolated = position is not None and position.isolated
    if position is not None:
        delta = held(a, position, buy, sell) - held(a, position)
    else:
        delta = initial(inst, worst(a, inst, buy, sell))
    relief = 0
    if o.flags & F.REDUCE_ONLY:
        qty = abs(a.qty(inst))
        relief = initial(inst, qty) - initial(inst, qty - min(ask.leaves, qty))
    asked = ask.need - ask.old_hold + delta
    room = (free if isolated else available)(a, inst.quote_asset) + relief
    if asked > 0 and asked > room:
        return refusal(S.INSUFFICIENT_FUNDS, asked, room)
    return None
