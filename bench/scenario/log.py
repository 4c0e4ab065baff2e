"""How fast records go through the log, from an append to a reader that has them.

    python bench/scenario/log.py                               files, and a socket before them
    python bench/scenario/log.py --kafka 127.0.0.1:19092       and Apache Kafka
    python bench/scenario/log.py --json --append FILE

For each log, envelopes of `--frames` frames (64 bytes: one order each), a workload of noise:

- through: `--clients` tasks append one envelope after the other, a reader follows; orders a second
  until the reader has the last one. Every append is durable before its task goes on (files:
  fdatasync; Kafka: as the broker is set up);
- p50, p99: one task, envelopes of four frames, one append at a time; seconds of the append.

files: one process. unix: the files belong to a second process, writer and reader are clients in
the first. kafka: writer and reader in one process, the broker where it is. The result hash is that
of the payloads as they were read; the program fails when it is not that of what was written.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "src"), str(ROOT / "shells")]

from bench.scenario.mark import commit  # noqa: E402

from tradecore.testing.results import Result, append_results, machine, summarise  # noqa: E402
from tradecore_shells.admin.topics import create_topics, plan_topics  # noqa: E402
from tradecore_shells.plumbing.clock import SystemClock  # noqa: E402
from tradecore_shells.plumbing.filelog import FileLog  # noqa: E402
from tradecore_shells.plumbing.logclient import LogClient  # noqa: E402
from tradecore_shells.plumbing.logserver import LogServer  # noqa: E402
from tradecore_shells.plumbing.ports import EXECUTIONS, Log  # noqa: E402

HEAD_BYTES, FRAME_BYTES = 48, 64
SINGLE_FRAMES = 4


def loop_runner() -> Any:
    """Return uvloop's runner where it is installed, asyncio's otherwise."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    return uvloop.run


def payloads(count: int, frames: int) -> list[bytes]:
    """Return envelopes of noise: eight that take turns."""
    size = HEAD_BYTES + FRAME_BYTES * frames
    noise = hashlib.shake_256(b"tradecore log").digest(size + 8)
    return [noise[n % 8 : n % 8 + size] for n in range(count)]


async def through(
    writer: Log, reader: Log, written: list[bytes], clients: int
) -> tuple[float, str]:
    """Append everything and read it back; return seconds and the hash of what was read."""
    first = (await reader.bounds(EXECUTIONS, 0)).end
    digest = hashlib.blake2b(digest_size=32)
    turns = iter(written)

    async def client() -> None:
        for payload in turns:
            await writer.append(EXECUTIONS, 0, [payload])

    async def read() -> list[memoryview]:
        found: list[memoryview] = []
        while len(found) < len(written):
            offset = first + len(found)
            records = await reader.fetch(EXECUTIONS, 0, offset, max_bytes=4 << 20, wait_s=10)
            found += [record.payload for record in records]
        return found

    start = time.perf_counter()
    reading = asyncio.create_task(read())
    await asyncio.gather(*(client() for _ in range(clients)))
    found = await reading
    seconds = time.perf_counter() - start
    # The order is that of the log, not of the clients: compared as a set of pieces.
    for piece in sorted(hashlib.blake2b(each).digest() for each in found):
        digest.update(piece)
    return seconds, digest.hexdigest()


async def single(log: Log, count: int) -> list[float]:
    """Return the seconds of appends that are made one at a time, sorted."""
    taken = []
    for payload in payloads(count, SINGLE_FRAMES):
        start = time.perf_counter()
        await log.append(EXECUTIONS, 0, [payload])
        taken.append(time.perf_counter() - start)
    return sorted(taken)


def serve(folder: str, address: str) -> None:
    """Be the second process: serve files until standard input ends."""

    async def main() -> None:
        log = FileLog(folder, SystemClock())
        server = LogServer(log, address)
        await server.start()
        print(server.address, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        await server.close()
        await log.close()

    loop_runner()(main())


@contextmanager
def second_process(folder: Path) -> Iterator[str]:
    """Run `serve` in a process of its own and yield its address."""
    command = [sys.executable, __file__, "--serve", str(folder), "tcp://127.0.0.1:0"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.stdin.close()


def measure(
    kind: str, url: str, options: argparse.Namespace, folder: Path
) -> dict[str, list[float]]:
    """Run all rounds on one log; values by row, and the hash under its own name."""
    rows: dict[str, list[float]] = {"through": [], "p50": [], "p99": []}
    written = payloads(max(options.orders // options.frames, options.clients), options.frames)
    expected = hashlib.blake2b(digest_size=32)
    for piece in sorted(hashlib.blake2b(each).digest() for each in written):
        expected.update(piece)

    async def main() -> None:
        writer, reader = await open_pair(kind, url, folder)
        try:
            for _ in range(options.repeats):
                seconds, found = await through(writer, reader, written, options.clients)
                if found != expected.hexdigest():
                    raise AssertionError(f"{kind}: what was read is not what was written")
                rows["through"].append(len(written) * options.frames / seconds)
                taken = await single(writer, options.appends)
                rows["p50"].append(taken[len(taken) // 2])
                rows["p99"].append(taken[len(taken) * 99 // 100])
        finally:
            await writer.close()
            if reader is not writer:
                await reader.close()

    loop_runner()(main())
    options.hash = expected.hexdigest()
    return rows


async def open_pair(kind: str, url: str, folder: Path) -> tuple[Log, Log]:
    """Return the log of the writer and that of the reader."""
    if kind == "files":
        log = FileLog(folder / "files", SystemClock())
        return log, log
    if kind == "socket":
        return LogClient(url), LogClient(url)
    from tradecore_shells.plumbing.kafka import KafkaLog

    prefix = f"bench-{time.time_ns()}-"
    await create_topics(url, plan_topics(1, prefix=prefix))
    return KafkaLog(url, topic_prefix=prefix), KafkaLog(url, topic_prefix=prefix)


def summary(
    kind: str, rows: dict[str, list[float]], options: argparse.Namespace, at: str
) -> list[Result]:
    """Return one result for each row."""
    here = machine("cython")
    conditions: dict[str, str | int | float | bool] = {
        "frames": options.frames,
        "clients": options.clients,
        "orders": options.orders,
        "loop": "uvloop" if loop_runner() is not asyncio.run else "asyncio",
    }
    return [
        summarise(
            values,
            name=f"log/{kind}/{row}",
            unit="orders/s" if row == "through" else "s",
            machine=here,
            commit=at,
            time_utc=options.time_utc,
            conditions=conditions,
            observed={"appends": options.appends},
            result_sha256=options.hash,
        )
        for row, values in rows.items()
    ]


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--orders", type=int, default=4_000_000)
    parser.add_argument("--frames", type=int, default=1024, help="frames in an envelope")
    parser.add_argument("--clients", type=int, default=16, help="appends under way")
    parser.add_argument("--appends", type=int, default=500, help="single appends a round")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to write; default: the temporary folder")
    parser.add_argument("--kafka", metavar="HOST:PORT", help="also measure a broker")
    parser.add_argument("--json", action="store_true", help="print result lines instead of a table")
    parser.add_argument("--append", type=Path, metavar="FILE")
    parser.add_argument("--time-utc", default="", help="ISO 8601 time for the result lines")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.serve:
        serve(*options.serve)
        return 0
    at = commit()
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="tradecore-", dir=options.folder) as name:
        folder = Path(name)
        results += summary("files", measure("files", "", options, folder), options, at)
        with second_process(folder / "served") as url:
            results += summary("socket", measure("socket", url, options, folder), options, at)
        if options.kafka:
            rows = measure("kafka", options.kafka, options, folder)
            results += summary("kafka", rows, options, at)
    show(results, options)
    if options.append is not None:
        append_results(options.append, results)
    return 0


def show(results: list[Result], options: argparse.Namespace) -> None:
    """Print the results as lines of JSON or as a table."""
    if options.json:
        for result in results:
            print(msgspec.json.encode(result).decode())
        return
    print(
        f"{options.orders:,} orders in envelopes of {options.frames}, {options.clients} appends "
        f"under way, {results[0].machine.cpu}, medians of {options.repeats}"
    )
    for result in results:
        if result.unit == "s":
            print(f"{result.name:<20} {result.median * 1e3:10.2f} ms")
        else:
            print(f"{result.name:<20} {result.median / 1e6:10.2f} million orders/s")


if __name__ == "__main__":
    sys.exit(main())
