"""A first strategy on a recorded market: join the best bid, see how long the queue was.

Run it with ``python examples/research_first_strategy.py [DAY]``, where DAY is a LOBSTER archive or
an event file; without one a small seeded market is made up.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

import tradecore as tc
from tradecore import research


class JoinTheBid(research.Strategy):
    """Keep one order at the best bid of the others, up to a position."""

    qty = 10
    most = 50
    order = px = 0

    def on_book(self, book: research.Book) -> None:
        """Follow the price."""
        if self.order and self.px != book.bid_px:
            self.cancel(self.order)
            self.order = 0
        if not self.order and book.bid_px and self.position() < self.most:
            self.px = book.bid_px
            self.order = self.buy(self.px, self.qty, post_only=1)

    def on_fill(self, fill: research.Fill) -> None:
        """Begin again when the order is done."""
        if not fill.leaves_qty:
            self.order = 0


def made_up(count: int = 5_000, seed: int = 1) -> research.Recording:
    """Return a market of random orders around a wandering price."""
    draw = np.random.default_rng(seed)
    frames = np.zeros(count, tc.COMMAND)
    middle = 10_000 + np.cumsum(draw.integers(-1, 2, count))
    side = draw.integers(1, 3, count)
    away = draw.integers(1, 8, count) * np.where(side == 1, -1, 1)
    takes = draw.random(count) < 0.3
    frames["kind"], frames["ord_type"] = 1, 2
    frames["ts_ns"] = 1_000_000 * np.arange(1, count + 1)
    frames["order_id"] = np.arange(1, count + 1)
    frames["side"] = side
    frames["px"] = middle + np.where(takes, -10 * away, away)
    frames["tif"] = np.where(takes, 3, 1)
    frames["order_qty"] = draw.integers(1, 20, count)
    return research.Recording.of(frames, "made up")


def load(path: str) -> research.Recording:
    """Open a day."""
    if path.endswith(".zip"):
        return research.record(research.from_lobster(path))
    return research.open_events(path)


def main(path: str | None = None) -> dict[str, Any]:
    """Run the strategy; return its summary."""
    day = load(path) if path else made_up()
    latency = research.Latency.of(feed_ns=50_000, order_ns=200_000, response_ns=200_000)
    result = research.backtest(day, JoinTheBid(), latency=latency, sample_ns=1_000_000_000)
    queue = result.queue
    filled = queue[queue["wait_ns"] >= 0]
    print(result.summary())
    print(f"{len(queue):,} orders rested, {len(filled):,} filled", end="; ")
    if len(filled):
        print(f"median wait {np.median(filled['wait_ns']) / 1e6:,.1f} ms", end="; ")
        print(f"median queue in front {np.median(filled['ahead_qty']):,.0f} lots")
    return result.summary()


if __name__ == "__main__":
    main(*sys.argv[1:2])
