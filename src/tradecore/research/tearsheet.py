"""One page about a run: what it earned, what it held, how its orders were filled, what that cost.

A matplotlib figure (PNG, SVG, PDF) or one self-contained HTML page with the numbers below it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from tradecore.codes import Side
from tradecore.report.figure import COLOURS, Figure, check_target, new_figure, save, styled
from tradecore.research.metrics import (
    equity_curve,
    fill_ratio,
    markouts,
    performance,
    slippage,
)
from tradecore.research.records import NEVER

if TYPE_CHECKING:
    from tradecore.research.results import Result

__all__ = ["draw_tear_sheet", "tear_sheet_text", "write_tear_sheet"]

_MAX_ROWS: Final = 120
_MAX_COLUMNS: Final = 360
_BLUE, _RED, _GREEN = COLOURS[0], COLOURS[1], COLOURS[2]


class _Money:
    """Quote units as they are shown, and what a tick is."""

    def __init__(self, result: Result, instrument: int) -> None:
        about = result.info.instruments.get(instrument, {})
        self.symbol = str(about.get("symbol", instrument))
        self.decimals = int(about.get("px_decimals", 0)) + int(about.get("qty_decimals", 0))
        self.tick = 10.0 ** -int(about.get("px_decimals", 0))

    def __call__(self, units: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        return units / 10.0**self.decimals


def write_tear_sheet(
    result: Result,
    path: str | os.PathLike[str],
    *,
    capital: float,
    title: str = "",
    trials: int = 1,
) -> None:
    """Draw a run and write it; the ending chooses .png, .svg, .pdf or .html.

    Parameters
    ----------
    result : Result
        With samples: ``sample_ns``, and ``sample_levels`` for the depth.
    path : str or path-like
    capital : float
        Quote units the strategy was given; returns are on it.
    title : str
        The strategy's name when empty.
    trials : int
        How many strategies were tried before this one; see `performance`.

    Raises
    ------
    ConfigError
        The path cannot be written, or matplotlib is missing.
    DataError
        The run took no samples.
    """
    target = os.fspath(path)
    check_target(target, "path")
    figure = draw_tear_sheet(result, capital=capital, title=title)
    text = tear_sheet_text(result, capital=capital, trials=trials)
    save(figure, target, title or result.info.strategy or "tear sheet", text)


def tear_sheet_text(result: Result, *, capital: float, trials: int = 1) -> str:
    """Return the numbers of a run as aligned lines."""
    about = result.summary()
    figures = performance(result, capital, trials=trials)
    fills = fill_ratio(result)
    cost = slippage(result)
    lines = [f"{name:<16}{value}" for name, value in about.items()]
    lines += [""] + [f"{name:<16}{value: .6g}" for name, value in figures.items()]
    lines += [""] + [
        f"{name:<16}{value:.6g}" if isinstance(value, float) else f"{name:<16}{value:,}"
        for name, value in fills.items()
    ]
    if len(cost):
        lines += ["", f"{'slippage':<16}{cost.mean():.4g} ticks an order, mean over {len(cost):,}"]
    for horizon, row in markouts(result).items():
        lines.append(f"{f'markout {horizon / 1e9:g} s':<16}{row['all']:.4g} ticks")
    lines += [
        "",
        f"data            {', '.join(os.path.basename(name) for name in result.info.data)}",
    ]
    lines += [f"fidelity        {result.info.fidelity}, queue {result.info.queue_model}"]
    lines += [f"latency {kind:<8}{model}" for kind, model in result.info.latency.items()]
    return "\n".join(lines)


def draw_tear_sheet(result: Result, *, capital: float, title: str = "") -> Figure:
    """Return the figure: equity, drawdown, inventory, markouts, fills, slippage, waits, depth."""
    equity_curve(result)  # says so when there are no samples
    instrument = int(result.quotes["instrument_id"][0]) if len(result.quotes) else 0
    money = _Money(result, instrument)
    figure = new_figure(11.0, 11.5)
    with styled():
        axes = figure.subplot_mosaic(
            [["equity", "equity"], ["drawdown", "inventory"], ["markout", "fills"],
             ["slippage", "wait"], ["depth", "depth"]],
            height_ratios=[1.3, 1.0, 1.0, 1.0, 1.4],
        )  # fmt: skip
        name = title or result.info.strategy
        figure.suptitle(
            f"{name} on {money.symbol}: {result.info.fidelity}, queue {result.info.queue_model}",
            fontsize=12, fontweight="bold", x=0.01, ha="left",
        )  # fmt: skip
        _equity(axes["equity"], axes["drawdown"], result, money, capital)
        _inventory(axes["inventory"], result, instrument, money)
        _markout(axes["markout"], result)
        _fills(axes["fills"], result)
        _slippage(axes["slippage"], result)
        _wait(axes["wait"], result)
        _depth(axes["depth"], result, instrument, money)
    return figure


def _hours(ts_ns: npt.NDArray[np.int64], result: Result) -> npt.NDArray[np.float64]:
    return (ts_ns - result.info.first_ns) / 3.6e12


def _equity(top: Any, below: Any, result: Result, money: _Money, capital: float) -> None:
    times, equity = equity_curve(result)
    hours = _hours(times, result)
    shown = money(equity)
    top.plot(hours, shown, color=_BLUE, lw=1.3, label="equity")
    realised = money(result.equity["realised"] - result.equity["fees"])
    top.plot(hours, realised, color="#888888", lw=0.9, label="realised, fees paid")
    top.set(title="Equity", xlabel="hours", ylabel="quote currency")
    top.legend(loc="best")
    worth = capital + equity - equity[0]
    peak = np.maximum.accumulate(worth)
    fall = np.where(peak > 0, worth / peak - 1, -1.0) * 100
    below.fill_between(hours, fall, color=_RED, alpha=0.35, lw=0)
    below.plot(hours, fall, color=_RED, lw=0.8)
    below.set(title=f"Drawdown on a capital of {money(np.array(capital)):,.0f}", xlabel="hours",
              ylabel="percent")  # fmt: skip


def _inventory(axes: Any, result: Result, instrument: int, money: _Money) -> None:
    rows = result.quotes[result.quotes["instrument_id"] == instrument]
    axes.step(_hours(rows["ts_ns"], result), rows["position_qty"], where="post", color=_GREEN,
              lw=0.9)  # fmt: skip
    axes.axhline(0, color="#888888", lw=0.6)
    axes.set(title=f"Inventory, {money.symbol}", xlabel="hours", ylabel="lots")


def _markout(axes: Any, result: Result) -> None:
    found = markouts(result)
    at = np.arange(len(found))
    labels = [f"{horizon / 1e9:g} s" for horizon in found]
    for key, colour, mark in (("maker", _BLUE, "o"), ("taker", _RED, "s")):
        values = [row[key] for row in found.values()]
        if not np.all(np.isnan(values)):
            axes.plot(at, values, color=colour, marker=mark, ms=4, lw=1.2, label=f"{key} fills")
    axes.axhline(0, color="#888888", lw=0.6)
    axes.set_xticks(at, labels)
    axes.set(title="Markout: what a fill was worth later", ylabel="ticks a lot")
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
    else:
        _nothing(axes, "no fills")


def _fills(axes: Any, result: Result) -> None:
    ratio = fill_ratio(result)
    orders = max(ratio["orders"], 1)
    parts = {
        "filled": ratio["filled"],
        "partly": ratio["touched"] - ratio["filled"],
        "rejected": ratio["rejected"],
    }
    parts["never touched"] = ratio["orders"] - sum(parts.values())
    shares = [100 * count / orders for count in parts.values()]
    axes.barh(list(parts), shares, color=[_GREEN, "#9ad0be", _RED, "#cccccc"])
    for row, (share, count) in enumerate(zip(shares, parts.values(), strict=True)):
        axes.text(share + 1, row, f"{share:.1f} %  ({count:,})", va="center", fontsize=8)
    axes.set_xlim(0, 125)
    axes.invert_yaxis()
    by_lots, made = ratio["by_lots"], ratio["maker_share"]
    axes.set(
        title=f"Orders: {by_lots:.1%} of lots traded, {made:.0%} of them as maker",
        xlabel="percent of orders",
    )


def _slippage(axes: Any, result: Result) -> None:
    cost = slippage(result)
    axes.set(title="Slippage against the middle at the decision", xlabel="ticks, right is dearer",
             ylabel="orders")  # fmt: skip
    if not len(cost):
        _nothing(axes, "no filled orders")
        return
    low, high = np.percentile(cost, [1, 99])
    axes.hist(np.clip(cost, low, high), bins=40, color=_BLUE, alpha=0.8)
    axes.axvline(cost.mean(), color=_RED, lw=1.2, label=f"mean {cost.mean():.2f}")
    axes.legend()


def _wait(axes: Any, result: Result) -> None:
    queue = result.queue
    waits = queue["wait_ns"][queue["wait_ns"] != NEVER] / 1e9
    axes.set(title="Time in the queue before the first fill", xlabel="seconds", ylabel="orders")
    waits = waits[waits > 0]
    if not len(waits):
        _nothing(axes, "no order waited and was filled")
        return
    edges = np.geomspace(max(waits.min(), 1e-6), max(waits.max(), 2e-6), 40)
    axes.hist(waits, bins=edges, color=_GREEN, alpha=0.85)
    axes.set_xscale("log")
    axes.axvline(float(np.median(waits)), color=_RED, lw=1.2,
                 label=f"median {np.median(waits):.3g} s")  # fmt: skip
    axes.legend()


def _depth(axes: Any, result: Result, instrument: int, money: _Money) -> None:
    rows = result.depth[result.depth["instrument_id"] == instrument]
    axes.set(title="Depth of the book, and own fills", xlabel="hours", ylabel="price")
    if not len(rows):
        _nothing(axes, "no depth samples; run with sample_levels=...")
        return
    hours = _hours(rows["ts_ns"], result)
    low, high = np.percentile(rows["px"], [0.5, 99.5])
    columns = min(_MAX_COLUMNS, len(np.unique(rows["ts_ns"])))
    ticks = max(int(high - low), 1)
    grid, x, y = np.histogram2d(
        hours, rows["px"], bins=[columns, min(_MAX_ROWS, ticks)],
        range=[[0, max(hours.max(), 1e-9)], [low, high]], weights=rows["qty"],
    )  # fmt: skip
    shown = np.ma.masked_equal(np.log1p(grid.T), 0)
    axes.pcolormesh(x, y * money.tick, shown, cmap="Blues", rasterized=True)
    fills = result.fills[result.fills["instrument_id"] == instrument]
    for side, colour, mark in ((Side.BUY, _GREEN, "^"), (Side.SELL, _RED, "v")):
        own = fills[fills["side"] == side]
        own = own[:: max(len(own) // 400, 1)]
        axes.scatter(_hours(own["ts_ns"], result), own["last_px"] * money.tick, s=9, color=colour,
                     marker=mark, lw=0, label=f"{side.name.lower()} fills")  # fmt: skip
    axes.grid(visible=False)
    if len(fills):
        axes.legend(loc="upper right", ncols=2)


def _nothing(axes: Any, text: str) -> None:
    axes.text(0.5, 0.5, text, ha="center", va="center", color="#888888", transform=axes.transAxes)
