"""Figures of a run: against empyrical and quantstats, against formulas, and by hand."""

from __future__ import annotations

import math
import warnings
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from tradecore.errors import ConfigError, DataError
from tradecore.research import OrderState, Result, RunInfo
from tradecore.research.metrics import (
    fill_ratio,
    markouts,
    performance,
    returns,
    slippage,
)
from tradecore.research.records import EQUITY_ROW, FILL_ROW, NEVER, ORDER_ROW, QUOTE_ROW

CAPITAL = 1_000_000.0
DAY = 86_400 * 10**9


def rows(dtype: np.dtype[Any], *table: dict[str, int]) -> Any:
    found = np.zeros(len(table), dtype)
    for at, row in enumerate(table):
        for name, value in row.items():
            found[at][name] = value
    return found


@pytest.fixture(scope="module")
def run() -> Result:
    """1,000 daily samples: a drift, fat tails, losses in a row."""
    draw = np.random.default_rng(12)
    steps = np.rint(400 + 9_000 * draw.standard_t(4, 999)).astype(np.int64)
    equity = np.zeros(1_000, EQUITY_ROW)
    equity["ts_ns"] = np.arange(1_000) * DAY
    equity["equity"] = np.concatenate([[50], 50 + np.cumsum(steps)])
    return Result(RunInfo(), equity=equity)


def test_returns_are_on_the_capital_and_begin_at_the_first_sample() -> None:
    equity = rows(
        EQUITY_ROW,
        {"ts_ns": 0, "equity": 500},
        {"ts_ns": 1, "equity": 600},
        {"ts_ns": 2, "equity": 325},
    )
    found = returns(Result(RunInfo(), equity=equity), 1_000)
    assert found.tolist() == [1_100 / 1_000 - 1, 825 / 1_100 - 1]


def test_returns_end_where_the_capital_is_gone() -> None:
    table = [{"ts_ns": n, "equity": value} for n, value in enumerate([0, -400, -1_000, 5_000])]
    found = returns(Result(RunInfo(), equity=rows(EQUITY_ROW, *table)), 1_000)
    assert found.tolist() == [-0.4]


def test_ratios_are_those_of_empyrical(run: Result) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        empyrical = pytest.importorskip("empyrical")
        ours = performance(run, CAPITAL, periods=252)
        values = returns(run, CAPITAL)
        theirs = {
            "total_return": empyrical.cum_returns_final(values),
            "annual_return": empyrical.annual_return(values),
            "annual_vol": empyrical.annual_volatility(values),
            "sharpe": empyrical.sharpe_ratio(values),
            "sortino": empyrical.sortino_ratio(values),
            "calmar": empyrical.calmar_ratio(values),
            "omega": empyrical.omega_ratio(values),
            "tail_ratio": empyrical.tail_ratio(values),
            "max_drawdown": empyrical.max_drawdown(values),
            "var_95": empyrical.value_at_risk(values, 0.05),
            "es_95": empyrical.conditional_value_at_risk(values, 0.05),
        }
    assert len(values) == 999
    for name, value in theirs.items():
        assert ours[name] == pytest.approx(value, rel=1e-9), name


def test_ratios_are_those_of_quantstats(run: Result) -> None:
    pandas = pytest.importorskip("pandas")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stats = pytest.importorskip("quantstats").stats
        values = pandas.Series(
            returns(run, CAPITAL), index=pandas.date_range("2020-01-01", periods=999)
        )
        theirs = {
            "total_return": stats.comp(values),
            "annual_vol": stats.volatility(values, periods=252),
            "sharpe": stats.sharpe(values, periods=252),
            "sortino": stats.sortino(values, periods=252),
            "max_drawdown": stats.max_drawdown(values),
            "psr": stats.probabilistic_sharpe_ratio(values),
        }
    ours = performance(run, CAPITAL, periods=252)
    for name, value in theirs.items():
        # Its probabilistic ratio uses the unbiased estimators of skewness and kurtosis.
        assert ours[name] == pytest.approx(value, rel=2e-3 if name == "psr" else 1e-9), name


def test_probabilistic_and_deflated_sharpe_follow_their_formulas(run: Result) -> None:
    """Bailey and Lopez de Prado: The Sharpe ratio efficient frontier; The deflated Sharpe ratio."""
    values = returns(run, CAPITAL)
    n = len(values)
    z = (values - values.mean()) / values.std()
    skew, kurt = (z**3).mean(), (z**4).mean()
    sharpe = values.mean() / values.std(ddof=1)
    spread = math.sqrt((1 - skew * sharpe + (kurt - 1) / 4 * sharpe**2) / (n - 1))
    normal = NormalDist()
    assert performance(run, CAPITAL)["psr"] == pytest.approx(normal.cdf(sharpe / spread), rel=1e-6)
    trials, gamma = 50, 0.5772156649015329
    best = math.sqrt(1 / (n - 1)) * (
        (1 - gamma) * normal.inv_cdf(1 - 1 / trials)
        + gamma * normal.inv_cdf(1 - 1 / (trials * math.e))
    )
    found = performance(run, CAPITAL, trials=trials)
    assert found["dsr"] == pytest.approx(normal.cdf((sharpe - best) / spread), rel=1e-6)
    assert found["dsr"] < found["psr"] == performance(run, CAPITAL, trials=1)["dsr"]


def test_flat_run_has_no_ratios_and_an_empty_one_no_figures() -> None:
    flat = rows(EQUITY_ROW, *[{"ts_ns": n} for n in range(5)])
    found = performance(Result(RunInfo(), equity=flat), CAPITAL)
    assert found["total_return"] == 0
    assert math.isnan(found["sharpe"])
    with pytest.raises(DataError, match="sample_ns"):
        performance(Result(RunInfo()), CAPITAL)
    with pytest.raises(ConfigError, match="capital"):
        returns(Result(RunInfo(), equity=flat), 0)


def traded() -> Result:
    """Middle prices 100, 102, 99 at 0, 1, 2 s; four fills and six orders around them."""
    second = 10**9
    quotes = rows(
        QUOTE_ROW,
        *[
            {"ts_ns": n * second, "bid_px": middle - 1, "ask_px": middle + 1}
            for n, middle in enumerate([100, 102, 99])
        ],
    )
    fills = rows(
        FILL_ROW,
        {"ts_ns": 0, "side": 1, "maker": 1, "last_px": 99, "last_qty": 3},  # +3, then 0
        {"ts_ns": 0, "side": 2, "maker": 0, "last_px": 99, "last_qty": 1},  # -3, then 0
        {"ts_ns": second, "side": 2, "maker": 1, "last_px": 103, "last_qty": 2},  # +4, unknown
        {"ts_ns": 2 * second, "side": 1, "maker": 1, "last_px": 98, "last_qty": 9},  # unknown
    )
    seen = {"bid_px": 99, "ask_px": 101, "rested_ns": NEVER, "first_fill_ns": NEVER}
    seen |= {"ended_ns": NEVER, "ahead_qty": -1, "ahead_orders": -1}
    rested = {"rested_ns": 10, "ahead_qty": 40, "ahead_orders": 2}
    filled = {"state": OrderState.FILLED, "order_qty": 4, "cum_qty": 4}
    orders = rows(
        ORDER_ROW,
        # Bought 1 and 3 lots at 99 and 102: 101.25 on average, 1.25 above the middle.
        seen | rested | filled | {"side": 1, "filled_ticks": 99 + 306, "first_fill_ns": 3 * second},
        # Sold at 98, two below it.
        seen | filled | {"side": 2, "filled_ticks": 392},
        # Half of it.
        seen | rested | {"side": 2, "state": OrderState.LIVE, "order_qty": 6, "cum_qty": 3}
        | {"filled_ticks": 303, "ahead_qty": 10, "first_fill_ns": second + 10},
        seen | {"side": 1, "state": OrderState.REJECTED, "order_qty": 5},
        seen | {"side": 1, "state": OrderState.CANCELED, "order_qty": 5},
        # Decided when nobody was there to sell: no price to compare with.
        seen | filled | {"side": 1, "filled_ticks": 400, "ask_px": 0},
    )  # fmt: skip
    return Result(RunInfo(), orders=orders, fills=fills, quotes=quotes)


def test_markouts_by_hand() -> None:
    found = markouts(traded(), [10**9, 2 * 10**9])
    one, two = found[10**9], found[2 * 10**9]
    assert one["fills"] == 3
    assert one["maker"] == pytest.approx((3 * 3 + 4 * 2) / 5)
    assert one["taker"] == -3
    assert one["all"] == pytest.approx((9 + 8 - 3) / 6)
    assert (two["fills"], two["all"], two["maker"], two["taker"]) == (2, 0, 0, 0)
    with pytest.raises(ConfigError, match="horizon"):
        markouts(traded(), [0])


def test_slippage_by_hand() -> None:
    assert slippage(traded()).tolist() == [1.25, 2.0, -1.0]


def test_fill_ratio_by_hand() -> None:
    found = fill_ratio(traded())
    assert (found["orders"], found["filled"], found["touched"], found["rejected"]) == (6, 3, 4, 1)
    assert found["by_order"] == pytest.approx(4 / 6)
    assert found["by_lots"] == pytest.approx(15 / 28)
    assert found["maker_share"] == pytest.approx(14 / 15)
    assert found["ahead_lots"] == 25
    assert found["wait_s"] == pytest.approx((3 - 1e-8 + 1) / 2)


def test_fill_ratio_of_nothing_is_not_a_number() -> None:
    found = fill_ratio(Result(RunInfo()))
    assert found["orders"] == 0
    assert all(math.isnan(found[name]) for name in ("by_order", "by_lots", "maker_share", "wait_s"))
