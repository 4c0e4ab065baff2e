"""What positions are worth: exact products and sums by account, group and firm.

A position's value is ``qty * px * multiplier`` in its quote asset, its profit
``value - cost + realised - fees``; both are valued in the reporting asset by the trade price of a
spot instrument, rounded down once a row. Products beyond +-2**62 stop there (the engine refuses
orders long before), sums have no bounds: they are made of two halves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from tradecore.portfolio.book import Book
from tradecore.portfolio.equity import Rate, rates_to
from tradecore.portfolio.fold import group_by
from tradecore.portfolio.terms import IntArray, Terms

__all__ = ["Amounts", "Grouping", "Totals", "Valuation", "value_positions"]

_BOUND: Final = 1 << 62
_HALF: Final = np.int64(32)
_LOW: Final = np.int64(0xFFFFFFFF)

BoolArray = npt.NDArray[np.bool_]


class Valuation(NamedTuple):
    """Every position of a book at given prices; arrays parallel to its rows.

    Attributes
    ----------
    value : ndarray of int64
        Signed market value in the reporting asset.
    profit : ndarray of int64
        All that was made by trading it: open and realised profit less fees.
    priced : ndarray of bool
        False where no price or no rate says what it is worth: value and profit are 0 then.
    """

    value: IntArray
    profit: IntArray
    priced: BoolArray


def _times(a: IntArray, b: IntArray) -> IntArray:
    """Return a * b, exact within +-2**62 and that bound beyond."""
    product: IntArray = a * b
    if _largest(a) * _largest(b) < _BOUND:
        return product
    large = np.abs(a.astype(np.float64) * b.astype(np.float64)) >= float(_BOUND) * 0.999
    for row in np.flatnonzero(large).tolist():
        exact = int(a[row]) * int(b[row])
        product[row] = max(-_BOUND, min(_BOUND, exact))
    return product


def _largest(a: IntArray) -> int:
    return max(int(a.max(initial=0)), -int(a.min(initial=0)))


def _scale(amount: IntArray, rate: Rate) -> IntArray:
    """Return floor(amount * number / per), within +-2**62."""
    if rate.number == rate.per:
        return amount
    if _largest(amount) * rate.number < 1 << 63:
        scaled: IntArray = amount * rate.number // rate.per
        return scaled
    exact = (value * rate.number // rate.per for value in amount.tolist())
    return np.array([max(-_BOUND, min(_BOUND, value)) for value in exact], dtype=np.int64)


def value_positions(book: Book, terms: Terms, px: Mapping[int, int], *, asset_id: int) -> Valuation:
    """Return what the positions of a book are worth.

    Parameters
    ----------
    book : Book
    terms : Terms
    px : mapping of int to int
        Price of each instrument, ticks; absent or 0 = none.
    asset_id : int
        The reporting asset.

    Notes
    -----
    O(positions), numpy; O(n) more for each of the rare rows beyond int64.
    """
    rows = book.positions.table
    at = terms.find(rows["instrument_id"])
    prices = np.array([px.get(key, 0) for key in terms.ids.tolist()], dtype=np.int64)
    lot_value = _times(prices, terms.multiplier)
    value = _times(rows["qty"], lot_value[at])
    made = value - rows["cost"] + rows["realised"] - rows["fees"]
    priced = (prices[at] != 0) | (rows["qty"] == 0)
    rates = rates_to(asset_id, terms, px)
    quote = terms.quote_asset[at]
    for asset in np.unique(quote).tolist():
        mine = quote == asset
        if asset not in rates:
            priced &= ~mine
        elif rates[asset] != Rate(1, 1):
            value[mine] = _scale(value[mine], rates[asset])
            made[mine] = _scale(made[mine], rates[asset])
    value[~priced] = 0
    made[~priced] = 0
    return Valuation(value, made, priced)


class Amounts(NamedTuple):
    """Exposure and profit of one node, in the reporting asset."""

    gross: int
    net: int
    profit: int


class Totals(NamedTuple):
    """Amounts of every account with a position, every group with an account, and the firm."""

    accounts: dict[int, Amounts]
    groups: dict[int, Amounts]
    firm: Amounts


class Grouping:
    """Which rows of a growing book belong to which account and group; sorted when that changes."""

    def __init__(self) -> None:
        self._known = (-1, -1)
        self._accounts: _Plan = _NO_GROUPS
        self._groups: _Plan = _NO_GROUPS
        self.row_group: IntArray = np.empty(0, np.int64)

    def bring(self, book: Book, group_of: Mapping[int, int], version: int) -> None:
        """Follow a book and the groups of its accounts. O(n log n) after a change, else O(1)."""
        rows = book.positions.table
        if self._known == (len(rows), version):
            return
        self._known = (len(rows), version)
        account = rows["account_id"]
        distinct, inverse = np.unique(account, return_inverse=True)
        of = np.array([group_of.get(key, 0) for key in distinct.tolist()], dtype=np.int64)
        self.row_group = of[inverse] if len(distinct) else np.empty(0, np.int64)
        self._accounts = _plan(account)
        self._groups = _plan(self.row_group)

    def totals(
        self, valuation: Valuation, *, above: int | None = None, also: Collection[int] = ()
    ) -> Totals:
        """Return the sums of a valuation. O(n); Python steps only for the accounts returned.

        Parameters
        ----------
        valuation : Valuation
            Of the book that was brought.
        above : int, optional
            Only accounts whose gross amount is larger; -1 = all with a position, None = no account.
        also : collection of int
            These accounts too.
        """
        gross = np.abs(valuation.value)
        columns = (gross, valuation.value, valuation.profit)
        groups = _sums(self._groups, columns)
        accounts = {}
        if above is not None:
            order, first, keys = self._accounts
            wanted = None
            if above >= 0:
                # A float sum is wrong by less than this; the exact one decides.
                rough = _reduce(gross.astype(np.float64)[order], first)
                wanted = (rough > above * (1 - 1e-9)) | np.isin(keys, list(also))
            accounts = {
                key: one
                for key, one in _sums(self._accounts, columns, wanted).items()
                if one.gross > above or key in also
            }
        parts = list(groups.values())
        firm = Amounts(*(sum(one[i] for one in parts) for i in range(3)))
        groups.pop(0, None)  # accounts of no group
        return Totals(accounts, groups, firm)


_Plan: TypeAlias = tuple[IntArray, IntArray, IntArray]
"""Order of the rows, where each group begins in it, keys of the groups."""
_NO_GROUPS: Final[_Plan] = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64))


def _plan(key: IntArray) -> _Plan:
    order, first, _ = group_by(key)
    return order, first, key[order[first]] if len(order) else key


def _reduce(arranged: npt.NDArray[Any], first: IntArray) -> npt.NDArray[Any]:
    return np.add.reduceat(arranged, first) if len(first) else arranged[:0]


def _sums(
    plan: _Plan, columns: tuple[IntArray, ...], wanted: BoolArray | None = None
) -> dict[int, Amounts]:
    """Return exact sums of each group, or of the wanted ones."""
    order, first, keys = plan
    if wanted is not None:
        # The rows of the wanted groups, packed.
        sizes = np.diff(np.append(first, len(order)))
        order = order[np.repeat(wanted, sizes)]
        keys, sizes = keys[wanted], sizes[wanted]
        first = np.cumsum(sizes) - sizes
    sums = []
    for column in columns:
        arranged = column[order]
        # Two halves: neither sum can overflow below 2**31 rows.
        high = _reduce(arranged >> _HALF, first).tolist()
        low = _reduce(arranged & _LOW, first).tolist()
        sums.append([(h << 32) + rest for h, rest in zip(high, low, strict=True)])
    return {key: Amounts(*row) for key, *row in zip(keys.tolist(), *sums, strict=True)}
