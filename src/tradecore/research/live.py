"""The same strategy class on a running exchange: events in, command frames out.

`LiveRunner` is the `Context` of a strategy over what a cell publishes. It waits for nothing and
sends nothing itself: whoever feeds it takes the frames and appends them to the log (in the
services: `tradecore_shells.strategies`). So it runs against a cell, a simulation or a recording,
and a test can show that the orders are those of the backtest.

Calls come in the order of a backtest: what concerns own orders first, then trades, then best prices
if they changed, then timers that are due; after each call the frames it caused can be sent before
the next one is made.
"""

from __future__ import annotations

import heapq
from collections import deque
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tradecore.codes import CommandKind, EventKind
from tradecore.dtypes import COMMAND, FILL_EVENT, ORDER_EVENT, TERMS
from tradecore.errors import ConfigError
from tradecore.research.context import Book, Fill, OrderUpdate, Trade
from tradecore.research.errors import StrategyError
from tradecore.research.event_book import EventBook
from tradecore.research.strategy import Strategy, subscriptions

__all__ = ["LiveRunner"]

Table = npt.NDArray[np.void]

_BOOK, _TRADE, _ORDER = 1, 2, 4
_REFUSALS: Final = (
    EventKind.REJECTED,
    EventKind.CANCEL_REJECTED,
    EventKind.REPLACE_REJECTED,
)
_ORDER_EVENTS: Final = (
    EventKind.ACCEPTED,
    EventKind.CANCELED,
    EventKind.EXPIRED,
    EventKind.REPLACED,
    EventKind.TRIGGERED,
    EventKind.RESTATED,
)


class _Own:
    """An own order as far as the strategy has been told."""

    __slots__ = ("cum_qty", "instrument_id", "leaves_qty", "order_qty", "px", "side")

    def __init__(self, instrument_id: int, side: int, px: int, qty: int) -> None:
        self.instrument_id = instrument_id
        self.side = side
        self.px = px
        self.order_qty = self.leaves_qty = qty
        self.cum_qty = 0


class LiveRunner:
    """Run a strategy on events of a cell.

    Parameters
    ----------
    strategy : Strategy
    account_id, session_id : int
        Put into every command; order ids are ``session_id << 32 | n``.
    instruments : tuple of int
        What may be traded.
    first_order : int
        The first n: one more than the session has used.
    own_in_book : bool
        As `Setup.own_in_book`.

    Attributes
    ----------
    now_ns : int
        Log time.
    """

    def __init__(
        self,
        strategy: Strategy,
        *,
        account_id: int,
        session_id: int,
        instruments: tuple[int, ...],
        first_order: int = 1,
        own_in_book: bool = False,
    ) -> None:
        self.strategy = strategy
        self.instruments = tuple(sorted(instruments))
        self.now_ns = 0
        self.stopped = False
        self._started = False
        self._account = account_id
        self._session = session_id
        self._count = first_order - 1
        self._wanted = subscriptions(strategy)
        hidden = None if own_in_book else account_id
        self._books = {number: EventBook(hidden) for number in self.instruments}
        self._told = dict.fromkeys(self.instruments, (0, 0, 0, 0))
        self._own: dict[int, _Own] = {}
        self._positions = dict.fromkeys(self.instruments, 0)
        self._replies: deque[Table] = deque()
        self._feed: deque[Book | Trade] = deque()
        self._timers: list[tuple[int, int, int]] = []
        self._timer_no = 0
        self._out: list[Table] = []
        self._calls = 0
        strategy.context = self

    # ---- what comes in ---------------------------------------------------------------------------

    def start(self, now_ns: int) -> None:
        """Call `on_start` at a time; frames may be waiting afterwards.

        What was fed before made the book and is not told: a strategy does not act on the past. It
        is told the best prices as they are.
        """
        self.now_ns = now_ns
        self._feed.clear()
        self._started = True
        self._call("on_start")
        if self._wanted & _BOOK:
            for number, quote in self._told.items():
                if quote != (0, 0, 0, 0):
                    self._feed.append(Book(now_ns, number, *quote))

    def feed(self, events: Table, ts_ns: int) -> None:
        """Take over the events of one or more commands.

        Parameters
        ----------
        events : ndarray of `tradecore.EVENT`
            In order, each once (`tradecore.cell.FrameReader` sees to that); copied where needed.
        ts_ns : int
            Log time behind them.
        """
        self.now_ns = max(self.now_ns, ts_ns)
        for number, book in self._books.items():
            mine = events[events["instrument_id"] == number]
            if len(mine):
                book.feed(np.ascontiguousarray(mine))
        fills = events.view(FILL_EVENT)
        for at, kind in enumerate(events["kind"].tolist()):
            row = events[at]
            if kind == EventKind.FILL:
                fill = fills[at]
                if self._wanted & _TRADE and int(row["instrument_id"]) in self._books:
                    self._feed.append(
                        Trade(
                            ts_ns,
                            int(row["instrument_id"]),
                            int(row["side"]),
                            int(fill["last_px"]),
                            int(fill["last_qty"]),
                        )
                    )
                ids = int(fill["order_id"]), int(fill["maker_order_id"])
                if ids[0] in self._own or ids[1] in self._own:
                    self._replies.append(events[at : at + 1].copy())
            elif int(row["order_id"]) in self._own and (kind in _ORDER_EVENTS or kind in _REFUSALS):
                self._replies.append(events[at : at + 1].copy())
        if self._wanted & _BOOK:
            for number, book in self._books.items():
                quote = book.quote()
                if quote != self._told[number]:
                    self._told[number] = quote
                    self._feed.append(Book(ts_ns, number, *quote))

    def tick(self, now_ns: int) -> None:
        """Let time pass without events; timers that are due are then delivered."""
        self.now_ns = max(self.now_ns, now_ns)

    # ---- what goes out ---------------------------------------------------------------------------

    def deliver(self) -> bool:
        """Make the next call of the strategy; False when there is nothing to tell.

        Raises
        ------
        StrategyError
            The strategy raised; its orders stay as they are.
        """
        if self.stopped or not self._started:
            return False
        if self._replies:
            self._reply(self._replies.popleft())
        elif self._feed:
            notice = self._feed.popleft()
            self._call("on_book" if isinstance(notice, Book) else "on_trade", notice)
        elif self._timers and self._timers[0][0] <= self.now_ns:
            at, number, interval = heapq.heappop(self._timers)
            if interval:
                heapq.heappush(self._timers, (at + interval, number, interval))
            until, self.now_ns = self.now_ns, at
            self._call("on_timer", at)
            self.now_ns = until
        else:
            return False
        return True

    def take(self) -> Table:
        """Return the frames that calls have caused since the last time, in order."""
        frames = np.concatenate(self._out) if self._out else np.zeros(0, COMMAND)
        self._out.clear()
        return frames

    @property
    def next_timer_ns(self) -> int | None:
        """When the next timer is due, None if none is set."""
        return self._timers[0][0] if self._timers else None

    def finish(self) -> None:
        """Call `on_stop`."""
        self._call("on_stop")

    # ---- telling ---------------------------------------------------------------------------------

    def _call(self, method: str, *arguments: Any) -> None:
        self._calls += 1
        try:
            getattr(self.strategy, method)(*arguments)
        except Exception as error:
            raise StrategyError(
                f"{type(error).__name__}: {error}",
                method=f"{type(self.strategy).__name__}.{method}",
                now_ns=self.now_ns,
                frame=self._calls,
            ) from error

    def _reply(self, row: Table) -> None:
        kind = int(row["kind"][0])
        if kind == EventKind.FILL:
            fill = row.view(FILL_EVENT)[0]
            for name, maker in (("order_id", 0), ("maker_order_id", 1)):
                order = self._own.get(int(fill[name]))
                if order is not None:
                    self._filled(int(fill[name]), order, fill, maker)
            return
        order_id = int(row["order_id"][0])
        order = self._own.get(order_id)
        if order is None:
            return
        status = int(row["status"][0])
        if kind in _ORDER_EVENTS:
            event = row.view(ORDER_EVENT)[0]
            order.leaves_qty = int(event["leaves_qty"])
            if kind == EventKind.REPLACED:
                order.px, order.order_qty = int(event["px"]), int(event["order_qty"])
        elif kind == EventKind.REJECTED:
            order.leaves_qty = 0
        if kind in (EventKind.CANCELED, EventKind.EXPIRED, EventKind.REJECTED):
            del self._own[order_id]
        if type(self.strategy).on_order is not Strategy.on_order:
            ids = self.now_ns, order_id, order.instrument_id, order.side
            amounts = order.px, order.order_qty, order.leaves_qty, order.cum_qty
            self._call("on_order", OrderUpdate(*ids, kind, status, *amounts))

    def _filled(self, order_id: int, order: _Own, fill: Table, maker: int) -> None:
        px, qty = int(fill["last_px"]), int(fill["last_qty"])
        order.leaves_qty -= qty
        order.cum_qty += qty
        self._positions[order.instrument_id] += qty if order.side == 1 else -qty
        if order.leaves_qty <= 0:
            del self._own[order_id]
        if type(self.strategy).on_fill is not Strategy.on_fill:
            ids = self.now_ns, order_id, order.instrument_id, order.side
            self._call("on_fill", Fill(*ids, px, qty, order.leaves_qty, order.cum_qty, maker))

    # ---- the strategy's side: `tradecore.research.Context` ---------------------------------------

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
        if instrument_id not in self._books or side not in (1, 2):
            raise ConfigError(f"no such order can be sent: instrument {instrument_id}, side {side}")
        self._count += 1
        order_id = self._session << 32 | self._count
        rare = {
            "stop_px": stop_px,
            "display_qty": display_qty,
            "min_qty": min_qty,
            "expire_ts_ns": expire_ts_ns,
            "trailing_bps": trailing_bps,
        }
        values = {"side": side, "px": px, "order_qty": qty, "ord_type": ord_type, "tif": tif}
        more = {"flags": flags, "stp": stp, "cont": int(any(rare.values()))}
        self._send(CommandKind.NEW_ORDER, order_id, instrument_id, values | more)
        if more["cont"]:
            terms = np.zeros(1, TERMS)
            terms["kind"] = CommandKind.TERMS
            for name, value in rare.items():
                terms[name] = value
            self._out.append(terms.view(COMMAND))
        self._own[order_id] = _Own(instrument_id, side, px, qty)
        return order_id

    def _send(
        self, kind: CommandKind, order_id: int, instrument_id: int, values: dict[str, int]
    ) -> None:
        frame = np.zeros(1, COMMAND)
        frame["kind"], frame["order_id"] = kind, order_id
        frame["account_id"], frame["session_id"] = self._account, self._session
        frame["instrument_id"] = instrument_id
        for name, value in values.items():
            if isinstance(value, float):
                raise TypeError(f"{name} is {value!r}: an integer is required")
            frame[name] = value
        self._out.append(frame)

    def cancel(self, order_id: int) -> None:
        """Send a cancel."""
        self._check(order_id)
        self._send(CommandKind.CANCEL_ORDER, order_id, 0, {})

    def replace(self, order_id: int, px: int = 0, qty: int = 0, flags: int = 0) -> None:
        """Send a replace; 0 keeps a value."""
        self._check(order_id)
        values = {"px": px, "order_qty": qty, "flags": flags}
        self._send(CommandKind.REPLACE_ORDER, order_id, 0, values)

    def _check(self, order_id: int) -> None:
        if order_id >> 32 != self._session:
            raise ConfigError(f"{order_id} is not the id of an own order")

    def quote(self, instrument_id: int) -> Book:
        """Return the best prices."""
        return Book(self.now_ns, instrument_id, *self._books[instrument_id].quote())

    def position(self, instrument_id: int) -> int:
        """Return the lots bought minus sold in this session, as far as told."""
        return self._positions[instrument_id]

    def live_orders(self) -> list[int]:
        """Return the ids of own orders that are not known to be over."""
        return list(self._own)

    def leaves(self, order_id: int) -> int:
        """Return the open lots of an own order as far as told; 0 if it is over."""
        order = self._own.get(order_id)
        return order.leaves_qty if order is not None else 0

    def ahead(self, order_id: int) -> tuple[int, int]:
        """Return (lots, orders) in front of an own resting order."""
        order = self._own.get(order_id)
        return self._books[order.instrument_id].ahead(order_id) if order is not None else (-1, 0)

    def call_at(self, ts_ns: int) -> None:
        """Ask for `on_timer` at a time."""
        self._push(ts_ns, 0)

    def call_every(self, interval_ns: int) -> None:
        """Ask for `on_timer` at every multiple of an interval from now on."""
        if interval_ns < 1:
            raise ConfigError(f"an interval of {interval_ns} ns never comes")
        self._push((self.now_ns // interval_ns + 1) * interval_ns, interval_ns)

    def _push(self, ts_ns: int, interval_ns: int) -> None:
        self._timer_no += 1
        heapq.heappush(self._timers, (max(ts_ns, self.now_ns), self._timer_no, interval_ns))

    def stop(self) -> None:
        """End: nothing more is told."""
        self.stopped = True
