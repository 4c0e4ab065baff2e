"""What surrounds a number: machine, compiler, commit, load, and how many runs make it.

`Setting` is handed to every benchmark; the caller (the command line, or a test) decides sizes and
tells time and commit, so that the benchmarks themselves are pure measuring.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import tradecore
from tradecore.bench.quiet import QuietCache
from tradecore.testing.results import Machine, Result, WorkloadRef, machine, summarise
from tradecore_ext import engine as kernel

__all__ = [
    "Setting",
    "Values",
    "checkout",
    "commit_of",
    "compiler_of",
    "here",
    "load_average",
    "monotonic_ns",
]

_PRODUCER = re.compile(rb"(GNU C[0-9]* [0-9][^\0]*|(?:[A-Za-z]+ )?clang version [0-9][^\0]*)")
_PLAIN = re.compile(rb"(GCC: \([^)]*\) [0-9.]+)")
Values = dict[str, str | int | float | bool]


def checkout() -> Path | None:
    """Return the root of the source checkout this package runs from, None for an installed one."""
    root = Path(tradecore.__file__).resolve().parents[2]
    return root if (root / "bench" / "alternatives" / "driver.cpp").is_file() else None


def commit_of(root: Path | None) -> str:
    """Return the commit of a checkout, ``+`` appended where files differ; else the version."""
    git = shutil.which("git")
    if root is None or git is None or not (root / ".git").exists():
        return f"tradecore {tradecore.__version__}"

    def output(*arguments: str) -> str:
        done = subprocess.run(
            [git, *arguments], cwd=root, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    return output("rev-parse", "HEAD") + ("+" if output("status", "--porcelain", "-uno") else "")


def compiler_of(path: str) -> str:
    """Return compiler and flags of a compiled module, as its compiler wrote them into it.

    The line tables carry the whole command line; a stripped module still names its compiler.
    """
    data = Path(path).read_bytes()
    for pattern in (_PRODUCER, _PLAIN):
        found = pattern.search(data)
        if found:
            return found.group(1).decode("ascii", "replace")
    return "unknown"


def here() -> Machine:
    """Describe this machine and the kernel's compiler."""
    return machine(compiler_of(kernel.__file__))


def load_average() -> float:
    """Return the machine's load average over the last minute, 0 where the system tells none."""
    try:
        return os.getloadavg()[0]
    except OSError:
        return 0.0


def monotonic_ns() -> int:
    """Return nanoseconds on a clock that all processes of this machine share."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


@dataclass(frozen=True)
class Setting:
    """Sizes and provenance of one run of the suite.

    Parameters
    ----------
    repeats : int
        Timed runs of everything, interleaved where several things are compared.
    commands : int
        Length of generated workloads; numbers are published for 2,000,000.
    scale : float
        Factor for all other sizes (open orders, positions...): 1 as published, less for a glance.
    root : Path or None
        Source checkout, for what only exists there (C++ alternatives, scenario scripts).
    machine, commit, time_utc
        As in `tradecore.testing.results.Result`.
    load_1m : float
        Load average when the suite began.
    note : str
        What else a reader must know about the machine at that time.
    say : callable
        Takes one line about what is being done.
    quiet : QuietCache or None
        What every timed round waits for; None begins at once.
    """

    repeats: int = 7
    commands: int = 2_000_000
    scale: float = 1.0
    root: Path | None = None
    machine: Machine = field(default_factory=here)
    commit: str = ""
    time_utc: str = ""
    load_1m: float = 0.0
    note: str = ""
    say: Callable[[str], None] = lambda text: None
    quiet: QuietCache | None = None

    def settle(self) -> None:
        """Begin a timed round: wait until nobody else works in our cache."""
        if self.quiet is not None:
            self.quiet.wait()

    def sized(self, count: int, least: int = 1) -> int:
        """Return a published size, scaled."""
        return max(int(count * self.scale), least)

    def result(
        self,
        name: str,
        unit: str,
        values: Sequence[float],
        *,
        conditions: Values | None = None,
        observed: Values | None = None,
        workload: WorkloadRef | None = None,
        sha256: str = "",
        compiler: str = "",
    ) -> Result:
        """Make a result line of the values of single runs."""
        described = machine(compiler) if compiler else self.machine
        seen: Values = {"load_1m": round(self.load_1m, 2)}
        if self.note:
            seen["note"] = self.note
        if self.quiet is not None:
            seen["unquiet_starts"] = self.quiet.unquiet
        seen.update(observed or {})
        return summarise(
            values,
            name=name,
            unit=unit,
            machine=described,
            commit=self.commit,
            time_utc=self.time_utc,
            conditions=conditions,
            workload=workload,
            result_sha256=sha256,
            observed=seen,
        )
