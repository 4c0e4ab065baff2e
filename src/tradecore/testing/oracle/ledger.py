"""What one side of one fill does to cash and position, and whether the books add up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tradecore.testing.oracle.holders import (
    Account,
    Hold,
    Position,
    clamp,
    is_linear,
    notional,
    trunc_div,
)
from tradecore.testing.oracle.layout import SETTLE_EVENT, E
from tradecore.testing.oracle.margin import initial, total_of, wallet_hold
from tradecore.testing.oracle.records import BUY, Instrument, Order

if TYPE_CHECKING:
    from tradecore.testing.oracle.accounts import Accounts


def book_fill(book: Accounts, o: Order, px: int, qty: int, rate: int) -> None:
    """Settle one side of a fill and emit SETTLED.

    Parameters
    ----------
    o : Order
        The side's order; its leaves are already those after the fill.
    px, qty : int
        Ticks and lots of the fill.
    rate : int
        Fee rate, parts per million.
    """
    a, inst = book.accounts[o.account], o.inst
    p = book.position(a, inst)
    if o.held is None:
        o.held = Hold(inst.quote_asset)
    amount = notional(inst, px, qty)
    owed = o.held.fee_rem + amount * rate
    fee = owed // 1_000_000
    o.held.fee_rem = owed - fee * 1_000_000
    book.fees[inst.quote_asset] += fee
    if is_linear(inst):
        cash, realised = linear_side(book, a, p, o.side, px, qty, fee, forced=o.liquidation)
    else:
        cash, realised = _spot_side(book, a, p, o, px, qty, fee)
    if not o.liquidation:
        _lower_hold(book, o)
    settled_event(book, o.id, a.id, inst, o.side, 0, cash, fee, p.qty, realised)


def _lower_hold(book: Accounts, o: Order) -> None:
    own = book.formula(o)
    o.held.hold = min(o.held.hold, own) if is_linear(o.inst) else own


def settled_event(
    book: Accounts, order_id: int, account: int, inst: Instrument, side: int, status: int,
    cash: int, fee: int, qty: int, realised: int,
) -> None:  # fmt: skip
    """Emit one side of a fill in the ledger."""
    e = book.e
    e.out.append(
        SETTLE_EVENT.pack(
            e.number(), order_id, account, inst.id, E.SETTLED, side, status,
            e.in_seq & 0xFFFFFFFF, cash, fee, qty, realised,
        )
    )  # fmt: skip


def _spot_side(
    book: Accounts, a: Account, p: Position, o: Order, px: int, qty: int, fee: int
) -> tuple[int, int]:
    """Move quote and base, keep the record of cost and profit; return (cash, realised)."""
    inst = o.inst
    amount = notional(inst, px, qty)
    buying = o.side == BUY
    cash = -(amount + fee) if buying else amount - fee
    book.wallet(a, inst.quote_asset).total += cash
    book.wallet(a, inst.base_asset).total += qty * inst.base_per_lot * (1 if buying else -1)
    sign = 1 if buying else -1
    realised = 0
    if p.qty * sign >= 0:
        p.cost = clamp(p.cost + sign * amount)
    else:
        closed = min(qty, abs(p.qty))
        removed = p.cost if closed == abs(p.qty) else trunc_div(p.cost * closed, abs(p.qty))
        realised = -sign * notional(inst, px, closed) - removed
        p.cost = clamp(p.cost - removed)
        if qty > closed:
            p.cost = clamp(sign * notional(inst, px, qty - closed))
    p.qty += sign * qty
    p.realised = clamp(p.realised + realised)
    p.fees = clamp(p.fees + fee)
    return cash, realised


def linear_side(
    book: Accounts, a: Account, p: Position, side: int, px: int, qty: int, fee: int,
    *, forced: bool = False,
) -> tuple[int, int]:  # fmt: skip
    """Book one side of a fill of a linear instrument; return (cash delta, realised)."""
    inst: Instrument = p.inst
    asset = inst.quote_asset
    wallet = book.wallet(a, asset)
    sign = 1 if side == BUY else -1
    before = p.qty
    closed = min(qty, abs(before)) if before * sign < 0 else 0
    whole = closed == abs(before)
    removed = 0
    if closed:
        removed = p.cost if whole else trunc_div(p.cost * closed, abs(before))
    realised = (-sign * notional(inst, px, closed) - removed) if closed else 0
    opened = qty - closed
    p.cost += sign * notional(inst, px, opened) - removed
    p.qty += sign * qty
    p.realised += realised
    p.fees += fee
    book.clearing[asset] -= realised
    if not p.isolated:
        wallet.total += realised - fee
        return realised - fee, realised
    if closed and not forced:
        share = p.iso_margin if whole else trunc_div(p.iso_margin * closed, abs(before))
        p.iso_margin -= share
        wallet.total += share
    if forced:
        p.iso_margin += realised - fee
    else:
        wallet.total += realised - fee
    if opened and not forced:
        mark = inst.mark or 0
        more = initial(inst, p.qty) - (0 if closed else initial(inst, before))
        more += max(0, sign * (px - mark)) * inst.multiplier * opened
        more = min(more, max(0, wallet.total))
        wallet.total -= more
        p.iso_margin += more
    return realised - fee, realised


# ---- the books --------------------------------------------------------------------------------


def audit(book: Accounts) -> None:
    """Raise AssertionError at the first identity of the books that does not hold."""
    e = book.e
    assets = {*book.fees, *book.deposits, *book.clearing}
    for a in book.accounts.values():
        assets |= set(a.wallets)
    for asset in sorted(assets):
        cash = sum(total_of(a, asset) for a in book.accounts.values())
        isolated = sum(
            p.iso_margin
            for a in book.accounts.values()
            for p in a.positions.values()
            if is_linear(p.inst) and p.inst.quote_asset == asset
        )
        left = cash + isolated + book.fees[asset] + book.clearing[asset]
        assert left == book.deposits[asset], f"asset {asset}: {left} != {book.deposits[asset]}"
    for inst in e.instruments.values():
        lots = sum(a.qty(inst) for a in book.accounts.values())
        assert lots == 0, f"instrument {inst.id}: {lots} lots too many"
    for a in book.accounts.values():
        for asset in a.wallets:
            _wallet(a, asset)
        for o in a.orders.values():
            assert e.live.get(o.id) is o
            assert o.status in ("resting", "dormant")
            _order(book, o)
    held = {number for a in book.accounts.values() for number in a.orders}
    working = {o.id for o in e.live.values() if o.status != "pending"}
    assert held == working, "held orders are not the working ones"


def _wallet(a: Account, asset: int) -> None:
    hold = wallet_hold(a, asset)
    assert hold >= 0
    if not any(is_linear(p.inst) for p in a.positions.values()):
        assert total_of(a, asset) >= hold, f"account {a.id} asset {asset} overdrawn"


def _order(book: Accounts, o: Order) -> None:
    assert 0 <= o.held.fee_rem < 1_000_000
    assert o.held.hold >= 0
    own = book.formula(o)
    if o.sibling is None:
        assert o.held.hold == own or is_linear(o.inst), f"hold of {o.id}: {o.held.hold} != {own}"
    else:
        larger = max(own, book.formula(o.sibling))
        both = o.held.hold + o.sibling.held.hold if o.sibling.held else larger
        assert both >= larger or is_linear(o.inst), f"hold of the pair of {o.id}"


def state(book: Accounts) -> dict[str, Any]:
    """Return accounts and the engine's own books as plain data."""
    return {
        "fees": {k: v for k, v in sorted(book.fees.items()) if v},
        "deposits": {k: v for k, v in sorted(book.deposits.items()) if v},
        "clearing": {k: v for k, v in sorted(book.clearing.items()) if v},
        "accounts": {
            n: {
                "group": a.group,
                "trade_group": a.trade_group,
                "wallets": {
                    s: (w.total, wallet_hold(a, s), w.state) for s, w in sorted(a.wallets.items())
                },
                "positions": {
                    i: (
                        p.qty, p.cost, p.realised, p.fees, a.open(p.inst, 1), a.open(p.inst, 2),
                        p.mode, p.iso_margin, p.state,
                    )
                    for i, p in sorted(a.positions.items())
                },
            }
            for n, a in sorted(book.accounts.items())
        },
    }  # fmt: skip
