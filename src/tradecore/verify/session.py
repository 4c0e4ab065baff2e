"""One scenario on a fresh engine: commands in, and what became of every order, told from events.

Shared by the judges of scenario files. A session never looks at expectations. Prices of a scenario
may be fractions of a tick; one factor, chosen for the whole scenario, makes all of them integers.
Order and account names may be anything; they are renamed on the way in and back on the way out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final, NamedTuple

import numpy as np

from tradecore.codes import EventKind, FillFlag, Side
from tradecore.dtypes import FILL_EVENT, MARKET_EVENT, ORDER_EVENT
from tradecore.engine import Engine
from tradecore.status import Status
from tradecore.testing import build

__all__ = ["Auction", "Fill", "OrderState", "Refusal", "Session", "exact", "price_scale"]

_MAX_SCALE: Final = 10**9
_OWN_IDS: Final = 1 << 62
_NEVER: Final = -1


class Fill(NamedTuple):
    """One pairing, in print order; prices in the scenario's own units."""

    command: int
    taker: str
    maker: str
    px: int | float
    qty: int


class Refusal(NamedTuple):
    """A command that was refused, by its place in the scenario."""

    command: int
    order: str
    status: Status


class Auction(NamedTuple):
    """Result of an uncross; price None where nothing crossed."""

    price: int | float | None
    volume: int
    surplus: int


@dataclass
class OrderState:
    """Where an order stands.

    Attributes
    ----------
    status : str
        NEW, PARTIALLY_FILLED, FILLED, CANCELLED, EXPIRED or REJECTED.
    reason : Status
        Why it ended; OK while it has not.
    cum_qty : int
    prevented_qty : int
        Lots lost to self-trade prevention.
    dormant : bool
        A stop that waits for its trigger.
    """

    status: str
    reason: Status = Status.OK
    cum_qty: int = 0
    prevented_qty: int = 0
    dormant: bool = False


def exact(value: Any) -> Fraction:
    """Return a JSON number exactly as it is written; ValueError if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is not a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value!r} is not a number")
    return Fraction(str(value))


def price_scale(values: Iterable[Any]) -> int:
    """Return the smallest factor that makes every given price an integer. ValueError if absurd."""
    scale = math.lcm(1, *(exact(value).denominator for value in values if value is not None))
    if scale > _MAX_SCALE:
        raise ValueError("prices with more than nine decimals")
    return scale


@dataclass
class Session:
    """A scenario under way.

    Parameters
    ----------
    scale : int
        Factor of `price_scale`.
    max_orders : int
        Orders the scenario can have alive.
    """

    scale: int = 1
    max_orders: int = 64
    orders: dict[str, OrderState] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    auctions: list[Auction] = field(default_factory=list)
    triggers: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.engine = Engine(max_instruments=1, max_orders=max(64, self.max_orders))
        self._index = _NEVER
        self._ids: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._accounts: dict[str, int] = {}
        self._owners: dict[str, int] = {}

    # ---- names and units ----------------------------------------------------------------------

    def order_id(self, name: Any) -> int:
        """Return the engine's id of an order; a positive integer keeps its value."""
        text = str(name)
        if text not in self._ids:
            plain = isinstance(name, int) and 0 < name < _OWN_IDS
            number = int(name) if plain else _OWN_IDS + len(self._ids)
            self._ids[text] = number
            self._names[number] = text
        return self._ids[text]

    def account_id(self, name: Any) -> int:
        """Return the engine's id of an account."""
        return self._accounts.setdefault(str(name), len(self._accounts) + 1)

    def owner_of(self, name: Any) -> int:
        """Return the account of the order's first submission; 0 for an id never seen."""
        return self._owners.get(str(name), 0)

    def own(self, name: Any, account: int) -> None:
        """Remember who submitted an order id first."""
        self._owners.setdefault(str(name), account)

    def ticks(self, px: Any) -> int:
        """Return a price in engine ticks; None is 0. ValueError if the scale does not fit it."""
        value = exact(px or 0) * self.scale
        if value.denominator != 1:
            raise ValueError(f"price {px!r} is finer than the scenario's prices")
        return int(value)

    def price(self, ticks: int) -> int | float:
        """Return a price in the scenario's units: an integer wherever it is one."""
        value = Fraction(ticks, self.scale)
        return int(value) if value.denominator == 1 else float(value)

    # ---- commands -----------------------------------------------------------------------------

    def define(self, **fields: int) -> None:
        """Create the instrument, or change it; ValueError if the engine refuses."""
        self.send(_NEVER, build.instrument(**fields))
        if self.refusals and self.refusals[-1].command == _NEVER:
            raise ValueError(f"the instrument is refused: {self.refusals[-1].status.name}")

    def send(self, index: int, frames: bytes) -> None:
        """Apply the frames of command number `index` of the scenario and note what happened."""
        self._index = index
        for raw in self.engine.events(frames):
            self._note(raw)

    # ---- events -------------------------------------------------------------------------------

    def _name(self, number: Any) -> str:
        return self._names.get(int(number), str(int(number)))

    def _note(self, raw: np.void) -> None:
        kind = int(raw["kind"])
        if kind == EventKind.FILL:
            self._note_fill(raw.reshape(1).view(FILL_EVENT)[0])
        elif kind in (
            EventKind.REJECTED,
            EventKind.CANCEL_REJECTED,
            EventKind.REPLACE_REJECTED,
        ):
            self._note_refusal(kind, self._name(raw["order_id"]), Status(int(raw["status"])))
        elif kind == EventKind.AUCTION:
            event = raw.reshape(1).view(MARKET_EVENT)[0]
            px = int(event["last_px"])
            self.auctions.append(
                Auction(self.price(px) if px else None, int(event["volume"]), int(event["surplus"]))
            )
        elif kind <= EventKind.RESTATED:
            self._note_order(kind, raw.reshape(1).view(ORDER_EVENT)[0])

    def _note_refusal(self, kind: int, name: str, status: Status) -> None:
        self.refusals.append(Refusal(self._index, name, status))
        # A refused duplicate leaves the live order of that id alone; so does a refused cancel.
        if kind == EventKind.REJECTED and status != Status.DUPLICATE_ORDER_ID:
            self.orders[name] = OrderState("REJECTED", status)

    def _note_fill(self, event: np.void) -> None:
        taker, maker = self._name(event["order_id"]), self._name(event["maker_order_id"])
        qty, flags = int(event["last_qty"]), int(event["flags"])
        self.fills.append(Fill(self._index, taker, maker, self.price(int(event["last_px"])), qty))
        for name, done in ((taker, FillFlag.TAKER_DONE), (maker, FillFlag.MAKER_DONE)):
            order = self.orders[name]
            order.cum_qty += qty
            order.status = "FILLED" if flags & done else "PARTIALLY_FILLED"

    def _note_order(self, kind: int, event: np.void) -> None:
        name, status = self._name(event["order_id"]), Status(int(event["status"]))
        if kind == EventKind.ACCEPTED:
            self.orders[name] = OrderState("NEW", dormant=status == Status.DORMANT)
        order = self.orders[name]
        order.cum_qty = int(event["cum_qty"])
        if status == Status.STP:
            gone = int(event["order_qty"]) - order.cum_qty - int(event["leaves_qty"])
            order.prevented_qty = max(order.prevented_qty, gone)
        if kind == EventKind.TRIGGERED:
            order.dormant = False
            self.triggers.append((self._index, name))
        elif kind in (EventKind.CANCELED, EventKind.EXPIRED):
            order.status = "CANCELLED" if kind == EventKind.CANCELED else "EXPIRED"
            order.reason, order.dormant = status, False

    # ---- the book -----------------------------------------------------------------------------

    def book(self) -> dict[str, list[list[Any]]]:
        """Return the visible book, best first: {side: [[px, [[order, visible qty], ...]], ...]}."""
        sides = {}
        for name, side in (("bids", Side.BUY), ("asks", Side.SELL)):
            sides[name] = [
                [
                    self.price(px),
                    [[self._name(o), visible] for o, visible, *_ in self.engine.queue(0, side, px)],
                ]
                for px, _, _ in self.engine.depth(0, side)
            ]
        return sides
