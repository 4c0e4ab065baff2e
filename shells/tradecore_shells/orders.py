"""What a client knows of its own orders, from the events that name them."""

from __future__ import annotations

import asyncio
from typing import Any, Final, NamedTuple

from tradecore.codes import CellKind, EventKind, FillFlag
from tradecore.frames import event_struct, unpack
from tradecore.status import Status

__all__ = ["Fill", "Order", "OrderBook"]

_FINAL: Final = {
    EventKind.REJECTED: "rejected",
    EventKind.CANCELED: "canceled",
    EventKind.EXPIRED: "expired",
}


class Fill(NamedTuple):
    """One fill of an order: price in ticks, lots, log time (Unix ns), whether the order rested."""

    last_px: int
    last_qty: int
    ts_ns: int
    is_maker: bool


class Order:
    """One order as its client sees it.

    Attributes
    ----------
    order_id : int
    offset : int
        Of the record that holds it: it is RECEIVED, which means durable and nothing more.
    state : str
        received, then accepted, rejected or repeated; then working, filled, canceled, expired.
    status : Status
        Why it is in this state; OK where there is no reason to give.
    px, order_qty, cum_qty, leaves_qty : int
        Ticks and lots, as the engine said last.
    fills : list of Fill
    """

    def __init__(self, order_id: int) -> None:
        self.order_id = order_id
        self.offset = -1
        self.state = "received"
        self.status = Status.OK
        self.px = self.order_qty = self.cum_qty = self.leaves_qty = 0
        self.fills: list[Fill] = []
        loop = asyncio.get_running_loop()
        self._answered: asyncio.Future[None] = loop.create_future()
        self._ended: asyncio.Future[None] = loop.create_future()

    def __repr__(self) -> str:
        done = f"{self.cum_qty}/{self.order_qty}"
        return f"<Order {self.order_id} {self.state} {done} {self.status.name}>"

    async def answered(self) -> Order:
        """Return when the engine has answered: accepted, rejected or repeated."""
        await asyncio.shield(self._answered)
        return self

    async def ended(self) -> Order:
        """Return when nothing more can happen to it: filled, rejected, canceled, expired."""
        await asyncio.shield(self._ended)
        return self

    # ---- what changes it; called by OrderBook ------------------------------------------------
    def take(self, kind: int, event: dict[str, Any], ts_ns: int) -> None:
        """Apply one event that names the order."""
        if kind == EventKind.FILL:
            self._fill(event, ts_ns)
        elif kind == CellKind.REPEATED:
            # What the first answer led to is in earlier events, seen or not.
            if self.state == "received":
                self.state = "repeated"
                self.status = Status(event["status"])
        elif kind in _FINAL:
            self._terms(event)
            self.state, self.status = _FINAL[EventKind(kind)], Status(event["status"])
            self._end()
        elif kind in {EventKind.ACCEPTED, EventKind.REPLACED, EventKind.RESTATED}:
            self._terms(event)
            if kind == EventKind.ACCEPTED:
                self.state = "accepted"
        _finish(self._answered)

    def _terms(self, event: dict[str, Any]) -> None:
        for name in ("px", "order_qty", "cum_qty", "leaves_qty"):
            if name in event:
                setattr(self, name, event[name])

    def _fill(self, event: dict[str, Any], ts_ns: int) -> None:
        is_maker = event["maker_order_id"] == self.order_id
        self.fills.append(Fill(event["last_px"], event["last_qty"], ts_ns, is_maker))
        self.cum_qty += event["last_qty"]
        self.leaves_qty -= event["last_qty"]
        self.state = "working"
        if event["flags"] & (FillFlag.MAKER_DONE if is_maker else FillFlag.TAKER_DONE):
            self.leaves_qty = 0
            self.state = "filled"
            self._end()

    def _end(self) -> None:
        _finish(self._answered)
        _finish(self._ended)

    def fail(self, error: BaseException) -> None:
        """Tell who waits that nothing will be heard any more."""
        for future in (self._answered, self._ended):
            if not future.done():
                future.set_exception(error)
                future.exception()  # nobody need be waiting


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class OrderBook:
    """The orders of a client that have not ended, by id."""

    def __init__(self) -> None:
        self._orders: dict[int, Order] = {}

    def __len__(self) -> int:
        return len(self._orders)

    def __iter__(self) -> Any:
        return iter(list(self._orders.values()))

    def new(self, order_id: int) -> Order:
        """Begin to follow an order, before it is sent."""
        order = self._orders[order_id] = Order(order_id)
        return order

    def forget(self, order_id: int) -> None:
        """Stop following an order that was never sent."""
        self._orders.pop(order_id, None)

    def take(self, kind: int, frame: bytes, ts_ns: int) -> None:
        """Apply an event frame to the orders that it names."""
        event = unpack(event_struct(kind), frame)
        for name in ("order_id", "maker_order_id"):
            order = self._orders.get(event.get(name, 0))
            if order is None:
                continue
            if kind in {EventKind.CANCEL_REJECTED, EventKind.REPLACE_REJECTED}:
                continue  # answers to another command; the order stays what it is
            order.take(kind, event, ts_ns)
            if order.state in {"filled", "rejected", "canceled", "expired"}:
                del self._orders[order.order_id]

    def fail(self, error: BaseException) -> None:
        """Fail every order that somebody may wait for."""
        for order in self:
            order.fail(error)
