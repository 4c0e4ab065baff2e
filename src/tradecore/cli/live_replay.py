"""The live view of a paced replay: ladder, last trades, counts. Needs `rich`."""

from __future__ import annotations

import time
from typing import Any, Final

from tradecore.cli.live import grid, ladder_text, panel
from tradecore.cli.replay_run import Replay
from tradecore.cli.words import clock_text

__all__ = ["ReplayView"]

_REDRAW_S: Final = 0.1


class ReplayView:
    """Draws a replay on a terminal; a context manager.

    Parameters
    ----------
    console : rich.console.Console
    replay : Replay
    speed : float
        Times real time; shown only.
    """

    def __init__(self, console: Any, replay: Replay, speed: float) -> None:
        from rich.live import Live

        self._console, self._speed = console, speed
        self._title = f"tradecore replay {replay.feed.path}"
        self._live = Live(console=console, screen=True, auto_refresh=False, transient=True)
        self._next = 0.0

    def __enter__(self) -> ReplayView:
        """Take over the screen."""
        self._live.__enter__()
        return self

    def __exit__(self, *about: Any) -> None:
        """Give the screen back."""
        self._live.__exit__(*about)

    def show(self, replay: Replay) -> None:
        """Redraw, unless that was done a moment ago."""
        if time.perf_counter() < self._next:
            return
        self._live.update(self._layout(replay), refresh=True)
        self._next = time.perf_counter() + _REDRAW_S

    def _layout(self, replay: Replay) -> Any:
        from rich.layout import Layout
        from rich.panel import Panel
        from rich.text import Text

        feed, body = replay.feed, self._console.height - 3
        head = Text(f"{clock_text(replay.ts_ns)}", "bold")
        share = f" of {feed.rows:,}" if feed.rows else ""
        head.append(f"   row {replay.rows:,}{share}   {self._speed:g} x real time", "not bold")
        layout = Layout()
        layout.split_column(
            Layout(Panel(head, title=self._title, title_align="left", border_style="blue"), size=3),
            Layout(name="body"),
        )
        layout["body"].split_row(
            Layout(self._ladder(replay, body - 2), ratio=3), Layout(self._side(replay, body))
        )
        return layout

    def _ladder(self, replay: Replay, lines: int) -> Any:
        shown = replay.focus
        if shown < 0:
            return panel("waiting for the first order", "book")
        per_side = max(1, (lines - 1) // 2)
        bids = replay.engine.depth(shown, 1, per_side)
        asks = replay.engine.depth(shown, 2, per_side)
        width = self._console.width * 3 // 4 - 4
        text = ladder_text(bids, asks, per_side, width, replay.feed.px_text)
        return panel(text, f"{replay.feed.name(shown)} book")

    def _side(self, replay: Replay, lines: int) -> Any:
        from rich.text import Text

        table = grid(("price", "right"), ("qty", "right"))
        for _, side, px, qty in reversed(replay.recent[-max(1, lines - 4) :]):
            colour = "green" if side == 1 else "red"
            table.add_row(Text(replay.feed.px_text(px), colour), Text(f"{qty:,}"))
        return panel(table, f"fills: {replay.fills:,}")
