"""Numbers of a running exchange at one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tradecore.cli.screen import rate_text

if TYPE_CHECKING:
    from tradecore_shells.up.exchange import Exchange

__all__ = ["Status", "status_line"]


class Status(NamedTuple):
    """Counts since the exchange was founded, and the moment they were taken.

    Parameters
    ----------
    at_s : float
        Of the event loop.
    offset : int
        Commands' log offset that comes next.
    commands, events : int
        Commands the engine has seen; frames it has answered with.
    lag : int
        Execution frames that the portfolio has not written yet.
    open_orders : int
    """

    at_s: float
    offset: int
    commands: int
    events: int
    lag: int
    open_orders: int

    @classmethod
    def of(cls, exchange: Exchange) -> Status:
        """Look at an exchange; O(1)."""
        import asyncio

        cell = exchange.trading.cell
        now = asyncio.get_running_loop().time()
        if cell is None:
            return cls(now, 0, 0, 0, 0, 0)
        written = exchange.portfolio.writer.place.next_seq
        counters = cell.engine.counters()
        return cls(
            now,
            cell.next_offset,
            cell.in_seq,
            cell.exec_seq - 1,
            max(cell.exec_seq - written, 0),
            int(counters["live_orders"]),
        )


def status_line(before: Status, now: Status) -> str:
    """Return one line of progress."""
    span = max(now.at_s - before.at_s, 1e-9)
    return (
        f"{rate_text((now.commands - before.commands) / span)} commands, "
        f"{rate_text((now.events - before.events) / span)} events, offset {now.offset:,}, "
        f"{now.open_orders:,} open orders, portfolio {now.lag:,} frames behind"
    )
