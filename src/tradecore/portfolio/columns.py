"""The tables of a portfolio as numpy dtypes: one owner of column names for memory and database.

All columns are int64, because money is, and because one element type makes every table easy to
send. An order id of the engine's own (2**63 and more) stands as ``order_id - 2**64``, negative.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = [
    "BALANCE",
    "BALANCE_DELTA",
    "EQUITY",
    "FILL",
    "LEDGER",
    "POSITION",
    "POSITION_DELTA",
    "PRINT",
    "Table",
    "empty",
    "table_of",
]

Table = npt.NDArray[np.void]
"""An array of one of the dtypes of this module."""


def _dtype(names: str) -> np.dtype[np.void]:
    return np.dtype([(name, np.int64) for name in names.split()])


FILL: Final = _dtype(
    "user_id cell seq account_id instrument_id session_id order_id side role flags status "
    "px qty fee cash_delta base_delta realised position_qty ts_ns"
)
"""One side of one fill, in quote units and lots.

`seq` is the engine's number of the SETTLED event, unique within the cell. `role` 1 taker, 2 maker
(in an auction the buyer is 1); the FILL event of both sides has the number ``seq - role``.
`cash_delta` includes the fee; `base_delta` is in base units, 0 for linear instruments.
"""

LEDGER: Final = _dtype(
    "user_id cell seq account_id asset_id instrument_id command_kind status cash_delta "
    "margin_delta balance_after ts_ns"
)
"""One movement of cash that is not a fill: a BALANCE event.

`cash_delta + margin_delta` is what changes the balance: a MARGIN_TRANSFER moves cash into an
isolated position, so both cancel out. `balance_after` is as the engine said it: the wallet's cash,
or the isolated position's for FUNDING of one.
"""

POSITION: Final = _dtype(
    "user_id cell account_id instrument_id qty cost realised fees bought sold fills seq ts_ns"
)
"""A position: signed lots, signed cost basis in quote units, realised, paid, lots traded."""

POSITION_DELTA: Final = POSITION
"""The same columns; `qty`, `seq`, `ts_ns` are values after the batch, all others are added."""

BALANCE: Final = _dtype("user_id cell account_id asset_id amount seq ts_ns")
"""Cash of an account in one asset: the wallet's total and all isolated margins."""

BALANCE_DELTA: Final = BALANCE
"""The same columns; `amount` is added, `seq` and `ts_ns` are values after the batch."""

PRINT: Final = _dtype("cell instrument_id px seq ts_ns")
"""The last trade of an instrument; forced fills (takeover, auto-deleverage) are no prints."""

EQUITY: Final = _dtype("user_id cell ts_ns asset_id cash upnl equity unpriced seq")
"""A user's equity at a moment of log time, valued at the last prints, in one asset."""


def empty(dtype: np.dtype[np.void]) -> Table:
    """Return a table without rows."""
    return np.empty(0, dtype)


def table_of(dtype: np.dtype[np.void], **columns: npt.ArrayLike) -> Table:
    """Return a table made of its columns; scalars are repeated. KeyError for a missing column."""
    arrays = {name: np.asarray(columns.pop(name)) for name in dtype.names or ()}
    if columns:
        raise KeyError(f"no such columns: {sorted(columns)}")
    length = max((len(array) for array in arrays.values() if array.ndim), default=0)
    table = np.empty(length, dtype)
    for name, array in arrays.items():
        table[name] = array
    return table
