"""The strategies of the comparison, for our side: each as small as it can be said.

- `quoter`: on every multiple of an interval, and `eager`: at every change of the best prices:
  join both sides at the best price of the others, one order a side, leave when the price moves on.
- `Quoter`, `Eager`: the same as Python classes.
- `Crossover`: two moving averages over closes, long or flat, for bars.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from numba import njit

from tradecore.kernels import backtest as bt
from tradecore.research import Strategy

BUY, SELL = 1, 2
POST_ONLY, LIMIT, GTC = 1, 2, 1


@njit
def quote(handle: int, bid: Any, ask: Any, qty: int, most: int) -> None:
    """Keep one order a side; `bid` and `ask` hold (id, price)."""
    b, a = bt.bid_px(handle, 0), bt.ask_px(handle, 0)
    if b == 0 or a == 0:
        return
    position = bt.position(handle, 0)
    if bid[0] != 0 and bt.leaves(handle, bid[0]) == 0:
        bid[0] = 0
    if ask[0] != 0 and bt.leaves(handle, ask[0]) == 0:
        ask[0] = 0
    if bid[0] != 0 and bid[1] != b:
        bt.cancel(handle, bid[0])
        bid[0] = 0
    if ask[0] != 0 and ask[1] != a:
        bt.cancel(handle, ask[0])
        ask[0] = 0
    if bid[0] == 0 and position < most:
        bid[0], bid[1] = bt.submit(handle, 0, BUY, b, qty, LIMIT, GTC, POST_ONLY), b
    if ask[0] == 0 and position > -most:
        ask[0], ask[1] = bt.submit(handle, 0, SELL, a, qty, LIMIT, GTC, POST_ONLY), a


@njit
def quoter(handle: int, params: Any) -> None:
    """Quote on every multiple of an interval; params: interval_ns, qty, most, then room for ids."""
    bid, ask = params[3:5], params[5:7]
    at = (bt.now_ns(handle) // params[0] + 1) * params[0]
    while True:
        what = bt.wait(handle, at)
        if what <= bt.END:
            return
        quote(handle, bid, ask, params[1], params[2])
        at += params[0]


@njit
def eager(handle: int, params: Any) -> None:
    """Quote at every change of the best prices."""
    bid, ask = params[3:5], params[5:7]
    while bt.wait(handle, bt.FOREVER) > bt.END:
        quote(handle, bid, ask, params[1], params[2])


class Eager(Strategy):
    """`eager` as a class."""

    qty = 100
    most = 1_000
    bid = ask = bid_px = ask_px = 0

    def on_book(self, book: Any) -> None:
        """Quote."""
        _, _, b, _, a, _ = book
        if not b or not a:
            return
        context = self.context
        if self.bid and not context.leaves(self.bid):
            self.bid = 0
        if self.ask and not context.leaves(self.ask):
            self.ask = 0
        if self.bid and self.bid_px != b:
            context.cancel(self.bid)
            self.bid = 0
        if self.ask and self.ask_px != a:
            context.cancel(self.ask)
            self.ask = 0
        position = context.position(0)
        if not self.bid and position < self.most:
            self.bid = context.submit(0, BUY, b, self.qty, LIMIT, GTC, POST_ONLY)
            self.bid_px = b
        if not self.ask and position > -self.most:
            self.ask = context.submit(0, SELL, a, self.qty, LIMIT, GTC, POST_ONLY)
            self.ask_px = a


class Quoter(Eager):
    """`quoter` as a class: called on a timer only."""

    interval_ns = 100_000_000

    def on_start(self) -> None:
        """Ask for the timer."""
        self.call_every(self.interval_ns)

    def on_timer(self, now_ns: int) -> None:
        """Quote."""
        Eager.on_book(self, self.quote(0))

    on_book = Strategy.on_book


class Crossover(Strategy):
    """Long one lot while the fast average of the closes is above the slow one."""

    fast = 10
    slow = 30

    def on_start(self) -> None:
        """Begin without closes."""
        self._closes: deque[int] = deque(maxlen=self.slow)
        self._sum = self._slow_sum = 0

    def on_book(self, book: Any) -> None:
        """Take the close, which stands between the quotes around it."""
        close = (book.bid_px + book.ask_px) // 2
        closes = self._closes
        if len(closes) == self.slow:
            self._slow_sum -= closes[0]
        if len(closes) >= self.fast:
            self._sum -= closes[-self.fast]
        closes.append(close)
        self._sum += close
        self._slow_sum += close
        if len(closes) < self.slow:
            return
        above = self._sum * self.slow > self._slow_sum * self.fast
        held = self.context.position(0)
        if above and not held:
            self.market(BUY, 1, 0)
        elif not above and held:
            self.market(SELL, 1, 0)
