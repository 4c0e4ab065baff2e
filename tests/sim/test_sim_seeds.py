"""Whole worlds: every seed that ever failed, and new ones on every run."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tradecore_shells.sim.run import Total, run_seed, run_seeds

ROOT = Path(__file__).parents[2]
FAILED_ONCE = [
    int(line.split()[0])
    for line in (Path(__file__).parent / "seeds.txt").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
]
SECONDS = float(os.environ.get("TRADECORE_SIM_SECONDS", "25"))


def first_new_seed() -> int:
    """Return a seed that is new with every commit; a fixed one where there is no history."""
    command = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return int(found.stdout[:8] or "7", 16)


@pytest.mark.slow
@pytest.mark.parametrize("seed", FAILED_ONCE)
def test_seed_that_failed_once_passes(seed: int) -> None:
    assert run_seed(seed).violations == []


@pytest.mark.slow
@pytest.mark.parametrize("worker", [0, 1])
def test_new_seeds_pass(worker: int) -> None:
    deadline = time.monotonic() + SECONDS

    def seeds() -> Iterator[int]:
        for seed in itertools.count(first_new_seed() + worker, 2):
            if time.monotonic() > deadline:
                return
            yield seed

    total = Total()
    for outcome in run_seeds(seeds()):
        total.add(outcome)
    failed = [(outcome.seed, outcome.violations[0]) for outcome in total.failed]
    assert failed == [], "run `make sim SEED=n` and add the seed to tests/sim/seeds.txt"
    assert total.counts["acknowledged orders"] > 20 * total.seeds
    if total.seeds >= 300:
        assert total.silent() == []


def test_world_without_faults_passes() -> None:
    seed = next(seed for seed in itertools.count() if not run_hits(seed))
    assert run_seed(seed, load_s=0.5).violations == []


def run_hits(seed: int) -> bool:
    from tradecore_shells.sim.faults import Faults

    return not Faults(seed).free


@pytest.mark.slow
def test_a_seed_is_the_same_world_in_every_process() -> None:
    script = (
        "from tradecore_shells.sim.run import run_seed\n"
        "for seed in (1, 2):\n"
        "    print(run_seed(seed, load_s=1.0).fingerprint)\n"
    )
    told = set()
    for hash_seed in ("0", "1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": hash_seed}
        env["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), str(ROOT / "shells")])
        done = subprocess.run(
            [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True
        )
        told.add(done.stdout)
    assert len(told) == 1
    assert len(told.pop().split()) == 2
