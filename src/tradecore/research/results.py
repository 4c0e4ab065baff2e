"""What a run leaves behind: tables of numpy rows, what was run, and forms for other tools.

The tables are plain structured arrays (`tradecore.research.records`); pandas, polars and Arrow are
imported when one is asked for. A result can be written to a folder of Parquet files and read again,
and `Result.hash` is equal exactly when every row of every table is.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from tradecore.errors import DataError
from tradecore.research.records import NEVER, QUEUE_ROW, TABLES

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

__all__ = ["Result", "RunInfo", "read_result", "table_columns"]

Rows = npt.NDArray[np.void]

_INFO_NAME: Final = "run.json"


class RunInfo(msgspec.Struct, kw_only=True):
    """What was run. Nothing in it depends on the clock, so equal runs have equal infos.

    Attributes
    ----------
    strategy : str
        Name of the strategy.
    params : dict
        Its parameters, JSON values only.
    data : list of str
        Names of the sources.
    fidelity : str
        ``L3`` (true queue), ``L2``, ``L1`` or ``bars`` (stated queue model).
    queue_model : str
        ``exact`` for L3, else the name of the model with its parameter.
    latency : dict of str to str
        Model of each message kind, in words.
    instruments : dict of int to dict
        Per instrument: tick and lot in words, ``multiplier``, fees in ppm, decimals of the price.
    seed : int
    accounts : bool
        Whether the engine's accounts and risk checks were on.
    first_ns, last_ns : int
        Exchange time of the first and the last event that was applied.
    commands, events : int
        Recorded commands applied, and events of the engine over the whole run.
    calls : dict of str to int
        Notifications of the strategy by kind.
    counts : dict of str to int
        What happened to recorded orders that the own ones had displaced, and other counters.
    state_hash : str
        Of the engine after the run; empty where it was not asked for.
    ended : str
        ``end of data``, ``stopped`` (by the strategy) or the sentence of the error.
    """

    strategy: str = ""
    params: dict[str, Any] = {}
    data: list[str] = []
    fidelity: str = "L3"
    queue_model: str = "exact"
    latency: dict[str, str] = {}
    instruments: dict[int, dict[str, Any]] = {}
    seed: int = 0
    accounts: bool = False
    first_ns: int = 0
    last_ns: int = 0
    commands: int = 0
    events: int = 0
    calls: dict[str, int] = {}
    counts: dict[str, int] = {}
    state_hash: str = ""
    ended: str = "end of data"


def _empty(name: str) -> Rows:
    return np.zeros(0, TABLES[name])


def table_columns(rows: Rows) -> dict[str, npt.NDArray[Any]]:
    """Return the fields of a structured array as contiguous columns, reserved ones left out."""
    names = [name for name in rows.dtype.names or () if not name.startswith("reserved")]
    return {name: np.ascontiguousarray(rows[name]) for name in names}


@dataclass
class Result:
    """Everything a backtest produced.

    Attributes
    ----------
    info : RunInfo
    orders, fills, positions, quotes, equity, depth : numpy.ndarray
        Rows of `tradecore.research.records.TABLES`, ascending in time (orders: in order of
        sending). ``quotes``, ``equity`` and ``depth`` are samples at the interval that the run
        was asked for.
    log : list of str
        What the strategy wrote with ``self.note``.

    Examples
    --------
    >>> Result(RunInfo()).summary()["fills"]
    0
    """

    info: RunInfo
    orders: Rows = field(default_factory=lambda: _empty("orders"))
    fills: Rows = field(default_factory=lambda: _empty("fills"))
    positions: Rows = field(default_factory=lambda: _empty("positions"))
    quotes: Rows = field(default_factory=lambda: _empty("quotes"))
    equity: Rows = field(default_factory=lambda: _empty("equity"))
    depth: Rows = field(default_factory=lambda: _empty("depth"))
    log: list[str] = field(default_factory=list)

    def table(self, name: str) -> Rows:
        """Return a table by name, ``queue`` included.

        Raises
        ------
        KeyError
            There is no table of that name.
        """
        if name == "queue":
            return self.queue
        if name not in TABLES:
            raise KeyError(f"no table {name!r}; there are {', '.join([*TABLES, 'queue'])}")
        rows: Rows = getattr(self, name)
        return rows

    @property
    def queue(self) -> Rows:
        """Queue times of the orders that came to rest, rows of `QUEUE_ROW`. O(orders)."""
        rested = self.orders[self.orders["rested_ns"] != NEVER]
        rows = np.zeros(len(rested), QUEUE_ROW)
        for name in ("order_id", "instrument_id", "side", "state", "px", "order_qty", "cum_qty"):
            rows[name] = rested[name]
        for name in ("ahead_orders", "ahead_qty", "rested_ns"):
            rows[name] = rested[name]
        start = rested["rested_ns"]
        for name, end in (("wait_ns", "first_fill_ns"), ("life_ns", "ended_ns")):
            # An order that traded on its way in was filled before it rested: it did not wait.
            waited = np.maximum(rested[end] - start, 0)
            rows[name] = np.where(rested[end] == NEVER, NEVER, waited)
        return rows

    def pandas(self, name: str) -> pd.DataFrame:
        """Return a table as a pandas DataFrame. ImportError without pandas."""
        import pandas as pd

        return pd.DataFrame(table_columns(self.table(name)), copy=False)

    def polars(self, name: str) -> pl.DataFrame:
        """Return a table as a polars DataFrame. ImportError without polars."""
        import polars as pl

        return pl.DataFrame(table_columns(self.table(name)))

    def arrow(self, name: str) -> pa.Table:
        """Return a table as an Arrow table. ImportError without pyarrow."""
        import pyarrow as pa

        return pa.table(table_columns(self.table(name)))

    def hash(self) -> str:
        """Return the BLAKE2b-256 over all tables, as hex: equal exactly when all rows are."""
        digest = hashlib.blake2b(digest_size=32)
        for name in TABLES:
            rows = np.ascontiguousarray(self.table(name))
            digest.update(f"{name}:{len(rows)}:".encode())
            digest.update(rows.view(np.uint8).data if len(rows) else b"")
        return digest.hexdigest()

    def summary(self) -> dict[str, Any]:
        """Return the figures one looks at first; money in quote units, exact integers."""
        makers = self.fills["maker"] == 1
        last = self.equity[-1] if len(self.equity) else None
        return {
            "strategy": self.info.strategy,
            "fidelity": self.info.fidelity,
            "commands": self.info.commands,
            "orders": len(self.orders),
            "fills": len(self.fills),
            "maker_fills": int(makers.sum()),
            "volume_lots": int(self.fills["last_qty"].sum()),
            "fees": int(self.fills["fee"].sum()),
            "realised": int(self.fills["realised_pnl"].sum()),
            "equity": int(last["equity"]) if last is not None else 0,
            "ended": self.info.ended,
        }

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Write every table as a Parquet file, and what was run as JSON, into a folder.

        Raises
        ------
        ImportError
            Without pyarrow.
        """
        import pyarrow.parquet as pq

        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        for name in TABLES:
            pq.write_table(self.arrow(name), path / f"{name}.parquet", compression="zstd")
        document = {"info": msgspec.to_builtins(self.info, str_keys=True), "log": self.log}
        (path / _INFO_NAME).write_bytes(msgspec.json.encode(document))


class _Document(msgspec.Struct):
    info: RunInfo
    log: list[str]


def read_result(folder: str | os.PathLike[str]) -> Result:
    """Read what `Result.write` wrote.

    Raises
    ------
    DataError
        A file is missing, damaged, or has other columns.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(folder)
    try:
        document = msgspec.json.decode((path / _INFO_NAME).read_bytes(), type=_Document)
    except (OSError, msgspec.DecodeError) as error:
        raise DataError(f"not a result: {error}", str(path / _INFO_NAME)) from error
    result = Result(document.info, log=document.log)
    for name, dtype in TABLES.items():
        file = path / f"{name}.parquet"
        try:
            table = pq.read_table(file)
        except (OSError, pa.ArrowInvalid) as error:
            raise DataError(f"cannot be read: {error}", str(file)) from error
        rows = np.zeros(table.num_rows, dtype)
        wanted = [column for column in dtype.names or () if not column.startswith("reserved")]
        if table.column_names != wanted:
            raise DataError(f"columns {table.column_names}; {wanted} expected", str(file))
        for column in wanted:
            rows[column] = table[column].to_numpy()
        setattr(result, name, rows)
    return result
