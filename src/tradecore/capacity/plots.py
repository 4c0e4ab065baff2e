"""The pictures of a capacity report: latency over load, scaling laws, the plan beside public rates.

Each function takes result lines or a plan and returns a figure, None where its data is absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from tradecore.capacity.plan import Plan
from tradecore.capacity.usl import Fit
from tradecore.report.figure import COLOURS, Figure, new_figure, styled
from tradecore.testing.results import Result

__all__ = ["draw_head_room", "draw_latency", "draw_law", "draw_rates"]

_SHOWN: Final = ("p50_us", "p90_us", "p99_us", "p99.9_us", "p99.99_us", "max_us")


def draw_latency(rows: Sequence[Result], saturation: Result) -> Figure | None:
    """Draw percentiles of latency over the offered rate, and where the limit is reached.

    Parameters
    ----------
    rows : sequence of Result
        The ``load/NAME`` lines of one target.
    saturation : Result
        Its ``saturation/NAME`` line.
    """
    rows = sorted(rows, key=lambda row: float(row.conditions["rate"]))
    if len(rows) < 2:
        return None
    rates = [float(row.conditions["rate"]) for row in rows]
    limit = float(saturation.conditions["limit_ms"]) * 1e3
    with styled():
        figure = new_figure(7.2, 3.6)
        axes = figure.add_subplot()
        shades = _shades(len(_SHOWN))
        for name, shade in zip(_SHOWN, shades, strict=True):
            values = [max(float(row.observed[name]), 0.1) for row in rows]
            label = name.removesuffix("_us")
            axes.plot(rates, values, "o-", ms=3, lw=1.3, color=shade, label=label)
        axes.axhline(limit, color=COLOURS[1], lw=1, ls="--")
        axes.text(rates[0], limit * 1.15, f"limit {limit / 1e3:g} ms", color=COLOURS[1], fontsize=8)
        if saturation.median > 0:
            axes.axvline(saturation.median, color=COLOURS[2], lw=1, ls="--")
            axes.annotate(
                f"{_short(saturation.median)}/s ",
                (saturation.median, 1),
                xycoords=("data", "axes fraction"),
                ha="right",
                va="top",
                color=COLOURS[2],
                fontsize=8,
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("offered commands a second")
        axes.set_ylabel("microseconds from the scheduled time")
        axes.set_title(f"Latency of {saturation.name.partition('/')[2]} over load")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
        axes.xaxis.set_major_formatter(_short_ticks)
        axes.xaxis.set_minor_formatter("")
    return figure


def draw_law(fit: Fit, what: str, cores: int | None = None) -> Figure:
    """Draw measured points, the fitted law with its peak, and the residuals below.

    Parameters
    ----------
    fit : Fit
    what : str
        What is counted, for the axis.
    cores : int or None
        Where the machine's cores end, if that means something for this law.
    """
    most = max(fit.workers)
    log = most > 32
    span = np.geomspace(1, most * 1.6, 200) if log else np.linspace(1, most * 1.5, 200)
    with styled():
        figure = new_figure(7.2, 4.2)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        line = [fit.at(n) for n in span]
        upper.plot(span, line, color=COLOURS[0], lw=1.5, label="fitted law")
        upper.plot(span, fit.gamma * span, color="#bbbbbb", lw=1, ls=":", label="linear")
        upper.plot(fit.workers, fit.measured, "o", ms=4, color=COLOURS[1], label="runs")
        upper.set_ylim(0, max(max(fit.measured), max(line)) * 1.25)
        if log:
            upper.set_xscale("log")
            upper.set_yscale("log")
            upper.set_ylim(min(fit.measured) / 2, max(max(fit.measured), max(line)) * 2)
        if cores is not None and cores < most:
            upper.axvline(cores, color="#888888", lw=0.8, ls="--")
            upper.annotate(
                f" {cores} cores", (cores, 0.04), xycoords=("data", "axes fraction"), fontsize=8
            )
        upper.set_ylabel("commands a second")
        upper.yaxis.set_major_formatter(_short_ticks)
        upper.set_title(what)
        upper.annotate(
            f"gamma {_short(fit.gamma)}/s, alpha {fit.alpha:.3g}{_plus_minus(fit.alpha_error)}, "
            f"beta {fit.beta:.3g}{_plus_minus(fit.beta_error)}",
            (1, 1.03),
            xycoords="axes fraction",
            ha="right",
            fontsize=8,
            color="#555555",
        )
        upper.legend(loc="lower right" if log else "upper left", fontsize=8)
        relative = 100 * np.array(fit.residuals) / np.array(fit.measured)
        lower.axhline(0, color="#888888", lw=0.8)
        lower.plot(fit.workers, relative, "o", ms=3, color=COLOURS[1])
        lower.set_ylabel("residual, %")
        lower.set_xlabel(what)
        lower.xaxis.set_major_formatter(_short_ticks)
    return figure


def draw_rates(plan: Plan) -> Figure:
    """Draw the plan's peak, what its cells sustain, and what venues have published."""
    cells = plan.components[0]
    bars = [
        (f"{plan.users:,} users, {plan.profile.name}: busiest second", cells.need, COLOURS[1]),
        (f"{cells.count} trading cell(s), p99.9 within the limit", cells.capacity, COLOURS[0]),
    ]
    bars += [(f"{each.venue} ({each.kind})", each.per_second, "#9a9a9a") for each in plan.public]
    names, values, colours = zip(*reversed(bars), strict=True)
    with styled():
        figure = new_figure(7.2, 2.4)
        axes = figure.add_subplot()
        axes.barh(names, values, color=colours, height=0.62)
        for at, value in enumerate(values):
            axes.text(value * 1.05, at, _short(value), va="center", fontsize=8)
        axes.set_xscale("log")
        axes.set_xlim(min(values) / 3, max(values) * 4)
        axes.xaxis.set_major_formatter(_short_ticks)
        axes.xaxis.set_minor_formatter("")
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("orders or commands a second")
    return figure


def draw_head_room(plan: Plan) -> Figure | None:
    """Draw how much of each component the busiest second takes."""
    parts = [each for each in plan.components if each.head_room is not None]
    if not parts:
        return None
    names = [f"{each.name} ({each.count})" if each.count else each.name for each in parts][::-1]
    used = [100 * each.need / each.capacity for each in parts][::-1]
    with styled():
        figure = new_figure(7.2, 0.32 * len(parts) + 0.8)
        axes = figure.add_subplot()
        axes.barh(names, [100] * len(parts), color="#eeeeee", height=0.62)
        axes.barh(names, used, color=COLOURS[0], height=0.62)
        for at, value in enumerate(used):
            axes.text(min(value, 88) + 1, at, f"{value:.3g} %", va="center", fontsize=8)
        axes.axvline(100 * plan.profile.utilisation, color=COLOURS[1], lw=1, ls="--")
        axes.set_xlim(0, 100)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("share of capacity used in the busiest second (dashed: most allowed), %")
    return figure


def _shades(count: int) -> list[tuple[float, float, float, float]]:
    """Return shades of one colour from light to dark: percentiles are one quantity."""
    import matplotlib

    colours = matplotlib.colormaps["viridis_r"]
    return [colours(0.12 + 0.8 * i / (count - 1)) for i in range(count)]


def _plus_minus(error: float | None) -> str:
    return "" if error is None else f" ± {error:.2g}"


def _short(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def _short_ticks(value: float, _: int) -> str:
    return _short(value)
