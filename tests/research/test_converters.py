"""ITCH and DBN messages, typed by hand or by their own encoders, become the orders they tell of."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tradecore as tc
from shared_data import shared
from tradecore.data import encode_message
from tradecore.errors import DataError
from tradecore.research import Strategy, backtest
from tradecore.research.convert import from_itch, from_workload, record
from tradecore.research.convert_dbn import MBO, from_dbn
from tradecore.research.recording import TAG_HIDDEN, TAG_REDUCTION, TAG_REPAIR


def rows(frames: Any) -> list[tuple[int, ...]]:
    names = ("kind", "side", "px", "order_qty", "tif", "session_id")
    return [tuple(int(frame[name]) for name in names) for frame in frames]


def itch_file(tmp_path: Path, messages: list[bytes]) -> Path:
    path = tmp_path / "day.itch"
    path.write_bytes(b"".join(len(m).to_bytes(2, "big") + m for m in messages))
    return path


def message(kind: str, ts: int, **fields: Any) -> bytes:
    if kind in "AF":
        fields.setdefault("stock", b"ABC")
    return encode_message(kind, ts_ns=ts, stock_locate=5, **fields)


def test_itch_executions_become_aggressors_and_repairs(tmp_path: Path) -> None:
    path = itch_file(
        tmp_path,
        [
            message("A", 10, order_id=1, side=b"B", order_qty=100, px=5000),
            message("A", 20, order_id=2, side=b"B", order_qty=50, px=5000),
            message("E", 30, order_id=1, last_qty=40),  # in priority
            message("E", 40, order_id=2, last_qty=10),  # not: order 1 stands first
            message("X", 50, order_id=1, canceled_qty=20),
            message("U", 60, order_id=1, new_order_id=3, order_qty=70, px=4900),
            message("D", 70, order_id=2),
        ],
    )
    recording = record(from_itch(path))
    assert recording.instruments[5].symbol == "ABC"
    assert rows(np.concatenate(recording.chunks)) == [
        (1, 1, 5000, 100, 1, 0),
        (1, 1, 5000, 50, 1, 0),
        (1, 2, 5000, 40, 3, 0),
        (3, 0, 0, 60, 0, TAG_REPAIR),
        (1, 2, 5000, 10, 3, TAG_HIDDEN),
        (3, 0, 0, 40, 0, TAG_REDUCTION),
        (3, 0, 0, 40, 0, TAG_REDUCTION),
        (2, 0, 0, 0, 0, 0),
        (1, 1, 4900, 70, 1, 0),
        (2, 0, 0, 0, 0, 0),
    ]
    assert "1 of 2 executions in price-time priority" in recording.notes[0]


def test_itch_symbols_are_filtered_and_renumbered(tmp_path: Path) -> None:
    path = itch_file(
        tmp_path,
        [
            message("A", 10, order_id=1, side=b"B", order_qty=100, px=5000),
            encode_message(
                "A", ts_ns=20, stock_locate=7, order_id=2, side=b"S", order_qty=3, px=9, stock=b"XY"
            ),
        ],
    )
    recording = record(from_itch(path, symbols=["XY", "ZZ"]))
    assert {n: i.symbol for n, i in recording.instruments.items()} == {0: "XY"}
    assert rows(np.concatenate(recording.chunks)) == [(1, 2, 9, 3, 1, 0)]


def test_itch_stream_cut_short_is_refused(tmp_path: Path) -> None:
    whole = message("A", 10, order_id=1, side=b"B", order_qty=100, px=5000)
    path = itch_file(tmp_path, [whole, whole])
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(DataError, match=r"day\.itch: offset 38: a message is cut short"):
        record(from_itch(path))


@pytest.mark.shared
def test_real_itch_messages_all_convert() -> None:
    recording = record(from_itch(shared("data/itch50/ex20101224.TEST_ITCH_50.lenprefixed")))
    assert len(recording) > 5_000
    backtest(recording, Strategy())


@pytest.mark.shared
def test_workload_ends_in_the_state_of_a_plain_replay() -> None:
    path = shared("data/matching_workloads/orders_normal_s23_n20000.bin.gz")
    recording = record(from_workload(path))
    engine = tc.Engine(max_instruments=1, max_orders=1 << 17)
    engine.define_instrument(0, base_asset=1, quote_asset=0)
    for chunk in recording.chunks:
        engine.apply(chunk)
    assert backtest(recording, Strategy()).info.state_hash == engine.state_hash()


# ---- DBN -----------------------------------------------------------------------------------------

ESZ3 = 5602
PX = 1_000_000_000


def dbn_header(version: int = 2, schema: int = 0, mapped: bool = True) -> bytes:
    """The metadata as the format describes them: 100 fixed bytes, then lists of fixed strings."""
    width = 22 if version == 1 else 71
    fixed = struct.pack("<16sHQQQ", b"GLBX.MDP3", schema, 1_700_000_000, 2**64 - 1, 0)
    if version == 1:
        fixed += struct.pack("<Q", 0)
    fixed += bytes([0, 1, 0])
    if version > 1:
        fixed += struct.pack("<H", width)
    fixed = fixed.ljust(100, b"\0")
    symbol = b"ESZ3".ljust(width, b"\0")
    lists = struct.pack("<I", 0) + struct.pack("<I", 1) + symbol + struct.pack("<II", 0, 0)
    if mapped:
        number = str(ESZ3).encode().ljust(width, b"\0")
        interval = struct.pack("<III", 1, 20231114, 20231115) + number
        lists += struct.pack("<I", 1) + symbol + interval
    else:
        lists += struct.pack("<I", 0)
    body = fixed + lists
    return b"DBN" + bytes([version]) + struct.pack("<I", len(body)) + body


def mbo(
    action: str, order: int, side: str, px: int, size: int, ts: int, last: bool = True
) -> np.ndarray[Any, Any]:
    row = np.zeros(1, MBO)
    row["length"], row["rtype"], row["publisher_id"], row["instrument_id"] = 14, 0xA0, 1, ESZ3
    row["ts_event"], row["ts_recv"], row["order_id"], row["price"] = ts, ts + 9, order, px
    row["size"], row["action"], row["side"], row["flags"] = size, action, side, 128 * last
    return row


STREAM = [
    mbo("R", 0, "N", 2**63 - 1, 0, 5),
    mbo("A", 1, "B", 100 * PX, 10, 10),
    mbo("A", 2, "B", 100 * PX, 4, 20),
    # Somebody sells 12: orders 1 (10) and 2 (2) are hit; the book follows in C and M.
    mbo("T", 0, "A", 100 * PX, 12, 30, last=False),
    mbo("F", 1, "B", 100 * PX, 10, 30, last=False),
    mbo("F", 2, "B", 100 * PX, 2, 30, last=False),
    mbo("C", 1, "B", 100 * PX, 10, 30, last=False),
    mbo("M", 2, "B", 100 * PX, 2, 30),
    mbo("M", 2, "B", 101 * PX, 5, 40),  # a new price and more: to the back
    mbo("C", 2, "B", 101 * PX, 1, 50),
    mbo("C", 2, "B", 101 * PX, 4, 60),
]
EXPECTED = [
    (11, 0, 0, 0, 0, 0),
    (1, 1, 100, 10, 1, 0),
    (1, 1, 100, 4, 1, 0),
    (1, 2, 100, 10, 3, 0),
    (2, 0, 0, 0, 0, TAG_REPAIR),
    (1, 2, 100, 2, 3, 0),
    (3, 0, 0, 2, 0, TAG_REPAIR),
    (3, 0, 101, 5, 0, 0),
    (3, 0, 0, 4, 0, TAG_REDUCTION),
    (2, 0, 0, 0, 0, 0),
]


@pytest.mark.parametrize("version", [1, 2, 3])
def test_dbn_records_become_orders(tmp_path: Path, version: int) -> None:
    path = tmp_path / "day.dbn"
    path.write_bytes(dbn_header(version) + b"".join(r.tobytes() for r in STREAM))
    recording = record(from_dbn(path, px_decimals=0))
    frames = np.concatenate(recording.chunks)
    assert [(r[0], *r[1:]) for r in rows(frames[1:])] == EXPECTED[1:]
    assert int(frames["kind"][0]) == tc.CommandKind.MASS_CANCEL
    assert recording.instruments[0].symbol == "ESZ3"
    backtest(recording, Strategy())


def test_dbn_of_the_vendors_own_encoder_is_read(tmp_path: Path) -> None:
    dbn = pytest.importorskip("databento_dbn")
    for version in (1, 2, 3):
        head = dbn.Metadata(
            dataset="GLBX.MDP3",
            start=1,
            stype_in=dbn.SType.RAW_SYMBOL,
            stype_out=dbn.SType.INSTRUMENT_ID,
            schema=dbn.Schema.MBO,
            symbols=["ESZ3"],
            partial=[],
            not_found=[],
            mappings=[],
            end=None,
            limit=None,
            ts_out=False,
            version=version,
        ).encode()
        assert head == dbn_header(version, mapped=False)[: len(head)] or len(head) > 100
        order = dbn.MBOMsg(
            publisher_id=1,
            instrument_id=ESZ3,
            ts_event=123,
            order_id=77,
            price=5000_250000000,
            size=3,
            channel_id=0,
            action=dbn.Action.ADD,
            side=dbn.Side.ASK,
            ts_recv=456,
            flags=128,
            ts_in_delta=5,
            sequence=9,
        )
        path = tmp_path / f"{version}.dbn"
        path.write_bytes(head + bytes(order))
        recording = record(from_dbn(path, px_decimals=2))
        frames = np.concatenate(recording.chunks)
        assert rows(frames) == [(1, 2, 500025, 3, 1, 0)]
        assert (int(frames["ts_ns"][0]), int(frames["order_id"][0])) == (123, 77)
        assert recording.received is not None
        assert recording.received[0].tolist() == [456]


def test_dbn_of_other_kinds_and_damage_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "day.dbn"
    body = b"".join(r.tobytes() for r in STREAM)
    for data, reason in (
        (b"DBX\x02" + bytes(200), "not DBN"),
        (dbn_header(schema=1) + body, "schema 1"),
        (dbn_header() + body[:-5], "cut short"),
        (dbn_header()[:60], "truncated"),
    ):
        path.write_bytes(data)
        with pytest.raises(DataError, match=reason):
            record(from_dbn(path, px_decimals=0))
    path.write_bytes(dbn_header() + mbo("A", 1, "B", 100 * PX + 1, 1, 5).tobytes())
    with pytest.raises(DataError, match="price 100000000001 is no multiple of 10000000"):
        record(from_dbn(path, px_decimals=2))


def test_dbn_records_of_other_types_are_passed_over(tmp_path: Path) -> None:
    other = bytes([20, 0x16]) + bytes(78)
    path = tmp_path / "day.dbn"
    path.write_bytes(dbn_header() + other + b"".join(r.tobytes() for r in STREAM[:3]) + other)
    recording = record(from_dbn(path, px_decimals=0))
    assert rows(np.concatenate(recording.chunks))[1:] == EXPECTED[1:3]
