"""Orders through a whole exchange: client process -> durable log -> cell -> executions read back.

    python bench/scenario/exchange.py [--log file|kafka://HOST:PORT] [--commands 2000000]
        [--batch 1024] [--rates 20000,100000] [--seconds 5] [--json] [--append FILE --time-utc T]

Processes: this one is the client (it sends, and reads executions); the second is `tradecore serve
trading`, with the log inside for --log file. A broker is a third. All share the machine's cores:
what they cost each other is part of the number.

- sustained: as many envelopes under way as the window allows; orders a second from the first append
  to the last execution heard. Every execution frame is read and its numbers checked.
- latency at a rate: open loop; an order's time runs from when it was *due* to when its executions
  were heard by the client. Both logs are durable (fdatasync, acks=all) before anything is heard.

A run in which the cell's answers do not add up to the commands is invalid.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "src"), str(ROOT / "shells")]

from bench.scenario.cell import Log as SessionLog  # noqa: E402

from tradecore.bench.hdr import Histogram  # noqa: E402
from tradecore.bench.inputs import Input, funded  # noqa: E402
from tradecore.bench.setting import commit_of, load_average  # noqa: E402
from tradecore.cell import CellConfig, FrameReader, Position, source_of  # noqa: E402
from tradecore.envelope import encode, seal  # noqa: E402
from tradecore.testing.results import machine  # noqa: E402
from tradecore_shells.plumbing.adapters import open_log  # noqa: E402
from tradecore_shells.plumbing.ports import (  # noqa: E402
    EXECUTIONS,
    TRADING_COMMANDS,
    Log,
    RetryableError,
)

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
WINDOW = 32
SETUP_BATCH = 2_048


class Heard:
    """Executions as they are read: how far the cell has answered, and what it has said."""

    def __init__(self, log: Log, offset: int) -> None:
        self._log = log
        self._reader = FrameReader(source_of(0), Position(offset, 0))
        self._offset = offset
        self.answered = -1  # input offset
        self.events = 0
        self.waiting: deque[tuple[int, FloatArray]] = deque()  # offset, when each order was due
        self.latency = Histogram()
        self.moved = asyncio.Event()
        self.task = asyncio.create_task(self.run())

    async def run(self) -> None:
        """Read until cancelled."""
        clock = time.monotonic  # the loop's own has steps of a millisecond
        while True:
            records = await self._log.fetch(
                EXECUTIONS, 0, self._offset, max_bytes=8 << 20, wait_s=0.5
            )
            now = clock()
            for record in records:
                self._offset = record.offset + 1
                for batch in self._reader.read(record.offset, record.payload):
                    self.answered = batch.in_offset
                    self.events += len(batch.events)
            while self.waiting and self.waiting[0][0] <= self.answered:
                self.record(now, self.waiting.popleft()[1])
            self.moved.set()

    def record(self, now: float, due: FloatArray) -> None:
        """Orders that were due then are answered now."""
        self.latency.record(((now - due) * 1e9).astype(np.int64))

    async def until(self, offset: int) -> None:
        """Wait for the answer to an input record."""
        while self.answered < offset:
            await self.next()

    async def next(self) -> None:
        """Wait until something was heard; raises what ended the reading."""
        self.moved.clear()
        moved = asyncio.ensure_future(self.moved.wait())
        await asyncio.wait([moved, self.task], return_when=asyncio.FIRST_COMPLETED)
        moved.cancel()
        if self.task.done():
            self.task.result()


class Exchange:
    """The trading service as a process of its own, and a client's view of its log."""

    def __init__(self, work: Input, url: str, folder: Path) -> None:
        self.folder = folder
        config = {
            "cell": msgspec.to_builtins(
                CellConfig(engine=msgspec.structs.replace(work.config, prefault=False))
            ),
            "trading": {"snapshots": str(folder / "snapshots"), "snapshot_every_s": 3600.0},
            "log": {"url": url},
        }
        self.url = url
        if url == "file":
            config["log"] = {"url": f"file:{folder}/log", "serve": f"unix:{folder}/log.sock"}
            self.url = f"unix:{folder}/log.sock"
        path = folder / "exchange.toml"
        path.write_text(_toml(config))
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'shells'}"}
        self._errors = (folder / "trading.log").open("w")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tradecore_shells.trading", str(path)],
            env=environment,
            stderr=self._errors,
        )

    def cpu_s(self) -> float:
        """CPU seconds of the service so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """Drain it."""
        self.process.terminate()
        self.process.wait(60)
        self._errors.close()


def _toml(tables: dict[str, Any], prefix: str = "") -> str:
    lines = []
    for key, value in tables.items():
        if not isinstance(value, dict):
            lines.append(f"{key} = {json.dumps(value)}")
    text = "\n".join(lines) + "\n"
    for key, value in tables.items():
        if isinstance(value, dict):
            text += f"\n[{prefix}{key}]\n{_toml(value, f'{prefix}{key}.')}"
    return text


async def _connected(exchange: Exchange) -> Log:
    log = open_log(exchange.url)
    deadline = time.monotonic() + 60
    while True:
        try:
            await log.bounds(TRADING_COMMANDS, 0)
            return log
        except RetryableError:
            if time.monotonic() > deadline or exchange.process.poll() is not None:
                raise
            await asyncio.sleep(0.05)


async def _set_up(log: Log, reading: Log, work: Input) -> Heard:
    start = (await reading.bounds(EXECUTIONS, 0)).end
    heard = Heard(reading, start)
    last = -1
    setup = work.setup
    at = 0
    while at < len(setup):
        end = min(at + SETUP_BATCH, len(setup))
        last = await log.append(
            TRADING_COMMANDS, 0, [encode(seal(setup[at:end], source=0, first_seq=1))]
        )
        at = end
    await heard.until(last)
    return heard


async def sustained(log: Log, heard: Heard, payloads: list[bytes], commands: int) -> float:
    """Return orders a second."""
    begin = time.perf_counter()
    pending: deque[asyncio.Future[int]] = deque()
    last = -1
    for payload in payloads:
        while len(pending) >= WINDOW:
            last = await pending.popleft()
        pending.append(asyncio.ensure_future(log.append(TRADING_COMMANDS, 0, [payload])))
    while pending:
        last = await pending.popleft()
    await heard.until(last)
    return commands / (time.perf_counter() - begin)


async def open_loop(
    log: Log, heard: Heard, frames: Any, rate: int, seconds: float, gap_s: float = 0.001
) -> tuple[int, Histogram]:
    """Send at a rate; return orders sent and the histogram."""
    heard.latency = Histogram()
    clock = time.monotonic
    start = clock()
    sent = 0
    goal = min(int(rate * seconds), len(frames))
    tasks: set[asyncio.Task[None]] = set()

    async def send(part: Any, due: FloatArray) -> None:
        payload = encode(seal(part, source=0, first_seq=1))
        offset = await log.append(TRADING_COMMANDS, 0, [payload])
        if offset <= heard.answered:
            heard.record(clock(), due)
        else:
            # Appends of one sender finish in their order.
            heard.waiting.append((offset, due))

    while sent < goal:
        ready = min(int((clock() - start) * rate) + 1, goal)
        if ready > sent:
            due = start + np.arange(sent, ready) / rate
            task = asyncio.create_task(send(frames[sent:ready], due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            sent = ready
        await asyncio.sleep(gap_s)
    while tasks:
        await asyncio.gather(*tasks)
    while heard.waiting:
        await heard.next()
    return sent, heard.latency


async def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Run everything; return result rows."""
    rows: list[dict[str, Any]] = []
    work = funded("busy", args.commands)
    source = SessionLog(work, args.batch)
    frames = np.concatenate(source.batches)
    first = int(len(frames) * 0.6)
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        exchange = Exchange(work, args.log, Path(name))
        try:
            log, reading = await _connected(exchange), await _connected(exchange)
            heard = await _set_up(log, reading, work)
            cpu, own = exchange.cpu_s(), time.process_time()
            events = heard.events
            payloads = source.payloads[: first // args.batch]
            count = sum(len(part) for part in source.batches[: first // args.batch])
            rate = await sustained(log, heard, payloads, count)
            rows.append(
                {
                    "row": "sustained",
                    "orders_per_s": round(rate),
                    "orders": count,
                    "events": heard.events - events,
                    "service_cpu_us_per_order": round((exchange.cpu_s() - cpu) / count * 1e6, 3),
                    "client_cpu_us_per_order": round((time.process_time() - own) / count * 1e6, 3),
                }
            )
            at = count
            for wanted in args.rates:
                sent, seen = await open_loop(log, heard, frames[at:], wanted, args.seconds)
                at += sent
                row: dict[str, Any] = {"row": f"latency at {wanted}", "orders": sent}
                for name_, share in (("p50", 50), ("p99", 99), ("p99.9", 99.9), ("max", 100)):
                    row[f"{name_}_ms"] = round(seen.percentile(share) / 1e6, 3)
                rows.append(row)
            heard.task.cancel()
            await log.close()
            await reading.close()
        finally:
            exchange.stop()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--log", default="file")
    parser.add_argument("--commands", type=int, default=2_000_000)
    parser.add_argument("--batch", type=int, default=1_024)
    parser.add_argument("--rates", type=lambda text: [int(one) for one in text.split(",") if one],
                        default=[20_000, 100_000])  # fmt: skip
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--folder", help="where the log's files are; default the temporary folder")
    parser.add_argument("--append", metavar="FILE")
    parser.add_argument("--time-utc", default="", help="stamp of appended rows")
    args = parser.parse_args()
    try:
        import uvloop

        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    except ImportError:
        runner = asyncio.Runner()
    with runner:
        rows = runner.run(measure(args))
    conditions = {
        "bench": "exchange", "log": args.log, "batch": args.batch, "window": WINDOW,
        "commit": commit_of(ROOT), "load": load_average(),
        "machine": msgspec.to_builtins(machine()), "time_utc": args.time_utc,
    }  # fmt: skip
    for row in rows:
        print(json.dumps(row))
    if args.append:
        with Path(args.append).open("a", encoding="utf-8") as stream:
            for row in rows:
                stream.write(json.dumps(conditions | row) + "\n")


if __name__ == "__main__":
    main()
