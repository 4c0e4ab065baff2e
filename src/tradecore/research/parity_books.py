"""Books made of what a service published, and their comparison with the engine of a replay."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from tradecore.codes import CommandKind
from tradecore.dtypes import COMMAND, INSTRUMENT
from tradecore.engine import Engine
from tradecore.portfolio.book import Book
from tradecore.portfolio.fold import fold
from tradecore.portfolio.terms import InstrumentTerms, Terms
from tradecore.research.margins import Venue, margin_numbers
from tradecore.research.working import Working

__all__ = ["Line", "Published", "compare_books"]

Table = npt.NDArray[np.void]
Values = dict[tuple[int, ...], int]

_SHOWN: Final = 5
_MARGINS: Final = "risk: margins (account, instrument, 0 open profit 1 initial 2 maintenance)"


class Line(msgspec.Struct, frozen=True):
    """One thing that was compared.

    Attributes
    ----------
    what : str
    equal : bool
    ours, theirs : str
        The two sides: hashes, or how many rows.
    differences : list of str
        The first that differ.
    """

    what: str
    equal: bool
    ours: str
    theirs: str
    differences: list[str] = []


class Published:
    """Books of accounts out of published events, and what risk looks at."""

    def __init__(self) -> None:
        self._terms: dict[int, InstrumentTerms] = {}
        self.book = Book()
        self.working = Working()
        self.venue = Venue()
        self.digest = hashlib.blake2b(digest_size=32)
        self.events = 0

    def terms(self) -> list[InstrumentTerms]:
        """Return the terms of the instruments so far."""
        return list(self._terms.values())

    def define(self, frames: memoryview) -> None:
        """Take over what applied commands say of instruments: terms, tiers, mark prices."""
        rows = np.frombuffer(frames, COMMAND)
        at = 0
        if not Venue.wants(rows):
            return
        while at < len(rows):
            behind = at + 1 + int(rows["cont"][at])
            self.venue.take(int(rows["kind"][at]), rows[at:behind])
            if rows["kind"][at] == CommandKind.INSTRUMENT and rows["cont"][at] == 3:
                row = rows[at : at + 4].view(INSTRUMENT)[0]
                number = int(row["instrument_id"])
                self._terms[number] = InstrumentTerms(
                    *(number, int(row["base_asset"]), int(row["quote_asset"])),
                    *(int(row["multiplier"]), int(row["base_per_lot"])),
                    bool(row["instrument_type"]),
                )
            at = behind

    def feed(self, events: Table) -> None:
        """Take over the events of whole commands."""
        self.events += len(events)
        self.digest.update(np.ascontiguousarray(events).view(np.uint8).data)
        self.working.feed(events)
        self.book.apply(fold(events, Terms(self._terms.values())))


def _compare(
    what: str, ours: dict[tuple[int, ...], int], theirs: dict[tuple[int, ...], int]
) -> Line:
    """Compare two maps; a missing entry is 0."""
    keys = sorted(ours.keys() | theirs.keys())
    different = [key for key in keys if ours.get(key, 0) != theirs.get(key, 0)]
    shown = [
        f"{key}: {ours.get(key, 0)} in the replay, {theirs.get(key, 0)} published"
        for key in different[:_SHOWN]
    ]
    if len(different) > _SHOWN:
        shown.append(f"and {len(different) - _SHOWN} more")
    return Line(what, not different, f"{len(ours)} values", f"{len(theirs)} values", shown)


def compare_books(engine: Engine, published: Published) -> list[Line]:
    """Compare the engine's accounts with the books made of published events."""
    config = engine.config
    cash: dict[tuple[int, ...], int] = {}
    positions: dict[tuple[int, ...], int] = {}
    profit: dict[tuple[int, ...], int] = {}
    working: dict[tuple[int, ...], int] = {}
    margins: Values = {}
    asset_of = {row.instrument_id: row.quote_asset for row in published.terms()}
    for account in range(config.max_accounts) if config.accounts else ():
        try:
            view = engine.account(account)
        except KeyError:
            continue
        for wallet in view.wallets:
            cash[account, wallet.asset_id] = wallet.total
        for row in view.positions:
            key = account, row.instrument_id
            positions[key] = row.qty
            profit[(*key, 0)], profit[(*key, 1)] = row.realised, row.fees
            profit[(*key, 2)] = row.cost
            working[(*key, 1)], working[(*key, 2)] = row.open_buy, row.open_sell
            margins[(*key, 0)] = row.upnl
            margins[(*key, 1)], margins[(*key, 2)] = row.initial_margin, row.maintenance_margin
            if row.iso_margin:
                held = account, asset_of[row.instrument_id]
                cash[held] = cash.get(held, 0) + row.iso_margin
    if not config.accounts:
        return []
    balances = published.book.balances.table
    held_rows = published.book.positions.table
    names = ("account_id", "instrument_id")
    said_positions: Values = {tuple(int(r[n]) for n in names): int(r["qty"]) for r in held_rows}
    said_profit: Values = {
        (int(r["account_id"]), int(r["instrument_id"]), number): int(r[name])
        for r in held_rows
        for number, name in enumerate(("realised", "fees", "cost"))
    }
    said_cash: Values = {
        (int(r["account_id"]), int(r["asset_id"])): int(r["amount"]) for r in balances
    }
    said_working = published.working.totals()
    said_margins = margin_numbers(published.book, said_working, published.venue)
    margins = {key: value for key, value in margins.items() if key[1] in published.venue.terms}
    return [
        _compare("ledger (account, asset)", cash, said_cash),
        _compare("positions (account, instrument)", positions, said_positions),
        _compare("PnL (account, instrument, 0 realised 1 fees 2 cost)", profit, said_profit),
        _compare("risk: working lots (account, instrument, side)", working, said_working),
        *([_compare(_MARGINS, margins, said_margins)] if published.venue.terms else []),
    ]
