"""The scaling law against a published fit, and the shapes it has to recognise."""

from __future__ import annotations

import math

import pytest

from tradecore.capacity.usl import fit_usl
from tradecore.errors import ConfigError

# SPEC SDM91 on a SPARCcenter 2000, the example of the R package `usl` (github.com/smoeding/usl),
# with the coefficients and standard errors its README publishes.
LOAD = [1, 18, 36, 72, 108, 144, 216]
THROUGHPUT = [64.9, 995.9, 1652.4, 1853.2, 1828.9, 1775.0, 1702.2]


def test_fit_published_data_gives_the_published_coefficients() -> None:
    fit = fit_usl(LOAD, THROUGHPUT)
    assert fit.alpha == pytest.approx(0.0277285, rel=1e-5)
    assert fit.beta == pytest.approx(0.0001044, rel=1e-3)
    assert fit.alpha_error == pytest.approx(0.0091217, rel=1e-4)
    assert fit.beta_error == pytest.approx(0.0000199, rel=1e-2)


def test_fit_published_data_gives_the_published_residuals() -> None:
    residuals = sorted(fit_usl(LOAD, THROUGHPUT).residuals)
    assert residuals[0] == pytest.approx(-81.7, abs=0.05)
    assert residuals[-1] == pytest.approx(111.1, abs=0.05)


def test_fit_peak_is_where_the_law_is_highest() -> None:
    fit = fit_usl(LOAD, THROUGHPUT)
    assert fit.peak is not None
    assert fit.peak == pytest.approx(math.sqrt((1 - fit.alpha) / fit.beta))
    assert fit.at(fit.peak) > max(fit.at(fit.peak * 0.99), fit.at(fit.peak * 1.01))
    assert fit.limit == fit.at(fit.peak)


def test_fit_exact_points_are_recovered() -> None:
    workers = [1, 2, 4, 8, 16]
    law = [1_000 * n / (1 + 0.03 * (n - 1) + 0.002 * n * (n - 1)) for n in workers]
    fit = fit_usl(workers, law)
    assert (fit.gamma, fit.alpha, fit.beta) == pytest.approx((1_000, 0.03, 0.002))
    assert fit.r_squared == pytest.approx(1)


def test_fit_straight_line_has_no_peak_and_no_limit() -> None:
    fit = fit_usl([1, 2, 3, 4], [100, 200, 300, 400])
    assert (fit.gamma, fit.alpha, fit.beta) == (pytest.approx(100), 0, 0)
    assert fit.peak is None
    assert fit.limit is None
    assert fit.workers_for(1_001) == 11


def test_fit_better_than_linear_is_called_linear() -> None:
    # Caches of two machines hold more than one: alpha would be negative, which predicts nonsense.
    fit = fit_usl([1, 2, 3, 4], [100, 230, 360, 500])
    assert fit.alpha == 0
    assert fit.beta == 0
    assert fit.alpha_error is None


def test_fit_contention_without_coherency_has_a_ceiling() -> None:
    law = [500 * n / (1 + 0.2 * (n - 1)) for n in (1, 2, 3, 4, 8)]
    fit = fit_usl([1, 2, 3, 4, 8], law)
    assert fit.beta == 0
    assert fit.limit == pytest.approx(2_500)
    assert fit.workers_for(2_600) is None


@pytest.mark.parametrize("wanted", [64.0, 500.0, 1_500.0, 1_880.0])
def test_workers_for_is_the_fewest_that_reach_it(wanted: float) -> None:
    fit = fit_usl(LOAD, THROUGHPUT)
    workers = fit.workers_for(wanted)
    assert workers is not None
    assert fit.at(workers) >= wanted
    assert workers == 1 or fit.at(workers - 1) < wanted


def test_workers_for_more_than_the_peak_is_impossible() -> None:
    fit = fit_usl(LOAD, THROUGHPUT)
    assert fit.workers_for(2_000) is None


@pytest.mark.parametrize(
    ("workers", "throughput"),
    [
        ([1, 2], [1.0, 2.0]),
        ([1, 2, 2], [1.0, 2.0, 2.0]),
        ([0, 1, 2], [1.0, 2.0, 3.0]),
        ([1, 2, 3], [1.0, -2.0, 3.0]),
        ([1, 2, 3], [1.0, 2.0]),
        ([1, 2, 3], [1.0, math.nan, 3.0]),
        ([], []),
    ],
)
def test_fit_impossible_input_is_refused(workers: list[float], throughput: list[float]) -> None:
    with pytest.raises(ConfigError):
        fit_usl(workers, throughput)


def test_fit_relative_judges_small_and_large_throughputs_alike() -> None:
    workers = [1, 4, 16, 64, 256, 1024]
    true = [2_000 * n / (1 + 0.001 * (n - 1)) for n in workers]
    # Runs are 10 % off in turn, whatever their size.
    seen = [x * (1.1 if i % 2 else 0.9) for i, x in enumerate(true)]
    fit = fit_usl(workers, seen, relative=True)
    shares = [abs(r) / x for r, x in zip(fit.residuals, seen, strict=True)]
    assert max(shares) < 0.2
    assert fit.gamma == pytest.approx(2_000, rel=0.1)
    exact = fit_usl(workers, true, relative=True)
    assert (exact.gamma, exact.alpha) == pytest.approx((2_000, 0.001))
