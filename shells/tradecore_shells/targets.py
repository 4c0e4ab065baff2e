"""The services as targets of `tradecore bench capacity`: load into the log, answers out of it.

- ``embedded``: a log in files, served on a socket, and a trading cell, in a process of their own,
  as in `tradecore up`; a command is finished when what the cell said about it was read back, which
  is after its record was forced to the disk.
- ``kafka``: the same cell on an Apache Kafka whose topics exist (``tradecore admin topics``);
  option ``log=kafka://HOST:PORT``. Every opening takes the first partition that is still empty.

    python -m tradecore_shells.targets SETTINGS.json     the process that is started for a target

Client, log and cell share the machine: what is measured is all of them together.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from tradecore.bench.load import Target
from tradecore.bench.scripts import child_environment
from tradecore.bench.setting import monotonic_ns
from tradecore.bench.targets import TargetSpec
from tradecore.cell import CellConfig
from tradecore.envelope import encode, seal
from tradecore.errors import ConfigError
from tradecore_shells.following import follow
from tradecore_shells.plumbing.adapters import open_log
from tradecore_shells.plumbing.clock import SystemClock
from tradecore_shells.plumbing.config import LogSettings, ObserveSettings
from tradecore_shells.plumbing.filelog import FileLog
from tradecore_shells.plumbing.logserver import LogServer
from tradecore_shells.plumbing.observe import Metrics
from tradecore_shells.plumbing.ports import TRADING_COMMANDS, FatalError, Log
from tradecore_shells.plumbing.runtime import Application, run
from tradecore_shells.trading.build import make_service
from tradecore_shells.trading.config import TradingConfig, TradingSettings

__all__ = ["ServiceTarget", "embedded", "kafka", "main"]

_START_NS: Final = 60_000_000_000
_SETUP_BATCH: Final = 4_096
_STOP_S: Final = 30.0
_PARTITIONS: Final = 4_096
_IN_FLIGHT: Final = 4  # appends that are under way; what comes meanwhile shares the next envelope
_SOURCE: Final = 3 << 28 | 1  # a client that numbers its envelopes
Frames = npt.NDArray[np.void]


class _Hosted(msgspec.Struct, frozen=True):
    """What the started process is told: its settings, and a folder when it serves the log too."""

    trading: TradingConfig
    log_folder: str = ""


class ServiceTarget:
    """Sends envelopes to `trading-commands` and counts what comes back on `executions`.

    The event loop runs inside `poll`, in steps that never wait, so that sending keeps its schedule.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
    log : Log
    partition : int
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, log: Log, partition: int) -> None:
        self._loop, self._log, self._partition = loop, log, partition
        self._sizes: deque[int] = deque()  # commands of each envelope that is not answered
        self._waiting: list[Frames] = []
        self._next_seq = 1
        self._done = 0
        self._failure: BaseException | None = None
        self._appends: set[asyncio.Task[int]] = set()
        self._reading = loop.create_task(self._read())

    def send(self, frames: Frames) -> None:
        """Queue commands; they leave in one envelope with all that wait when the log has time."""
        self._waiting.append(frames)

    def _flush(self) -> None:
        frames = np.concatenate(self._waiting)
        self._waiting.clear()
        envelope = seal(frames, source=_SOURCE, first_seq=self._next_seq)
        self._next_seq += envelope.count
        payload = encode(envelope)
        task = self._loop.create_task(
            self._log.append(TRADING_COMMANDS, self._partition, [payload])
        )
        self._sizes.append(len(frames))
        self._appends.add(task)
        task.add_done_callback(self._appended)

    def poll(self) -> int:
        """Send what waits, run what is ready, and return how many commands were answered.

        Raises
        ------
        FatalError
            The log or the cell failed.
        """
        if self._waiting and len(self._appends) < _IN_FLIGHT:
            self._flush()
        # A loop that is told to stop before it runs does one round and does not wait.
        self._loop.call_soon(self._loop.stop)
        self._loop.run_forever()
        if self._failure is not None:
            raise FatalError(f"the exchange under load failed: {self._failure}")
        return self._done

    def wait(self, commands: int, patience_ns: int = _START_NS) -> None:
        """Poll until so many commands are answered.

        Raises
        ------
        FatalError
            That took too long.
        """
        until = monotonic_ns() + patience_ns
        while self.poll() < commands:
            if monotonic_ns() > until:
                raise FatalError(f"{self._done} of {commands} commands were answered in time")

    def close(self) -> None:
        """Stop reading; the log stays open."""
        tasks = [self._reading, *self._appends]
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))

    def _appended(self, task: asyncio.Task[int]) -> None:
        self._appends.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failure = task.exception()

    async def _read(self) -> None:
        try:
            # Ticks of the cell's own clock are records too; only our envelopes are counted.
            async for batches in follow(self._log, partition=self._partition):
                for batch in batches:
                    if batch.in_source == _SOURCE:
                        self._done += self._sizes.popleft()
        except Exception as error:  # shown by the next poll, which the sender is bound to make
            self._failure = error


@contextmanager
def embedded(spec: TargetSpec) -> Iterator[Target]:
    """Open the embedded exchange in a folder of its own; the folder goes when it is closed."""
    with tempfile.TemporaryDirectory(prefix="tradecore-", dir=spec.folder) as folder:
        place = Path(folder)
        with _hosted(spec, place, f"unix:{place}/log.sock", 0, str(place / "log")) as target:
            yield target


@contextmanager
def kafka(spec: TargetSpec) -> Iterator[Target]:
    """Open a cell on the first empty partition of a Kafka.

    Raises
    ------
    ConfigError
        No address, or no empty partition is left.
    """
    url = spec.options.get("log", "")
    if not url.startswith("kafka://"):
        raise ConfigError("target kafka: say where it is with --option log=kafka://HOST:PORT")
    with tempfile.TemporaryDirectory(prefix="tradecore-", dir=spec.folder) as folder:
        with asyncio.Runner() as runner:
            partition = runner.run(_empty_partition(url))
        with _hosted(spec, Path(folder), url, partition, "") as target:
            yield target


async def _empty_partition(url: str) -> int:
    log = open_log(url)
    try:
        for partition in range(_PARTITIONS):
            if (await log.bounds(TRADING_COMMANDS, partition)).end == 0:
                return partition
    except FatalError as error:
        raise ConfigError(
            f"target kafka: no empty partition of {TRADING_COMMANDS} is left ({error}); "
            "'tradecore admin topics --partitions N' makes some"
        ) from error
    finally:
        await log.close()
    raise ConfigError(f"target kafka: no empty partition among {_PARTITIONS}")


@contextmanager
def _hosted(
    spec: TargetSpec, place: Path, url: str, partition: int, log_folder: str
) -> Iterator[Target]:
    """Start the process, set up the venue through the log, and hand out the target."""
    settings = place / "settings.json"
    hosted = _Hosted(_settings(spec, place, url, partition), log_folder)
    settings.write_bytes(msgspec.json.encode(hosted))
    said = place / "said.log"
    command = [sys.executable, "-m", "tradecore_shells.targets", str(settings)]
    with said.open("wb") as out:
        process = subprocess.Popen(command, env=child_environment(), stdout=out, stderr=out)
    try:
        with asyncio.Runner() as runner:
            loop = runner.get_loop()
            log = open_log(url)
            loop.run_until_complete(_reachable(log, partition, process, said))
            target = ServiceTarget(loop, log, partition)
            try:
                setup = spec.work.setup
                cuts = _whole_commands(setup, _SETUP_BATCH)
                for first, last in cuts:
                    target.send(setup[first:last])
                    target.wait(last)
                yield _Counted(target, len(setup))
            finally:
                target.close()
                loop.run_until_complete(log.close())
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class _Counted:
    """A target that does not count the commands of the set-up."""

    def __init__(self, target: ServiceTarget, before: int) -> None:
        self._target, self._before = target, before
        self.send = target.send

    def poll(self) -> int:
        """Return how many commands behind the set-up were answered."""
        return self._target.poll() - self._before


def _settings(spec: TargetSpec, place: Path, url: str, partition: int) -> TradingConfig:
    engine = msgspec.structs.replace(spec.work.config, accounts=True)
    return TradingConfig(
        log=LogSettings(url=url, partition=partition),
        # Ids of workloads carry no sessions; all of them are remembered, as a venue would.
        cell=CellConfig(engine=engine, recent_orders=len(spec.work) + 1, sessions=False),
        trading=TradingSettings(snapshots=str(place / "snapshots"), snapshot_every_s=3_600.0),
        observe=ObserveSettings(log_level="warning"),
    )


def _whole_commands(frames: Frames, size: int) -> list[tuple[int, int]]:
    """Return where to cut frames so that no command is torn from its continuations."""
    cuts, first = [], 0
    continued = 0
    for at, more in enumerate(frames["cont"].tolist()):
        if continued:
            continued -= 1
            continue
        if at - first >= size:
            cuts.append((first, at))
            first = at
        continued = more
    return [*cuts, (first, len(frames))] if len(frames) else []


async def _reachable(
    log: Log, partition: int, process: subprocess.Popen[bytes], said: Path
) -> None:
    """Wait until the log answers; say what the process said when it ends instead."""
    until = monotonic_ns() + _START_NS
    while True:
        try:
            await log.bounds(TRADING_COMMANDS, partition)
            return
        except Exception as error:
            if process.poll() is not None:
                raise ConfigError(f"the exchange under load ended: {_last(said)}") from error
            if monotonic_ns() > until:
                raise
            await asyncio.sleep(0.05)


def _last(said: Path) -> str:
    """Return the last line a process wrote."""
    lines = said.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


class _ServedLog:
    """A log server as a part of the application: up before the cell asks for it."""

    name = "log"

    def __init__(self, server: LogServer) -> None:
        self._server = server
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End, after the cell has."""
        self._stopping.set()

    def trouble(self) -> str:
        """Nothing to wait for."""
        return ""

    async def run(self) -> None:
        """Serve until stopped."""
        await self._stopping.wait()
        await self._server.close()


def main(argv: list[str]) -> int:
    """Run the process of a target until SIGTERM; the exit code."""
    hosted = msgspec.json.decode(Path(argv[0]).read_bytes(), type=_Hosted)
    config, clock = hosted.trading, SystemClock()

    async def build(metrics: Metrics) -> Application:
        served: list[Any] = []
        log: Log
        if hosted.log_folder:
            log = FileLog(hosted.log_folder, clock)
            server = LogServer(log, config.log.url)
            await server.start()
            served = [_ServedLog(server)]
        else:
            log = open_log(config.log.url, clock)
        cell = make_service(config, log=log, clock=clock, metrics=metrics)
        return Application([cell, *served], [log.close])

    return run("capacity", config.observe, build)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
