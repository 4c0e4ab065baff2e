"""Risk numbers of margin positions, a second time: from what was published, in plain Python.

Rules: docs/reference/margin.md section 1, in integers without bounds. The engine computes the same
in C as it goes; the parity certificate compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tradecore.codes import MAX_PX, CommandKind
from tradecore.dtypes import ADMIN, COMMAND, INSTRUMENT
from tradecore.portfolio.book import Book

__all__ = ["MarginTerms", "Venue", "margin_numbers"]

Table = npt.NDArray[np.void]
Values = dict[tuple[int, ...], int]

_LIMIT: Final = 1 << 56  # valuations stop there
_MILLION: Final = 1_000_000
_LINEAR: Final = 1


class MarginTerms(NamedTuple):
    """What margin needs to know of a linear instrument.

    Attributes
    ----------
    multiplier : int
    tiers : tuple of (max_notional, im_ppm, mm_ppm)
        Ascending; the last one has no upper bound.
    """

    multiplier: int
    tiers: tuple[tuple[int, int, int], ...]

    def required(self, notional: int, rate: int) -> int:
        """Return the margin of a notional; `rate` 1: initial, 2: maintenance. Rounded up once."""
        total = below = 0
        for number, tier in enumerate(self.tiers):
            last = number == len(self.tiers) - 1
            upto = notional if last else min(notional, tier[0])
            total += max(upto - below, 0) * tier[rate]
            below = max(below, upto)
        return -(-total // _MILLION)


class Venue:
    """Terms of linear instruments and their mark prices, out of commands that were applied."""

    def __init__(self) -> None:
        self.terms: dict[int, MarginTerms] = {}
        self.marks: dict[int, int] = {}

    def take(self, kind: int, command: Table) -> None:
        """Take over one command, its continuations behind it."""
        if kind == CommandKind.INSTRUMENT:
            row = command.view(INSTRUMENT)[0]
            if int(row["instrument_type"]) == _LINEAR:
                own = MarginTerms(int(row["multiplier"]), _tiers(row["tiers"]))
                self.terms[int(row["instrument_id"])] = own
        elif kind == CommandKind.MARK_PRICE:
            frame = command.view(ADMIN)[0]
            px, number = int(frame["mark_px"]), int(frame["instrument_id"])
            if 1 <= px <= MAX_PX and number in self.terms:
                self.marks[number] = px

    @staticmethod
    def wants(frames: npt.NDArray[np.void]) -> bool:
        """Tell cheaply whether frames may hold a command that `take` looks at."""
        kinds = frames.view(COMMAND)["kind"]
        return bool(np.isin(kinds, (CommandKind.INSTRUMENT, CommandKind.MARK_PRICE)).any())


def _tiers(rows: Any) -> tuple[tuple[int, int, int], ...]:
    """Return the tiers that count: up to one without a bound, or before one that says nothing."""
    found: list[tuple[int, int, int]] = []
    for row in rows:
        tier = int(row["max_notional"]), int(row["im_ppm"]), int(row["mm_ppm"])
        if found and tier == (0, 0, 0):
            break
        found.append(tier)
        if tier[0] == 0:
            break
    return tuple(found)


def _valued(amount: int) -> int:
    return max(-_LIMIT, min(_LIMIT, amount))


def margin_numbers(book: Book, working: Mapping[tuple[int, ...], int], venue: Venue) -> Values:
    """Return open profit, initial and maintenance margin of every margin position.

    Parameters
    ----------
    book : Book
        Positions as published.
    working : mapping of (account, instrument, side) to lots
        Open orders as published.
    venue : Venue

    Returns
    -------
    dict of (account, instrument, number) to int
        Quote units; number 0: open profit, 1: initial margin of the worst position that the
        working orders can lead to, 2: maintenance margin.
    """
    rows = book.positions.table
    held = {
        (int(row["account_id"]), int(row["instrument_id"])): (int(row["qty"]), int(row["cost"]))
        for row in rows
    }
    keys = held.keys() | {(key[0], key[1]) for key in working}
    found: Values = {}
    for account, instrument in keys:
        terms, mark = venue.terms.get(instrument), venue.marks.get(instrument, 0)
        if terms is None or not mark:
            continue
        qty, cost = held.get((account, instrument), (0, 0))
        buys = working.get((account, instrument, 1), 0)
        sells = working.get((account, instrument, 2), 0)
        lot = mark * terms.multiplier
        worst = max(abs(qty + buys), abs(qty - sells))
        found[account, instrument, 0] = _valued(qty * lot - cost)
        found[account, instrument, 1] = terms.required(_valued(worst * lot), 1)
        found[account, instrument, 2] = terms.required(_valued(abs(qty) * lot), 2)
    return found
