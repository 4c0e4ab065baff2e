"""How throughput grows with cells and with clients, and the scaling law through the points.

Cells are engines in processes of their own, each with its own partition of accounts and
instruments; they share nothing but the machine. Clients are senders with one command outstanding
each, whose commands share a commit of the journal: the more of them, the more a disk flush carries.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

import msgspec

from tradecore.bench.inputs import generated
from tradecore.bench.run import quiet_gc, same
from tradecore.bench.scripts import child_environment
from tradecore.bench.setting import Setting, Values, monotonic_ns
from tradecore.bench.targets import TargetSpec, open_target
from tradecore.bench.worker import Pass
from tradecore.capacity.usl import Fit, fit_usl
from tradecore.errors import TradecoreError
from tradecore.testing.results import Result, WorkloadRef
from tradecore.testing.workloads import CANONICAL_SEED, make

__all__ = ["Cells", "cells", "clients", "law_rows"]

CELLS: Final = (1, 2, 3, 4)
CLIENTS: Final = (1, 4, 16, 64, 256, 1024)
_WORKLOAD: Final = "pipeline"


class Cells:
    """Worker processes, ready to be started at the same moment.

    Parameters
    ----------
    count : int
        Most cells of a run; worker i plays the workload of seed 2 + i.
    workload : str
    commands : int
        Length of each worker's stream.
    each : int
        Commands of a pass.
    """

    def __init__(self, count: int, workload: str, commands: int, each: int) -> None:
        self._workers: list[subprocess.Popen[str]] = []
        for number in range(count):
            command = [sys.executable, "-m", "tradecore.bench.worker", "--workload", workload]
            command += ["--commands", str(commands), "--seed", str(CANONICAL_SEED + number)]
            command += ["--pass", str(each)]
            self._workers.append(
                subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    env=child_environment(),
                )
            )
        self._states: dict[tuple[int, int], str] = {}

    def __enter__(self) -> Cells:
        """Wait until all workers are warm."""
        for worker in self._workers:
            self._line(worker, "ready")
        return self

    def __exit__(self, *details: object) -> None:
        """Close the workers' input, which ends them."""
        for worker in self._workers:
            _pipe(worker.stdin).close()
        for worker in self._workers:
            worker.wait(timeout=60)
            _pipe(worker.stdout).close()

    def run(self, count: int) -> tuple[float, float]:
        """Run the first `count` cells at once.

        Returns
        -------
        tuple of float
            Commands a second of all together, from the first begin to the last end; and CPU
            nanoseconds a command.
        """
        chosen = self._workers[:count]
        for worker in chosen:
            _pipe(worker.stdin).write("go\n")
            _pipe(worker.stdin).flush()
        passes = [msgspec.json.decode(self._line(worker), type=Pass) for worker in chosen]
        for number, found in enumerate(passes):
            known = self._states.setdefault((number, found.first), found.state)
            same(f"cell {number}", known, found.state)
        for worker in chosen:
            self._line(worker, "ready")
        total = sum(each.commands for each in passes)
        span = max(each.end_ns for each in passes) - min(each.begin_ns for each in passes)
        return total / span * 1e9, sum(each.cpu_ns for each in passes) / total

    def _line(self, worker: subprocess.Popen[str], wanted: str = "") -> str:
        line = _pipe(worker.stdout).readline().strip()
        if not line or (wanted and line != wanted):
            raise TradecoreError(f"a cell of the scaling run ended early: {line or 'no answer'}")
        return line


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None  # every worker is started with pipes
    return stream


def cells(
    setting: Setting, counts: Sequence[int] = CELLS, workload: str = _WORKLOAD
) -> list[Result]:
    """Run 1, 2, ... cells at once and fit the scaling law.

    Returns
    -------
    list of Result
        ``scaling/cells`` a line for each number of cells, then the law's coefficients.
    """
    commands = min(setting.commands, 1_500_000)
    each = max(commands // 6, 1)
    seen: dict[int, list[float]] = {}
    cpu: dict[int, list[float]] = {}
    with Cells(max(counts), workload, commands, each) as workers:
        for number in range(setting.repeats):
            for count in counts:  # interleaved: a slow moment meets all numbers of cells
                setting.say(f"scaling: round {number + 1} of {setting.repeats}, {count} cells")
                rate, used = workers.run(count)
                seen.setdefault(count, []).append(rate)
                cpu.setdefault(count, []).append(used)
    work = make(workload, commands)
    ref = WorkloadRef(work.name, work.seed, work.sha256)
    rows = [
        setting.result(
            "scaling/cells",
            "commands/s",
            seen[count],
            conditions={"cells": count, "cores": setting.machine.cores, "each": each},
            observed={"cpu_ns_per_command": round(sum(cpu[count]) / len(cpu[count]), 1)},
            workload=ref,
        )
        for count in counts
    ]
    return rows + law_rows(setting, "scaling/cells", "cells", seen)


def clients(
    setting: Setting, counts: Sequence[int] = CLIENTS, folder: Path | None = None
) -> list[Result]:
    """Let N clients with one command outstanding each share the commits of a journal.

    Returns
    -------
    list of Result
        ``scaling/clients`` a line for each number of clients, then the law's coefficients.
    """
    work = generated(_WORKLOAD, min(setting.commands, 200_000))
    seen: dict[int, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="tradecore-", dir=folder) as place:
        for number in range(setting.repeats):
            for count in counts:
                setting.say(f"scaling: round {number + 1} of {setting.repeats}, {count} clients")
                groups = setting.sized(60, 3)
                with open_target("journal", TargetSpec(work, Path(place))) as target:
                    parts = work.batches(count, last=min(count * groups, len(work)))
                    with quiet_gc():
                        begin = monotonic_ns()
                        for part in parts:
                            target.send(part)
                            target.poll()
                        spent = monotonic_ns() - begin
                seen.setdefault(count, []).append(sum(map(len, parts)) / spent * 1e9)
    rows = [
        setting.result(
            "scaling/clients",
            "commands/s",
            seen[count],
            conditions={"clients": count, "outstanding": 1},
            workload=work.ref,
        )
        for count in counts
    ]
    return rows + law_rows(setting, "scaling/clients", "clients", seen)


def law_rows(setting: Setting, name: str, what: str, seen: dict[int, list[float]]) -> list[Result]:
    """Fit the law through all runs, not their means, by relative errors; a line a coefficient."""
    points = [(count, rate) for count, rates in seen.items() for rate in rates]
    counts, reached = zip(*points, strict=True)
    fit = fit_usl(counts, reached, relative=True)
    conditions: Values = {"of": what, "points": len(points), "most": max(seen)}
    units = {"gamma": "commands/s", "alpha": "share", "beta": "share"}
    return [
        setting.result(
            f"{name}-{key}",
            unit,
            [getattr(fit, key)],
            conditions=conditions,
            observed=_observed(fit, getattr(fit, f"{key}_error")),
        )
        for key, unit in units.items()
    ]


def _observed(fit: Fit, error: float | None) -> Values:
    seen: Values = {"r_squared": round(fit.r_squared, 6)}
    if error is not None:
        seen["standard_error"] = error
    if fit.peak is not None:
        seen["peak_at"] = round(fit.peak, 3)
    if fit.limit is not None:
        seen["limit"] = round(fit.limit, 1)
    return seen
