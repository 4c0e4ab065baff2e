"""Statements: everything that moved a person's cash in a day or a month, adding up to the unit.

For every asset: opening balance, lines in the order of the engine, closing balance; and
``opening + sum of lines == closing`` is asserted, with the closing balance taken from elsewhere
(the balances table) wherever the period reaches to the present.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from tradecore.codes import CommandKind
from tradecore.errors import ConfigError, DataError
from tradecore.portfolio.columns import Table
from tradecore.portfolio.terms import Terms
from tradecore.status import Status

__all__ = ["AssetStatement", "Line", "Period", "balances_of", "make_statement"]


class Period(NamedTuple):
    """A span of log time, UTC; `before_ns` is not part of it.

    Parameters
    ----------
    name : str
        As people write it: ``2026-11-22`` or ``2026-11``.
    since_ns, before_ns : int
        Unix ns.
    """

    name: str
    since_ns: int
    before_ns: int

    @classmethod
    def parse(cls, text: str) -> Period:
        """Return the day ``YYYY-MM-DD`` or the month ``YYYY-MM``; ConfigError for anything else."""
        parts = text.split("-")
        shape = [len(part) for part in parts]
        try:
            if shape not in ([4, 2, 2], [4, 2]):
                raise ValueError
            year, month, day = (int(part) for part in (*parts, "1")[:3])
            begin = datetime.date(year, month, day)
            end = begin + datetime.timedelta(days=1 if shape == [4, 2, 2] else 32)
        except (ValueError, OverflowError):
            raise ConfigError(
                f"{text!r} is neither a day (2026-11-22) nor a month (2026-11)"
            ) from None
        if shape == [4, 2]:
            end = end.replace(day=1)
        return cls(text, _ns(begin), _ns(end))


def _ns(day: datetime.date) -> int:
    days = day.toordinal() - datetime.date(1970, 1, 1).toordinal()
    return days * 86_400 * 1_000_000_000


class Line(NamedTuple):
    """One movement.

    Parameters
    ----------
    ts_ns, cell, seq : int
        When, where, and the number of its event.
    account_id : int
    what : str
        ``buy``, ``sell``, ``fee``, ``profit``, or the name of a ledger movement.
    instrument_id : int
        0 where none is meant.
    qty, px : int
        Lots and ticks of a fill, else 0.
    amount : int
        Change of the balance, smallest units.
    """

    ts_ns: int
    cell: int
    seq: int
    account_id: int
    what: str
    instrument_id: int
    qty: int
    px: int
    amount: int


class AssetStatement(NamedTuple):
    """What happened to one asset of one user in a period; amounts in smallest units."""

    asset_id: int
    opening: int
    lines: list[Line]
    closing: int


def balances_of(fills: Table, ledger: Table, terms: Terms) -> dict[int, int]:
    """Return what fills and ledger rows add up to, by asset; zeros included where rows were."""
    at = terms.find(fills["instrument_id"])
    totals: dict[int, int] = {}

    def add(assets: Iterable[int], amounts: Iterable[int]) -> None:
        for asset, amount in zip(assets, amounts, strict=True):
            totals[asset] = totals.get(asset, 0) + amount

    add(terms.quote_asset[at].tolist(), fills["cash_delta"].tolist())
    spot = ~terms.linear[at]
    add(terms.base_asset[at[spot]].tolist(), fills["base_delta"][spot].tolist())
    add(ledger["asset_id"].tolist(), (ledger["cash_delta"] + ledger["margin_delta"]).tolist())
    return totals


def make_statement(
    fills: Table,
    ledger: Table,
    terms: Terms,
    *,
    opening: dict[int, int],
    closing: dict[int, int],
) -> list[AssetStatement]:
    """Return a user's statement for a period.

    Parameters
    ----------
    fills, ledger : Table
        Of `FILL` and `LEDGER`: the user's rows of the period.
    terms : Terms
    opening, closing : dict of int to int
        Balances by asset before and after the period.

    Returns
    -------
    list of AssetStatement
        By asset; every asset with a balance or a line.

    Raises
    ------
    DataError
        Opening and lines do not add up to closing: rows are missing or doubled. Names the asset
        and the difference.
    """
    lines: dict[int, list[Line]] = {asset: [] for asset in (*opening, *closing)}
    for asset, line in (*_fill_lines(fills, terms), *_ledger_lines(ledger)):
        lines.setdefault(asset, []).append(line)
    statements = []
    for asset in sorted(lines):
        mine = sorted(lines[asset], key=lambda line: (line.ts_ns, line.cell, line.seq))
        before, after = opening.get(asset, 0), closing.get(asset, 0)
        moved = sum(line.amount for line in mine)
        if before + moved != after:
            raise DataError(
                f"asset {asset}: opening {before} and lines {moved:+d} make {before + moved}, the "
                f"closing balance is {after}: {after - before - moved:+d} is unexplained"
            )
        statements.append(AssetStatement(asset, before, mine, after))
    return statements


def _fill_lines(fills: Table, terms: Terms) -> Iterable[tuple[int, Line]]:
    at = terms.find(fills["instrument_id"])
    quotes, bases = terms.quote_asset[at].tolist(), terms.base_asset[at].tolist()
    linear = terms.linear[at].tolist()
    names = ("ts_ns", "cell", "seq", "account_id", "instrument_id", "qty", "px")
    for i, row in enumerate(fills):
        ts_ns, cell, seq, account, instrument, qty, px = (int(row[name]) for name in names)
        head = (ts_ns, cell, seq, account)
        tail = (instrument, qty, px)
        side = "buy" if row["side"] == 1 else "sell"
        fee = int(row["fee"])
        # A linear fill moves only its profit; a spot fill pays or receives its notional.
        what = "profit" if linear[i] else side
        yield quotes[i], Line(*head, what, *tail, int(row["cash_delta"]) + fee)
        if fee:
            yield quotes[i], Line(*head, "fee", *tail, -fee)
        if not linear[i]:
            yield bases[i], Line(*head, side, *tail, int(row["base_delta"]))


def _ledger_lines(ledger: Table) -> Iterable[tuple[int, Line]]:
    names = ("ts_ns", "cell", "seq", "account_id", "instrument_id", "asset_id")
    moved = (ledger["cash_delta"] + ledger["margin_delta"]).tolist()
    for row, amount in zip(np.asarray(ledger), moved, strict=True):
        ts_ns, cell, seq, account, instrument, asset = (int(row[name]) for name in names)
        what = _ledger_name(int(row["command_kind"]), int(row["status"]))
        yield asset, Line(ts_ns, cell, seq, account, what, instrument, 0, 0, amount)


def _ledger_name(kind: int, status: int) -> str:
    """Name a movement by its reason where the engine gave one, else by its command."""
    if status and kind == CommandKind.MARK_PRICE:
        return Status(status).name.lower()
    known = CommandKind._value2member_map_.get(kind)
    return f"command {kind}" if known is None else known._name_.lower()
