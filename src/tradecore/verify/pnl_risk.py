"""Rules for cases about value at risk, expected shortfall and the significance of a ratio."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, cast

from tradecore.kernels import portfolio_risk, significance, tail_risk
from tradecore.kernels._arrays import FloatArray
from tradecore.kernels.normal import norm_pdf, norm_ppf
from tradecore.kernels.tail_risk import TailConvention
from tradecore.verify.pnl_case import Answers, CannotExpressError, Inputs, Value, to_float

__all__ = [
    "TAIL_WORDS",
    "convention_of",
    "gaussian_rule",
    "portfolio_rule",
    "sharpe_rule",
    "tail_measure",
    "tail_rule",
]

# Words by which cases and books name a convention.
TAIL_WORDS = {
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


def convention_of(inputs: Inputs, words: dict[str, str], default: str) -> str:
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
    convention = convention_of(inputs, TAIL_WORDS, "prmia")
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


def portfolio_rule(inputs: Inputs) -> Answers:
    """Delta-normal VaR of several positions, its split, and its horizon."""
    positions = inputs.series("positions", "values", "exposures")
    if "weights" in inputs:
        scale = inputs.real("value", "portfolio_value", default=1.0)
        positions = inputs.series("weights") * scale
    if "cov" in inputs:
        cov = inputs.matrix("cov")
    else:
        names = ("rho", "corr", "correlation")
        correlation: float | FloatArray = (
            inputs.matrix(*names)
            if isinstance(inputs.raw(*names), list)
            else inputs.real(*names, default=0.0)
        )
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


def tail_measure(inputs: Inputs, method: str, level: float) -> Callable[[FloatArray], float]:
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
        if meaning is not None:
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
    convention = cast("TailConvention", convention_of(inputs, TAIL_WORDS, default))
    if "historical" in families:
        historical = tail_risk.historical_es if shortfall else tail_risk.historical_var
        return lambda values: historical(values, level, convention=convention)
    if "gaussian" in families:
        gaussian = tail_risk.gaussian_es if shortfall else tail_risk.gaussian_var
        return lambda values: gaussian(values, level, ddof=ddof)
    modified = tail_risk.modified_es if shortfall else tail_risk.modified_var
    return lambda values: modified(values, level, ddof=ddof)


def gaussian_rule(inputs: Inputs) -> Answers:
    """VaR and ES of one position with a known volatility, and their growth with the horizon."""
    value = inputs.real("position", "value", "portfolio_value", default=1.0)
    sd = inputs.real("sigma", "sd", "vol", "volatility")
    mean = inputs.real("mean", "mu", default=0.0)
    days = inputs.real("days", "horizon_days", "horizon", default=1.0)
    level = inputs.real("level", "confidence", "p", default=0.99)
    z = inputs.real("z") if "z" in inputs else norm_ppf(level)
    spread = abs(value) * sd * math.sqrt(days)
    drift = value * mean * days
    shortfall = norm_pdf(z) / (0.5 * math.erfc(z / math.sqrt(2.0)))
    answers: dict[str, Any] = {
        "sd": lambda: abs(value) * sd,
        "sd_1d": lambda: abs(value) * sd,
        "sd_horizon": lambda: spread,
        "var": lambda: z * spread - drift,
        "var_1d": lambda: z * abs(value) * sd - value * mean,
        "es": lambda: shortfall * spread - drift,
        "es_1d": lambda: shortfall * abs(value) * sd - value * mean,
    }
    if days == int(days):
        answers[f"var_{int(days)}d"] = answers["var"]
        answers[f"es_{int(days)}d"] = answers["es"]
    return answers
