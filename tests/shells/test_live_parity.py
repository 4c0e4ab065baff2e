"""One strategy class, two runners: a backtest on an exchange's log, and the exchange itself.

A flow of orders trades on an exchange; what its log holds is recorded and backtested. Then the same
flow trades on a second exchange, record by record, with the strategy running live beside it. Both
must send the same orders in the same order, and trade the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shells.small_exchange import CATALOG, exchange
from tradecore.codes import CommandKind
from tradecore.dtypes import COMMAND
from tradecore.research import Strategy, backtest, from_journal, record
from tradecore.research.live import LiveRunner
from tradecore_shells.client import Client
from tradecore_shells.plumbing.filelog import FileLog
from tradecore_shells.plumbing.ports import TRADING_COMMANDS
from tradecore_shells.strategies import run_strategy

FLOW_SESSION, OWN_SESSION = 100, 77


class Noted(Strategy):
    """Writes down what it sends and what it is told it got."""

    def on_start(self) -> None:
        self.sent: list[tuple[Any, ...]] = []
        self.did: list[Any] = []
        self.got: list[tuple[int, int, int]] = []
        self.order = 0
        self.books = 0

    def send(self, side: int, px: int, qty: int, **more: int) -> int:
        self.sent.append((side, px, qty))
        self.did.append((side, px, qty, more))
        return self.buy(px, qty, **more) if side == 1 else self.sell(px, qty, **more)

    def on_fill(self, fill: Any) -> None:
        self.got.append((fill.side, fill.last_px, fill.last_qty))


class Follows(Noted):
    """Stands at the touch, follows it, and gets rid of what it has."""

    def on_book(self, book: Any) -> None:
        self.books += 1
        if not book.bid_px or not book.ask_px:
            return
        side, px = (1, book.bid_px) if self.position() <= 0 else (2, book.ask_px)
        if not self.order or not self.leaves(self.order):
            self.side = side
            self.order = self.send(side, px, 3)
        elif self.side != side or self.books % 5 == 0:
            self.did.append(("cancel", len(self.sent)))
            self.cancel(self.order)
        elif self.books % 2 == 0:
            self.did.append(("amend", px))
            self.amend(self.order, px=px)


class Crosses(Noted):
    """Takes what is offered every few changes, more than there is, and sells into the bid."""

    def on_book(self, book: Any) -> None:
        self.books += 1
        if self.books % 4 == 0 and book.ask_px:
            self.send(1, book.ask_px, book.ask_qty + 2, tif=3)
        elif self.books % 7 == 0 and book.bid_px and self.position() > 4:
            self.send(2, book.bid_px, 4)


def flow(seed: int, count: int = 120) -> list[Any]:
    """Orders, cancels and replaces of account 1 around 100.00, each a record of its own."""
    draw = np.random.default_rng(seed)
    made = []
    for number in range(1, count + 1):
        frame = np.zeros(1, COMMAND)
        frame["account_id"], frame["session_id"] = 1, FLOW_SESSION
        what = draw.random()
        if what < 0.75 or number < 10:
            frame["kind"], frame["ord_type"] = CommandKind.NEW_ORDER, 2
            frame["tif"] = 3 if draw.random() < 0.2 else 1
            frame["order_id"] = FLOW_SESSION << 32 | number
            side = frame["side"] = int(draw.integers(1, 3))
            frame["px"] = 10_000 + int(draw.integers(-6, 4)) * (1 if side == 1 else -1)
            frame["order_qty"] = int(draw.integers(1, 12))
        else:
            frame["kind"] = CommandKind.CANCEL_ORDER if what < 0.9 else CommandKind.REPLACE_ORDER
            frame["order_id"] = FLOW_SESSION << 32 | int(draw.integers(1, number))
            if what >= 0.9:
                frame["order_qty"] = int(draw.integers(1, 12))
        made.append(frame)
    return made


async def play(
    log: FileLog, frames: list[Any], settled: Callable[[], Awaitable[None]] | None = None
) -> None:
    """Send a flow record by record, waiting for each answer, and for whoever else is there."""
    client = Client(log, account_id=1, session_id=FLOW_SESSION, catalog=CATALOG)
    await client.start()
    for frame in frames:
        await client.outcome(await client.submit(frame.tobytes()))
        if settled is not None:
            await settled()
    await client.close()


class Watched(LiveRunner):
    """Tells when nothing is under way: all that was asked is answered, told and acted upon."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.heard = 0
        self.idle = False
        self.turn = asyncio.Event()

    def feed(self, events: Any, ts_ns: int) -> None:
        super().feed(events, ts_ns)
        self.heard += 1
        self.idle = False

    def take(self) -> Any:
        frames = super().take()
        self.idle = not len(frames)
        self.turn.set()
        return frames

    async def settled(self, log: FileLog) -> None:
        while True:
            self.turn.clear()
            end = (await log.bounds(TRADING_COMMANDS, 0)).end
            if self.idle and self.heard == end:
                return
            await self.turn.wait()


def backtested(folder: Path, strategy: Noted, frames: list[Any]) -> Any:
    """Let the flow trade on an exchange, then run a strategy on what its log holds."""

    async def main() -> None:
        async with exchange(folder) as log, asyncio.timeout(60):
            await play(log, frames)

    asyncio.run(main())
    day = record(from_journal(folder / "trading-commands-0"))
    assert not day.notes
    return backtest(day, strategy)


def live(folder: Path, strategy: Noted, frames: list[Any]) -> None:
    """Let the same flow trade on another exchange, with the strategy on it."""

    async def main() -> None:
        async with exchange(folder) as log, asyncio.timeout(60):
            runner = Watched(strategy, account_id=2, session_id=OWN_SESSION, instruments=(0,))
            running = asyncio.create_task(run_strategy(runner, log, tick_s=0.01))
            await runner.settled(log)
            await play(log, frames, lambda: runner.settled(log))
            runner.stop()
            await running

    asyncio.run(main())


@pytest.mark.parametrize(("kind", "seed"), [(Follows, 1), (Crosses, 2)])
def test_same_orders_in_backtest_and_on_the_exchange(
    tmp_path: Path, kind: type[Noted], seed: int
) -> None:
    frames = flow(seed)
    past, present = kind(), kind()
    result = backtested(tmp_path / "recorded", past, frames)
    live(tmp_path / "live", present, frames)
    assert present.did == past.did
    assert len(past.did) > 15
    assert present.got == past.got
    assert len(past.got) > 4
    assert present.position() == past.position() == int(result.fills["position_qty"][-1])
    # What was sent, as the log of the second exchange has it, not as the strategy remembers it.
    again = record(from_journal(tmp_path / "live" / "trading-commands-0", keep=_own))
    rows = np.concatenate(again.chunks)
    rows = rows[rows["kind"] == CommandKind.NEW_ORDER]
    assert present.sent == rows[["side", "px", "order_qty"]].tolist()


def _own(frames: Any) -> Any:
    return frames["order_id"] >> np.uint64(32) == OWN_SESSION
