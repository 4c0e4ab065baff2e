"""Tax lots of recorded fills: which purchase each sale closed, by the method that a person chose.

The engine keeps average cost; methods by lot are a matter of reports and are computed from the same
fills (`tradecore.kernels.lots`). For a position that ends flat all of them realise the same sum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tradecore.portfolio.columns import Table
from tradecore.portfolio.fold import group_by
from tradecore.portfolio.terms import IntArray, Terms

if TYPE_CHECKING:
    from tradecore.kernels.lots import LotMatches, LotMethod

__all__ = ["LotReport", "lots_of"]


class LotReport(NamedTuple):
    """Lots of one position.

    Parameters
    ----------
    account_id, instrument_id : int
    fills : Table
        The fills of the position in their order; the rows that `matches` speaks of.
    matches : LotMatches
        Lot-level gains in quote units, and the lots that are still open.
    """

    account_id: int
    instrument_id: int
    fills: Table
    matches: LotMatches

    @property
    def gain(self) -> int:
        """Sum of all gains, quote units, fees not included."""
        return int(self.matches.gain.sum(dtype=np.int64))


def lots_of(fills: Table, terms: Terms, method: LotMethod = "fifo") -> list[LotReport]:
    """Match the fills of every position, by (account, instrument).

    Parameters
    ----------
    fills : Table
        Of `FILL`; all fills of the positions, from the first on.
    terms : Terms
    method : {'fifo', 'lifo', 'hifo', 'lofo'}

    Raises
    ------
    DataError
        An unknown instrument.
    OverflowError
        A gain that does not fit int64.

    Notes
    -----
    O(n log n) in fills.
    """
    # Here and not above: compiled kernels are for those who ask for lots.
    from tradecore.kernels.lots import match_lots

    by_seq, _, _ = group_by(fills["account_id"], fills["instrument_id"], fills["seq"])
    rows = fills[by_seq]
    _, first, last = group_by(rows["account_id"], rows["instrument_id"])
    reports = []
    for begin, end in zip(first.tolist(), last.tolist(), strict=True):
        mine = rows[begin : end + 1]
        instrument = int(mine["instrument_id"][0])
        signed: IntArray = np.where(mine["side"] == 1, mine["qty"], -mine["qty"])
        matches = match_lots(
            signed,
            np.ascontiguousarray(mine["px"]),
            method=method,
            multiplier=terms.one(instrument).multiplier,
        )
        reports.append(LotReport(int(mine["account_id"][0]), instrument, mine, matches))
    return reports
