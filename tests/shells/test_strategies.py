"""A strategy on a real cell over a real log: it trades, it is told, and it stops."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from shells.small_exchange import CATALOG, exchange
from tradecore.research import Strategy, StrategyError
from tradecore.research.live import LiveRunner
from tradecore_shells.client import Client
from tradecore_shells.strategies import run_strategy


class Lifts(Strategy):
    """Buys what is offered, once, and stops when it has it."""

    def on_start(self) -> None:
        self.order = 0
        self.told: list[Any] = []

    def on_book(self, book: Any) -> None:
        self.told.append(book.ask_px)
        if book.ask_px and not self.order:
            self.order = self.buy(book.ask_px, 3)

    def on_fill(self, fill: Any) -> None:
        self.told.append((fill.last_px, fill.last_qty, fill.maker))
        if not fill.leaves_qty:
            self.stop()


def play(folder: Path, strategy: Strategy) -> tuple[LiveRunner, Any]:
    runner = LiveRunner(strategy, account_id=2, session_id=77, instruments=(0,))
    found: list[Any] = []

    async def main() -> None:
        async with exchange(folder) as log, asyncio.timeout(60):
            maker = Client(log, account_id=1, session_id=100, catalog=CATALOG)
            await maker.start()
            for px in ("101.00", "100.50"):
                order = await maker.place(
                    instrument="BTC-USD", side="sell", px=px, order_qty="0.0002"
                )
                await order.answered()
            await run_strategy(runner, log, tick_s=0.01)
            later = await maker.place(
                instrument="BTC-USD", side="sell", px="102.00", order_qty="0.0001"
            )
            found.append(await later.answered())
            await maker.close()

    asyncio.run(main())
    return runner, found


def test_strategy_trades_on_the_exchange_and_stops(tmp_path: Path) -> None:
    class Both(Lifts):
        def on_fill(self, fill: Any) -> None:
            self.told.append((fill.last_px, fill.last_qty, fill.maker))
            if not fill.leaves_qty:
                self.stop()
            else:
                self.amend(self.order, px=10_100)

    strategy = Both()
    runner, _ = play(tmp_path, strategy)
    # Two lots at 100.50, then the rest at 101.00 after the amendment.
    assert strategy.told[0] == 10_050
    assert [t for t in strategy.told if isinstance(t, tuple)] == [(10_050, 2, 0), (10_100, 1, 0)]
    assert strategy.position() == 3
    assert runner.stopped


def test_timer_comes_while_nothing_happens(tmp_path: Path) -> None:
    class Waits(Strategy):
        def on_start(self) -> None:
            self.call_at(self.now_ns + 1)

        def on_timer(self, now_ns: int) -> None:
            self.stop()

    runner, _ = play(tmp_path, Waits())
    assert runner.stopped


def test_strategy_that_raises_ends_the_run(tmp_path: Path) -> None:
    class Raises(Strategy):
        def on_book(self, book: Any) -> None:
            raise ValueError("no idea")

    with pytest.raises(StrategyError, match=r"Raises\.on_book"):
        play(tmp_path, Raises())
