"""What everybody is worth, in one asset, at given prices: the equity curve's points.

Every balance is valued by the trade price of a spot instrument between its asset and the reporting
asset, each rounded down to the unit once. Profit of linear positions is marked, by the compiled
kernel where they are many, and valued the same way. What no price says anything about is left out
and counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from tradecore.portfolio.book import Book
from tradecore.portfolio.columns import EQUITY, Table, empty, table_of
from tradecore.portfolio.fold import group_by
from tradecore.portfolio.terms import IntArray, Terms

__all__ = ["BULK_ROWS", "Rate", "rates_to", "sample_times", "value_book", "warm_up"]

BULK_ROWS: Final = 20_000
"""Positions from which compiling the marking kernel pays: Python marks so many in 10 ms."""

UNMARKED: Final = -(1 << 63)
"""As `tradecore.kernels.marking.UNMARKED`: the one int64 that is no sum of money."""


class Rate(NamedTuple):
    """Value of one unit of an asset as a ratio of units of the reporting asset."""

    number: int
    per: int


def rates_to(asset_id: int, terms: Terms, px: Mapping[int, int]) -> dict[int, Rate]:
    """Return what assets are worth in `asset_id`, by the first priced spot instrument of both.

    Parameters
    ----------
    asset_id : int
        The reporting asset.
    terms : Terms
    px : mapping of int to int
        Price of each instrument in ticks; 0 or absent = none.
    """
    rates = {asset_id: Rate(1, 1)}
    for row in terms.rows:
        price = px.get(row.instrument_id, 0)
        if row.linear or not price:
            continue
        lot = price * row.multiplier
        if row.quote_asset == asset_id:
            rates.setdefault(row.base_asset, Rate(lot, row.base_per_lot))
        elif row.base_asset == asset_id:
            rates.setdefault(row.quote_asset, Rate(row.base_per_lot, lot))
    return rates


def sample_times(before_ns: int, now_ns: int, every_ns: int) -> int:
    """Return the newest sampling time in ``(before_ns, now_ns]``, or 0 when there is none.

    Samples lie at multiples of `every_ns`; after a silence only the newest is taken, because
    nothing happened between them.
    """
    if every_ns <= 0:
        return 0
    at = now_ns // every_ns * every_ns
    return at if before_ns < at else 0


def _scaled(amount: IntArray, rate: Rate) -> IntArray:
    """Return floor(amount * number / per), exact."""
    largest = max(abs(int(amount.max(initial=0))), abs(int(amount.min(initial=0))))
    if largest * rate.number < 1 << 63:
        product: IntArray = amount * rate.number
        return product // rate.per
    # Products beyond int64 are rare and few; Python's integers have no end.
    return np.array([a * rate.number // rate.per for a in amount.tolist()], dtype=np.int64)


def _valued(amount: IntArray, asset: IntArray, rates: dict[int, Rate]) -> tuple[IntArray, IntArray]:
    """Return (value, 1 where there is none) of amounts of several assets."""
    value = np.zeros(len(amount), dtype=np.int64)
    unpriced = (amount != 0).astype(np.int64)
    for which in np.unique(asset).tolist():
        if which in rates:
            mine = asset == which
            value[mine] = _scaled(amount[mine], rates[which])
            unpriced[mine] = 0
    return value, unpriced


def _mark_few(qty: IntArray, cost: IntArray, lot: list[int]) -> IntArray:
    """Mark positions one by one; `UNMARKED` where the result does not fit int64."""
    amounts = [
        held * value - paid
        for held, paid, value in zip(qty.tolist(), cost.tolist(), lot, strict=True)
    ]
    fits = [amount if -(1 << 63) < amount < 1 << 63 else UNMARKED for amount in amounts]
    return np.array(fits, dtype=np.int64)


def _mark_many(rows: Table, at: IntArray, prices: IntArray, terms: Terms) -> IntArray:
    # Here and not above: compiled kernels are for those who mark in bulk.
    from tradecore.kernels.marking import mark_positions

    return mark_positions(
        np.ascontiguousarray(rows["qty"]),
        np.ascontiguousarray(rows["cost"]),
        at.astype(np.uint32),
        prices,
        terms.multiplier,
    ).pnl


def _profit(
    book: Book, terms: Terms, px: Mapping[int, int], bulk_rows: int
) -> tuple[Table, IntArray, IntArray]:
    """Return linear positions with their unrealised profit, and 1 where it is not known."""
    rows = book.positions.table
    at = terms.find(rows["instrument_id"])
    linear = terms.linear[at]
    rows, at = rows[linear], at[linear]
    prices = np.array([px.get(i, 0) for i in terms.ids.tolist()], dtype=np.int64)
    if len(rows) >= bulk_rows:
        pnl = _mark_many(rows, at, prices, terms)
    else:
        lots = [px.get(row.instrument_id, 0) * row.multiplier for row in terms.rows]
        pnl = _mark_few(rows["qty"], rows["cost"], [lots[i] for i in at.tolist()])
    unknown = (pnl == UNMARKED) | ((prices[at] == 0) & (rows["qty"] != 0))
    return rows, np.where(unknown, 0, pnl), unknown.astype(np.int64)


def warm_up() -> None:
    """Compile the marking kernel now (seconds, once a process) and not in front of a sample."""
    from tradecore.kernels.marking import mark_positions

    one = np.ones(1, dtype=np.int64)
    mark_positions(one, one, np.zeros(1, dtype=np.uint32), one, one)


def value_book(
    book: Book,
    terms: Terms,
    px: Mapping[int, int],
    *,
    asset_id: int,
    ts_ns: int,
    bulk_rows: int = BULK_ROWS,
) -> Table:
    """Return the equity of every user of a book.

    Parameters
    ----------
    book : Book
    terms : Terms
    px : mapping of int to int
        Price of each instrument, ticks.
    asset_id : int
        What everything is valued in.
    ts_ns : int
        The moment, copied into the rows.
    bulk_rows : int
        From so many linear positions on the compiled kernel marks them.

    Returns
    -------
    Table
        Of `EQUITY`, by user: every user who has a balance or a position, flat ones too.

    Notes
    -----
    O(n log n) in rows of the book. The first bulk call compiles the kernel; see `warm_up`.
    """
    rates = rates_to(asset_id, terms, px)
    balances = book.balances.table
    cash, no_cash = _valued(balances["amount"], balances["asset_id"], rates)
    linear, profit, no_mark = _profit(book, terms, px, bulk_rows)
    quote = terms.quote_asset[terms.find(linear["instrument_id"])]
    upnl, no_rate = _valued(profit, quote, rates)
    user = np.concatenate((balances["user_id"], linear["user_id"]))
    if not len(user):
        return empty(EQUITY)
    zeros = np.zeros(len(linear), dtype=np.int64)
    parts = {
        "cash": np.concatenate((cash, zeros)),
        "upnl": np.concatenate((np.zeros(len(balances), dtype=np.int64), upnl)),
        "unpriced": np.concatenate((no_cash, no_mark | no_rate)),
    }
    seq = np.concatenate((balances["seq"], linear["seq"]))
    order, first, _ = group_by(user)
    sums = {name: np.add.reduceat(values[order], first) for name, values in parts.items()}
    return table_of(
        EQUITY,
        user_id=user[order[first]],
        cell=book.cell,
        ts_ns=ts_ns,
        asset_id=asset_id,
        equity=sums["cash"] + sums["upnl"],
        seq=np.maximum.reduceat(seq[order], first),
        **sums,
    )
