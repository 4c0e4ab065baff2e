"""How fast commands become durable, and how fast a journal comes back.

    python bench/scenario/journal.py                       the table
    python bench/scenario/journal.py --folder /mnt/disk    on another disk
    python bench/scenario/journal.py --json --append FILE

Rows, each the median of several runs over the same commands (by default the `pipeline`
workload; 64-byte frames, envelopes of `--batch` frames):

- append: seal, copy into the group, one write and one fdatasync a group of `--group-mb`;
- append-1-client: the same with a commit after every envelope, which shows the disk's latency;
- read: segments mapped, checksums verified, envelopes decoded, frames not touched further; the
  page cache is dropped before, so the bytes come from the disk;
- read-cached: the same from memory;
- replay: as read-cached, and the whole pipeline of the engine applied.

The result hash is the state hash after replay, equal to that of the engine that was fed directly.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import numpy as np
from bench.scenario.mark import commit

from tradecore import Engine, EngineConfig
from tradecore.journal import replay
from tradecore.storage import FileJournal, list_segments, read_segments
from tradecore.testing.results import Result, WorkloadRef, append_results, machine, summarise
from tradecore.testing.workloads import CANONICAL_SEED, make


class Input:
    """The commands, cut into envelopes, and the engine that runs them."""

    def __init__(self, name: str, commands: int, batch: int) -> None:
        work = make(name, commands, CANONICAL_SEED)
        self.ref = WorkloadRef(work.name, work.seed, work.sha256)
        needs = work.needs
        self.config = EngineConfig(
            accounts=needs.accounts > 0,
            max_instruments=needs.instruments,
            max_orders=needs.orders + 1024,
            max_accounts=max(needs.accounts, 1),
            max_assets=max(needs.assets, 1),
            max_wallets=needs.holdings + 2 * needs.accounts + 1024,
            max_positions=needs.holdings + commands + 1024 if needs.accounts else 0,
        )
        setup = np.ascontiguousarray(work.setup()).view(np.uint8).reshape(-1)
        frames = np.ascontiguousarray(work.commands()).view(np.uint8).reshape(-1)
        self.setup = setup.tobytes()
        data = memoryview(frames.tobytes())
        size = 64 * batch
        self.batches = [data[at : at + size] for at in range(0, len(data), size)]
        self.commands = commands

    def engine(self) -> Engine:
        """Return a new engine with instruments, accounts and funds."""
        engine = Engine(self.config)
        refused = sum(event["status"] >= 500 for event in engine.events(self.setup))
        if refused:
            raise AssertionError(f"{refused} commands of the setup met a full arena")
        return engine


def frames_in(batches: list[memoryview]) -> int:
    """Return the number of frames, which in these workloads is that of the commands."""
    return sum(map(len, batches)) // 64


def append(folder: Path, batches: list[memoryview], group_bytes: int, every: int) -> float:
    """Write a fresh journal and return the seconds; `every` batches are committed together."""
    shutil.rmtree(folder, ignore_errors=True)
    with FileJournal.open(folder, source=1, group_bytes=group_bytes) as journal:
        start = time.perf_counter()
        for number, frames in enumerate(batches, 1):
            journal.append(frames)
            if every and number % every == 0:
                journal.commit()
        journal.commit()
        return time.perf_counter() - start


def drop_cache(folder: Path) -> None:
    """Make the system forget the pages of the journal, so that reading reads the disk."""
    for each in list_segments(folder):
        fd = os.open(each.path, os.O_RDONLY)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


def read(folder: Path, *, cold: bool) -> float:
    """Read, verify and decode a journal; return the seconds."""
    if cold:
        drop_cache(folder)
    start = time.perf_counter()
    replay(read_segments(folder), lambda frames: None)
    return time.perf_counter() - start


def measure(
    name: str,
    commands: int,
    batch: int,
    group_mb: int,
    repeats: int,
    folder: Path,
    at: str,
    when: str,
) -> list[Result]:
    """Run all rows in rounds; rates in commands a second."""
    work = Input(name, commands, batch)
    direct = work.engine()
    for frames in work.batches:
        direct.apply(frames)
    computed = direct.state_hash()
    journal = folder / "journal"
    rates: dict[str, list[float]] = {}

    def note(row: str, seconds: float, count: int = commands) -> None:
        rates.setdefault(row, []).append(count / seconds)

    for _ in range(repeats):
        few = work.batches[:50]
        note("append-1-client", append(folder / "few", few, 1 << 30, 1), frames_in(few))
        note("append", append(journal, work.batches, group_mb << 20, 0))
        note("read", read(journal, cold=True))
        note("read-cached", read(journal, cold=False))
        engine = work.engine()
        start = time.perf_counter()
        done = replay(read_segments(journal), engine.apply)
        note("replay", time.perf_counter() - start)
        if done.commands != commands or engine.state_hash() != computed:
            raise AssertionError("the replayed engine differs from the one that was fed directly")
    here = machine("cython")
    return [
        summarise(
            values,
            name=f"journal/{row}",
            unit="commands/s",
            machine=here,
            commit=at,
            time_utc=when,
            conditions={
                "commands": commands,
                "batch": batch,
                "group_mb": group_mb,
                "folder": str(folder.parent),
            },
            # Beside the number, not part of what makes two results comparable.
            observed={"mb_per_s": round(statistics.median(values) * 64 / 1e6, 1)},
            workload=work.ref,
            result_sha256=computed,
        )
        for row, values in rates.items()
    ]


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workload", default="pipeline")
    parser.add_argument("--commands", type=int, default=2_000_000)
    parser.add_argument("--batch", type=int, default=256, help="frames in an envelope")
    parser.add_argument("--group-mb", type=int, default=4, help="size of a commit group")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to write; default: the temporary folder")
    parser.add_argument("--json", action="store_true", help="print result lines instead of a table")
    parser.add_argument("--append", type=Path, metavar="FILE")
    parser.add_argument("--time-utc", default="", help="ISO 8601 time for the result lines")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="tradecore-", dir=options.folder) as folder:
        results = measure(
            *(options.workload, options.commands, options.batch, options.group_mb, options.repeats),
            *(Path(folder), commit(), options.time_utc),
        )
    if options.json:
        for result in results:
            print(msgspec.json.encode(result).decode())
    else:
        print(
            f"{options.commands:,} commands, envelopes of {options.batch}, groups of "
            f"{options.group_mb} MB, {results[0].machine.cpu}, medians of {options.repeats}"
        )
        print(f"{'row':<24} {'million/s':>10} {'MB/s':>9}")
        for result in results:
            rate = result.median / 1e6
            print(f"{result.name:<24} {rate:10.3f} {result.observed['mb_per_s']:9}")
    if options.append is not None:
        append_results(options.append, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
