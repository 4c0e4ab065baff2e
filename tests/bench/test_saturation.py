"""The search on a system whose capacity is known, with and without a disturbed machine."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from tradecore.bench.hdr import Histogram
from tradecore.bench.load import Load
from tradecore.bench.saturation import find_saturation
from tradecore.errors import ConfigError

LIMIT = 1_000_000


def load(rate: int, latency: int, *, gave_up: bool = False) -> Load:
    histogram = Histogram()
    histogram.record(np.full(1_000, latency))
    return Load(histogram, rate, 1_000, 1_000, 10**9, gave_up)


def system(capacity: int) -> Callable[[int], Load]:
    """Answer within the limit up to `capacity`, and not beyond."""
    return lambda rate: load(rate, LIMIT // 10 if rate <= capacity else LIMIT * 3)


@pytest.mark.parametrize("capacity", [700, 10_000, 123_456, 5_000_000])
def test_search_finds_the_capacity_within_the_tolerance(capacity: int) -> None:
    search = find_saturation(system(capacity), limit_ns=LIMIT, start=10_000, tolerance=0.02)
    assert capacity * 0.98 <= search.rate <= capacity
    assert all(trial.passed for trial in search.at(search.rate))


def test_search_needs_few_runs() -> None:
    search = find_saturation(system(1_000_000), limit_ns=LIMIT, start=10_000, votes=1)
    assert len(search.trials) < 20


def test_search_run_that_gave_up_fails_whatever_its_percentile() -> None:
    def run(rate: int) -> Load:
        return load(rate, 1, gave_up=rate > 40_000)

    assert find_saturation(run, limit_ns=LIMIT).rate == 40_000


def test_search_short_run_beyond_capacity_is_not_kept_up_with() -> None:
    def run(rate: int) -> Load:
        # The backlog of a run this short never reaches the limit, but it grows.
        seen = load(rate, LIMIT // 2)
        return dataclasses.replace(seen, throughput=min(rate, 400_000))

    assert 380_000 <= find_saturation(run, limit_ns=LIMIT).rate <= 400_000 / 0.95


def test_search_single_stalls_do_not_decide() -> None:
    calls = {"n": 0}

    def run(rate: int) -> Load:
        calls["n"] += 1
        stalled = calls["n"] % 3 == 0  # every third run meets a stall of the machine
        return load(rate, LIMIT * 5 if stalled or rate > 300_000 else 1_000)

    search = find_saturation(run, limit_ns=LIMIT, votes=5)
    assert 285_000 <= search.rate <= 300_000


def test_search_disturbed_rate_is_passed_over_when_twice_the_rate_works() -> None:
    failed: list[int] = []

    def run(rate: int) -> Load:
        if rate == 40_000 and len(failed) < 3:  # the machine stands still at this rate, once
            failed.append(rate)
            return load(rate, LIMIT * 5)
        return system(500_000)(rate)

    assert find_saturation(run, limit_ns=LIMIT).rate >= 475_000


def test_search_lucky_rate_is_not_believed() -> None:
    seen: list[int] = []

    def run(rate: int) -> Load:
        lucky = rate == 80_000 and rate not in seen
        seen.append(rate)
        return load(rate, 1_000 if rate <= 60_000 or lucky else LIMIT * 2)

    search = find_saturation(run, limit_ns=LIMIT, votes=1)
    assert seen.count(80_000) == 2
    assert 57_000 <= search.rate <= 60_000


def test_search_system_that_never_holds_the_limit_gets_zero() -> None:
    search = find_saturation(system(0), limit_ns=LIMIT, start=6_400)
    assert search.rate == 0
    assert min(trial.rate for trial in search.trials) == 100


def test_search_stops_at_the_ceiling() -> None:
    search = find_saturation(system(10**12), limit_ns=LIMIT, start=10_000, ceiling=50_000)
    assert search.rate == 50_000


@pytest.mark.parametrize(
    "change",
    [{"limit_ns": 0}, {"start": 0}, {"ceiling": 5}, {"tolerance": 0.0}, {"votes": 0}],
)
def test_search_impossible_request_is_refused(change: dict[str, float]) -> None:
    arguments: dict[str, float] = {"limit_ns": LIMIT} | change
    with pytest.raises(ConfigError):
        find_saturation(system(1), **arguments)  # type: ignore[arg-type]
