"""Numbers of the market as people read them: cash, log time, books."""

from __future__ import annotations

import datetime
from typing import Any

from tradecore.agents.spec import CASH_DECIMALS
from tradecore.engine import LevelView
from tradecore.status import Status

__all__ = ["cash_text", "clock_text", "ladder_rows", "short_text", "status_name"]


def cash_text(units: int, *, sign: bool = False) -> str:
    """Return quote units in dollars, shortened to thousands or millions."""
    dollars = units / 10**CASH_DECIMALS
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(dollars) >= size:
            return f"{dollars / size:{'+' if sign else ''},.2f} {letter}"
    return f"{dollars:{'+' if sign else ''},.2f}"


def clock_text(ts_ns: int) -> str:
    """Return log time as a clock, UTC."""
    seconds, rest = divmod(ts_ns, 10**9)
    # Log time may be anything up to 2**62 ns; what no calendar knows is shown as it is.
    try:
        at = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    except (OverflowError, ValueError, OSError):
        return f"{ts_ns} ns"
    return f"{at:%H:%M:%S}.{rest // 10**6:03d}"


def short_text(amount: str) -> str:
    """Return a decimal text without the zeros that say nothing; at least two decimals."""
    whole, point, decimals = amount.partition(".")
    if not point:
        return amount
    return f"{whole}.{decimals.rstrip('0'):0<2}"


def status_name(code: int) -> str:
    """Return the name of a status; the number where this build has no name for it."""
    known = Status._value2member_map_.get(code)
    return str(code) if known is None else known._name_


def ladder_rows(
    bids: list[LevelView], asks: list[LevelView], levels: int, px_text: Any
) -> list[list[str]]:
    """Return a book as rows of (orders, bid lots, bid, ask, ask lots, orders), best first."""
    rows = []
    for i in range(min(levels, max(len(bids), len(asks)))):
        left = bids[i] if i < len(bids) else None
        right = asks[i] if i < len(asks) else None
        row = (
            ["", "", ""]
            if left is None
            else [f"{left.orders:,}", f"{left.qty:,}", px_text(left.px)]
        )
        row += (
            ["", "", ""]
            if right is None
            else [px_text(right.px), f"{right.qty:,}", f"{right.orders:,}"]
        )
        rows.append(row)
    return rows
