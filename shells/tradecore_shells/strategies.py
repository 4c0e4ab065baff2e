"""Run a strategy of `tradecore.research` on an exchange: the same class as in a backtest.

Everything the cell has said so far is heard first, so that the book is known, and only then is the
strategy started: it never acts on the past. Frames that it causes go into the log in the order of
its calls, all of one turn as one envelope, so a slow strategy sends fewer and larger ones instead
of falling behind.
"""

from __future__ import annotations

import asyncio
from functools import partial as bound
from typing import Final

from tradecore.cell import Position
from tradecore.envelope import encode, seal
from tradecore.research.live import LiveRunner
from tradecore_shells.following import follow
from tradecore_shells.plumbing.clock import SystemClock
from tradecore_shells.plumbing.ports import TRADING_COMMANDS, Clock, Log
from tradecore_shells.plumbing.retry import retrying

__all__ = ["run_strategy"]

_BEGINNING: Final = Position(0, 1)


class _Pump:
    """Lets a runner call its strategy and sends what comes out, one turn at a time."""

    def __init__(self, runner: LiveRunner, log: Log, partition: int, patience_s: float) -> None:
        self._runner = runner
        self._log = log
        self._partition = partition
        self._patience_s = patience_s
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        """Tell the strategy everything that waits, then send its frames."""
        async with self._turn:
            while self._runner.deliver():
                pass
            frames = self._runner.take()
            if not len(frames):
                return
            # Orders are known by their ids: a repeated append cannot do one twice.
            payload = encode(seal(frames.tobytes(), source=0, first_seq=1))
            append = bound(self._log.append, TRADING_COMMANDS, self._partition, [payload])
            await retrying(append, f"cell {self._partition}", budget_s=self._patience_s)

    async def tick(self, clock: Clock, every_s: float) -> None:
        """Look at timers now and then, until the strategy stops."""
        while True:
            await asyncio.sleep(every_s)
            self._runner.tick(clock.now_ns())
            await self.run()
            if self._runner.stopped:
                raise _Stopped


async def run_strategy(
    runner: LiveRunner,
    log: Log,
    *,
    partition: int = 0,
    position: Position = _BEGINNING,
    clock: Clock | None = None,
    tick_s: float = 0.05,
    patience_s: float = 60.0,
) -> None:
    """Feed a runner until its strategy stops or the task is cancelled.

    Parameters
    ----------
    runner : LiveRunner
        New; its session must be one that was never used before.
    log : Log
        Nobody else may read `executions` of the partition through the same object meanwhile.
    partition : int
        Of the topics, and number of the cell.
    position : Position
        Where to begin hearing; by default with the first record.
    clock : Clock, optional
        For timers that are due while nothing happens.
    tick_s : float
        How often they are looked at.
    patience_s : float
        How long the log may be out of reach.

    Raises
    ------
    StrategyError
        The strategy raised. Its orders stay in the market: cancel them by account.
    FatalError, StreamError
        The log is out of reach or contradicts itself.
    """
    clock = clock or SystemClock()
    pump = _Pump(runner, log, partition, patience_s)
    # What has been sent by now, the cell will answer; behind that answer is the present.
    present = (await log.bounds(TRADING_COMMANDS, partition)).end
    try:
        async with asyncio.TaskGroup() as tasks:
            started = present == 0
            if started:
                runner.start(clock.now_ns())
                tasks.create_task(pump.tick(clock, tick_s))
            stream = follow(log, partition=partition, position=position, patience_s=patience_s)
            async for batches in stream:
                for batch in batches:
                    runner.feed(batch.events, batch.ts_ns)
                if not started and batches[-1].in_offset + 1 >= present:
                    started = True
                    runner.start(batches[-1].ts_ns)
                    tasks.create_task(pump.tick(clock, tick_s))
                if started:
                    await pump.run()
                if runner.stopped:
                    raise _Stopped
    except BaseExceptionGroup as group:
        rest = group.split(_Stopped)[1]
        if rest is not None:
            # One task fails first; the others were only cancelled because of it.
            raise rest.exceptions[0] from None


class _Stopped(Exception):
    """The strategy has seen enough."""
