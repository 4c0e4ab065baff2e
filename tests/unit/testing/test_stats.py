"""Confidence intervals against published tables and hand-computed cases."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tradecore.testing.stats import bootstrap_interval, mean_interval, overlap, t_975

# NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2.
TABLE = {1: 12.706, 2: 4.303, 5: 2.571, 10: 2.228, 11: 2.201, 15: 2.131, 30: 2.042, 100: 1.984}


@pytest.mark.parametrize(("freedom", "quantile"), TABLE.items())
def test_t_975_equals_the_published_table(freedom: int, quantile: float) -> None:
    assert t_975(freedom) == pytest.approx(quantile, abs=6e-4)


def test_t_975_no_freedom_is_refused() -> None:
    with pytest.raises(ValueError, match="degree"):
        t_975(0)


def test_mean_interval_of_three_runs_by_hand() -> None:
    # Mean 2, standard deviation 1, n 3: 2 +- 4.3027 / sqrt(3).
    low, high = mean_interval([1.0, 2.0, 3.0]) or (0, 0)
    assert (low, high) == pytest.approx((2 - 4.3027 / math.sqrt(3), 2 + 4.3027 / math.sqrt(3)))


@pytest.mark.parametrize("values", [[], [5.0]])
def test_mean_interval_needs_two_runs(values: list[float]) -> None:
    assert mean_interval(values) is None


def test_mean_interval_covers_the_truth_about_19_times_in_20() -> None:
    draws = np.random.default_rng(7).normal(10, 2, (2_000, 5))
    hits = [low <= 10 <= high for low, high in map(mean_interval, draws.tolist())]  # type: ignore[misc]
    assert 0.93 <= np.mean(hits) <= 0.97


def test_bootstrap_interval_of_a_median_covers_it_and_repeats() -> None:
    values = np.random.default_rng(3).normal(100, 10, 60).tolist()
    found = bootstrap_interval(values, lambda rows: np.median(rows, axis=1))
    assert found[0] < float(np.median(values)) < found[1]
    assert found[1] - found[0] < 10
    assert found == bootstrap_interval(values, lambda rows: np.median(rows, axis=1))


def test_bootstrap_interval_of_equal_values_is_a_point() -> None:
    assert bootstrap_interval([3.0] * 5, lambda rows: rows.mean(axis=1)) == (3.0, 3.0)


def test_overlap_of_intervals() -> None:
    assert overlap((1, 2), (2, 3))
    assert not overlap((1, 2), (2.1, 3))
    assert overlap(None, (2, 3))
