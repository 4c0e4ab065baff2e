"""Events become tables without changing a value, and without copies where the format allows."""

from __future__ import annotations

import numpy as np
import pytest

import tradecore as tc
from tradecore import tables


@pytest.fixture
def events() -> bytes:
    """Return the events of two resting orders and one that trades with both."""
    engine = tc.Engine(max_instruments=2, max_orders=64)
    engine.define_instrument(1)
    commands = np.zeros(3, tc.COMMAND)
    commands["kind"], commands["ord_type"], commands["tif"] = 1, 2, 1
    commands["instrument_id"], commands["account_id"] = 1, [1, 2, 3]
    commands["order_id"], commands["side"] = [11, 12, 13], [2, 2, 1]
    commands["px"], commands["order_qty"] = [101, 102, 102], [5, 7, 9]
    return bytes(engine.apply(commands))


def test_columns_of_fills_hold_what_traded(events: bytes) -> None:
    fills = tables.columns(events, tc.EventKind.FILL)
    assert fills["last_px"].tolist() == [101, 102]
    assert fills["last_qty"].tolist() == [5, 4]
    assert fills["maker_order_id"].tolist() == [11, 12]
    assert not any(name.startswith("reserved") for name in fills)


def test_as_events_does_not_copy(events: bytes) -> None:
    assert np.shares_memory(tables.as_events(events), np.frombuffer(events, np.uint8))


def test_frames_of_an_arrow_table_lie_over_the_buffer(events: bytes) -> None:
    pytest.importorskip("pyarrow")
    table = tables.to_arrow(events)
    assert table.num_rows == len(events) // 64
    address = table["frame"].chunk(0).buffers()[1].address
    assert address == np.frombuffer(events, np.uint8).ctypes.data
    assert table["frame"][0].as_py() == events[:64]


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_every_library_shows_the_same_fills(events: bytes, library: str) -> None:
    pytest.importorskip(library)
    if library == "pandas":
        rows = tables.to_pandas(events, tc.EventKind.FILL)["last_qty"].tolist()
    elif library == "polars":
        rows = tables.to_polars(events, tc.EventKind.FILL)["last_qty"].to_list()
    else:
        rows = tables.to_arrow(events, tc.EventKind.FILL)["last_qty"].to_pylist()
    assert rows == [5, 4]
