"""The live view of a session: book ladder, markets, last trades, throughput, PnL. Needs `rich`.

Redrawn a few times a second whatever the session does meanwhile; it only reads.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from tradecore.agents import CLASSES
from tradecore.cli.screen import rate_text
from tradecore.cli.session import Session
from tradecore.cli.words import cash_text, clock_text
from tradecore.codes import EventKind, Phase

__all__ = ["LiveView", "grid", "ladder_text", "panel"]

Levels = list[tuple[int, int, int]]

_REDRAW_S: Final = 0.2
_LADDER_TURN_S: Final = 3.0
_BUY, _SELL = "green", "red"


class LiveView:
    """Draws a session on a terminal; a context manager.

    Parameters
    ----------
    console : rich.console.Console
    title : str
        Shown in the header.
    """

    def __init__(self, console: Any, title: str) -> None:
        from rich.live import Live

        self._console = console
        self._title = title
        self._live = Live(console=console, screen=True, auto_refresh=False, transient=True)
        self._next = 0.0
        self._begin = time.perf_counter()

    def __enter__(self) -> LiveView:
        """Take over the screen."""
        self._live.__enter__()
        return self

    def __exit__(self, *about: Any) -> None:
        """Give the screen back."""
        self._live.__exit__(*about)

    def show(self, session: Session, done: int) -> None:
        """Redraw, unless that was done a moment ago."""
        now = time.perf_counter()
        if now < self._next:
            return
        self._live.update(self._layout(session, done, now - self._begin), refresh=True)
        self._next = time.perf_counter() + _REDRAW_S

    def _layout(self, session: Session, done: int, elapsed: float) -> Any:
        from rich.layout import Layout

        wide = self._console.width >= 96
        height = self._console.height
        footer = 8
        shown = int(elapsed / _LADDER_TURN_S) % len(session.market.plans)
        markets = min(len(session.market.plans), 6) + 4
        body = height - 3 - footer
        layout = Layout()
        layout.split_column(
            Layout(self._header(session, done), size=3),
            Layout(name="body"),
            Layout(name="footer", size=footer),
        )
        layout["body"].split_row(
            Layout(_ladder(session, shown, body - 2, 38 if wide else 28), size=42 if wide else 32),
            Layout(name="right"),
        )
        layout["right"].split_column(
            Layout(_markets(session, wide), size=markets),
            Layout(_tape(session, body - markets - 2)),
        )
        if self._console.width < 72:
            layout["footer"].update(_results(session, wide))
            return layout
        layout["footer"].split_row(
            Layout(_results(session, wide), ratio=3),
            Layout(_pace(session, elapsed), size=38 if wide else 32),
        )
        return layout

    def _header(self, session: Session, done: int) -> Any:
        from rich.panel import Panel
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        row = Table.grid(expand=True)
        row.add_column()
        row.add_column(ratio=1)
        row.add_column(justify="right")
        share = done / session.steps
        row.add_row(
            Text(f"log time {clock_text(session.market.view.now_ns)}  ", "bold"),
            ProgressBar(total=session.steps, completed=done),
            Text(f"  {share:4.0%}", "bold"),
        )
        return Panel(row, title=self._title, title_align="left", border_style="blue")


def panel(content: Any, title: str) -> Any:
    """Return a titled frame around something."""
    from rich.panel import Panel

    return Panel(content, title=title, title_align="left", border_style="dim", padding=(0, 1))


def grid(*columns: tuple[str, str]) -> Any:
    """Return an empty table without lines; columns are (heading, justification)."""
    from rich.table import Table

    table = Table(box=None, expand=True, padding=(0, 1, 0, 0), header_style="dim", show_edge=False)
    for name, justify in columns:
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    return table


def _ladder(session: Session, at: int, lines: int, width: int) -> Any:
    plan = session.market.plans[at]
    per_side = max(1, (lines - 1) // 2)
    bids = session.engine.depth(plan.instrument_id, 1, per_side)
    asks = session.engine.depth(plan.instrument_id, 2, per_side)
    text = ladder_text(bids, asks, per_side, width, plan.px_text)
    return panel(text, f"{plan.symbol} book, lots")


def ladder_text(
    bids: Levels, asks: Levels, per_side: int, width: int, px_text: Callable[[float], str]
) -> Any:
    """Return a book as a coloured ladder, best prices in the middle.

    Parameters
    ----------
    bids, asks : list of (px, qty, orders)
        Best first.
    per_side : int
        Lines of each side; the asks are pushed down to the spread.
    width : int
        Characters of a line.
    px_text : callable
        Writes a price.
    """
    from rich.text import Text

    largest = max((level[1] for level in (*bids, *asks)), default=1)
    bar = max(4, width - 22)
    text = Text(no_wrap=True)

    def draw(level: tuple[int, int, int], colour: str) -> None:
        px, qty, _ = level
        filled = max(1, qty * bar // largest)
        text.append(f"{px_text(px):>11} ", colour)
        text.append(f"{qty:>7,} ")
        text.append("█" * filled + "\n", colour)

    for _ in range(per_side - len(asks)):
        text.append("\n")
    for level in reversed(asks):
        draw(level, _SELL)
    if bids and asks:
        spread = asks[0][0] - bids[0][0]
        text.append(f"{'spread':>11} {spread:>7,} {'tick' if spread == 1 else 'ticks'}\n", "dim")
    else:
        text.append("\n")
    for level in bids:
        draw(level, _BUY)
    return text


def _markets(session: Session, wide: bool) -> Any:
    from rich.text import Text

    columns = [("", "left"), ("last", "right"), ("change", "right")]
    if wide:
        columns.append(("turnover", "right"))
    table = grid(*columns, ("phase", "left"))
    score, view = session.score, session.market.view
    for at, plan in enumerate(session.market.plans[:6]):
        px = int(score.last_px[at])
        change = px / plan.first_px - 1
        phase = Phase(session.engine.market_state(plan.instrument_id)["phase"])
        row = [
            Text(plan.symbol, "bold"),
            Text(plan.px_text(px)),
            Text(f"{change:+.2%}", _BUY if change >= 0 else _SELL),
        ]
        if wide:
            row.append(Text(cash_text(int(score.notional[at]))))
        calm = bool(view.open[at])
        name = "open" if calm else phase.name.lower()
        table.add_row(*row, Text(name, "" if calm else "bold yellow"))
    return panel(table, "markets")


def _tape(session: Session, lines: int) -> Any:
    from rich.text import Text

    table = grid(("", "left"), ("", "left"), ("price", "right"), ("lots", "right"))
    recent = list(session.trades)[::-1][: max(1, lines - 1)]
    for trade in recent:
        plan = session.market.plans[trade.instrument]
        colour = _BUY if trade.side == 1 else _SELL
        table.add_row(
            Text(plan.symbol),
            Text("buy" if trade.side == 1 else "sell", colour),
            Text(plan.px_text(trade.px), colour),
            Text(f"{trade.qty:,}"),
        )
    return panel(table, "last trades")


def _results(session: Session, wide: bool) -> Any:
    from rich.text import Text

    columns = [("", "left"), ("accounts", "right"), ("turnover", "right")]
    if wide:
        columns.append(("fees", "right"))
    table = grid(*columns, ("PnL", "right"))
    score, people = session.score, session.market.people
    pnl, fees = score.by_class(score.pnl()), score.by_class(score.fees)
    for index, name in enumerate(CLASSES):
        value = int(pnl[index])
        row = [
            Text(name),
            Text(f"{people.size(index):,}"),
            Text(cash_text(int(score.class_notional[index]))),
        ]
        if wide:
            row.append(Text(cash_text(int(fees[index]))))
        table.add_row(*row, Text(cash_text(value, sign=True), _BUY if value >= 0 else _SELL))
    return panel(table, "participants, USD")


def _pace(session: Session, elapsed: float) -> Any:
    from rich.text import Text

    table = grid(("", "left"), ("", "right"))
    table.show_header = False
    total = max(session.make_s + session.engine_s + session.look_s, 1e-9)
    kinds = session.kinds
    for name, value in (
        ("engine", rate_text(session.commands / max(session.engine_s, 1e-9))),
        ("commands", f"{session.commands:,}"),
        ("events", f"{session.events:,}"),
        ("fills", f"{int(kinds[EventKind.FILL]):,}"),
        ("refused", f"{sum(session.refusals.values()):,}"),
        ("time in engine", f"{session.engine_s / total:.0%}"),
    ):
        table.add_row(Text(name, "dim"), Text(value, "bold" if name == "engine" else ""))
    return panel(table, f"throughput, {elapsed:.0f} s")
