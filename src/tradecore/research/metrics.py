"""Figures about a run: returns, ratios, markouts, slippage, fill ratio, waiting times.

Everything is computed from the tables of a `Result`; money is integer there and becomes a float
here, in reports, for the first time. Ratios come from `tradecore.kernels`, whose conventions are
those of empyrical and quantstats where these define one (tests compare them).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from tradecore.codes import Side
from tradecore.errors import ConfigError, DataError
from tradecore.research.records import NEVER, OrderState

if TYPE_CHECKING:
    from tradecore.research.results import Result

__all__ = [
    "MARKOUT_HORIZONS_NS",
    "equity_curve",
    "fill_ratio",
    "markouts",
    "performance",
    "returns",
    "slippage",
]

FloatArray = npt.NDArray[np.float64]

MARKOUT_HORIZONS_NS: Final = (
    *(100_000_000, 500_000_000, 1_000_000_000, 5_000_000_000),
    *(30_000_000_000, 60_000_000_000, 300_000_000_000),
)
"""0.1 s to 5 minutes."""

_TRADING_DAY_NS: Final = 23_400 * 10**9  # 6.5 hours


def equity_curve(result: Result) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Return (times ns, equity in quote units) of the samples of a run.

    Raises
    ------
    DataError
        The run took no samples: give `Setup.sample_ns`.
    """
    rows = result.equity
    if not len(rows):
        raise DataError("the run has no equity samples; run it with sample_ns=...", "equity")
    return rows["ts_ns"].copy(), rows["equity"].astype(np.float64)


def returns(result: Result, capital: float) -> FloatArray:
    """Return simple returns between samples on a capital, shape (samples - 1,).

    Parameters
    ----------
    result : Result
    capital : float
        What the strategy is given at the start, quote units; the account begins with it.

    Notes
    -----
    ``r_t = E_t / E_{t-1} - 1`` with ``E_t = capital + equity_t - equity_0``. A capital that is used
    up ends the series: what follows has no meaning as a return.
    """
    if not capital > 0:
        raise ConfigError(f"capital is {capital}; it must be positive, in quote units")
    _, equity = equity_curve(result)
    worth = capital + equity - equity[0]
    ruined = np.flatnonzero(worth <= 0)
    if len(ruined):
        worth = worth[: int(ruined[0])]
    return worth[1:] / worth[:-1] - 1 if len(worth) > 1 else np.empty(0)


def performance(
    result: Result, capital: float, *, periods: float | None = None, trials: int = 1
) -> dict[str, float]:
    """Return the usual ratios of a run.

    Parameters
    ----------
    result : Result
    capital : float
        Quote units.
    periods : float, optional
        Samples a year, for annualising; by default from the interval between samples, with 252
        days of 6.5 hours.
    trials : int
        Strategies that were tried before this one was chosen; the deflated Sharpe ratio asks how
        likely the best of so many is skill (Bailey and Lopez de Prado, 2014), taking the variance
        of one estimate for that between them.

    Returns
    -------
    dict
        total_return, annual_return, annual_vol, sharpe, sortino, calmar, omega, tail_ratio,
        max_drawdown, var_95, es_95, psr (probability that the true Sharpe ratio is above 0), dsr.
    """
    from tradecore import kernels

    values = returns(result, capital)
    if len(values) < 2:
        raise DataError("fewer than three equity samples: no figures to give", "equity")
    if periods is None:
        step = float(np.median(np.diff(result.equity["ts_ns"])))
        periods = 252.0 * _TRADING_DAY_NS / step
    if not periods > 0:
        raise ConfigError(f"periods is {periods}; it must be positive")
    flat = not np.any(values)
    nan = float("nan")
    found = {
        "total_return": kernels.cum_return(values),
        "annual_return": kernels.annual_return(values, periods=periods),
        "annual_vol": kernels.annual_vol(values, periods=periods),
        "max_drawdown": kernels.max_drawdown(values),
        "var_95": kernels.historical_var(values, 0.95),
        "es_95": kernels.historical_es(values, 0.95),
    }
    ratios: dict[str, Callable[[], float]] = {
        "sharpe": lambda: kernels.sharpe(values, periods=periods),
        "sortino": lambda: kernels.sortino(values, periods=periods),
        "calmar": lambda: kernels.calmar(values, periods=periods),
        "omega": lambda: kernels.omega(values),
        "tail_ratio": lambda: kernels.tail_ratio(values),
        "psr": lambda: kernels.probabilistic_sharpe(values),
        "dsr": lambda: _deflated(values, trials),
    }
    found |= {name: nan if flat else float(value()) for name, value in ratios.items()}
    return found


def _deflated(values: FloatArray, trials: int) -> float:
    from tradecore import kernels

    if trials <= 1:
        return kernels.probabilistic_sharpe(values)
    spread = float(values.std(ddof=1))
    z = (values - values.mean()) / values.std()
    return kernels.deflated_sharpe(
        float(values.mean()) / spread,
        len(values),
        trials=trials,
        variance=1.0 / (len(values) - 1),
        skew=float((z**3).mean()),
        kurt=float((z**4).mean()),
    )


def _middles(result: Result, instrument_id: int) -> tuple[npt.NDArray[np.int64], FloatArray]:
    rows = result.quotes[result.quotes["instrument_id"] == instrument_id]
    rows = rows[(rows["bid_px"] > 0) & (rows["ask_px"] > 0)]
    return rows["ts_ns"].copy(), (rows["bid_px"] + rows["ask_px"]) / 2.0


def markouts(
    result: Result, horizons_ns: Sequence[int] | None = None
) -> dict[int, dict[str, float]]:
    """Return what fills were worth later: the mean signed move of the middle price, in ticks.

    Parameters
    ----------
    result : Result
        With quote samples; the middle price after a horizon is that of the last sample before it.
    horizons_ns : sequence of int, optional
        By default those of `MARKOUT_HORIZONS_NS` that are no shorter than the distance of samples:
        below it the price looked up would be older than the fill.

    Returns
    -------
    dict of int to dict
        Per horizon ``all``, ``maker``, ``taker`` (ticks, weighted by lots; nan without fills) and
        ``fills`` that could be looked at. Positive: the market went the way of the fill.
    """
    found: dict[int, dict[str, float]] = {}
    fills = result.fills
    sign = np.where(fills["side"] == Side.BUY, 1.0, -1.0)
    if horizons_ns is None:
        times = np.unique(result.quotes["ts_ns"])
        step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
        horizons_ns = [one for one in MARKOUT_HORIZONS_NS if one >= step]
    for horizon in horizons_ns:
        if horizon <= 0:
            raise ConfigError(f"horizon {horizon} ns: it must be positive")
        moved = np.full(len(fills), np.nan)
        for instrument in np.unique(fills["instrument_id"]):
            times, middle = _middles(result, int(instrument))
            own = np.flatnonzero(fills["instrument_id"] == instrument)
            later = fills["ts_ns"][own] + horizon
            at = np.searchsorted(times, later, side="right") - 1
            known = (at >= 0) & (later <= (times[-1] if len(times) else -1))
            rows = own[known]
            moved[rows] = sign[rows] * (middle[at[known]] - fills["last_px"][rows])
        weight = np.where(np.isnan(moved), 0, fills["last_qty"]).astype(np.float64)
        value = np.nan_to_num(moved)
        row: dict[str, float] = {"fills": float(np.count_nonzero(weight))}
        for name, chosen in (
            ("all", np.ones(len(fills), np.bool_)),
            ("maker", fills["maker"] == 1),
            ("taker", fills["maker"] == 0),
        ):
            total = float(weight[chosen].sum())
            row[name] = float((value * weight)[chosen].sum()) / total if total else float("nan")
        found[horizon] = row
    return found


def slippage(result: Result) -> FloatArray:
    """Return, per filled order, average price against the middle when it was decided, in ticks.

    Positive is a cost: bought above, or sold below, the middle price that the strategy saw. Orders
    that were decided without two sides in the book are left out. Shape (orders,).
    """
    rows = result.orders
    rows = rows[(rows["cum_qty"] > 0) & (rows["bid_px"] > 0) & (rows["ask_px"] > 0)]
    paid = rows["filled_ticks"] / rows["cum_qty"]
    arrival = (rows["bid_px"] + rows["ask_px"]) / 2.0
    cost: FloatArray = np.where(rows["side"] == Side.BUY, paid - arrival, arrival - paid)
    return cost


def fill_ratio(result: Result) -> dict[str, Any]:
    """Return how much of what was asked for was traded, and how long it waited.

    Returns
    -------
    dict
        ``orders``, ``filled`` (completely), ``touched`` (at least one lot), ``rejected``,
        ``by_order`` and ``by_lots`` (shares), ``maker_share`` (of lots), ``wait_s`` (median of
        rest to first fill; nan without one), ``ahead_lots`` (median of lots in front at rest).
    """
    orders = result.orders
    asked = int(orders["order_qty"].sum())
    lots = int(result.fills["last_qty"].sum())
    queue = result.queue
    waits = queue["wait_ns"][queue["wait_ns"] != NEVER]
    nan = float("nan")
    made = int(result.fills["last_qty"][result.fills["maker"] == 1].sum())
    return {
        "orders": len(orders),
        "filled": int((orders["state"] == OrderState.FILLED).sum()),
        "touched": int((orders["cum_qty"] > 0).sum()),
        "rejected": int((orders["state"] == OrderState.REJECTED).sum()),
        "by_order": float((orders["cum_qty"] > 0).mean()) if len(orders) else nan,
        "by_lots": int(orders["cum_qty"].sum()) / asked if asked else nan,
        "maker_share": made / lots if lots else nan,
        "wait_s": float(np.median(waits)) / 1e9 if len(waits) else nan,
        "ahead_lots": float(np.median(queue["ahead_qty"])) if len(queue) else nan,
    }
