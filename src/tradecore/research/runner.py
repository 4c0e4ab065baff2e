"""Run a Python strategy against a recorded market.

The compiled loop does everything between two calls; this module turns its notices into the objects
a strategy sees, calls the method that wants them, and turns whatever goes wrong there into one
error that names the place and carries the run so far.
"""

from __future__ import annotations

import contextlib
import heapq
from typing import Any, Final

from tradecore.codes import EventKind
from tradecore.errors import ConfigError
from tradecore.research.context import Book, Fill, OrderUpdate, Trade
from tradecore.research.errors import LookaheadError, StrategyError
from tradecore.research.market import Market, Setup
from tradecore.research.recording import Recording
from tradecore.research.results import Result
from tradecore.research.strategy import Strategy, subscriptions
from tradecore.research.watchdog import Watchdog

__all__ = ["BacktestContext", "backtest", "run_market"]

FOREVER: Final = (1 << 62) - 1
_TIMER, _BOOK, _TRADE, _ORDER = 1, 2, 3, 4
_FILL: Final = int(EventKind.FILL)


class _Stopped(Exception):
    """The strategy asked for the end."""


class BacktestContext:
    """The `Context` of a backtest: questions and requests go to the compiled loop."""

    def __init__(self, market: Market) -> None:
        self._loop = market.loop
        setup = market.setup
        self._too_many = (
            f"more than {setup.max_sent} commands in one call, or {setup.max_commands} in the run"
        )
        self.instruments = tuple(sorted(market.recording.instruments))
        self.timers: list[tuple[int, int, int]] = []
        self._timer_no = 0
        self.stopped = False

    @property
    def now_ns(self) -> int:
        """The strategy's time."""
        return self._loop.now_ns

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
        order_id = self._loop.submit(
            *(instrument_id, side, px, qty, ord_type, tif, flags, stp),
            *(stop_px, display_qty, min_qty, expire_ts_ns, trailing_bps),
        )
        if not order_id:
            if self._loop.counters()["failed"]:
                raise ConfigError(self._too_many)
            raise ConfigError(f"no such order can be sent: instrument {instrument_id}, side {side}")
        return order_id

    def cancel(self, order_id: int) -> None:
        """Send a cancel."""
        if not self._loop.cancel(order_id):
            self._refused(order_id)

    def replace(self, order_id: int, px: int = 0, qty: int = 0, flags: int = 0) -> None:
        """Send a replace; 0 keeps a value."""
        if not self._loop.replace(order_id, px, qty, flags):
            self._refused(order_id)

    def _refused(self, order_id: int) -> None:
        if self._loop.counters()["failed"]:
            raise ConfigError(self._too_many)
        raise ConfigError(f"{order_id} is not the id of an own order")

    def quote(self, instrument_id: int) -> Book:
        """Return the best prices as the strategy knows them."""
        return Book(self._loop.now_ns, instrument_id, *self._loop.quote(instrument_id))

    def position(self, instrument_id: int) -> int:
        """Return the lots held, signed, as far as the strategy has been told."""
        return self._loop.position(instrument_id)

    def live_orders(self) -> list[int]:
        """Return the ids of own orders that are not known to be over."""
        return self._loop.live()

    def leaves(self, order_id: int) -> int:
        """Return the open lots of an own order as far as the strategy knows."""
        return self._loop.leaves(order_id)

    def ahead(self, order_id: int) -> tuple[int, int]:
        """Return (lots, orders) in front of an own resting order.

        Raises
        ------
        LookaheadError
            The run has a feed latency: the queue as it is now cannot be known.
        """
        lots, orders = self._loop.ahead(order_id)
        if lots == -2:
            raise LookaheadError("the queue as it stands now is not known with a feed latency")
        return lots, orders

    def call_at(self, ts_ns: int) -> None:
        """Ask for `on_timer` at a time."""
        self._push(ts_ns, 0)

    def call_every(self, interval_ns: int) -> None:
        """Ask for `on_timer` at every multiple of an interval from now on."""
        if interval_ns < 1:
            raise ConfigError(f"an interval of {interval_ns} ns never comes")
        self._push((self._loop.now_ns // interval_ns + 1) * interval_ns, interval_ns)

    def _push(self, ts_ns: int, interval_ns: int) -> None:
        self._timer_no += 1
        heapq.heappush(self.timers, (max(ts_ns, self.now_ns), self._timer_no, interval_ns))

    def stop(self) -> None:
        """Ask for the end of the run behind this call."""
        self.stopped = True


def backtest(
    recording: Recording, strategy: Strategy, setup: Setup | None = None, **settings: Any
) -> Result:
    """Run a strategy against a recorded market.

    Parameters
    ----------
    recording : Recording
    strategy : Strategy
    setup : Setup, optional
        Or its fields as keyword arguments.

    Returns
    -------
    Result

    Raises
    ------
    StrategyError
        The strategy raised, did not return, or asked for what cannot be sent; ``error.result`` is
        the run so far.
    DataError
        The recording is wrong; names file and frame.
    ConfigError
        Settings or instruments are refused.

    Notes
    -----
    O(frames) in the compiled loop, plus one Python call for every notice that the class of the
    strategy overrides a method for.
    """
    if setup is None:
        setup = Setup(**settings)
    elif settings:
        raise ConfigError("give a Setup or keyword settings, not both")
    market = Market(recording, setup, subscriptions(strategy))
    return _Run(market, strategy).run()


def run_market(recording: Recording, strategy: Strategy, setup: Setup) -> Market:
    """Run a strategy like `backtest`, but return the market instead of the tables made from it."""
    market = Market(recording, setup, subscriptions(strategy))
    run = _Run(market, strategy)
    with Watchdog(setup.max_call_s) as dog, contextlib.suppress(_Stopped):
        run.loop(dog)
    return market


class _Run:
    """One run in progress."""

    def __init__(self, market: Market, strategy: Strategy) -> None:
        self.market = market
        self.strategy = strategy
        self.context = strategy.context = BacktestContext(market)
        self.method = "on_start"
        kind = type(strategy)
        self._wants_fills = kind.on_fill is not Strategy.on_fill
        self._wants_orders = kind.on_order is not Strategy.on_order

    def run(self) -> Result:
        """Run to the end of the data or of the strategy."""
        ended = "end of data"
        with Watchdog(self.market.setup.max_call_s) as dog:
            try:
                self.loop(dog)
            except _Stopped:
                ended = "stopped"
            except StrategyError as error:
                error.result = self._result(str(error))
                raise
        return self._result(ended)

    def _result(self, ended: str) -> Result:
        strategy = self.strategy
        result = self.market.result(type(strategy).__name__, strategy.params, ended)
        result.log = list(strategy.notes)
        return result

    def loop(self, dog: Watchdog) -> None:
        """Go on from notice to notice."""
        loop, timers, strategy = self.market.loop, self.context.timers, self.strategy
        wait, context = loop.wait, self.context
        new = tuple.__new__
        self._call(dog, "on_start", strategy.on_start)
        while True:
            what = wait(timers[0][0] if timers else FOREVER)
            if what <= 0:
                break
            try:
                dog.begin()
                if what == _BOOK:
                    strategy.on_book(new(Book, loop.book_note()))
                elif what == _TRADE:
                    strategy.on_trade(new(Trade, loop.trade_note()))
                elif what == _ORDER:
                    self._order(loop.note())
                else:
                    at, number, interval = timers[0]
                    if interval:
                        heapq.heapreplace(timers, (at + interval, number, interval))
                    else:
                        heapq.heappop(timers)
                    strategy.on_timer(at)
                dog.end()
            except BaseException as error:
                dog.end()
                raise self._failed(self._method(what, loop.note()), error) from error
            if context.stopped:
                raise _Stopped
        if what < 0:
            raise self.market.explain(what, self.method)
        self._call(dog, "on_stop", strategy.on_stop)

    def _order(self, n: tuple[int, ...]) -> None:
        """Tell of an own order."""
        if n[15] == _FILL:
            if self._wants_fills:
                fill = Fill(n[0], n[2], n[11], n[14], n[3], n[4], n[5], n[6], n[16])
                self.strategy.on_fill(fill)
        elif self._wants_orders:
            self.strategy.on_order(
                OrderUpdate(n[0], n[2], n[11], n[14], n[15], n[12], n[3], n[4], n[5], n[6])
            )

    def _call(self, dog: Watchdog, method: str, call: Any) -> None:
        self.method = method
        try:
            dog.begin()
            call()
            dog.end()
        except BaseException as error:
            dog.end()
            raise self._failed(method, error) from error
        if self.context.stopped and method != "on_stop":
            raise _Stopped

    @staticmethod
    def _method(what: int, n: tuple[int, ...]) -> str:
        if what == _ORDER:
            return "on_fill" if n[15] == _FILL else "on_order"
        return {_TIMER: "on_timer", _BOOK: "on_book", _TRADE: "on_trade"}[what]

    def _failed(self, method: str, error: BaseException) -> BaseException:
        """Return the error to raise for what a strategy did."""
        if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
            return error
        loop = self.market.loop
        return StrategyError(
            f"{type(error).__name__}: {error}",
            method=f"{type(self.strategy).__name__}.{method}",
            now_ns=loop.now_ns,
            frame=loop.counters()["frame"],
        )
