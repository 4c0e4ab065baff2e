"""Rules for cases about the performance of return series, given in the case or in a table."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np

from tradecore.kernels import drawdown, performance, significance, tail_risk
from tradecore.kernels._arrays import FloatArray
from tradecore.kernels.normal import moments
from tradecore.kernels.performance import Convention
from tradecore.kernels.tail_risk import TailConvention
from tradecore.verify.pnl_case import Answers, CannotExpressError, Inputs, Value, to_float
from tradecore.verify.pnl_risk import convention_of, tail_measure

__all__ = ["csv_rule", "returns_rule", "sets_rule"]

# Words by which cases and books name a convention, and by which a case's name names a measure.
_RETURN_WORDS = {
    "empyrical": "empyrical",
    "performanceanalytics": "performanceanalytics",
    "pa": "performanceanalytics",
}
_METRIC_WORDS = {
    "max_?drawdown": "max_drawdown",
    "sharpe": "sharpe",
    "sortino(?:ratio)?": "sortino",
    "sharperatio": "sharpe",
    "omega": "omega",
    "calmar(?:ratio)?": "calmar",
    "annual_return": "annual_return",
    r"return\.annualized": "annual_return",
    "annual_volatility": "annual_volatility",
    r"stddev\.annualized": "annual_volatility",
    "downside_?(?:risk|deviation)": "downside_risk",
}


def _read_csv(path: Path, first: str, last: str) -> tuple[dict[str, FloatArray], float]:
    """Return the columns of a return table and its periods per year, judged by the dates."""
    with path.open(newline="", encoding="utf-8") as handle:
        rows = [row for row in csv.reader(handle) if row]
    if len(rows) < 2:
        raise CannotExpressError(f"{path.name}: a header and rows are needed")
    header = [name.strip() for name in rows[0]]
    body = [
        row for row in rows[1:] if (not first or row[0] >= first) and (not last or row[0] <= last)
    ]
    columns = {
        name: np.array([_cell(path, row, index) for row in body])
        for index, name in enumerate(header)
        if index > 0
    }
    return columns, _periods_per_year(row[0] for row in body)


def _cell(path: Path, row: Sequence[str], index: int) -> float:
    """Return one number of a table; an empty cell or NA is NaN."""
    text = row[index].strip() if index < len(row) else ""
    if text in ("", "NA", "NaN", "nan"):
        return math.nan
    try:
        return float(text)
    except ValueError as error:
        raise CannotExpressError(f"{path.name}: {text!r} is not a number") from error


def _periods_per_year(dates: Iterator[str]) -> float:
    """Return 252, 52, 12, 4 or 1 by the median distance of the dates; 12 without dates."""
    try:
        days = np.array([date.fromisoformat(text[:10]).toordinal() for text in dates])
    except ValueError:
        return 12.0
    if len(days) < 2:
        return 12.0
    gap = float(np.median(np.diff(days)))
    return next((n for limit, n in ((3, 252), (10, 52), (45, 12), (120, 4)) if gap <= limit), 1.0)


def csv_rule(inputs: Inputs, find: Callable[[str], Path]) -> Answers:
    """Tail risk or performance of the columns of a table of returns."""
    path = find(str(inputs.raw("csv", "file")))
    columns, frequency = _read_csv(path, inputs.text("from", "start"), inputs.text("to", "end"))

    def column(name: str) -> FloatArray:
        if name not in columns:
            raise CannotExpressError(f"{path.name}: there is no column {name!r}")
        return columns[name]

    wanted = inputs.raw("column")
    if "columns" in inputs:
        columns = {str(name): column(str(name)) for name in inputs.rows("columns")}
    method = inputs.text("method")
    metric = inputs.text("metric", "measure", "statistic")
    if method and not metric and _metric_name(method) in _METRICS:
        method, metric = "", method
    if method:
        level = inputs.real("level", "confidence", "p", default=0.95)
        # R's PerformanceAnalytics takes a level below one half for the tail probability.
        measure = tail_measure(inputs, method, 1.0 - level if level < 0.5 else level)
        if wanted is None:
            return {"values": lambda: {name: measure(c) for name, c in columns.items()}}
        value = measure(column(str(wanted)))
        return {"value": lambda: value, "var": lambda: value, "es": lambda: value}
    benchmark = inputs.raw("benchmark_column", "benchmark")
    other = None if benchmark is None else column(str(benchmark))
    rate = inputs.raw("risk_free_column", "rf_column")
    settings = _Settings(inputs, frequency, "performanceanalytics", other)
    if rate is not None:
        settings.risk_free = column(str(rate))
    if wanted is not None:
        found = _measures(column(str(wanted)), settings)
        if metric:
            return {"value": found.get(_metric_name(metric), _unknown(metric)), **found}
        return found
    name = _metric_name(metric) if metric else inputs.word(_METRIC_WORDS)
    if name is None or name not in _METRICS:
        raise CannotExpressError("input 'method', 'column' or a known 'metric' is needed")
    every = {key: _measures(values, settings)[name] for key, values in columns.items()}
    return {"values": lambda: {key: compute() for key, compute in every.items()}}


def _unknown(metric: str) -> Callable[[], Value]:
    """Return an answer that says that there is no such measure."""

    def refuse() -> Value:
        raise CannotExpressError(f"metric {metric!r} is not known")

    return refuse


def _metric_name(text: str) -> str:
    """Return a measure's name in our spelling: maxDrawdown and Max Drawdown are max_drawdown."""
    plain = re.sub(r"[^a-z]", "", text.lower())
    return next((name for name in _METRICS if name.replace("_", "") == plain), text.lower())


class _Settings:
    """What all performance measures of one case share.

    Parameters
    ----------
    inputs : Inputs
    frequency : float
        Periods per year where the case does not say.
    default : str
        Convention where the case names none.
    benchmark : ndarray, optional
        Benchmark's returns, where they come from a table.
    """

    def __init__(
        self, inputs: Inputs, frequency: float, default: str, benchmark: FloatArray | None = None
    ) -> None:
        named = {"daily": 252.0, "weekly": 52.0, "monthly": 12.0, "quarterly": 4.0, "yearly": 1.0}
        period = inputs.text("period", "frequency")
        if period and period not in named:
            raise CannotExpressError(f"period {period!r} is not known")
        self.periods_given = bool(period) or inputs.any_of("periods", "annualization")
        self.periods = inputs.real("periods", "annualization", default=named.get(period, frequency))
        self.convention = cast("Convention", convention_of(inputs, _RETURN_WORDS, default))
        self.risk_free = _one_or_many(inputs, "risk_free", "rf")
        self.required = _one_or_many(inputs, "required_return", "mar", "required", "threshold")
        self.ddof = int(inputs.real("ddof", default=1.0))
        self.benchmark = benchmark
        if "benchmark" in inputs and benchmark is None:
            self.benchmark = inputs.series("benchmark")
        elif inputs.any_of("factor_returns", "benchmark_returns"):
            self.benchmark = inputs.series("factor_returns", "benchmark_returns")
        cutoff = inputs.number("cutoff", default=Fraction(1, 20))
        self.level = inputs.real("level", "confidence", "p", default=float(1 - cutoff))
        self.window = int(inputs.real("window", default=0.0))


def _one_or_many(inputs: Inputs, *names: str) -> float | FloatArray:
    """Return a number or a series; 0 where it is not given."""
    value = inputs.raw(*names, default=0)
    if isinstance(value, list):
        return np.array([to_float(names[0], item) for item in value])
    return to_float(names[0], value)


def _scalar(value: float | FloatArray, name: str) -> float:
    """Return a number where a series makes no sense."""
    if isinstance(value, np.ndarray):
        raise CannotExpressError(f"{name}: one number is needed")
    return value


def returns_rule(inputs: Inputs) -> Answers:
    """Offer the performance of one series of returns, or of prices."""
    if "returns" in inputs:
        returns = inputs.series("returns")
    else:
        level = inputs.series("prices", "equity", "nav")
        returns = level[1:] / level[:-1] - 1.0
    return _measures(returns, _Settings(inputs, 252.0, "empyrical"))


def sets_rule(inputs: Inputs) -> Answers:
    """Offer the same measures of several small series, as lists in their order."""
    found: list[Mapping[str, Callable[[], Value]]] = []
    for row in inputs.rows("sets"):
        if not isinstance(row, dict):
            raise CannotExpressError("'sets': objects are needed")
        one = inputs.with_row("sets", row)
        found.append(returns_rule(one))
        if one.unread:
            raise CannotExpressError(f"'sets': field {one.unread[0]!r} is not known")

    def every(name: str) -> Callable[[], Value]:
        return lambda: [answers[name]() for answers in found]

    return {name: every(name) for name in found[0]} if found else {}


def _measures(returns: FloatArray, s: _Settings) -> dict[str, Callable[[], Value]]:
    """Offer every measure of a series, computed when asked for."""
    annual = s.convention == "empyrical"
    # PerformanceAnalytics prints the depth of a drawdown as a positive number.
    sign = 1.0 if annual else -1.0

    def benchmark() -> FloatArray:
        if s.benchmark is None:
            raise CannotExpressError("input 'benchmark' is needed")
        return s.benchmark

    def drop() -> drawdown.Drawdown:
        return drawdown.worst_drawdown(returns)

    def shape() -> Any:
        return moments(returns, 1)

    def plain_sharpe() -> float:
        # PerformanceAnalytics has two: SharpeRatio per period, and SharpeRatio.annualized. A case
        # that gives no periods per year is about the first.
        whole = annual or s.periods_given
        return performance.sharpe(
            returns,
            risk_free=s.risk_free,
            periods=s.periods if whole else 1.0,
            ddof=s.ddof,
            convention=s.convention if whole else "empyrical",
        )

    tail = cast("TailConvention", s.convention)
    return {
        "sharpe": plain_sharpe,
        "sharpe_annualized": lambda: performance.sharpe(
            returns,
            risk_free=s.risk_free,
            periods=s.periods,
            ddof=s.ddof,
            convention=s.convention,
        ),
        "sortino": lambda: performance.sortino(
            returns, required=s.required, periods=s.periods, convention=s.convention
        ),
        "downside_risk": lambda: performance.downside_risk(
            returns, required=s.required, periods=s.periods, convention=s.convention
        ),
        "calmar": lambda: performance.calmar(returns, periods=s.periods, convention=s.convention),
        "omega": lambda: performance.omega(
            returns,
            risk_free=s.risk_free,
            required=_scalar(s.required, "required_return"),
            periods=s.periods,
            convention=s.convention,
        ),
        "max_drawdown": lambda: sign * drawdown.max_drawdown(returns) + 0.0,
        "max_drawdown_duration": lambda: drop().longest,
        "annual_return": lambda: performance.annual_return(
            returns, periods=s.periods, convention=s.convention
        ),
        "annual_volatility": lambda: performance.annual_vol(
            returns, periods=s.periods, ddof=s.ddof
        ),
        "cum_return": lambda: performance.cum_return(returns),
        "cum_returns": lambda: np.cumprod(1.0 + np.nan_to_num(returns)) - 1.0,
        "drawdowns": lambda: drawdown.drawdown_series(returns),
        "tail_ratio": lambda: performance.tail_ratio(returns),
        "stability": lambda: performance.stability(returns),
        "information_ratio": lambda: performance.information_ratio(
            returns, benchmark(), periods=s.periods, convention=s.convention
        ),
        "tracking_error": lambda: performance.tracking_error(
            returns, benchmark(), periods=s.periods
        ),
        "alpha": lambda: performance.alpha_beta(
            returns, benchmark(), risk_free=s.risk_free, periods=s.periods, compound=annual
        )[0],
        "beta": lambda: performance.alpha_beta(
            returns, benchmark(), risk_free=s.risk_free, periods=s.periods
        )[1],
        "var": lambda: tail_risk.historical_var(returns, s.level, convention=tail),
        "es": lambda: tail_risk.historical_es(returns, s.level, convention=tail),
        "cvar": lambda: tail_risk.historical_es(returns, s.level, convention=tail),
        "psr": lambda: significance.probabilistic_sharpe(returns),
        "mean": lambda: shape().mean,
        "sd": lambda: performance.annual_vol(returns, periods=1, ddof=s.ddof),
        "skew": lambda: shape().skew,
        "kurtosis": lambda: shape().kurt,
        "excess_kurtosis": lambda: shape().kurt - 3.0,
    }


_METRICS = frozenset(
    _measures(np.zeros(2), _Settings(Inputs({}), 12.0, "empyrical")),
)
