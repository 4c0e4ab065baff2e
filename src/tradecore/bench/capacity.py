"""Everything a plan needs, in one run of a few minutes: coefficients, saturation, scaling.

The order is by importance: what comes last is what a reader misses least when the run is broken
off, since lines are kept as they come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tradecore.bench import measure, scaling
from tradecore.bench.saturate import Bench, saturation
from tradecore.bench.setting import Setting
from tradecore.bench.targets import find_target, is_own, target_names
from tradecore.testing.results import Result

__all__ = ["LIMIT_MS", "OWN_TARGETS", "SERVICE_LIMIT_MS", "Step", "default_targets", "run", "steps"]

LIMIT_MS = 10.0
SERVICE_LIMIT_MS = 50.0
"""A service waits for two disks and three processes; a machine's disk alone stalls for 10 ms."""
OWN_TARGETS = ("engine", "journal")


def default_targets() -> list[str]:
    """Return what is saturated when nothing is named: whatever needs no server."""
    return [*OWN_TARGETS, *(name for name in target_names() if name == "embedded")]


class Step(NamedTuple):
    """One part of the run."""

    name: str
    run: Callable[[], list[Result]]


def steps(
    setting: Setting,
    *,
    limit_ms: float | None = None,
    targets: Sequence[str] = OWN_TARGETS,
    folder: Path | None = None,
    options: dict[str, str] | None = None,
    workload: str = "pipeline",
    hgrm: Path | None = None,
) -> list[Step]:
    """Return the parts of a capacity run.

    Parameters
    ----------
    setting : Setting
        Its `repeats` is used for the coefficients; searches vote, scaling runs as many rounds.
    limit_ms : float or None
        Limit of p99.9 from the scheduled send time. None: `LIMIT_MS` for targets of this process,
        `SERVICE_LIMIT_MS` for services.
    targets : sequence of str
        What to saturate, see `tradecore.bench.targets`.
    folder : Path or None
        Where the journal is written; the disk that is measured. None: the temporary folder.
    options : dict of str to str
        Handed to targets.
    workload : str
        What targets are saturated with.
    hgrm : Path or None
        Folder for the distributions of latency, see `tradecore.bench.saturate.saturation`.

    Raises
    ------
    ConfigError
        A target does not exist; said before anything is measured.
    """
    for name in targets:
        find_target(name)
    limit_ns = round((limit_ms or LIMIT_MS) * 1e6)
    found = [
        Step("coefficients: commands", lambda: measure.mixes(setting)),
        Step("coefficients: journal", lambda: measure.log(setting, folder)),
        Step("coefficients: accounts", lambda: measure.accounts(setting)),
        Step("coefficients: open orders", lambda: measure.orders(setting)),
        Step("coefficients: snapshots", lambda: measure.snapshots(setting)),
        Step("coefficients: the machine", lambda: measure.machine(setting, limit_ns)),
    ]
    for name in targets:
        bench = Bench(
            name,
            commands=min(setting.commands, 1_000_000),
            seconds=0.3 * min(setting.scale, 1.0),
            limit_ns=limit_ns if is_own(name) else round((limit_ms or SERVICE_LIMIT_MS) * 1e6),
            # Accounts are opened through the log and the database; 1,000 take a second there.
            workload="busy-accounts" if name.endswith("-postgres") else workload,
            folder=folder,
            options=options or {},
        )
        found.append(Step(f"saturation: {name}", _saturate(setting, bench, hgrm)))
    found.append(Step("scaling: cells", lambda: scaling.cells(setting)))
    found.append(Step("scaling: clients", lambda: scaling.clients(setting, folder=folder)))
    return found


def _saturate(setting: Setting, bench: Bench, hgrm: Path | None) -> Callable[[], list[Result]]:
    return lambda: saturation(setting, bench, hgrm=hgrm)


def run(todo: Sequence[Step]) -> Iterator[tuple[Step, list[Result]]]:
    """Run the parts one after the other, yielding each with its lines."""
    for step in todo:
        yield step, step.run()
