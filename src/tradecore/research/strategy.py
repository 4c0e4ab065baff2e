"""The class that people derive their strategies from.

A method that is not overridden is not called, and what only it would need is not computed: the
runner subscribes to exactly what the class defines.
"""

from __future__ import annotations

from typing import Final

from tradecore.codes import OrderFlag, OrdType, Side, Tif
from tradecore.errors import ConfigError
from tradecore.research.context import Book, Context, Fill, OrderUpdate, Trade
from tradecore.research.series import Series

__all__ = ["Strategy", "subscriptions"]

BOOK, TRADE, ORDER = 1, 2, 4
_HANDLERS: Final = {"on_book": BOOK, "on_trade": TRADE, "on_fill": ORDER, "on_order": ORDER}


class Strategy:
    """A strategy: override what you want to be told, call what you want done.

    Sides, prices and quantities are integers: ticks and lots. Calls return at once; what became of
    an order is told later, after the latency of the run.

    Parameters
    ----------
    **params : int, float, str or bool
        Become attributes and are kept with the result. Only names that the class declares as
        attributes are accepted, so that a misspelt one is an error.

    Examples
    --------
    >>> class Buyer(Strategy):
    ...     qty = 1
    ...
    ...     def on_book(self, book):
    ...         if not self.position() and book.ask_px:
    ...             self.buy(book.ask_px, self.qty)
    >>> Buyer(qty=5).params
    {'qty': 5}
    """

    context: Context

    def __init__(self, **params: int | float | str | bool) -> None:
        for name, value in params.items():
            if not hasattr(type(self), name):
                raise ConfigError(f"{type(self).__name__} has no parameter {name!r}")
            setattr(self, name, value)
        self.params = params
        self.series: dict[str, Series] = {}
        self.notes: list[str] = []

    # ---- what the runner calls ------------------------------------------------------------------

    def on_start(self) -> None:
        """Prepare, before the first event."""

    def on_book(self, book: Book) -> None:
        """Hear of new best prices or quantities, once for each time stamp."""

    def on_trade(self, trade: Trade) -> None:
        """Hear of a public trade, own fills included."""

    def on_fill(self, fill: Fill) -> None:
        """Hear of a fill of an own order."""

    def on_order(self, update: OrderUpdate) -> None:
        """Hear of anything else: an own order accepted, canceled, expired, refused."""

    def on_timer(self, now_ns: int) -> None:
        """Act at a time asked for with `call_at` or `call_every`."""

    def on_stop(self) -> None:
        """Finish, after the last event."""

    # ---- what it calls --------------------------------------------------------------------------

    def buy(self, px: int, qty: int, instrument_id: int | None = None, **terms: int) -> int:
        """Send a limit order to buy and return its id.

        Parameters
        ----------
        px : int
            Ticks.
        qty : int
            Lots.
        instrument_id : int, optional
            Needed only where the run has several.
        **terms : int
            ``tif``, ``flags``, ``stp``, ``display_qty``, ``min_qty``, ``expire_ts_ns``,
            ``stop_px``, ``trailing_bps``, ``ord_type``; ``post_only=1`` for the flag.
        """
        return self._send(Side.BUY, px, qty, instrument_id, terms)

    def sell(self, px: int, qty: int, instrument_id: int | None = None, **terms: int) -> int:
        """Send a limit order to sell and return its id; see `buy`."""
        return self._send(Side.SELL, px, qty, instrument_id, terms)

    def market(self, side: int, qty: int, instrument_id: int | None = None, px: int = 0) -> int:
        """Send a market order (1 buy, 2 sell); `px` is its protective price."""
        terms = {"ord_type": int(OrdType.MARKET), "tif": int(Tif.IOC)}
        return self._send(side, px, qty, instrument_id, terms)

    def _send(
        self, side: int, px: int, qty: int, instrument_id: int | None, terms: dict[str, int]
    ) -> int:
        if terms.pop("post_only", 0):
            terms["flags"] = terms.get("flags", 0) | OrderFlag.POST_ONLY
        chosen = self.instrument if instrument_id is None else instrument_id
        return self.context.submit(chosen, side, px, qty, **terms)

    def cancel(self, order_id: int) -> None:
        """Send a cancel of an own order."""
        self.context.cancel(order_id)

    def cancel_all(self) -> None:
        """Send a cancel of every own order that is not known to be over."""
        for order_id in self.context.live_orders():
            self.context.cancel(order_id)

    def amend(self, order_id: int, px: int = 0, qty: int = 0) -> None:
        """Send a replace: a new price, a new total quantity; 0 keeps. Down keeps the priority."""
        self.context.replace(order_id, px, qty)

    # ---- what it may look at --------------------------------------------------------------------

    @property
    def instrument(self) -> int:
        """The one instrument of the run; ConfigError where there are several."""
        known = self.context.instruments
        if len(known) != 1:
            raise ConfigError(f"the run has {len(known)} instruments: name one")
        return known[0]

    @property
    def now_ns(self) -> int:
        """The strategy's time."""
        return self.context.now_ns

    def position(self, instrument_id: int | None = None) -> int:
        """Return the lots held, signed."""
        return self.context.position(self.instrument if instrument_id is None else instrument_id)

    def quote(self, instrument_id: int | None = None) -> Book:
        """Return the best prices."""
        return self.context.quote(self.instrument if instrument_id is None else instrument_id)

    def leaves(self, order_id: int) -> int:
        """Return the open lots of an own order; 0 if it is over."""
        return self.context.leaves(order_id)

    def ahead(self, order_id: int) -> int:
        """Return the lots in front of an own resting order, -1 if it does not rest."""
        return self.context.ahead(order_id)[0]

    def call_at(self, ts_ns: int) -> None:
        """Ask for `on_timer` at a time."""
        self.context.call_at(ts_ns)

    def call_every(self, interval_ns: int) -> None:
        """Ask for `on_timer` at every multiple of an interval from now on."""
        self.context.call_every(interval_ns)

    def stop(self) -> None:
        """End the run behind this call."""
        self.context.stop()

    def note(self, text: str) -> None:
        """Write a line into the result's log, stamped with the time."""
        self.notes.append(f"{self.now_ns} {text}")

    def attach(self, name: str, series: Series) -> None:
        """Give the strategy data of its own; it can only be read up to now."""
        self.series[name] = series

    def latest(self, name: str) -> object:
        """Return the newest value of attached data that is not stamped later than now."""
        return self.series[name].latest(self.now_ns)


def subscriptions(strategy: Strategy) -> int:
    """Return what the class of a strategy wants to be told, as the loop's bits."""
    wanted = 0
    for name, bit in _HANDLERS.items():
        if getattr(type(strategy), name) is not getattr(Strategy, name):
            wanted |= bit
    return wanted
