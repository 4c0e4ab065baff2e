"""Functions that sweeps call in other processes; importable, as they must be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def area(width: int, height: int) -> dict[str, Any]:
    return {"area": width * height, "square": width == height, "half": width / 2}


def counted(x: int, folder: str) -> dict[str, Any]:
    """Leave a trace of every call."""
    with (Path(folder) / f"{x}").open("a") as file:
        file.write("called\n")
    return {"twice": 2 * x}


def dies_at_seven(x: int, folder: str) -> dict[str, Any]:
    """Kill the whole process, as a power cut would, unless the way was cleared."""
    if x == 7 and not (Path(folder) / "clear").exists():
        os._exit(9)
    return counted(x, folder)


def moody(x: int) -> dict[str, Any]:
    if x == 2:
        raise ValueError("two is too much")
    return {"y": x}


def wrong(x: int) -> Any:
    return [x] if x else {"value": {"nested": 1}}


def strategy(most: int, seed: int) -> dict[str, Any]:
    """A backtest of the simulated market."""
    from tradecore.research import Strategy, backtest
    from tradecore.research.agents_market import AgentMarket, Traders

    class Bids(Strategy):
        limit = 1

        def on_book(self, book: Any) -> None:
            if book.bid_px and self.position() < self.limit and not self.context.live_orders():
                self.buy(book.bid_px, 1)

    traders = Traders(seed=seed, zero_intelligence=60, makers=6, momentum=10, informed=6)
    market = AgentMarket(traders, keep=True)
    market.run(seconds=20)
    return backtest(market.recording(), Bids(limit=most)).summary()
