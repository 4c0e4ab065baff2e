"""The live view of an exchange: book ladder, markets, tape, pace, lag, risk. Needs `rich`.

It draws a `Watch`, so `tradecore up` and `tradecore top` show the same.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from tradecore.catalog import Catalog
from tradecore.cli.live import grid, ladder_text, panel
from tradecore.cli.screen import rate_text
from tradecore.cli.words import clock_text, short_text, status_name
from tradecore.codes import EventKind, Side
from tradecore_shells.watch import Watch

__all__ = ["ExchangeView"]

_TURN_S: Final = 4.0
_PACE_S: Final = 2.0
_BUY, _SELL = "green", "red"


class ExchangeView:
    """Draws a watch on a terminal; a context manager.

    Parameters
    ----------
    console : rich.console.Console
    watch : Watch
    catalog : Catalog
    title : str
    """

    def __init__(self, console: Any, watch: Watch, catalog: Catalog, title: str) -> None:
        from rich.live import Live

        self._console = console
        self._watch = watch
        self._specs = catalog.instruments
        self._title = title
        self._live = Live(console=console, screen=True, auto_refresh=False, transient=True)
        self._past: deque[tuple[float, int, int, int]] = deque()
        self._begin = -1.0

    def __enter__(self) -> ExchangeView:
        """Take over the screen."""
        self._live.__enter__()
        return self

    def __exit__(self, *about: Any) -> None:
        """Give the screen back."""
        self._live.__exit__(*about)

    def show(self, now_s: float) -> None:
        """Redraw; `now_s` is any clock that only goes forward."""
        self._live.update(self.layout(now_s), refresh=True)

    def layout(self, now_s: float) -> Any:
        """Return the picture of this moment."""
        from rich.layout import Layout

        if self._begin < 0:
            self._begin = now_s
        watch = self._watch
        self._past.append((now_s, watch.records, watch.events, watch.fills))
        while len(self._past) > 2 and now_s - self._past[0][0] > _PACE_S:
            self._past.popleft()
        height = self._console.height
        body = max(height - 3 - 7, 8)
        layout = Layout()
        layout.split_column(
            Layout(self._header(), size=3), Layout(name="body"), Layout(self._risk(), size=7)
        )
        layout["body"].split_row(Layout(self._ladder(now_s, body), size=42), Layout(name="right"))
        markets = min(len(self._specs), 8) + 3
        layout["right"].split_column(
            Layout(self._markets(), size=markets), Layout(self._tape(body - markets - 2))
        )
        return layout

    def _rates(self) -> tuple[float, float, float]:
        (then, *before), (now, *after) = self._past[0], self._past[-1]
        span = max(now - then, 1e-9)
        records, events, fills = ((b - a) / span for a, b in zip(before, after, strict=True))
        return records, events, fills

    def _header(self) -> Any:
        from rich.panel import Panel
        from rich.text import Text

        watch = self._watch
        _, events, fills = self._rates()
        lag = "?" if watch.portfolio_lag < 0 else f"{watch.portfolio_lag:,}"
        text = Text()
        text.append(f"{clock_text(watch.now_ns)} UTC", "bold")
        text.append(f"   {rate_text(events)} events   {rate_text(fills)} fills   ")
        text.append(f"unanswered {watch.command_lag:,}   portfolio {lag} frames behind", "dim")
        return Panel(text, title=self._title, title_align="left", border_style="blue")

    def _ladder(self, now_s: float, lines: int) -> Any:
        spec = self._specs[int((now_s - self._begin) / _TURN_S) % len(self._specs)]
        bids, asks = self._watch.books.get(spec.instrument_id, ([], []))
        per_side = max(1, (lines - 3) // 2)
        text = ladder_text(
            bids[:per_side],
            asks[:per_side],
            per_side,
            38,
            lambda px: short_text(spec.from_ticks(int(px))),
        )
        return panel(text, f"{spec.symbol} book, lots")

    def _markets(self) -> Any:
        from rich.text import Text

        table = grid(
            ("", "left"), ("last", "right"), ("change", "right"), ("bid", "right"), ("ask", "right")
        )
        watch = self._watch
        for spec in self._specs[:8]:
            key = spec.instrument_id
            last, first = watch.last_px.get(key), watch.first_px.get(key)
            change = last / first - 1 if last and first else 0.0
            quote = watch.quotes.get(key)
            table.add_row(
                Text(spec.symbol, "bold"),
                short_text(spec.from_ticks(last)) if last else "-",
                Text(f"{change:+.2%}", _BUY if change >= 0 else _SELL),
                short_text(spec.from_ticks(quote.bid_px)) if quote and quote.bid_qty else "-",
                short_text(spec.from_ticks(quote.ask_px)) if quote and quote.ask_qty else "-",
            )
        return panel(table, "markets, since you look")

    def _tape(self, lines: int) -> Any:
        from rich.text import Text

        by_id = {spec.instrument_id: spec for spec in self._specs}
        text = Text(no_wrap=True)
        for trade in list(self._watch.trades)[-max(lines, 1) :][::-1]:
            spec = by_id.get(trade.instrument_id)
            if spec is None:
                continue
            text.append(f"{clock_text(trade.ts_ns)} ", "dim")
            text.append(f"{spec.symbol:<9}")
            colour = _BUY if trade.side == Side.BUY else _SELL
            text.append(f"{short_text(spec.from_ticks(trade.px)):>11}", colour)
            text.append(f"{short_text(spec.from_lots(trade.qty)):>12}\n")
        return panel(text, "trades")

    def _risk(self) -> Any:
        from rich.text import Text

        text = Text(no_wrap=True)
        for alert in list(self._watch.alerts)[-5:][::-1]:
            try:
                kind = EventKind(alert.kind).name
            except ValueError:
                kind = str(alert.kind)
            text.append(f"{kind:<14} ", "bold")
            text.append(f"account {alert.account_id:<8} instrument {alert.instrument_id:<4} ")
            text.append(f"{status_name(alert.status)}\n", "yellow")
        if not self._watch.alerts:
            text.append("nothing", "dim")
        return panel(text, f"risk events; {self._watch.refused:,} orders refused since you look")
