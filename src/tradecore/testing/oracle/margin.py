"""Linear instruments: what a position is worth, what margin it needs, what its pool has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tradecore.testing.oracle.holders import Account, Carrier, Position, Wallet, is_linear
from tradecore.testing.oracle.layout import ANY
from tradecore.testing.oracle.records import BUY, SELL, Instrument, Order

if TYPE_CHECKING:
    from tradecore.testing.oracle.accounts import Accounts

BOUND = 1 << 56


def sat(value: int) -> int:
    """Limit a valuation."""
    return max(-BOUND, min(BOUND, value))


def upnl(p: Position) -> int:
    """Return the unrealised profit at the mark."""
    if not p.linear or not p.inst.mark:
        return 0
    return sat(p.qty * p.inst.mark * p.inst.multiplier - p.cost)


def margin(inst: Instrument, qty: int, which: int) -> int:
    """Return the margin of a number of lots at the mark; `which` 1 initial, 2 maintenance."""
    if not inst.mark:
        return 0
    left = sat(abs(qty) * inst.mark * inst.multiplier)
    floor_of_tier = 0
    total = 0
    tiers = inst.tiers
    for i, tier in enumerate(tiers):
        last = i == len(tiers) - 1 or not tier[0]
        part = left if last else min(left, tier[0] - floor_of_tier)
        total += part * tier[which]
        left -= part
        floor_of_tier = tier[0]
        if last:
            break
    return -(-total // 1_000_000)


def initial(inst: Instrument, qty: int) -> int:
    """Return the initial margin of a number of lots."""
    return margin(inst, qty, 1)


def worst(a: Account, inst: Instrument, buy_more: int = 0, sell_more: int = 0) -> int:
    """Return the largest position that working orders could make."""
    qty = a.qty(inst)
    return max(abs(qty + a.open(inst, BUY) + buy_more), abs(qty - a.open(inst, SELL) - sell_more))


def held(a: Account, p: Position, buy_more: int = 0, sell_more: int = 0) -> int:
    """Return the margin that a position takes out of its wallet."""
    need = initial(p.inst, worst(a, p.inst, buy_more, sell_more))
    return need - initial(p.inst, p.qty) if p.isolated else need


def linear_positions(a: Account) -> list[Position]:
    """Return the linear positions of an account, in instrument order."""
    return [a.positions[i] for i in sorted(a.positions) if a.positions[i].linear]


def linear_of(a: Account, asset: int) -> list[Position]:
    """Return the linear positions settled in an asset, in instrument order."""
    return [p for p in linear_positions(a) if p.inst.quote_asset == asset]


def wallet_hold(a: Account, asset: int) -> int:
    """Return everything that is held in a wallet."""
    return a.order_holds(asset) + sum(held(a, p) for p in linear_of(a, asset))


def wallet_upnl(a: Account, asset: int) -> int:
    """Return the unrealised profit of the wallet's cross positions."""
    return sum(upnl(p) for p in linear_of(a, asset) if not p.isolated)


def total_of(a: Account, asset: int) -> int:
    """Return the cash of an account in an asset."""
    wallet = a.wallets.get(asset)
    return wallet.total if wallet is not None else 0


def available(a: Account, asset: int) -> int:
    """Return what orders of cross positions may use."""
    return total_of(a, asset) - wallet_hold(a, asset) + wallet_upnl(a, asset)


def free(a: Account, asset: int) -> int:
    """Return what may leave the pool: open profit does not count."""
    return total_of(a, asset) - wallet_hold(a, asset) + min(0, wallet_upnl(a, asset))


@dataclass
class Pool:
    """One margin pool: the cross wallet of (account, asset), or one isolated position."""

    account: Account
    asset: int
    position: Position | None = None

    @property
    def carrier(self) -> Carrier:
        """Where the pool's state is kept."""
        if self.position is not None:
            return self.position
        return self.account.wallets[self.asset]

    @property
    def shown_instrument(self) -> int:
        """Return the instrument id of ACCOUNT_STATE events."""
        return ANY if self.position is None else int(self.position.inst.id)

    @property
    def balance_instrument(self) -> int:
        """Return the instrument id of BALANCE events."""
        return 0 if self.position is None else int(self.position.inst.id)

    def positions(self) -> list[Position]:
        """Return the pool's positions in instrument order, flat ones too."""
        if self.position is not None:
            return [self.position]
        return [p for p in linear_of(self.account, self.asset) if not p.isolated]

    def carried(self) -> list[Position]:
        """Return the positions that are not flat."""
        return [p for p in self.positions() if p.qty]

    def cash(self) -> int:
        """Return the cash that stands behind the pool."""
        if self.position is not None:
            return self.position.iso_margin
        return total_of(self.account, self.asset)

    def pay(self, amount: int) -> int:
        """Change the pool's cash; return it."""
        if self.position is not None:
            self.position.iso_margin += amount
        else:
            self.account.wallets[self.asset].total += amount
        return self.cash()

    def equity(self) -> int:
        """Return cash plus unrealised profit."""
        return self.cash() + sum(upnl(p) for p in self.positions())

    def im(self) -> int:
        """Return the initial margin; cross pools count working orders."""
        if self.position is not None:
            return initial(self.position.inst, self.position.qty)
        return sum(initial(p.inst, worst(self.account, p.inst)) for p in self.positions())

    def mm(self) -> int:
        """Return the maintenance margin."""
        return sum(margin(p.inst, p.qty, 2) for p in self.positions())

    def recovered(self) -> bool:
        """Return whether a pool in liquidation is safe again."""
        return 100 * self.equity() >= 105 * self.im()

    def stale(self, now: int) -> bool:
        """Return whether some carried position's mark is too old."""
        return any(
            p.inst.mark_max_age_ms and now - p.inst.mark_ts > p.inst.mark_max_age_ms * 1_000_000
            for p in self.carried()
        )

    def live_orders(self, orders: list[Order]) -> list[Order]:
        """Return the account's live orders that could cost the pool something."""
        mine = [o for o in orders if o.account == self.account.id]
        if self.position is not None:
            return [o for o in mine if o.inst.id == self.position.inst.id]
        return [
            o
            for o in mine
            if o.inst.quote_asset == self.asset and (is_linear(o.inst) or o.side == BUY)
        ]


def pool_of(a: Account, p: Position) -> Pool:
    """Return the pool that carries a linear position."""
    return Pool(a, p.inst.quote_asset, p if p.isolated else None)


def pools(book: Accounts) -> list[Pool]:
    """Return every pool in the order of evaluation: account, cross by asset, isolated by id."""
    found: list[Pool] = []
    for _, a in sorted(book.accounts.items()):
        linear = linear_positions(a)
        found += [Pool(a, asset) for asset in sorted({p.inst.quote_asset for p in linear})]
        found += [Pool(a, p.inst.quote_asset, p) for p in linear if p.isolated]
    return found


__all__ = ["Pool", "Wallet", "available", "free", "pools"]
