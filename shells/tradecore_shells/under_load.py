"""An exchange under load, seen from the sender: commands out, answers counted.

`UnderLoad` is the target that `tradecore.bench.load` drives. Its event loop runs inside `poll`, in
steps that never wait, so that the sender keeps its schedule. Used by `tradecore_shells.targets`.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tradecore.bench.scripts import child_environment
from tradecore.bench.setting import monotonic_ns
from tradecore.envelope import encode, seal
from tradecore.errors import ConfigError
from tradecore_shells.following import follow
from tradecore_shells.plumbing.adapters import open_log
from tradecore_shells.plumbing.ports import TRADING_COMMANDS, FatalError, Log

__all__ = ["Stored", "UnderLoad", "running", "whole_commands"]

_PATIENCE_NS: Final = 60_000_000_000
_STOP_S: Final = 30.0
_SETUP_BATCH: Final = 4_096
_ENVELOPE: Final = 16_384  # frames of one envelope, or little more
_IN_FLIGHT: Final = 4  # appends that are under way; what comes meanwhile shares the next envelope
_SOURCE: Final = 3 << 28 | 1  # a client that numbers its envelopes
_LOOK_S: Final = 0.001
Frames = npt.NDArray[np.void]


@contextmanager
def running(service: str, settings: Path) -> Iterator[None]:
    """Run `tradecore serve SERVICE` as a process; stopped by SIGTERM behind the block.

    Raises
    ------
    ConfigError
        It ended by itself; with the last thing it said.
    """
    said = settings.with_suffix(".log")
    command = [sys.executable, "-m", "tradecore.cli", "serve", service, "--config", str(settings)]
    with said.open("wb") as out:
        process = subprocess.Popen(command, env=child_environment(), stdout=out, stderr=out)
    try:
        yield
    except Exception as error:
        if process.poll() is not None:
            lines = said.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
            raise ConfigError(f"{service} ended under load: {lines[-1]}") from error
        raise
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Stored:
    """How far a portfolio has committed, read from its database again and again.

    Attributes
    ----------
    next_seq : int
        Number of the first frame of `executions` that is not in the database.
    """

    def __init__(self, dsn: str, partition: int) -> None:
        self._dsn, self._partition = dsn, partition
        self.next_seq = 0

    async def watch(self) -> None:
        """Look until cancelled; waits for the portfolio to make its tables."""
        import asyncpg

        connection: Any = await asyncpg.connect(self._dsn)
        question = "SELECT next_seq FROM consumer_offset WHERE consumer = $1 AND partition = $2"
        try:
            while True:
                try:
                    found = await connection.fetchval(question, "portfolio", self._partition)
                except asyncpg.UndefinedTableError:
                    found = None
                self.next_seq = max(self.next_seq, found or 0)
                await asyncio.sleep(_LOOK_S)
        finally:
            await connection.close()


class UnderLoad:
    """Sends envelopes to `trading-commands` and counts what comes back on `executions`.

    Parameters
    ----------
    url : str
        Of the log.
    partition : int
    setup : ndarray of tradecore.COMMAND
        Applied when entered, and not counted.
    stored : Stored or None
        Where given, a command is finished when the portfolio has committed it, too.
    """

    def __init__(self, url: str, partition: int, setup: Frames, stored: Stored | None) -> None:
        self._runner = asyncio.Runner()
        self._url, self._partition, self._setup = url, partition, setup
        self._stored = stored
        self._sizes: deque[int] = deque()  # frames of each envelope that is not answered
        self._heard: deque[tuple[int, int]] = deque()  # (seq behind the answer, finished by then)
        self._waiting: deque[Frames] = deque()
        self._appends: set[asyncio.Task[int]] = set()
        self._reading: list[asyncio.Task[None]] = []
        self._next_seq = 1
        self._answered = self._done = self._before = 0
        self._failure: BaseException | None = None

    def __enter__(self) -> UnderLoad:
        """Connect and set up the venue through the log."""
        self._log = open_log(self._url)
        self._loop = self._runner.get_loop()
        try:
            self._set_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _set_up(self) -> None:
        self._loop.run_until_complete(_reachable(self._log, self._partition))
        self._reading.append(self._loop.create_task(self._guarded(self._read())))
        if self._stored is not None:
            self._reading.append(self._loop.create_task(self._guarded(self._stored.watch())))
        for first, last in whole_commands(self._setup, _SETUP_BATCH):
            self.send(self._setup[first:last])
            self._wait(last)
        self._before = len(self._setup)

    def __exit__(self, *details: object) -> None:
        """Stop reading and let go of the log."""
        tasks = [*self._reading, *self._appends]
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.run_until_complete(self._log.close())
        self._runner.close()

    def send(self, frames: Frames) -> None:
        """Queue commands; they leave in one envelope with all that wait when the log has time."""
        self._waiting.append(frames)

    def poll(self) -> int:
        """Send what waits, run what is ready, and return how many commands are finished.

        Raises
        ------
        FatalError
            The log, the cell or the database failed.
        """
        if self._waiting and len(self._appends) < _IN_FLIGHT:
            self._flush()
        # A loop that is told to stop before it runs does one round and does not wait.
        self._loop.call_soon(self._loop.stop)
        self._loop.run_forever()
        if self._failure is not None:
            raise FatalError(f"the exchange under load failed: {self._failure}")
        if self._stored is None:
            self._done = self._answered
        while self._heard and self._stored is not None:
            end_seq, finished = self._heard[0]
            if end_seq > self._stored.next_seq:
                break
            self._done = finished
            self._heard.popleft()
        return self._done - self._before

    def _flush(self) -> None:
        # All that waits, up to a size that every log takes.
        part: list[Frames] = []
        frames = 0
        while self._waiting and frames < _ENVELOPE:
            part.append(self._waiting.popleft())
            frames += len(part[-1])
        envelope = seal(np.concatenate(part), source=_SOURCE, first_seq=self._next_seq)
        self._next_seq += envelope.count
        self._sizes.append(frames)
        append = self._log.append(TRADING_COMMANDS, self._partition, [encode(envelope)])
        task = self._loop.create_task(append)
        self._appends.add(task)
        task.add_done_callback(self._appended)

    def _wait(self, frames: int) -> None:
        until = monotonic_ns() + _PATIENCE_NS
        while self.poll() < frames:
            if monotonic_ns() > until:
                raise FatalError(f"{self._done} of {frames} commands were finished in time")

    def _appended(self, task: asyncio.Task[int]) -> None:
        self._appends.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failure = task.exception()

    async def _guarded(self, work: Any) -> None:
        try:
            await work
        except Exception as error:  # shown by the next poll, which the sender is bound to make
            self._failure = error

    async def _read(self) -> None:
        # Ticks of the cell's own clock are records too; only our envelopes are counted.
        async for batches in follow(self._log, partition=self._partition):
            for batch in batches:
                if batch.in_source == _SOURCE:
                    self._answered += self._sizes.popleft()
                    if self._stored is not None:
                        self._heard.append((batch.end_seq, self._answered))


def whole_commands(frames: Frames, size: int) -> list[tuple[int, int]]:
    """Return where to cut frames so that no command is torn from its continuations."""
    cuts, first, continued = [], 0, 0
    for at, more in enumerate(frames["cont"].tolist()):
        if continued:
            continued -= 1
            continue
        if at - first >= size:
            cuts.append((first, at))
            first = at
        continued = more
    return [*cuts, (first, len(frames))] if len(frames) else []


async def _reachable(log: Log, partition: int) -> None:
    """Wait until the log answers."""
    until = monotonic_ns() + _PATIENCE_NS
    while True:
        try:
            await log.bounds(TRADING_COMMANDS, partition)
            return
        except Exception:
            if monotonic_ns() > until:
                raise
            await asyncio.sleep(0.05)
