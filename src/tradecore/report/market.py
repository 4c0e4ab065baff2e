"""One picture of a market: depth over time, depth at the end, equity curves, prices."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from tradecore.report.figure import COLOURS, Figure, new_figure, styled

__all__ = ["Levels", "MarketPicture", "draw_market"]

Levels = list[tuple[int, int, int]]
"""Levels of a book side, best first: price in ticks, lots, orders."""

_BID, _ASK = "#009E73", "#D55E00"
_MAX_ROWS: Final = 160
_MAX_COLUMNS: Final = 240


class MarketPicture(msgspec.Struct, kw_only=True):
    """What there is to draw; every part may be empty and is then left out.

    Parameters
    ----------
    title : str
        One line above the picture.
    seconds : ndarray of float64, shape (n,)
        Log time of the samples since the beginning, seconds.
    prices : dict of str to ndarray of float64, shape (n,)
        Price of each instrument, in currency.
    equity : dict of str to ndarray of float64, shape (n,)
        Result of each class of participants, in currency.
    depth_name : str
        Whose depth is drawn.
    depth_tick : float
        Currency of one tick of that instrument.
    depth_seconds : list of float
        When depth was sampled.
    depth : list of (bids, asks)
        The samples.
    unit : str
        What the time axis counts.
    """

    title: str
    seconds: npt.NDArray[np.float64]
    prices: dict[str, npt.NDArray[np.float64]]
    equity: dict[str, npt.NDArray[np.float64]]
    depth_name: str
    depth_tick: float
    depth_seconds: list[float]
    depth: list[tuple[Levels, Levels]]
    unit: str = "seconds of log time"


def draw_market(picture: MarketPicture) -> Figure:
    """Return the picture as a figure. O(samples)."""
    figure = new_figure(11, 8 if picture.equity else 6.5)
    with styled():
        if picture.equity:
            cells = figure.subplot_mosaic(
                [["map", "map", "end"], ["equity", "equity", "prices"]],
                height_ratios=[1.15, 1],
            )
            _draw_equity(cells["equity"], picture)
            _draw_prices(cells["prices"], picture)
        else:
            cells = figure.subplot_mosaic(
                [["map", "map", "end"], ["prices", "prices", "prices"]], height_ratios=[1.4, 1]
            )
            _draw_prices(cells["prices"], picture, relative=len(picture.prices) > 1)
        _draw_map(figure, cells["map"], picture)
        _draw_end(cells["end"], picture)
        figure.suptitle(picture.title, x=0.01, ha="left", fontsize=11)
    return figure


def _even(picture: MarketPicture) -> list[tuple[Levels, Levels]]:
    """Return the depth at evenly spaced times: each time shows the last sample before it.

    Samples are taken by the number of rows, and a market is not equally busy all day.
    """
    at = np.array(picture.depth_seconds)
    columns = min(len(at), _MAX_COLUMNS)
    times = np.linspace(at[0], at[-1], columns)
    last = np.searchsorted(at, times, side="right") - 1
    return [picture.depth[i] for i in last.tolist()]


def _heat(
    depth: list[tuple[Levels, Levels]], traded: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], float, float]:
    """Return lots by (price row, sample), asks positive and bids negative, and the price range.

    Parameters
    ----------
    depth : list of (bids, asks)
    traded : ndarray of float64
        Prices of trades in ticks; all of them are inside the range.
    """
    prices = [level[0] for bids, asks in depth for level in (*bids[:40], *asks[:40])]
    if not prices:
        return np.zeros((1, 1)), 0.0, 1.0
    # The few far prices of a crash would squeeze everything else into a line.
    low, high = (int(np.percentile(prices, p)) for p in (0.5, 99.5))
    if len(traded := traded[np.isfinite(traded)]):
        low, high = min(low, int(traded.min())), max(high, int(traded.max()) + 1)
    high = max(high, low + 1)
    step = max(1, -(-(high - low + 1) // _MAX_ROWS))
    rows = (high - low) // step + 1
    heat = np.zeros((rows, len(depth)))
    for column, sides in enumerate(depth):
        for levels, sign in zip(sides, (-1.0, 1.0), strict=True):
            for px, qty, _ in levels:
                if low <= px <= high:
                    heat[(px - low) // step, column] += sign * qty
    return heat, float(low), float(low + rows * step)


def _draw_map(figure: Figure, axes: Any, picture: MarketPicture) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    axes.set_title(f"{picture.depth_name}: resting lots by price and time")
    if not picture.depth:
        return
    price = picture.prices.get(picture.depth_name, np.zeros(0))
    heat, low, high = _heat(_even(picture), np.rint(price / picture.depth_tick))
    shown = np.sign(heat) * np.log1p(np.abs(heat))
    limit = max(float(np.percentile(np.abs(shown), 99.5)), 1e-9)
    colours = LinearSegmentedColormap.from_list("book", [_BID, "#ffffff", _ASK])
    seconds = picture.depth_seconds
    last = seconds[-1] + (seconds[-1] - seconds[0]) / max(heat.shape[1] - 1, 1)
    tick = picture.depth_tick
    axes.imshow(
        shown,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap=colours,
        vmin=-limit,
        vmax=limit,
        extent=(seconds[0], max(last, seconds[0] + 1e-9), low * tick, high * tick),
    )
    if len(price):
        axes.plot(picture.seconds, price, color="black", linewidth=0.7)
    axes.set_ylim(low * tick, high * tick)
    axes.grid(False)
    axes.ticklabel_format(useOffset=False, style="plain", axis="y")
    axes.set_xlabel(f"{picture.unit} (bids green, asks orange, last price black)")


def _near(levels: Levels) -> Levels:
    """Return the levels that hold 90 % of a side: the far ones would squeeze the rest."""
    total = np.cumsum([level[1] for level in levels])
    return levels[: int(np.searchsorted(total, 0.9 * total[-1])) + 1] if levels else levels


def _draw_end(axes: Any, picture: MarketPicture) -> None:
    axes.set_title("depth at the end, nearest 90 %")
    if not picture.depth:
        return
    bids, asks = (_near(levels) for levels in picture.depth[-1])
    # Best first: what is held at a level reaches to the next one, downwards for bids.
    for levels, colour, name in ((bids, _BID, "bids"), (asks, _ASK, "asks")):
        if not levels:
            continue
        px = np.array([level[0] for level in levels], float) * picture.depth_tick
        total = np.cumsum([level[1] for level in levels])
        axes.fill_between(px, total, step="post", color=colour, alpha=0.3)
        axes.step(px, total, where="post", color=colour, label=name)
    axes.set_ylim(bottom=0)
    axes.ticklabel_format(useOffset=False, style="plain", axis="x")
    axes.tick_params(axis="x", rotation=30)
    axes.set_xlabel("price")
    axes.set_ylabel("lots up to the price")
    axes.legend(loc="upper center")


def _draw_equity(axes: Any, picture: MarketPicture) -> None:
    axes.set_title("equity: PnL by class of participant, marked at the last price")
    axes.axhline(0, color="#888888", linewidth=0.8)
    for (name, curve), colour in zip(picture.equity.items(), COLOURS, strict=False):
        axes.plot(picture.seconds, curve / 1e3, color=colour, linewidth=1.2, label=name)
    axes.set_ylabel("thousand USD")
    axes.set_xlabel(picture.unit)
    axes.legend(loc="best", ncols=2)


def _draw_prices(axes: Any, picture: MarketPicture, *, relative: bool = True) -> None:
    axes.set_title("prices, % since the opening" if relative else "price")
    for (name, curve), colour in zip(picture.prices.items(), COLOURS * 11, strict=False):
        if len(curve):
            shown = (curve / curve[0] - 1) * 100 if relative else curve
            axes.plot(picture.seconds, shown, color=colour, linewidth=1, label=name)
    axes.set_xlabel(picture.unit)
    axes.ticklabel_format(useOffset=False, style="plain", axis="y")
    if 1 < len(picture.prices) <= 8:
        axes.legend(loc="best")
