"""Everything that a portfolio keeps of one cell, computed anew from its executions.

The other half of `tradecore reconcile`: what the tables should be. The portfolio service writes the
same rows in pieces; here they are made in one go, by the same fold and the same rule for samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tradecore.cell.follow import Batch
from tradecore.portfolio.book import Book
from tradecore.portfolio.columns import EQUITY, FILL, LEDGER, Table, empty
from tradecore.portfolio.equity import sample_times, value_book
from tradecore.portfolio.fold import IDENTITY, Owners, fold_batches
from tradecore.portfolio.terms import Terms

__all__ = ["Rebuild"]


class Rebuild:
    """The tables of a cell as a function of its executions.

    Parameters
    ----------
    terms : Terms
    cell : int
    owners : Owners
    equity_asset : int
        What samples are valued in.
    equity_every_ns : int
        Distance of samples in log time; 0 = none.

    Attributes
    ----------
    book : Book
        After what was fed so far.
    ts_ns : int
        Log time of the last batch; 0 before the first.
    """

    def __init__(
        self,
        terms: Terms,
        *,
        cell: int = 0,
        owners: Owners = IDENTITY,
        equity_asset: int = 0,
        equity_every_ns: int = 0,
    ) -> None:
        self._terms = terms
        self._owners = owners
        self._asset = equity_asset
        self._every_ns = equity_every_ns
        self.book = Book(cell)
        self.ts_ns = 0
        self._fills: list[Table] = []
        self._ledger: list[Table] = []
        self._equity: list[Table] = []

    def feed(self, batches: Sequence[Batch]) -> None:
        """Apply batches in their order. O(n log n) in their events."""
        begin = 0
        for at, batch in enumerate(batches):
            sample = sample_times(self.ts_ns, batch.ts_ns, self._every_ns) if self.ts_ns else 0
            if sample:
                self._fold(batches[begin:at])
                begin = at
                book, prices = self.book, self.book.last_px
                self._equity.append(
                    value_book(book, self._terms, prices, asset_id=self._asset, ts_ns=sample)
                )
            self.ts_ns = batch.ts_ns
        self._fold(batches[begin:])

    def _fold(self, batches: Sequence[Batch]) -> None:
        changes = fold_batches(batches, self._terms, cell=self.book.cell, owners=self._owners)
        self.book.apply(changes)
        self._fills.append(changes.fills)
        self._ledger.append(changes.ledger)

    def tables(self) -> dict[str, Table]:
        """Return fills, ledger, positions, balances, equity and marks, each by its key."""
        return {
            "fills": _sorted(self._fills, FILL, "user_id", "seq"),
            "ledger": _sorted(self._ledger, LEDGER, "user_id", "seq"),
            "positions": _by(self.book.positions.table, "user_id", "account_id", "instrument_id"),
            "balances": _by(self.book.balances.table, "user_id", "account_id", "asset_id"),
            "equity": _sorted(self._equity, EQUITY, "user_id", "ts_ns"),
            "marks": self.book.prints,
        }


def _sorted(parts: Sequence[Table], dtype: np.dtype[np.void], *keys: str) -> Table:
    return _by(np.concatenate(parts) if parts else empty(dtype), *keys)


def _by(table: Table, *keys: str) -> Table:
    ordered: Table = table[np.lexsort([table[key] for key in reversed(keys)])]
    return ordered
