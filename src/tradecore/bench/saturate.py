"""Saturation of a target as result lines: the rate found, and one line for every rate tried.

A trial is an open-loop run of a fraction of a second over the steady half of a workload, after its
first half was fed at full speed. A target of this process is built anew for each trial, so trials
do not influence each other; a service is opened once and goes on through the stream.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tradecore.bench.hdr import Histogram
from tradecore.bench.inputs import BATCH, Frames, Input, named
from tradecore.bench.load import Load, Target, drive
from tradecore.bench.run import same
from tradecore.bench.saturation import Search, Trial, find_saturation
from tradecore.bench.setting import Setting, Values
from tradecore.bench.targets import TargetSpec, is_own, open_target
from tradecore.errors import ConfigError
from tradecore.testing.results import Result

__all__ = ["PERCENTILES", "Bench", "saturation", "trial_rows"]

PERCENTILES: Final = (50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99)
BURST: Final = 4_096
_DRAIN_POLLS: Final = 50_000_000


class _Offset:
    """A target that counts from a number of commands that were finished before."""

    def __init__(self, target: Target, before: int) -> None:
        self._target, self._before = target, before
        self.send = target.send

    def poll(self) -> int:
        """Return the commands finished since then."""
        return self._target.poll() - self._before


def _drain(target: Target, upto: int) -> None:
    """Poll until so many commands are finished."""
    for _ in range(_DRAIN_POLLS):
        if target.poll() >= upto:
            return
    raise ConfigError("the target does not finish what was sent to it before the measurement")


@dataclass
class Bench:
    """Runs trials on one target.

    Parameters
    ----------
    name : str
        Of the target.
    commands : int
        Length of the workload; its first half warms up, trials use the second.
    seconds : float
        Length of a trial, cut where the stream ends.
    limit_ns : int
        The limit that is searched for; a command `patience` times as late ends a trial.
    workload : str
    folder, options
        As in `TargetSpec`.
    """

    name: str
    commands: int = 1_000_000
    seconds: float = 0.3
    limit_ns: int = 10_000_000
    workload: str = "pipeline"
    folder: Path | None = None
    options: dict[str, str] = field(default_factory=dict)
    burst: int = BURST
    patience: float = 2.0

    def __post_init__(self) -> None:
        self._hashes: dict[int, str] = {}
        self._open: AbstractContextManager[Target] | None = None
        self._target: Target | None = None
        self._sent = 0

    @property
    def work(self) -> Input:
        """The workload."""
        return named(self.workload, self.commands)

    def run(self, rate: int) -> Load:
        """Run one trial.

        Raises
        ------
        InvalidRunError
            Two trials of one length left different states.
        """
        if is_own(self.name):
            with open_target(self.name, TargetSpec(self.work, self.folder, self.options)) as target:
                self._warm(target)
                return self._trial(target, rate, self._sent)
        count = self._count(rate)
        if self._target is None or self._sent + count > len(self.work):
            self.close()
            spec = TargetSpec(self.work, self.folder, self.options)
            self._open = open_target(self.name, spec)
            self._target = self._open.__enter__()
            self._warm(self._target)
        return self._trial(self._target, rate, self._sent)

    def close(self) -> None:
        """Close a service that was kept open between trials."""
        if self._open is not None:
            self._open.__exit__(None, None, None)
        self._open = self._target = None

    def _warm(self, target: Target) -> None:
        half = len(self.work) // 2
        for batch in self.work.batches(BATCH, last=half):
            target.send(batch)
            target.poll()
        _drain(target, half)
        self._sent = half

    def _count(self, rate: int) -> int:
        return max(min(int(rate * self.seconds * 1.1), len(self.work) - len(self.work) // 2), 1)

    def _trial(self, target: Target, rate: int, first: int) -> Load:
        frames: Frames = self.work.commands[first : first + self._count(rate)]
        load = drive(
            _Offset(target, first),
            frames,
            rate,
            warm_up=len(frames) // 11,  # a tenth of what is counted
            burst=self.burst,
            give_up_ns=int(self.limit_ns * self.patience),
        )
        self._sent = first + load.sent
        if load.gave_up:
            _drain(target, self._sent)
        tell = getattr(target, "state_hash", None)
        if tell is not None and is_own(self.name):
            state = tell()
            same(self.name, self._hashes.setdefault(load.sent, state), state)
        return load


def saturation(
    setting: Setting,
    bench: Bench,
    *,
    start: int = 50_000,
    tolerance: float = 0.05,
    votes: int = 3,
    hgrm: Path | None = None,
) -> list[Result]:
    """Search the highest rate of a target with p99.9 within the limit, and describe every trial.

    Parameters
    ----------
    setting : Setting
    bench : Bench
    start, tolerance, votes
        As in `find_saturation`.
    hgrm : Path or None
        Folder that gets the whole distribution of each rate, ``NAME-RATE.hgrm`` in microseconds, as
        HdrHistogram's plotter reads it.

    Returns
    -------
    list of Result
        ``saturation/NAME`` in commands/s, whose values are what the passing trials at the verified
        rate achieved; then ``load/NAME``, a line for each rate.
    """
    count = 0

    def run(rate: int) -> Load:
        nonlocal count
        count += 1
        setting.say(f"saturation of {bench.name}: trial {count}, {rate:,} commands a second")
        return bench.run(rate)

    try:
        search = find_saturation(
            run, limit_ns=bench.limit_ns, start=start, tolerance=tolerance, votes=votes
        )
    finally:
        bench.close()
    if hgrm is not None:
        hgrm.mkdir(parents=True, exist_ok=True)
        for rate in {trial.rate for trial in search.trials}:
            name = f"{bench.name.replace(':', '.')}-{rate}.hgrm"
            (hgrm / name).write_text(_merged(search.at(rate)).percentile_text(), "ascii")
    found = [trial.load.achieved for trial in search.at(search.rate) if trial.passed] or [0.0]
    conditions: Values = {
        "limit_ms": bench.limit_ns / 1e6,
        "percentile": search.percentile,
        "burst": bench.burst,
        "votes": votes,
        "seconds": bench.seconds,
    }
    rows = trial_rows(setting, bench, search)
    head = setting.result(
        f"saturation/{bench.name}",
        "commands/s",
        found,
        conditions=conditions,
        observed={"rate": search.rate, "tolerance": tolerance, "trials": len(search.trials)},
        workload=bench.work.ref,
        sha256=_joint_hash(bench),
    )
    return [head, *rows]


def trial_rows(setting: Setting, bench: Bench, search: Search) -> list[Result]:
    """Return a line for each rate tried: what was achieved, and the latencies in microseconds."""
    rows = []
    for rate in sorted({trial.rate for trial in search.trials}):
        trials = search.at(rate)
        observed: Values = {"passed": sum(trial.passed for trial in trials)}
        observed["gave_up"] = sum(trial.load.gave_up for trial in trials)
        histogram = _merged(trials)
        for p in PERCENTILES:
            observed[f"p{p:g}_us"] = histogram.percentile(p) / 1e3
        observed["max_us"] = histogram.max / 1e3
        rows.append(
            setting.result(
                f"load/{bench.name}",
                "commands/s",
                [trial.load.achieved for trial in trials],
                conditions={"rate": rate, "burst": bench.burst, "seconds": bench.seconds},
                observed=observed,
                workload=bench.work.ref,
            )
        )
    return rows


def _merged(trials: list[Trial]) -> Histogram:
    whole = Histogram()
    for trial in trials:
        whole.add(trial.load.histogram)
    return whole


def _joint_hash(bench: Bench) -> str:
    """Return the state hash of the longest trial; empty for a target that tells none."""
    return bench._hashes[max(bench._hashes)] if bench._hashes else ""
