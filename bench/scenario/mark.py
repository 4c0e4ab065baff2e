"""Mark 10 million positions, beside the memory bandwidth of the same machine in the same run.

    python bench/scenario/mark.py [--positions N] [--repeats 9] [--threads] [--json]
                                  [--append FILE --time-utc T]

Copy and triad (``a = b + 3 c`` over int64, compiled like the kernels) say what the memory gives;
the marking kernels follow in the same round, and rounds repeat, so that a busy neighbour hits all
of them. Bytes are counted as STREAM does: what the loop reads and writes, without the line that a
store fetches first. ``ratio`` is the time of a kernel over the time that triad's bandwidth would
need for the kernel's bytes: 1.0 is the speed of memory.

Positions are in random order of instrument (the table of 5,000 marks stays in cache), or grouped by
instrument for `mark_sorted`. Results are checked against NumPy before anything is timed.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src")]

from tradecore.kernels._jit import jit, jit_parallel, prange  # noqa: E402
from tradecore.kernels.marking import mark_positions, mark_sorted, sum_by_group  # noqa: E402
from tradecore.testing.results import (  # noqa: E402
    Result,
    WorkloadRef,
    append_results,
    machine,
    summarise,
)

SEED = 20
INSTRUMENTS = 5_000
ACCOUNTS = 100_000


@jit
def triad(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    """Two streams in, one out: the STREAM triad on int64."""
    for row in range(len(a)):
        a[row] = b[row] + 3 * c[row]


@jit_parallel
def triad_threads(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    """`triad` over all of Numba's threads."""
    for row in prange(len(a)):
        a[row] = b[row] + 3 * c[row]


@jit
def copy(a: np.ndarray, b: np.ndarray) -> None:
    """One stream in, one out."""
    for row in range(len(a)):
        a[row] = b[row]


class Positions:
    """Seeded inputs: signed lots, signed cost, instruments, accounts and marks."""

    def __init__(self, count: int) -> None:
        rng = np.random.default_rng(SEED)
        self.qty = rng.integers(-(10**6), 10**6, count)
        self.cost = rng.integers(-(10**12), 10**12, count)
        self.instrument = rng.integers(0, INSTRUMENTS, count).astype(np.int32)
        self.account = rng.integers(0, ACCOUNTS, count).astype(np.int32)
        self.px = rng.integers(1, 10**6, INSTRUMENTS)
        order = np.argsort(self.instrument, kind="stable")
        self.sorted_qty, self.sorted_cost = self.qty[order], self.cost[order]
        self.offsets = np.searchsorted(self.instrument[order], np.arange(INSTRUMENTS + 1))
        self.out = np.zeros(count, dtype=np.int64)

    def sha256(self) -> str:
        """Hash the inputs."""
        digest = hashlib.sha256()
        for array in (self.qty, self.cost, self.instrument, self.account, self.px):
            digest.update(array.tobytes())
        return digest.hexdigest()


def check(p: Positions) -> str:
    """Compare every kernel with NumPy; return the hash of the PnL."""
    expected = p.qty * p.px[p.instrument] - p.cost
    by_account = np.zeros(ACCOUNTS, dtype=np.int64)
    np.add.at(by_account, p.account, expected)
    for threads in (False, True):
        found = mark_positions(p.qty, p.cost, p.instrument, p.px, out=p.out, parallel=threads)
        if found.unmarked or not np.array_equal(found.pnl, expected):
            raise AssertionError("marking disagrees with NumPy")
    totals, overflowed, left_out = sum_by_group(expected, p.account, ACCOUNTS)
    if overflowed.any() or left_out or not np.array_equal(totals, by_account):
        raise AssertionError("totals disagree with NumPy")
    order = np.argsort(p.instrument, kind="stable")
    found = mark_sorted(p.sorted_qty, p.sorted_cost, p.offsets, p.px, out=p.out)
    if not np.array_equal(found.pnl, expected[order]):
        raise AssertionError("sorted marking disagrees with NumPy")
    return hashlib.sha256(expected.tobytes()).hexdigest()


def loops(p: Positions, threads: bool) -> dict[str, tuple[int, Callable[[], object]]]:
    """Name each loop, the bytes it moves per position, and how to run it."""
    stream = triad_threads if threads else triad
    found: dict[str, tuple[int, Callable[[], object]]] = {
        "copy": (16, lambda: copy(p.out, p.qty)),
        "triad": (24, lambda: stream(p.out, p.qty, p.cost)),
        "mark": (
            28,
            lambda: mark_positions(p.qty, p.cost, p.instrument, p.px, out=p.out, parallel=threads),
        ),
    }
    if not threads:
        found["mark-sorted"] = (
            24,
            lambda: mark_sorted(p.sorted_qty, p.sorted_cost, p.offsets, p.px, out=p.out),
        )
        found["sum-by-account"] = (12, lambda: sum_by_group(p.qty, p.account, ACCOUNTS))
    return found


def measure(count: int, repeats: int, threads: bool, at: str, when: str) -> list[Result]:
    """Run all loops in rounds and return one result each, in nanoseconds a position."""
    p = Positions(count)
    computed = check(p)
    todo = loops(p, threads)
    for _, run in todo.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in todo}
    for _ in range(repeats):
        for name, (_, run) in todo.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    bandwidth = 24 * count / statistics.median(seconds["triad"])
    here = machine("numba")
    results = []
    for name, (size, _) in todo.items():
        median = statistics.median(seconds[name])
        results.append(
            summarise(
                [value / count * 1e9 for value in seconds[name]],
                name=f"mark/{name}",
                unit="ns/position",
                machine=here,
                commit=at,
                time_utc=when,
                conditions={
                    "positions": count,
                    "threads": threads,
                    "bytes_per_position": size,
                },
                # Beside the number, not part of what makes two results comparable.
                observed={
                    "gb_per_s": round(size * count / median / 1e9, 3),
                    "ratio_to_triad": round(median / (size * count / bandwidth), 3),
                },
                workload=WorkloadRef(f"positions-{count}", SEED, p.sha256()),
                result_sha256=computed,
            )
        )
    return results


def commit() -> str:
    """Return the checked-out commit, with a plus sign where files differ from it."""
    git = shutil.which("git")
    if git is None:
        return ""

    def output(*arguments: str) -> str:
        done = subprocess.run(
            [git, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    return output("rev-parse", "HEAD") + ("+" if output("status", "--porcelain") else "")


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--positions", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", action="store_true", help="use all of Numba's threads")
    parser.add_argument("--json", action="store_true", help="print result lines instead of a table")
    parser.add_argument("--append", type=Path, metavar="FILE")
    parser.add_argument("--time-utc", default="", help="ISO 8601 time for the result lines")
    options = parser.parse_args(argv)
    results = measure(
        options.positions, options.repeats, options.threads, commit(), options.time_utc
    )
    if options.json:
        for result in results:
            print(msgspec.json.encode(result).decode())
    else:
        cpu = results[0].machine.cpu
        print(f"{options.positions:,} positions, {cpu}, medians of {options.repeats}")
        print(f"{'loop':<16} {'ms':>8} {'GB/s':>7} {'x memory':>9}")
        for result in results:
            shown = result.observed
            print(
                f"{result.name:<16} {result.median * options.positions / 1e6:8.2f} "
                f"{shown['gb_per_s']:7.2f} {shown['ratio_to_triad']:9.2f}"
            )
    if options.append is not None:
        append_results(options.append, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
