"""The money side of the naive engine: who may, who holds, who pays. Calls come from matching.

`Accounts` keeps accounts, the firm, groups and the engine's own books (fees, deposits, clearing)
and answers the hooks of the matching part; admin commands are in `money`, fills in `ledger`, checks
in `risk`, liquidation in `liquidation`.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from tradecore.testing.oracle import ledger, liquidation, margin, money, risk
from tradecore.testing.oracle.checks import Refusal, refusal
from tradecore.testing.oracle.holders import (
    BILLION,
    Account,
    Hold,
    Node,
    Position,
    Wallet,
    hold_asset,
    is_linear,
    need_of,
)
from tradecore.testing.oracle.layout import BALANCE_EVENT, SCOPE, E, F, S
from tradecore.testing.oracle.records import BUY, Instrument, Order

if TYPE_CHECKING:
    from tradecore.testing.oracle.engine import OracleEngine


class Accounts:
    """Every account of one engine.

    Parameters
    ----------
    e : OracleEngine
        The engine whose counters, instruments and event list are used.
    """

    def __init__(self, e: OracleEngine) -> None:
        self.e = e
        self.accounts: dict[int, Account] = {}
        self.firm = Node(SCOPE.FIRM)
        self.groups: dict[int, Node] = {}
        self.closed: set[int] = set()
        self.fees: dict[int, int] = defaultdict(int)
        self.deposits: dict[int, int] = defaultdict(int)
        self.clearing: dict[int, int] = defaultdict(int)
        self.rates: dict[int, int] = {}
        self.liquidations = 0

    # ---- who ----------------------------------------------------------------------------------

    def known(self, number: int) -> bool:
        """Return whether an account is open."""
        return number in self.accounts

    def group(self, number: int) -> Node:
        """Return a risk group; groups exist from the start and remember nothing until used."""
        return self.groups.setdefault(number, Node(SCOPE.GROUP))

    def levels(self, a: Account) -> list[Node]:
        """Return the nodes that a command of this account passes: account, group, firm."""
        return [a, self.group(a.group), self.firm] if a.group else [a, self.firm]

    def members(self, node: Node) -> list[Account]:
        """Return the accounts that a node's sums run over."""
        if isinstance(node, Account):
            return [node]
        if node is self.firm:
            return list(self.accounts.values())
        return [a for a in self.accounts.values() if a.group and self.group(a.group) is node]

    def same_trade_group(self, one: int, other: int) -> bool:
        """Return whether two accounts prevent trades between each other."""
        group = self.accounts[one].trade_group
        return group != 0 and group == self.accounts[other].trade_group

    def known_and_fresh(self, o: Order) -> Refusal | None:
        """Check 4: the account exists and the order is not stale."""
        a = self.accounts.get(o.account)
        if a is None:
            return refusal(S.UNKNOWN_ACCOUNT)
        age = self.e.now - o.sent
        for node in self.levels(a):
            limit = node.limits["stale_ns"]
            if o.sent and limit and age > limit:
                return refusal(S.STALE, age, limit, node.scope)
        return None

    # ---- slots --------------------------------------------------------------------------------

    def wallet(self, a: Account, asset: int) -> Wallet:
        """Return a wallet; it comes into being when first asked for."""
        return a.wallets.setdefault(asset, Wallet())

    def position(self, a: Account, inst: Instrument) -> Position:
        """Return a position; it comes into being, with its wallets, when first asked for."""
        if inst.id not in a.positions:
            a.positions[inst.id] = Position(inst=inst, linear=is_linear(inst))
            for asset in assets_of(inst):
                self.wallet(a, asset)
        return a.positions[inst.id]

    def room_for_wallets(self, missing: int) -> Refusal | None:
        """Return 511 when fewer wallets are free than needed."""
        room = self.e.config.max_wallets
        used = sum(len(a.wallets) for a in self.accounts.values())
        return refusal(S.CAPACITY_WALLETS, room, room) if used + missing > room else None

    def room_for(self, a: Account, inst: Instrument) -> Refusal | None:
        """Return 505 or 511 when the position of an order would not find a slot."""
        if inst.id in a.positions:
            return None
        room = self.e.config.max_positions
        if sum(len(b.positions) for b in self.accounts.values()) >= room:
            return refusal(S.CAPACITY_POSITIONS, room, room)
        missing = sum(1 for asset in assets_of(inst) if asset not in a.wallets)
        return self.room_for_wallets(missing)

    # ---- checks and holds ---------------------------------------------------------------------

    def check(self, o: Order) -> Refusal | None:
        """Check 9 of an order that is about to work."""
        return risk.check(self, risk.Asked(self, o))

    def check_replace(self, o: Order, change: Any) -> Refusal | None:
        """Check 9 again, where a replace asks for more than the order had."""
        moved = change.px != o.px or change.stop_px != o.stop_px
        change.rechecked = moved or change.leaves > o.leaves or change.requeue
        return risk.check(self, risk.Asked(self, o, change)) if change.rechecked else None

    @staticmethod
    def key(o: Order) -> tuple[int, ...]:
        """Return what makes two orders identical."""
        return (o.inst.id, o.side, o.ord_type, o.px, o.qty, o.cash)

    def hold(self, o: Order) -> None:
        """Take an accepted order into the books."""
        a = self.accounts[o.account]
        self.position(a, o.inst)
        o.held = Hold(hold_asset(o))
        if is_linear(o.inst):
            o.held.adverse = adverse(o)
        o.held.hold = self.formula(o)
        a.orders[o.id] = o
        self._message(a)
        for node in self.levels(a):
            if node.watches_duplicates:
                self._remember(node, self.key(o))

    def _message(self, a: Account) -> None:
        for node in self.levels(a):
            if node.limits["rate_per_s"]:
                node.tokens = max(0, node.tokens_at(self.e.now) - BILLION)
                node.refilled = self.e.now

    def _remember(self, node: Node, key: tuple[int, ...]) -> None:
        if node.identical(key, self.e.now):
            node.seen_count += 1
        else:
            node.seen_key, node.seen_since, node.seen_count = key, self.e.now, 1

    def hold_pair(self, first: Order, second: Order) -> None:
        """Take two legs into the books: together they hold the larger need."""
        self.hold(first)
        self.hold(second)
        second.held.hold -= min(first.held.hold, second.held.hold)

    def formula(self, o: Order) -> int:
        """Return what an order should hold on its own now."""
        return need_of(o, o.px, o.leaves, o.held.fee_rem, o.held.adverse)

    def inherits(self, o: Order, sibling: Order) -> None:
        """Let a leg that executes take what it lacks out of its sibling's hold."""
        if o.held is not None and sibling.held is not None:
            lacks = max(0, self.formula(o) - o.held.hold)
            o.held.hold += min(lacks, sibling.held.hold)

    def shrunk(self, o: Order) -> None:
        """Let the hold follow what self-trade prevention took away."""
        if o.held is None:
            return
        own = self.formula(o)
        if o.sibling is not None and o.sibling.held is not None:
            other = o.sibling
            o.held.hold = max(0, max(own, self.formula(other)) - other.held.hold)
        else:
            o.held.hold = min(o.held.hold, own)

    def replaced(self, o: Order, change: Any) -> None:
        """Let the hold follow the new values of a replaced order."""
        if change.rechecked:
            if is_linear(o.inst):
                o.held.adverse = adverse(o)
            o.held.hold = self.formula(o)
            self._message(self.accounts[o.account])
        else:
            o.held.hold = min(o.held.hold, self.formula(o))

    def released(self, o: Order) -> None:
        """Free whatever an order held that is over."""
        self.accounts[o.account].orders.pop(o.id, None)

    # ---- trading ------------------------------------------------------------------------------

    def closable(self, o: Order) -> int:
        """Return the most lots a reduce-only order may trade now."""
        qty = self.accounts[o.account].qty(o.inst)
        return max(0, -qty) if o.side == BUY else max(0, qty)

    def settle(self, taker: Order, maker: Order, px: int, qty: int, auction: bool) -> None:
        """Book both sides of a fill, taker first."""
        inst = taker.inst
        for o in (taker, maker):
            rate = inst.taker_fee_ppm if o is taker else inst.maker_fee_ppm
            if auction:
                rate = max(inst.maker_fee_ppm, 0)
            ledger.book_fill(self, o, px, qty, rate)

    def marked(self, inst: Instrument) -> None:
        """Let every pool that carries the instrument act on a new mark price."""
        for a in self.accounts.values():
            p = a.positions.get(inst.id)
            if p is not None and p.qty and is_linear(inst):
                margin.pool_of(a, p).carrier.marked = True

    def liquidate(self) -> bool:
        """Run the liquidation step; return whether anything happened."""
        return liquidation.step(self)

    # ---- commands and events ------------------------------------------------------------------

    def may_define(self, c: Any) -> Refusal | None:
        """Refuse assets that are too many, and a change of fee rates while orders live."""
        room = self.e.config.max_assets
        for asset in (c.base_asset, c.quote_asset):
            if asset >= room:
                return refusal(S.CAPACITY_ASSETS)
        inst = self.e.instruments.get(c.instrument_id)
        if inst is None or (c.maker_fee_ppm, c.taker_fee_ppm) == (
            inst.maker_fee_ppm,
            inst.taker_fee_ppm,
        ):
            return None
        alive = any(o.inst is inst for o in self.e.live.values())
        return refusal(S.INSTRUMENT_CHANGE) if alive else None

    def command(self, c: Any, head: bytes) -> None:
        """Carry out one command about money."""
        why = money.HANDLERS[c.kind](self, c, head)
        if why:
            self.e.reject(head, c.kind, why)

    def balance_event(
        self, account: int, amount: int, balance: int, asset: int, cause: int,
        status: int = 0, instrument: int = 0,
    ) -> None:  # fmt: skip
        """Emit a movement of cash that is not a fill."""
        e = self.e
        e.out.append(
            BALANCE_EVENT.pack(
                e.number(), 0, account, instrument, E.BALANCE, 0, status, e.in_seq & 0xFFFFFFFF,
                amount, balance, asset, cause, 0, 0,
            )
        )  # fmt: skip

    def audit(self) -> None:
        """Check the books."""
        ledger.audit(self)

    def state(self) -> dict[str, Any]:
        """Return the books as data."""
        return ledger.state(self)


def assets_of(inst: Instrument) -> list[int]:
    """Return the assets whose wallets a position of this instrument needs."""
    if is_linear(inst) or inst.base_asset == inst.quote_asset:
        return [inst.quote_asset]
    return [inst.quote_asset, inst.base_asset]


def adverse(o: Order) -> int:
    """Return the loss per lot that a fill at the limit would mean at the mark."""
    mark = o.inst.mark or 0
    gap = o.px - mark if o.side == BUY else mark - o.px
    return max(0, gap) * o.inst.multiplier


__all__ = ["Accounts", "F"]
