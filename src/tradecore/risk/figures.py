"""Value at risk, expected shortfall and stress at a stated sequence number.

The portfolio of a node is its positions at the prices of that moment; cash and coins that were only
deposited do not count. Its simulated gains are the recorded returns of each instrument times what
the node holds of it, so their joint movement is that of the record (historical simulation).
Everything here is a function of the state, the seed of the simulation included.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from tradecore.catalog import Catalog
from tradecore.codes import Scope
from tradecore.risk.policy import FigurePolicy, Scenario
from tradecore.risk.values import Amounts

__all__ = ["Figures", "NodeFigures", "Tail", "make_tails", "stress"]

_MILLION: Final = 1_000_000
_FEWEST: Final = 2  # returns below which there is no distribution

FloatArray = npt.NDArray[np.float64]


class Tail(msgspec.Struct, frozen=True):
    """VaR and ES of a node at one confidence level; positive losses, reporting asset.

    Attributes
    ----------
    level : float
    historical_var, historical_es : float
        Of the recorded returns; the worst ``n (1 - level)`` of them, the last one in part.
    gaussian_var, gaussian_es : float
        Of a normal distribution with their mean and deviation.
    modified_var, modified_es : float
        Cornish-Fisher: with their skewness and kurtosis.
    simulated_var, simulated_es : float or None
        Monte Carlo with their covariance, seeded by the sequence number; None where not asked for.
    """

    level: float
    historical_var: float
    historical_es: float
    gaussian_var: float
    gaussian_es: float
    modified_var: float
    modified_es: float
    simulated_var: float | None = None
    simulated_es: float | None = None


class NodeFigures(msgspec.Struct, frozen=True):
    """A node's exposure, profit, tails and stress; amounts in smallest units."""

    scope: str
    id: int
    gross: int
    net: int
    profit: int
    tails: list[Tail]
    stress: dict[str, int]


class Figures(msgspec.Struct, frozen=True):
    """Everything that is known about risk behind one frame of `executions`.

    Attributes
    ----------
    seq : int
        Number of the next frame of `executions`: all before it are in.
    in_offset : int
        Offset of the newest command record among them.
    ts_ns : int
        Log time.
    asset_id : int
        Reporting asset.
    returns : int
        Recorded returns behind the tails.
    unpriced : int
        Positions without a price or a rate: left out everywhere.
    nodes : list of NodeFigures
        The firm, the groups, and whatever else was asked for.
    """

    seq: int
    in_offset: int
    ts_ns: int
    asset_id: int
    returns: int
    unpriced: int
    nodes: list[NodeFigures]


def make_tails(
    policy: FigurePolicy, returns: FloatArray, held: FloatArray, *, seed: int, simulate: bool
) -> list[Tail]:
    """Return the tails of a portfolio; empty while there are too few returns.

    Parameters
    ----------
    policy : FigurePolicy
    returns : ndarray of float64, shape (t, n)
        Recorded simple returns.
    held : ndarray of float64, shape (n,)
        Signed market value of what is held of each instrument.
    seed : int
        Of the Monte Carlo simulation.
    simulate : bool
        Whether it is wanted: O(draws * n^2) for each level.
    """
    # Bulk numbers are for those who ask for figures.
    from tradecore.kernels import portfolio_risk, tail_risk

    if len(returns) < _FEWEST:
        return []
    gains = returns @ held
    scale = math.sqrt(policy.periods)
    tails = []
    for level in policy.levels:
        figures = {
            "historical_var": -tail_risk.historical_var(gains, level, convention="acerbi") * scale,
            "historical_es": -tail_risk.historical_es(gains, level, convention="acerbi") * scale,
            "gaussian_var": -tail_risk.gaussian_var(gains, level) * scale,
            "gaussian_es": -tail_risk.gaussian_es(gains, level) * scale,
            "modified_var": -tail_risk.modified_var(gains, level) * scale,
            "modified_es": -tail_risk.modified_es(gains, level) * scale,
        }
        if simulate:
            simulated = portfolio_risk.monte_carlo(
                np.random.Generator(np.random.PCG64(seed)),
                held,
                np.atleast_2d(np.cov(returns, rowvar=False)),
                scenarios=policy.draws,
                level=level,
                days=policy.periods,
            )
            figures |= {"simulated_var": simulated.var, "simulated_es": simulated.es}
        tails.append(Tail(level, **{name: _finite(value) for name, value in figures.items()}))
    return tails


def _finite(value: float) -> float:
    """Return a figure; a portfolio that never moved has no skewness, and no risk."""
    return value if math.isfinite(value) else 0.0


def stress(
    scenarios: Sequence[Scenario], catalog: Catalog, instruments: Sequence[int], held: Sequence[int]
) -> dict[str, int]:
    """Return what every scenario would gain, in the reporting asset.

    Parameters
    ----------
    scenarios : sequence of Scenario
    catalog : Catalog
        Of the symbols; ConfigError for one that is not there.
    instruments : sequence of int
        Ids.
    held : sequence of int
        Exact signed market value of each.

    Notes
    -----
    ``sum floor(held * shock)``: first order, exact for linear instruments and spot positions in the
    reporting asset; rates of other quote assets stay what they are.
    """
    found = {}
    for scenario in scenarios:
        shocks = {
            catalog.instrument(symbol, f"scenario {scenario.name!r}").instrument_id: ppm
            for symbol, ppm in scenario.by_symbol.items()
        }
        found[scenario.name] = sum(
            value * shocks.get(instrument, scenario.all_ppm) // _MILLION
            for instrument, value in zip(instruments, held, strict=True)
        )
    return found


def node_figures(
    scope: Scope, number: int, amounts: Amounts, tails: list[Tail], shocks: dict[str, int]
) -> NodeFigures:
    """Return the figures of one node under the name that people use."""
    return NodeFigures(
        scope.name.lower(), number, amounts.gross, amounts.net, amounts.profit, tails, shocks
    )
