"""Bulk numerics over arrays: marking, lots, average cost, returns, risk measures.

The only package of the library that may use Numba (extra ``research``); without it the same
functions run as ordinary Python and NumPy, slower. Importing this package imports nothing else:
names are loaded from their modules at first use, and a compiled kernel is compiled at its first
call. Arrays in, arrays out; nothing here keeps state, reads a clock or draws random numbers of its
own.

Money is int64 and every result that does not fit is reported, never wrapped. Floats appear only in
the statistics, which describe returns and move no money.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tradecore.kernels.average import AverageCost, average_cost, inverse_value
    from tradecore.kernels.drawdown import (
        Drawdown,
        drawdown_series,
        max_drawdown,
        worst_drawdown,
    )
    from tradecore.kernels.exact import Position
    from tradecore.kernels.lots import LotMatches, allocate_by_qty, match_lots
    from tradecore.kernels.marking import (
        Mark,
        mark_positions,
        mark_sorted,
        sum_by_group,
    )
    from tradecore.kernels.performance import (
        alpha_beta,
        annual_return,
        annual_vol,
        calmar,
        cum_return,
        downside_risk,
        information_ratio,
        omega,
        sharpe,
        sortino,
        stability,
        tail_ratio,
        tracking_error,
    )
    from tradecore.kernels.portfolio_risk import (
        MonteCarloRisk,
        ParametricRisk,
        covariance,
        monte_carlo,
        parametric,
    )
    from tradecore.kernels.rolling import (
        rolling_max_drawdown,
        rolling_return,
        rolling_sharpe,
        rolling_vol,
    )
    from tradecore.kernels.significance import (
        deflated_sharpe,
        expected_max_sharpe,
        min_track_record,
        probabilistic_sharpe,
        sharpe_confidence,
    )
    from tradecore.kernels.tail_risk import (
        gaussian_es,
        gaussian_var,
        historical_es,
        historical_var,
        modified_es,
        modified_var,
        tail_losses,
    )

# Where each public name lives. One line a module; `__getattr__` reads it, and so does the test that
# compares it with the modules' own `__all__`.
_HOME = {
    "average": "AverageCost average_cost inverse_value",
    "drawdown": "Drawdown drawdown_series max_drawdown worst_drawdown",
    "exact": "Position",
    "lots": "LotMatches allocate_by_qty match_lots",
    "marking": "Mark mark_positions mark_sorted sum_by_group",
    "performance": "alpha_beta annual_return annual_vol calmar cum_return downside_risk"
    " information_ratio omega sharpe sortino stability tail_ratio tracking_error",
    "portfolio_risk": "MonteCarloRisk ParametricRisk covariance monte_carlo parametric",
    "rolling": "rolling_max_drawdown rolling_return rolling_sharpe rolling_vol",
    "significance": "deflated_sharpe expected_max_sharpe min_track_record probabilistic_sharpe"
    " sharpe_confidence",
    "tail_risk": "gaussian_es gaussian_var historical_es historical_var modified_es modified_var"
    " tail_losses",
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names.split()}

__all__ = [
    "AverageCost",
    "Drawdown",
    "LotMatches",
    "Mark",
    "MonteCarloRisk",
    "ParametricRisk",
    "Position",
    "allocate_by_qty",
    "alpha_beta",
    "annual_return",
    "annual_vol",
    "average_cost",
    "calmar",
    "covariance",
    "cum_return",
    "deflated_sharpe",
    "downside_risk",
    "drawdown_series",
    "expected_max_sharpe",
    "gaussian_es",
    "gaussian_var",
    "historical_es",
    "historical_var",
    "information_ratio",
    "inverse_value",
    "mark_positions",
    "mark_sorted",
    "match_lots",
    "max_drawdown",
    "min_track_record",
    "modified_es",
    "modified_var",
    "monte_carlo",
    "omega",
    "parametric",
    "probabilistic_sharpe",
    "rolling_max_drawdown",
    "rolling_return",
    "rolling_sharpe",
    "rolling_vol",
    "sharpe",
    "sharpe_confidence",
    "sortino",
    "stability",
    "sum_by_group",
    "tail_losses",
    "tail_ratio",
    "tracking_error",
    "worst_drawdown",
]


def __getattr__(name: str) -> object:
    """Import the module of a public name at its first use."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return __all__
