"""Matching only, and the whole pipeline: nanoseconds a command in batches of 4,096.

Every event is written as a 64-byte frame. Engines are built, prefaulted and set up outside the
timed part; arenas are as small as the stream allows, which is what the alternatives get too. One
round measures everything once, then the next round does, so that a disturbance meets all alike.
"""

from __future__ import annotations

import statistics
from pathlib import Path

from tradecore.bench.alternatives import Rivals
from tradecore.bench.inputs import BATCH, Input, from_file, generated
from tradecore.bench.run import feed, hash_of, same
from tradecore.bench.setting import Setting
from tradecore.testing.results import Result
from tradecore.testing.workloads import DESCRIPTIONS

__all__ = ["REGIMES", "busy", "moves", "pipeline", "regimes", "workload_file", "zipf"]

REGIMES = ("static", "normal", "swing-25", "swing-40", "flash-crash")


def _matching(setting: Setting, name: str, work: Input, rivals: Rivals) -> list[Result]:
    events, state = hash_of(work)
    batches = work.batches()
    ours: list[float] = []
    for number in range(setting.repeats):
        setting.say(f"{name}: round {number + 1} of {setting.repeats}")
        setting.settle()
        engine = work.engine()
        ours.append(feed(engine, batches) / len(work))
        same(name, state, engine.state_hash())
        rivals.round()
    results = [
        setting.result(
            name,
            "ns/command",
            ours,
            conditions={"engine": "tradecore", "batch": BATCH, "accounts": False},
            workload=work.ref,
            sha256=events,
        )
    ]
    theirs = rivals.values.get("stdmap")
    if theirs:
        # Round by round, so that a slow moment of the machine is in both numbers.
        shares = [a / b for a, b in zip(ours, theirs, strict=True)]
        results.append(
            setting.result(
                f"{name}-of-stdmap",
                "time/time",
                shares,
                conditions={"batch": BATCH},
                observed={"times_faster": round(1 / statistics.median(shares), 2)},
                workload=work.ref,
            )
        )
    return results + rivals.results(name, work.ref)


def _named(setting: Setting, name: str) -> list[Result]:
    setting.say(f"matching/{name}: {DESCRIPTIONS[name]}")
    rivals = Rivals.on(setting, name)
    return _matching(setting, f"matching/{name}", generated(name, setting.commands), rivals)


def busy(setting: Setting) -> list[Result]:
    """One busy book: about 10,000 resting orders on about 350 levels."""
    return _named(setting, "busy")


def moves(setting: Setting) -> list[Result]:
    """Quoting robots: 82 % price moves, the mix that exchange-core publishes its numbers for."""
    return _named(setting, "moves")


def regimes(setting: Setting) -> list[Result]:
    """Measure the five price regimes of the public suite's model."""
    return [result for name in REGIMES for result in _named(setting, name)]


def zipf(setting: Setting) -> list[Result]:
    """1,000 instruments of Zipf popularity, about 90,000 resting orders."""
    return _named(setting, "zipf")


def workload_file(setting: Setting, path: Path) -> list[Result]:
    """Measure one binary workload file."""
    work = from_file(path)
    name = f"file/{work.ref.name}"
    return _matching(setting, name, work, Rivals.on_file(setting, path))


def pipeline(setting: Setting) -> list[Result]:
    """Accounts, risk, matching and settlement: 1,000 instruments, 100,000 accounts, random ids.

    The first half of the stream brings positions and books into being and warms up; the second
    half is the steady state. Both are reported, and the whole.
    """
    setting.say("pipeline: accounts, risk, match, settle")
    work = generated("pipeline", setting.commands)
    rivals = Rivals.on(setting, "pipeline")
    half = len(work) // 2
    events, state = hash_of(work)
    first, second = work.batches(last=half), work.batches(first=half)
    runs: dict[str, list[float]] = {"steady": [], "start": [], "whole": []}
    for number in range(setting.repeats):
        setting.say(f"pipeline: round {number + 1} of {setting.repeats}")
        setting.settle()
        engine = work.engine()
        begin = feed(engine, first)
        steady = feed(engine, second)
        same("pipeline", state, engine.state_hash())
        runs["start"].append(half / begin * 1e9)
        runs["steady"].append((len(work) - half) / steady * 1e9)
        runs["whole"].append(len(work) / (begin + steady) * 1e9)
        rivals.round()
    counters = engine.counters()
    results = [
        setting.result(
            f"pipeline/{part}",
            "commands/s",
            values,
            conditions={"engine": "tradecore", "batch": BATCH, "accounts": True},
            observed={
                "ns_per_command": round(1e9 / statistics.median(values), 1),
                "live_orders": int(counters["live_orders"]),
                "positions": int(counters["positions"]),
                "wallets": int(counters["wallets"]),
            },
            workload=work.ref,
            sha256=events,
        )
        for part, values in runs.items()
    ]
    # The alternatives match the same stream without accounts: what the whole pipeline adds.
    return results + rivals.results("pipeline/matching-only", work.ref)
