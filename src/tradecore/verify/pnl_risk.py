"""Rules for cases about value at risk, expected shortfall and performance measures."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np

from tradecore.kernels import drawdown, performance, portfolio_risk, significance, tail_risk
from tradecore.kernels._arrays import FloatArray
from tradecore.kernels.normal import moments, norm_ppf
from tradecore.kernels.performance import Convention
from tradecore.kernels.tail_risk import TailConvention
from tradecore.verify.pnl_case import Answers, CannotExpressError, Inputs, Value, to_float

__all__ = ["csv_rule", "cutoff_rule", "portfolio_rule", "returns_rule", "sharpe_rule", "tail_rule"]

# Words by which cases and books name a convention.
_TAIL_WORDS = {
    "hull": "hull",
    "beyond": "hull",
    "exclusive": "hull",
    "prmia": "prmia",
    "inclusive": "prmia",
    "acerbi": "acerbi",
    "tasche": "acerbi",
    "empyrical": "empyrical",
    "performanceanalytics": "performanceanalytics",
}
_RETURN_WORDS = {
    "empyrical": "empyrical",
    "performanceanalytics": "performanceanalytics",
    "pa": "performanceanalytics",
}


def _convention(inputs: Inputs, words: dict[str, str], default: str) -> str:
    """Return the convention a case names: as an input, or in its name, source or note."""
    named = inputs.text("convention", "es_convention")
    if named:
        if named not in words:
            raise CannotExpressError(f"convention {named!r} is not known")
        return words[named]
    return inputs.word(words) or default


def tail_rule(inputs: Inputs) -> Answers:
    """VaR and ES from the largest losses of a known number of observations."""
    losses = inputs.series("losses_desc", "losses", "worst_losses", "top_losses")
    level = inputs.real("level", "confidence", "p")
    total = inputs.raw("n", "observations", "scenarios", "count")
    convention = _convention(inputs, _TAIL_WORDS, "prmia")
    if inputs.text("method") not in ("", "historical", "hist", "historical_simulation"):
        raise CannotExpressError(f"method {inputs.text('method')!r} over losses is not known")
    if convention not in ("hull", "prmia", "acerbi"):
        convention = "prmia"
    var, shortfall = tail_risk.tail_losses(
        losses,
        level,
        count=None if total is None else int(to_float("n", total)),
        convention=cast("TailConvention", convention),
    )
    return {"var": lambda: var, "es": lambda: shortfall, "cvar": lambda: shortfall}


def cutoff_rule(inputs: Inputs) -> Answers:
    """VaR and ES of several small series, each with its own tail probability (empyrical)."""
    convention = cast("TailConvention", _convention(inputs, _TAIL_WORDS, "empyrical"))
    series: list[tuple[FloatArray, float]] = []
    for row in inputs.rows("sets"):
        one = Inputs(row if isinstance(row, dict) else {})
        values = one.series("returns")
        if "level" in one:
            level = one.real("level")
        else:
            level = float(1 - one.number("cutoff", default=Fraction(1, 20)))
        if one.unread:
            raise CannotExpressError(f"'sets': field {one.unread[0]!r} is not known")
        series.append((values, level))

    def var() -> list[float]:
        return [
            tail_risk.historical_var(values, level, convention=convention)
            for values, level in series
        ]

    def shortfall() -> list[float]:
        return [
            tail_risk.historical_es(values, level, convention=convention)
            for values, level in series
        ]

    return {"var": var, "es": shortfall, "cvar": shortfall}


def portfolio_rule(inputs: Inputs) -> Answers:
    """Delta-normal VaR of several positions, its split, and its horizon."""
    positions = inputs.series("positions", "values", "exposures")
    if "weights" in inputs:
        scale = inputs.real("value", "portfolio_value", default=1.0)
        positions = inputs.series("weights") * scale
    if "cov" in inputs:
        cov = np.array([[to_float("cov", v) for v in row] for row in inputs.rows("cov")])
    else:
        correlation = inputs.raw("rho", "corr", "correlation", default=0)
        if isinstance(correlation, list):
            correlation = [[to_float("corr", v) for v in row] for row in correlation]
        else:
            correlation = to_float("rho", correlation)
        cov = portfolio_risk.covariance(
            inputs.series("sigmas", "vols", "volatilities", "sds"), correlation
        )
    days = inputs.real("days", "horizon_days", "horizon", default=1.0)
    level = inputs.real("level", "confidence", "p", default=0.99)
    z = inputs.real("z") if "z" in inputs else None
    result = portfolio_risk.parametric(positions, cov, level=level, z=z, days=days)
    root = math.sqrt(days)
    var, sd = result.var, result.sd
    answers: dict[str, Any] = {
        "sd": lambda: sd,
        "sd_1d": lambda: sd,
        "sd_horizon": lambda: sd * root,
        "var": lambda: var,
        "var_1d": lambda: var / root,
        "es": lambda: result.es,
        "es_1d": lambda: result.es / root,
        "marginal_var": lambda: result.marginal,
        "component_var": lambda: result.component,
        "components": lambda: result.component,
        "component_pct": lambda: result.component / var,
        "undiversified_var": lambda: result.undiversified,
        "diversification_benefit": lambda: result.undiversified - var,
    }
    if days == int(days):
        answers[f"var_{int(days)}d"] = lambda: var
        answers[f"es_{int(days)}d"] = lambda: result.es
        answers[f"sd_{int(days)}d"] = lambda: sd * root
    return answers


def sharpe_rule(inputs: Inputs) -> Answers:
    """Probabilistic and deflated Sharpe ratios from summary figures."""
    periods = inputs.real("periods", default=1.0)
    sharpe = inputs.real("sharpe", "sr") / math.sqrt(periods)
    count = int(inputs.real("n", "t", "observations"))
    skew = inputs.real("skew", "skewness", default=0.0)
    kurt = inputs.real("kurt", "kurtosis", default=3.0)
    benchmark = inputs.real("benchmark", "sr_benchmark", "sr0", default=0.0) / math.sqrt(periods)
    level = inputs.real("level", default=0.95)
    answers: dict[str, Callable[[], Value]] = {
        "psr": lambda: significance.sharpe_confidence(
            sharpe, count, benchmark=benchmark, skew=skew, kurt=kurt
        ),
        "min_trl": lambda: significance.min_track_record(
            sharpe, benchmark=benchmark, level=level, skew=skew, kurt=kurt
        ),
    }
    if inputs.has("trials"):
        trials = int(inputs.real("trials"))
        variance = inputs.real("variance", "sharpe_variance") / periods
        answers["sr0"] = lambda: significance.expected_max_sharpe(trials, variance)
        answers["dsr"] = lambda: significance.deflated_sharpe(
            sharpe, count, trials=trials, variance=variance, skew=skew, kurt=kurt
        )
    return answers


def _tail_methods(inputs: Inputs, method: str, level: float) -> Callable[[FloatArray], float]:
    """Return the VaR or ES function that a method names: ``gaussian_ddof0``, ``hist_es``."""
    words = [word for word in re.split(r"[^a-z0-9]+", method) if word]
    known = {
        "historical": ("hist", "historical"),
        "gaussian": ("gaussian", "gauss", "normal", "parametric"),
        "modified": ("modified", "mod", "cornish", "fisher", "cornishfisher", "cf"),
        "es": ("es", "cvar", "etl", "shortfall", "expected"),
        "var": ("var",),
        "ddof0": ("ddof0", "population"),
        "ddof1": ("ddof1", "sample"),
    }
    found = set()
    for word in words:
        meaning = next((key for key, names in known.items() if word in names), None)
        if meaning is None:
            raise CannotExpressError(f"method {method!r}: {word!r} is not known")
        found.add(meaning)
    families = found & {"historical", "gaussian", "modified"}
    if len(families) != 1:
        raise CannotExpressError(f"method {method!r} does not name one family")
    if not found & {"es", "var"}:
        # A method without its measure: the case's own words say which one it is about.
        named = inputs.word({r"(?:es|cvar|etl)\d*": "es", r"var\d*": "var"}) or "var"
        found.add(named)
    ddof = 1 if "ddof1" in found else 0
    shortfall = "es" in found
    default = "performanceanalytics"
    convention = cast("TailConvention", _convention(inputs, _TAIL_WORDS, default))
    if "historical" in families:
        historical = tail_risk.historical_es if shortfall else tail_risk.historical_var
        return lambda values: historical(values, level, convention=convention)
    if "gaussian" in families:
        gaussian = tail_risk.gaussian_es if shortfall else tail_risk.gaussian_var
        return lambda values: gaussian(values, level, ddof=ddof)
    modified = tail_risk.modified_es if shortfall else tail_risk.modified_var
    return lambda values: modified(values, level, ddof=ddof)


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
    method = inputs.text("method")
    if method:
        level = inputs.real("level", "confidence", "p", default=0.95)
        # R's PerformanceAnalytics takes a level below one half for the tail probability.
        measure = _tail_methods(inputs, method, 1.0 - level if level < 0.5 else level)
        every = _ByColumn(columns, measure)
        if wanted is None:
            return {"values": lambda: every}
        value = measure(column(str(wanted)))
        return {"value": lambda: value, "var": lambda: value, "es": lambda: value}
    metric = inputs.text("metric", "measure", "statistic")
    benchmark = inputs.raw("benchmark_column", "benchmark")
    other = None if benchmark is None else column(str(benchmark))
    names = [str(wanted)] if wanted is not None else list(columns)
    settings = _Settings(inputs, frequency, "performanceanalytics", other)
    answers = {name: _measures(column(name), settings) for name in names}
    if wanted is not None:
        return answers[str(wanted)]
    if not metric:
        raise CannotExpressError("input 'method', 'column' or 'metric' is needed")
    if metric not in next(iter(answers.values())):
        raise CannotExpressError(f"metric {metric!r} is not known")
    return {"values": lambda: {name: answers[name][metric]() for name in names}}


class _ByColumn(dict[str, float]):
    """Values by column, computed for every column at once."""

    def __init__(
        self, columns: dict[str, FloatArray], measure: Callable[[FloatArray], float]
    ) -> None:
        super().__init__({name: measure(values) for name, values in columns.items()})


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
        self.convention = cast("Convention", _convention(inputs, _RETURN_WORDS, default))
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
    """Offer the performance of one series of returns."""
    return _measures(inputs.series("returns"), _Settings(inputs, 252.0, "empyrical"))


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
        "z": lambda: norm_ppf(1.0 - s.level),
    }
