"""What a strategy may ask and do: the one interface that every runner implements.

A strategy sees nothing but this. The backtest implements it over the compiled loop, a live runner
over the commands and events of the services, so the same class runs in both. All times are
nanoseconds, prices ticks, quantities lots.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

__all__ = ["Book", "Context", "Fill", "OrderUpdate", "Trade"]


class Book(NamedTuple):
    """Best prices of an instrument from `ts_ns` on; 0 for an empty side."""

    ts_ns: int
    instrument_id: int
    bid_px: int
    bid_qty: int
    ask_px: int
    ask_qty: int


class Trade(NamedTuple):
    """A public trade. `side` is the aggressor's."""

    ts_ns: int
    instrument_id: int
    side: int
    px: int
    qty: int


class Fill(NamedTuple):
    """A fill of an own order. `maker` is 1 where the own order was resting."""

    ts_ns: int
    order_id: int
    instrument_id: int
    side: int
    last_px: int
    last_qty: int
    leaves_qty: int
    cum_qty: int
    maker: int


class OrderUpdate(NamedTuple):
    """Any other event about an own order. `event` is a `tradecore.EventKind`."""

    ts_ns: int
    order_id: int
    instrument_id: int
    side: int
    event: int
    status: int
    px: int
    order_qty: int
    leaves_qty: int
    cum_qty: int


class Context(Protocol):
    """What a runner offers a strategy."""

    @property
    def now_ns(self) -> int:
        """The strategy's time."""

    @property
    def instruments(self) -> tuple[int, ...]:
        """Ids of the instruments that can be traded, ascending."""

    def submit(
        self,
        instrument_id: int,
        side: int,
        px: int,
        qty: int,
        ord_type: int = 2,
        tif: int = 1,
        flags: int = 0,
        stp: int = 0,
        stop_px: int = 0,
        display_qty: int = 0,
        min_qty: int = 0,
        expire_ts_ns: int = 0,
        trailing_bps: int = 0,
    ) -> int:
        """Send a new order and return its id."""

    def cancel(self, order_id: int) -> None:
        """Send a cancel."""

    def replace(self, order_id: int, px: int = 0, qty: int = 0, flags: int = 0) -> None:
        """Send a replace; 0 keeps a value."""

    def quote(self, instrument_id: int) -> Book:
        """Return the best prices as the strategy knows them."""

    def position(self, instrument_id: int) -> int:
        """Return the lots held, signed, as far as the strategy has been told."""

    def live_orders(self) -> list[int]:
        """Return the ids of own orders that are not over as far as the strategy knows."""

    def leaves(self, order_id: int) -> int:
        """Return the open lots of an own order as far as the strategy knows; 0 if it is over."""

    def ahead(self, order_id: int) -> tuple[int, int]:
        """Return (lots, orders) in front of an own resting order; (-1, 0) if it does not rest."""

    def call_at(self, ts_ns: int) -> None:
        """Ask for `on_timer` at a time."""

    def call_every(self, interval_ns: int) -> None:
        """Ask for `on_timer` at every multiple of an interval from now on."""

    def stop(self) -> None:
        """Ask for the end of the run behind this call."""
