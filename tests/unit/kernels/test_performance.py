"""Performance measures against other people's figures.

- `EMPYRICAL` was printed by empyrical-reloaded 0.7.1 for the two series below. Where quantstats
  0.0.86 has the same measure it agrees to 1e-12 (its VaR is Gaussian: not compared).
- `QUOTED` are expectations of empyrical's own test suite (quantopian/empyrical, test_stats.py).
- The table cases are figures printed by R's PerformanceAnalytics (its example snapshots), with the
  digits it prints.
"""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest

from shared_data import shared
from tradecore.errors import ConfigError
from tradecore.kernels import performance as p
from tradecore.kernels.drawdown import max_drawdown
from tradecore.kernels.tail_risk import historical_es, historical_var

STEP = np.arange(60)
RETURNS = np.round(
    0.02 * np.sin(1.7 * STEP) + 0.011 * np.cos(0.9 * STEP * STEP % 7) - 0.003 * (STEP % 5 - 1.6), 6
)
BENCHMARK = np.round(
    0.015 * np.sin(1.7 * STEP + 0.4) + 0.008 * np.cos(0.5 * STEP * STEP % 5) + 0.0004, 6
)
EMPYRICAL = {
    "sharpe": (0.09641301099722177, lambda: p.sharpe(RETURNS)),
    "sharpe_risk_free": (-0.5750090519912225, lambda: p.sharpe(RETURNS, risk_free=0.0007)),
    "sortino": (0.1394955923875249, lambda: p.sortino(RETURNS)),
    "sortino_required": (-1.1829112838939606, lambda: p.sortino(RETURNS, required=0.001)),
    "calmar": (-0.1380969807982865, lambda: p.calmar(RETURNS)),
    "omega": (1.0140290723505618, lambda: p.omega(RETURNS)),
    "omega_required": (0.9622935273025692, lambda: p.omega(RETURNS, required=0.1)),
    "max_drawdown": (-0.062032703974493404, lambda: max_drawdown(RETURNS)),
    "annual_return": (-0.008566529129631406, lambda: p.annual_return(RETURNS)),
    "annual_volatility": (0.2627259509686917, lambda: p.annual_vol(RETURNS)),
    "downside_risk": (0.19162028724067814, lambda: p.downside_risk(RETURNS, required=0.001)),
    "tail_ratio": (0.9555819249570393, lambda: p.tail_ratio(RETURNS)),
    "stability": (0.03194138619773754, lambda: p.stability(RETURNS)),
    "excess_sharpe": (0.053102800810511025, lambda: p.information_ratio(RETURNS, BENCHMARK)),
    "alpha": (0.16474063171603448, lambda: p.alpha_beta(RETURNS, BENCHMARK)[0]),
    "beta": (0.8993479066527612, lambda: p.alpha_beta(RETURNS, BENCHMARK)[1]),
    "var_5": (-0.0239756, lambda: historical_var(RETURNS, 0.95)),
    "cvar_5": (-0.028498999999999997, lambda: historical_es(RETURNS, 0.95)),
    "var_1": (-0.02993071, lambda: historical_var(RETURNS, 0.99)),
    "cvar_1": (-0.032781, lambda: historical_es(RETURNS, 0.99)),
    "cum_returns_final": (-0.0020463397548039497, lambda: p.cum_return(RETURNS)),
}

MIXED = [math.nan, 0.01, 0.1, -0.04, 0.02, 0.03, 0.02, 0.01, -0.1]
WEEKLY = [0.0, *MIXED[1:]]
POSITIVE = [0.01, 0.02, *[0.01] * 7]
NEGATIVE = [0.0, -0.06, -0.07, -0.01, -0.09, -0.02, -0.06, -0.08, -0.05]
FLAT = [0.01] * 9
SIMPLE = [0.0, 0.01] * 4 + [0.0]
QUOTED = [
    (1.7238613961706866, lambda: p.sharpe(MIXED)),
    (0.34111411441060574, lambda: p.sharpe(MIXED, risk_free=SIMPLE)),
    (52.915026221291804, lambda: p.sharpe(POSITIVE)),
    (-24.406808633910085, lambda: p.sharpe(NEGATIVE)),
    (2.605531251673693, lambda: p.sortino(MIXED)),
    (-1.3934779588919977, lambda: p.sortino(MIXED, required=FLAT)),
    (-13.532743075043401, lambda: p.sortino(NEGATIVE)),
    (math.inf, lambda: p.sortino(POSITIVE)),
    (0.60448325038829653, lambda: p.downside_risk(MIXED)),
    (1.7161730681956295, lambda: p.downside_risk(MIXED, required=0.1)),
    (0.25888650451930134, lambda: p.downside_risk(WEEKLY, periods=52)),
    (0.1243650540411842, lambda: p.downside_risk(WEEKLY, periods=12)),
    (19.135925373194233, lambda: p.calmar(MIXED)),
    (2.4690830513998208, lambda: p.calmar(WEEKLY, periods=52)),
    (0.52242061386048144, lambda: p.calmar(WEEKLY, periods=12)),
    (1.9135925373194231, lambda: p.annual_return(MIXED)),
    (0.24690830513998208, lambda: p.annual_return(WEEKLY, periods=52)),
    (0.9136465399704637, lambda: p.annual_vol(MIXED)),
    (0.18663690238892558, lambda: p.annual_vol(WEEKLY, periods=12)),
    (0.83354263497557934, lambda: p.omega(MIXED, required=10.0)),
    (math.nan, lambda: p.omega(MIXED, required=-10.0)),
    (0.8125, lambda: p.omega(MIXED, risk_free=FLAT)),
    (1.125, lambda: p.omega(POSITIVE, risk_free=0.011)),
    (0.0, lambda: p.omega(POSITIVE, risk_free=0.02)),
    (-0.1, lambda: max_drawdown(MIXED)),
    (-0.36590730349873601, lambda: max_drawdown(NEGATIVE)),
    (-0.1, lambda: max_drawdown([0.1, -0.1, 0.1])),
    (0.1529973665111273, lambda: p.stability(MIXED)),
    (0.10859306069076737, lambda: p.information_ratio(MIXED, 0.0)),
    (-0.06515583641446039, lambda: p.information_ratio(MIXED, FLAT)),
    (-0.71296296296296313, lambda: p.alpha_beta(MIXED, [math.nan, *NEGATIVE[1:]])[1]),
    (-8.306666666666668, lambda: p.alpha_beta(MIXED, [math.nan, *NEGATIVE[1:]], compound=False)[0]),
]


@pytest.mark.parametrize("name", sorted(EMPYRICAL))
def test_measures_agree_with_empyrical(name: str) -> None:
    expected, compute = EMPYRICAL[name]
    assert compute() == pytest.approx(expected, rel=1e-12, abs=1e-14)


@pytest.mark.parametrize(("expected", "compute"), QUOTED)
def test_measures_equal_the_quoted_expectations(expected: float, compute: object) -> None:
    assert compute() == pytest.approx(expected, rel=1e-9, abs=1e-8, nan_ok=True)  # type: ignore[operator]


def table(name: str) -> dict[str, np.ndarray]:
    with shared(f"data/perf/{name}").open(encoding="utf-8") as handle:
        rows = list(csv.reader(handle))
    return {
        column.strip(): np.array([float(row[index] or "nan") for row in rows[1:]])
        for index, column in enumerate(rows[0])
        if index
    }


@pytest.mark.shared
def test_measures_equal_the_figures_of_performanceanalytics() -> None:
    managers = table("managers.csv")
    names = ["HAM1", "HAM2", "HAM3", "HAM4", "HAM5", "HAM6", "EDHEC LS EQ", "SP500 TR"]

    def every(compute: object, count: int = 8) -> list[float]:
        return [compute(managers[name]) for name in names[:count]]  # type: ignore[operator]

    annual = every(lambda r: p.annual_return(r, periods=12, convention="performanceanalytics"))
    assert np.round(annual, 4).tolist() == [
        0.1375, 0.1747, 0.1512, 0.1215, 0.0373, 0.1373, 0.118, 0.0967,
    ]  # fmt: skip
    sortino = every(lambda r: p.sortino(r, convention="performanceanalytics"))
    assert np.round(sortino[:1] + sortino[2:], 4).tolist() == [
        0.7649, 0.7172, 0.3234, 0.1343, 0.9102, 0.9691, 0.3064,
    ]  # fmt: skip
    assert round(sortino[1], 3) == 1.222
    downside = every(lambda r: p.downside_risk(r, convention="performanceanalytics"), 6)
    assert downside == pytest.approx(
        [0.01454078, 0.0115736, 0.01735454, 0.03406781, 0.0304305, 0.01214476], abs=6e-9, rel=5e-7
    )
    per_period = every(lambda r: p.sharpe(r, risk_free=0.035 / 12, periods=1), 6)
    assert per_period == pytest.approx(
        [0.3201889, 0.3057649, 0.2610141, 0.1522615, 0.02562009, 0.3417545], abs=6e-8
    )
    market = managers["SP500 TR"]
    active = every(
        lambda r: p.information_ratio(r, market, periods=12, convention="performanceanalytics"), 6
    )
    assert active == pytest.approx(
        [0.3604125, 0.5059751, 0.4701009, 0.154914, 0.1212162, 0.6722844], abs=6e-8
    )
    error = every(lambda r: p.tracking_error(r, market, periods=12), 6)
    assert error == pytest.approx(
        [0.1131667, 0.1533647, 0.1158673, 0.1596656, 0.1800291, 0.112839], abs=6e-8
    )
    bacon = table("portfolio_bacon.csv")["portfolio monthly return (%)"]
    assert p.downside_risk(
        bacon, required=0.005, convention="performanceanalytics"
    ) == pytest.approx(0.02553674, abs=6e-9)


@pytest.mark.shared
def test_omega_equals_the_figures_of_performanceanalytics() -> None:
    expected = [
        2.848491, 1.618552, 2.756588, 1.752959, 4.291785, 2.630127, 3.369045,
        2.89794, 2.314433, 3.955367, 3.662014, 0.9247907, 2.185667,
    ]  # fmt: skip
    found = [
        p.omega(values, convention="performanceanalytics")
        for values in table("edhec_293.csv").values()
    ]
    assert found == pytest.approx(expected, rel=3e-7)


def test_series_without_enough_periods_have_no_ratio() -> None:
    for compute in (p.sharpe, p.sortino, p.omega, p.stability):
        assert math.isnan(compute([]))
        assert math.isnan(compute([0.01]))
    assert math.isnan(p.calmar([0.1, 0.1]))
    assert math.isnan(p.cum_return([]))
    assert math.isnan(p.annual_return([]))
    assert math.isnan(p.downside_risk([]))
    assert math.isnan(p.tail_ratio([]))
    assert math.isnan(p.sharpe([0.0, 0.0]))
    assert p.alpha_beta([0.1, 0.2], [0.3, 0.3]) == pytest.approx((math.nan, math.nan), nan_ok=True)


def test_unknown_conventions_and_lengths_are_refused() -> None:
    with pytest.raises(ConfigError):
        p.sharpe([0.1, 0.2], convention="mine")  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        p.alpha_beta([0.1, 0.2], [0.1])


def test_geometric_sharpe_is_annual_excess_over_annual_deviation() -> None:
    excess = RETURNS - 0.0001
    expected = (np.prod(1 + excess) ** (252 / 60) - 1) / (excess.std(ddof=1) * math.sqrt(252))
    found = p.sharpe(RETURNS, risk_free=0.0001, convention="performanceanalytics")
    assert found == pytest.approx(expected, rel=1e-12)
