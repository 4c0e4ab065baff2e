"""VaR and ES against published figures, and the relations that hold between them."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared_data import shared
from tradecore.errors import ConfigError
from tradecore.kernels import portfolio_risk, significance, tail_risk
from tradecore.kernels.normal import moments, norm_cdf, norm_pdf, norm_ppf

CONVENTIONS = ("empyrical", "performanceanalytics", "hull", "prmia", "acerbi")
SERIES = st.lists(st.floats(-0.5, 0.5, allow_nan=False, width=32), min_size=2, max_size=80)

# Printed by PerformanceAnalytics' VaR(edhec, ...), columns in the order of the file.
VAR_FIGURES = {
    ("historical", 0.95): [
        -0.01506, -0.03148, -0.01978, -0.04232, -0.00836, -0.02552, -0.00722, -0.01494, -0.02622,
        -0.01066, -0.01144, -0.06678, -0.02032,
    ],
    ("gaussian", 0.95): [
        -0.02173214, -0.03310173, -0.02296944, -0.04698035, -0.009143467, -0.02464282, -0.01438379,
        -0.01841688, -0.02760698, -0.01326581, -0.01376013, -0.07597714, -0.02190044,
    ],
    ("modified", 0.95): [
        -0.02568389, -0.0320411, -0.02800272, -0.05343318, -0.0109887, -0.02960873, -0.01773794,
        -0.01380785, -0.02950798, -0.01502873, -0.01736871, -0.06215004, -0.02309324,
    ],
    ("modified", 0.99): [
        -0.09538713, -0.04561466, -0.07097989, -0.1261338, -0.03875142, -0.08433448, -0.06036075,
        -0.02309801, -0.05658921, -0.05760895, -0.04882532, -0.1093869, -0.05423976,
    ],
}  # fmt: skip
# Printed by PerformanceAnalytics' ES(edhec, ...), columns in the order of the file.
ES_FIGURES = {
    ("historical", 0.95): [
        -0.03878, -0.04062, -0.04132, -0.07544667, -0.01752, -0.04445333, -0.02906667,
        -0.02109333, -0.04481333, -0.02333333, -0.02712667, -0.09484667, -0.03569333,
    ],
    ("gaussian", 0.95): [
        -0.02872442, -0.04260771, -0.0305384, -0.06062504, -0.01256767, -0.03259857, -0.01916326,
        -0.02451761, -0.03632667, -0.01805389, -0.01871098, -0.09495821, -0.02861017,
    ],
    ("modified", 0.95): [
        -0.08941788, -0.04038067, -0.06732969, -0.1157089, -0.03670501, -0.08113553, -0.05308245,
        -0.01696439, -0.04857352, -0.05130164, -0.04751282, -0.06754083, -0.04590385,
    ],
    ("modified", 0.99): [
        -0.09538713, -0.05203246, -0.07097989, -0.1261338, -0.03875142, -0.08433448, -0.06036075,
        -0.02309801, -0.06580245, -0.05760895, -0.04882532, -0.1941136, -0.05423976,
    ],
}  # fmt: skip


@pytest.mark.shared
@pytest.mark.parametrize("figures", [VAR_FIGURES, ES_FIGURES], ids=["var", "es"])
@pytest.mark.parametrize(("method", "level"), sorted(ES_FIGURES))
def test_risk_equals_the_published_figures(
    figures: dict[tuple[str, float], list[float]], method: str, level: float
) -> None:
    with shared("data/perf/edhec_293.csv").open(encoding="utf-8") as handle:
        rows = list(csv.reader(handle))[1:]
    columns = np.array([[float(cell) for cell in row[1:]] for row in rows]).T
    compute = getattr(tail_risk, f"{method}_{'var' if figures is VAR_FIGURES else 'es'}")
    options = {"convention": "performanceanalytics"} if method == "historical" else {}
    found = [compute(column, level, **options) for column in columns]
    assert found == pytest.approx(figures[method, level], abs=6e-8)


def test_hull_and_prmia_disagree_about_the_loss_at_the_quantile() -> None:
    # Hull's example: 500 scenarios, 99 %; VaR is the fifth worst loss, ES the mean of the four
    # beyond it.
    worst = [477.841, 345.435, 282.204, 277.041, 253.385]
    assert tail_risk.tail_losses(worst, 0.99, count=500, convention="hull") == pytest.approx(
        (253.385, 345.630), abs=1e-3
    )
    # PRMIA's: the worst 2 % of 250 observations are five losses, all of them in the mean.
    assert tail_risk.tail_losses([20, 19, 19, 17, 16], 0.98, count=250) == pytest.approx((16, 18.2))


def test_acerbi_takes_the_last_loss_in_part() -> None:
    # k = 2.5: two whole losses and half of the third.
    assert tail_risk.tail_losses([9, 7, 4, 1, 0], 0.5, convention="acerbi") == pytest.approx(
        (4, (9 + 7 + 0.5 * 4) / 2.5)
    )


def test_empyrical_quantiles_are_interpolated() -> None:
    sample = [1, 81, 82, 83, 84, 85]
    assert tail_risk.historical_var([1.0, 2.0], 0.7) == pytest.approx(1.3)
    assert [tail_risk.historical_var(sample, level) for level in (0.9, 0.8, 0.7)] == pytest.approx(
        [41.0, 81.0, 81.5]
    )


@given(SERIES, st.floats(0.5, 0.99), st.sampled_from(CONVENTIONS))
def test_expected_shortfall_is_never_better_than_value_at_risk(
    values: list[float], level: float, convention: str
) -> None:
    var = tail_risk.historical_var(values, level, convention=convention)  # type: ignore[arg-type]
    es = tail_risk.historical_es(values, level, convention=convention)  # type: ignore[arg-type]
    assert math.isnan(es) or es <= var + 1e-12


@given(SERIES, st.floats(0.6, 0.99))
def test_parametric_shortfall_is_never_better_than_value_at_risk(
    values: list[float], level: float
) -> None:
    assert tail_risk.gaussian_es(values, level) <= tail_risk.gaussian_var(values, level) + 1e-12
    es, var = tail_risk.modified_es(values, level), tail_risk.modified_var(values, level)
    assert es <= var + 1e-12


@given(SERIES, st.floats(0.01, 5.0), st.floats(-0.1, 0.1), st.sampled_from(CONVENTIONS))
def test_risk_scales_and_shifts_with_the_returns(
    values: list[float], scale: float, shift: float, convention: str
) -> None:
    moved = np.array(values) * scale + shift
    for compute in (tail_risk.historical_var, tail_risk.historical_es):
        base = compute(values, 0.9, convention=convention)  # type: ignore[arg-type]
        assume(not math.isnan(base))
        found = compute(moved, 0.9, convention=convention)  # type: ignore[arg-type]
        # A shift may move two nearly equal returns across the interpolated quantile.
        if convention != "performanceanalytics":
            assert found == pytest.approx(base * scale + shift, abs=1e-9)


def test_modified_measures_of_a_normal_shape_are_the_gaussian_ones() -> None:
    # Five points with skewness 0 and kurtosis 3: the expansion has nothing to correct.
    x = math.sqrt(3.0)
    values = [-x, 0.0, 0.0, 0.0, 0.0, x]
    found = moments(np.array(values))
    assert (found.skew, found.kurt) == pytest.approx((0.0, 3.0))
    assert tail_risk.modified_var(values, 0.95) == pytest.approx(
        tail_risk.gaussian_var(values, 0.95)
    )
    assert tail_risk.modified_es(values, 0.95) == pytest.approx(tail_risk.gaussian_es(values, 0.95))


def test_empty_series_and_empty_tails_have_no_risk() -> None:
    assert math.isnan(tail_risk.historical_var([]))
    assert math.isnan(tail_risk.historical_es([]))
    assert math.isnan(tail_risk.gaussian_var([]))
    assert math.isnan(tail_risk.historical_var([0.1, 0.2], 0.99, convention="prmia"))
    assert math.isnan(tail_risk.historical_es([0.1, -0.2], 0.5, convention="hull"))


def test_levels_and_conventions_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError):
        tail_risk.historical_var([0.1], 1.0)
    with pytest.raises(ConfigError):
        tail_risk.historical_es([0.1], convention="mine")  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        tail_risk.tail_losses([5, 4], 0.98, count=250)
    with pytest.raises(ConfigError):
        tail_risk.tail_losses([5, 4], 0.5, convention="empyrical")
    with pytest.raises(ConfigError):
        norm_ppf(1.0)


def test_normal_distribution_equals_its_tables() -> None:
    assert norm_ppf(0.99) == pytest.approx(2.3263478740408408, abs=1e-15)
    assert norm_cdf(-1.6448536269514722) == pytest.approx(0.05, abs=1e-15)
    assert norm_pdf(0.0) == pytest.approx(0.3989422804014327, abs=1e-16)


# Portfolio --------------------------------------------------------------------------------------


def test_two_asset_value_at_risk_is_the_textbook_one() -> None:
    cov = portfolio_risk.covariance([0.02, 0.01], 0.3)
    result = portfolio_risk.parametric([10e6, 5e6], cov, level=0.99, days=10)
    sd = math.sqrt(200_000**2 + 50_000**2 + 2 * 0.3 * 200_000 * 50_000)
    assert result.sd == pytest.approx(sd)
    assert result.var == pytest.approx(2.3263478740408408 * sd * math.sqrt(10))
    assert result.component.sum() == pytest.approx(result.var)
    assert result.undiversified == pytest.approx(2.3263478740408408 * 250_000 * math.sqrt(10))
    bumped = portfolio_risk.parametric([10e6 + 1, 5e6], cov, level=0.99, days=10)
    assert bumped.var - result.var == pytest.approx(result.marginal[0], rel=1e-4)


def test_perfect_correlation_leaves_nothing_to_diversify() -> None:
    cov = portfolio_risk.covariance([0.02, 0.01], 1.0)
    result = portfolio_risk.parametric([100, 200], cov)
    assert result.var == pytest.approx(result.undiversified)
    assert portfolio_risk.parametric([0, 0], cov).component.tolist() == [0, 0]


@pytest.mark.parametrize("df", [None, 5.0])
def test_monte_carlo_repeats_with_the_seed_and_approaches_the_formula(df: float | None) -> None:
    cov = portfolio_risk.covariance([0.02, 0.01], 1.0)  # singular: no Cholesky root

    def run(seed: int) -> portfolio_risk.MonteCarloRisk:
        return portfolio_risk.monte_carlo(
            np.random.default_rng(seed), [100, 200], cov, scenarios=200_000, level=0.95, df=df
        )

    assert run(1).var == run(1).var != run(2).var
    formula = portfolio_risk.parametric([100, 200], cov, level=0.95)
    found = run(1)
    assert found.gains.std() == pytest.approx(formula.sd, rel=0.02)
    if df is None:
        assert found.var == pytest.approx(formula.var, rel=0.01)
        assert found.es == pytest.approx(formula.es, rel=0.01)
    else:
        assert found.es > formula.es


def test_matrices_that_are_no_covariance_are_refused() -> None:
    rng = np.random.default_rng(1)
    for call in (
        lambda: portfolio_risk.covariance([1, 2], [[1, 2], [2, 1]]),
        lambda: portfolio_risk.covariance([1, 2], [[1.0]]),
        lambda: portfolio_risk.parametric([1, 2], [[1.0]]),
        lambda: portfolio_risk.parametric([1, -1], [[1.0, 3.0], [3.0, 1.0]]),
        lambda: portfolio_risk.monte_carlo(rng, [1, 1], [[1.0, 3.0], [3.0, 1.0]]),
        lambda: portfolio_risk.monte_carlo(rng, [1], [[1.0]], df=2.0),
    ):
        with pytest.raises(ConfigError):
            call()


# Significance -----------------------------------------------------------------------------------


def test_deflated_sharpe_equals_the_papers_example() -> None:
    # Bailey and Lopez de Prado (2014): SR 2.5 a year, 5 years of days, 100 trials, variance 1/2.
    sharpe, variance = 2.5 / math.sqrt(250), 0.5 / 250
    assert significance.expected_max_sharpe(100, variance) == pytest.approx(0.1132, abs=5e-5)
    found = significance.deflated_sharpe(
        sharpe, 1250, trials=100, variance=variance, skew=-3, kurt=10
    )
    assert found == pytest.approx(0.9004, abs=5e-5)
    assert significance.expected_max_sharpe(1, variance) == 0.0


def test_probabilistic_sharpe_equals_the_papers_example() -> None:
    # Bailey and Lopez de Prado (2012): SR 0.458 a month over 24 months.
    assert significance.sharpe_confidence(0.458, 24) == pytest.approx(0.982, abs=1e-3)
    assert significance.sharpe_confidence(0.458, 24, skew=-2.448, kurt=10.164) == pytest.approx(
        0.913, abs=1e-3
    )


def test_minimum_track_record_is_where_the_confidence_is_reached() -> None:
    count = significance.min_track_record(0.2, level=0.95, skew=-1.0, kurt=6.0)
    below = significance.sharpe_confidence(0.2, math.floor(count), skew=-1.0, kurt=6.0)
    above = significance.sharpe_confidence(0.2, math.ceil(count), skew=-1.0, kurt=6.0)
    assert below <= 0.95 <= above
    assert significance.min_track_record(0.1, benchmark=0.2) == math.inf


def test_probabilistic_sharpe_of_a_series_uses_its_own_moments() -> None:
    values = np.array([0.03, -0.01, 0.02, 0.0, 0.01, -0.02, 0.04])
    m = moments(values, 1)
    expected = significance.sharpe_confidence(m.mean / m.sd, 7, skew=m.skew, kurt=m.kurt)
    assert significance.probabilistic_sharpe(values) == expected
    assert math.isnan(significance.probabilistic_sharpe([0.01, 0.01]))


def test_impossible_figures_are_refused() -> None:
    for call in (
        lambda: significance.sharpe_confidence(0.1, 1),
        lambda: significance.sharpe_confidence(1.0, 10, skew=5.0, kurt=1.0),
        lambda: significance.expected_max_sharpe(0, 1.0),
    ):
        with pytest.raises(ConfigError):
            call()
