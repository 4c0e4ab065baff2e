"""Events as tables: by kind into numpy, pandas, polars or Arrow, copying only where a format must.

An event buffer is an array of 64-byte frames. Numpy looks at it in place. Arrow can hold the raw
frames in place too (fixed-size binary), but its numeric columns are contiguous, so turning a field
into a column copies that field once; pandas and polars build on the same columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tradecore import dtypes
from tradecore.codes import EventKind

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    import polars as pl
    import pyarrow as pa

__all__ = ["as_events", "columns", "of_kind", "to_arrow", "to_pandas", "to_polars"]

_BODY: Final = {
    EventKind.ACCEPTED: dtypes.ORDER_EVENT,
    EventKind.CANCELED: dtypes.ORDER_EVENT,
    EventKind.EXPIRED: dtypes.ORDER_EVENT,
    EventKind.REPLACED: dtypes.ORDER_EVENT,
    EventKind.TRIGGERED: dtypes.ORDER_EVENT,
    EventKind.RESTATED: dtypes.ORDER_EVENT,
    EventKind.REJECTED: dtypes.REJECT_EVENT,
    EventKind.CANCEL_REJECTED: dtypes.REJECT_EVENT,
    EventKind.REPLACE_REJECTED: dtypes.REJECT_EVENT,
    EventKind.DONE: dtypes.REJECT_EVENT,
    EventKind.FILL: dtypes.FILL_EVENT,
    EventKind.SETTLED: dtypes.SETTLE_EVENT,
    EventKind.PHASE: dtypes.MARKET_EVENT,
    EventKind.AUCTION: dtypes.MARKET_EVENT,
    EventKind.BALANCE: dtypes.BALANCE_EVENT,
    EventKind.ACCOUNT_STATE: dtypes.ACCOUNT_EVENT,
}


def as_events(events: Any) -> npt.NDArray[np.void]:
    """Return an event buffer as an array of `tradecore.EVENT`, without copying.

    Parameters
    ----------
    events : EventBatch, bytes, memoryview or structured array
        An array over an `EventBatch` is valid until the next apply of its engine.
    """
    if isinstance(events, np.ndarray):
        return events.view(dtypes.EVENT)
    return np.frombuffer(events, dtypes.EVENT)


def of_kind(events: Any, kind: EventKind) -> npt.NDArray[np.void]:
    """Return the events of one kind with that kind's own fields (one copy of those events)."""
    frames = as_events(events)
    rows: npt.NDArray[np.void] = frames[frames["kind"] == kind].view(_BODY[kind])
    return rows


def columns(events: Any, kind: EventKind) -> dict[str, npt.NDArray[Any]]:
    """Return the events of one kind as contiguous columns, reserved fields left out."""
    rows = of_kind(events, kind)
    names = [name for name in rows.dtype.names or () if not name.startswith("reserved")]
    return {name: np.ascontiguousarray(rows[name]) for name in names}


def to_pandas(events: Any, kind: EventKind) -> pd.DataFrame:
    """Return the events of one kind as a pandas DataFrame. ImportError without pandas."""
    import pandas as pd

    return pd.DataFrame(columns(events, kind), copy=False)


def to_polars(events: Any, kind: EventKind) -> pl.DataFrame:
    """Return the events of one kind as a polars DataFrame. ImportError without polars."""
    import polars as pl

    return pl.DataFrame(columns(events, kind))


def to_arrow(events: Any, kind: EventKind | None = None) -> pa.Table:
    """Return events as an Arrow table. ImportError without pyarrow.

    Parameters
    ----------
    events : EventBatch, bytes, memoryview or structured array
    kind : EventKind, optional
        Columns of that kind. Without it one column ``frame`` of 64-byte values that lies over the
        buffer itself: nothing is copied, and the buffer must not change while the table lives.
    """
    import pyarrow as pa

    if kind is not None:
        return pa.table(columns(events, kind))
    frames = as_events(events)
    values = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(dtypes.EVENT.itemsize), len(frames), [None, pa.py_buffer(frames)]
    )
    return pa.table({"frame": values})
