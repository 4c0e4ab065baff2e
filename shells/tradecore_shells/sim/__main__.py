"""``python -m tradecore_shells.sim``: one seed with its story, many seeds, or the planted bugs."""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tradecore_shells.sim.mutants import BUGS, hunt
from tradecore_shells.sim.run import Outcome, Total, run_seed, run_seeds, table


def _commit() -> str:
    """Return the commit of the sources, or a word where there is none."""
    here = Path(__file__).parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return found.stdout.strip()


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tradecore_shells.sim", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--seed", type=int, help="run this seed and tell its story if it fails")
    what.add_argument("--seeds", metavar="FIRST:LAST", help="run all of these; LAST is left out")
    what.add_argument("--seconds", type=float, help="run new seeds for so long")
    what.add_argument("--mutants", action="store_true", help="plant every design bug and catch it")
    parser.add_argument("--from", dest="first", type=int, default=None,
                        help="first seed of --seconds; default: made of the commit")  # fmt: skip
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--record", type=Path, help="append the counters to this JSON-lines file")
    parser.add_argument("--story", action="store_true", help="tell the story of --seed in any case")
    parser.add_argument("--only", nargs="*", default=[], help="names of bugs for --mutants")
    parser.add_argument("--budget", type=int, default=200, help="most seeds for one bug")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run; returns 0 when nothing is wrong, 1 otherwise."""
    given = _arguments(argv)
    if given.seed is not None:
        return _one(given.seed, given.story)
    if given.mutants:
        return _mutants(given.only or list(BUGS), given.budget, given.processes)
    return _many(given)


def _one(seed: int, story: bool) -> int:
    outcome = run_seed(seed, story=True)
    if story or outcome.violations:
        print("\n".join(outcome.story))
    for violation in outcome.violations:
        print(f"  {violation}")
    verdict = "FAILED" if outcome.violations else "passed"
    print(f"seed {seed} {verdict}, commit {_commit()}, fingerprint {outcome.fingerprint}")
    return 1 if outcome.violations else 0


def _seeds(given: argparse.Namespace) -> Iterator[int]:
    if given.seeds:
        first, _, last = given.seeds.partition(":")
        yield from range(int(first), int(last or int(first) + 1))
        return
    first = given.first
    if first is None:
        first = int.from_bytes(_commit().encode()[:6], "little")
    deadline = time.monotonic() + given.seconds
    for seed in itertools.count(first):
        if time.monotonic() > deadline:
            return
        yield seed


def _many(given: argparse.Namespace) -> int:
    total, begin = Total(), time.monotonic()
    first: list[int] = []

    def noted() -> Iterator[int]:
        for seed in _seeds(given):
            first.append(seed)
            yield seed

    for outcome in run_seeds(noted(), processes=given.processes):
        total.add(outcome)
        if outcome.violations:
            _show_failure(outcome)
        if total.seeds % 100 == 0:
            pace = total.seeds / (time.monotonic() - begin)
            print(f"{total.seeds} seeds, {pace:.1f}/s, {len(total.failed)} failed", flush=True)
    seconds = time.monotonic() - begin
    return _finish(total, (first[0], first[-1] + 1), seconds, given)


def _show_failure(outcome: Outcome) -> None:
    print(f"seed {outcome.seed} FAILED: {outcome.violations[0]}", flush=True)


def _finish(total: Total, seeds: tuple[int, int], seconds: float, given: argparse.Namespace) -> int:
    print(table(sorted((name, int(value)) for name, value in total.counts.items()), "happened"))
    print(table([(name, total.hits[name]) for name in sorted(total.hits)], "faults"))
    commit = _commit()
    print(
        f"{total.seeds} seeds ({seeds[0]} to {seeds[1] - 1}) in {seconds:.0f} s on "
        f"{given.processes} processes, commit {commit}: {len(total.failed)} failed"
    )
    silent = total.silent() if total.seeds >= 300 else []
    if silent:
        print(f"classes of faults that never struck: {', '.join(silent)}")
    if given.record:
        _record(given.record, total, seeds, seconds, commit, given.processes)
    return 1 if total.failed or silent else 0


def _record(
    path: Path,
    total: Total,
    seeds: tuple[int, int],
    seconds: float,
    commit: str,
    processes: int,
) -> None:
    row: dict[str, Any] = {
        "bench": "sim-deep",
        "commit": commit,
        "first_seed": seeds[0],
        "last_seed": seeds[1] - 1,
        "seeds": total.seeds,
        "failed": [outcome.seed for outcome in total.failed],
        "processes": processes,
        "seconds": round(seconds, 1),
        "happened": {name: round(value) for name, value in sorted(total.counts.items())},
        "faults": dict(sorted(total.hits.items())),
    }
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")


def _mutants(names: list[str], budget: int, processes: int) -> int:
    survivors = 0
    width = max(map(len, names))
    for found in hunt(names, budget, processes):
        if found.caught:
            print(f"{found.bug:{width}}  seed {found.seed:4}  {found.by[:110]}", flush=True)
        else:
            survivors += 1
            print(f"{found.bug:{width}}  SURVIVED {budget} seeds", flush=True)
    print(f"{len(names) - survivors} of {len(names)} design bugs caught, commit {_commit()}")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
