"""Descriptions: every event of the header shows its fields; nothing is ever too odd to show."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradecore import messages as m
from tradecore.catalog import Catalog
from tradecore.codes import CellKind, EventKind
from tradecore.describe import describe, describe_commands, describe_events, to_line
from tradecore.edge import to_frames
from tradecore.errors import FrameError
from tradecore.frames import EVENT_STRUCTS
from tradecore.instruments import AssetSpec, InstrumentSpec

BTC, USD = AssetSpec("BTC", 1), AssetSpec("USD", 0)
SPOT = InstrumentSpec("BTC-USD", 3, BTC, USD, tick_size="0.05", lot_size="0.1")
CATALOG = Catalog([SPOT])
FILL = struct.pack("<QQIIBBHIqqQII", 9, 77, 5, 3, 3, 1, 0, 4, 2025, 3, 66, 6, 1 | 8)


def test_fill_in_natural_notation() -> None:
    assert describe(FILL, CATALOG) == {
        "kind": "FILL",
        "seq": 9,
        "order_id": 77,
        "account_id": 5,
        "instrument": "BTC-USD",
        "side": "BUY",
        "status": "OK",
        "in_seq": 4,
        "last_px": "101.25",
        "last_qty": "0.3",
        "maker_order_id": 66,
        "maker_account_id": 6,
        "flags": "TAKER_DONE|LIQUIDATION",
    }


def test_fill_without_catalog_shows_integers() -> None:
    shown = describe(FILL)
    assert (shown["instrument_id"], shown["last_px"], shown["last_qty"]) == (3, 2025, 3)
    line = "FILL seq=9 order_id=77 account_id=5 instrument_id=3 side=BUY in_seq=4 last_px=2025"
    assert to_line(shown).startswith(line)


def test_balance_shows_its_asset() -> None:
    event = struct.pack("<QQIIBBHIqqIHHQ", 1, 0, 5, 0, 14, 0, 0, 1, -5, 10**8, 1, 26, 0, 0)
    shown = describe(event, CATALOG)
    assert (shown["asset"], shown["amount"], shown["balance"]) == (
        "BTC",
        "-0.00000005",
        "1.00000000",
    )
    assert shown["command_kind"] == "WITHDRAW"


def test_instrument_0_is_named_only_where_an_instrument_is_meant() -> None:
    catalog = Catalog([InstrumentSpec("ZERO", 0, BTC, USD)])
    deposit = struct.pack("<QQIIBBHIqqIHHQ", 1, 0, 5, 0, 14, 0, 0, 1, 5, 5, 1, 25, 0, 0)
    funding = struct.pack("<QQIIBBHIqqIHHQ", 1, 0, 5, 0, 14, 0, 328, 1, 5, 5, 1, 30, 0, 0)
    assert "instrument" not in describe(deposit, catalog)
    assert describe(funding, catalog)["instrument"] == "ZERO"
    (time, mark) = describe_commands(
        to_frames(m.Time(ts_ns=1), catalog)
        + to_frames(m.MarkPrice(instrument="ZERO", px=1), catalog),
        catalog,
    )
    assert "instrument" not in time
    assert mark["instrument"] == "ZERO"


def test_every_event_kind_has_a_struct() -> None:
    assert {int(kind) for kind in (*EventKind, *CellKind)} == {int(kind) for kind in EVENT_STRUCTS}


def test_cell_frames_show_kind_status_and_answer() -> None:
    repeat = struct.pack("<QQIIBBHIQQBBHIQ", 0, 8, 2, 0, 33, 1, 426, 0, 9, 10, 2, 0, 313, 0, 0)
    shown = describe(repeat)
    assert (shown["kind"], shown["status"]) == ("REPEATED", "REPEATED_OTHER_TERMS")
    assert (shown["answer_kind"], shown["answer_status"]) == ("REJECTED", "INSUFFICIENT_FUNDS")
    quote = struct.pack("<QQIIBBHIqqqq", 1, 0, 0, 0, 49, 0, 0, 0, 9950, 3, 9975, 0)
    catalog = Catalog([InstrumentSpec("BTC-USD", 0, BTC, USD, tick_size="0.01")])
    shown = describe(quote, catalog)
    assert (shown["kind"], shown["bid_px"], shown["ask_px"]) == ("QUOTE", "99.50", "99.75")


def test_commands_show_terms_members_and_wildcards() -> None:
    order = m.NewOrder(
        order_id=1, account_id=2, instrument="BTC-USD", side="sell", order_qty="0.3", px=100,
        display_qty="0.1", post_only=True,
    )  # fmt: skip
    pair = m.NewOrderList(
        list_id=4, account_id=2, instrument="BTC-USD", contingency="oco", members=(order, order)
    )
    frames = b"".join(to_frames(each, CATALOG) for each in (order, pair, m.MassCancel()))
    first, second, third = describe_commands(frames, CATALOG)
    assert first["kind"] == "NEW_ORDER"
    assert (first["px"], first["flags"]) == ("100.00", "POST_ONLY")
    assert first["terms"] == {"display_qty": "0.1"}
    assert second["contingency"] == "OCO"
    assert [member["side"] for member in second["members"]] == ["SELL", "SELL"]
    assert third["account_id"] == third["instrument_id"] == "any"


def test_no_events_describe_as_nothing() -> None:
    assert list(describe_events(b"")) == list(describe_commands(b"")) == []


def test_part_of_an_event_is_refused() -> None:
    with pytest.raises(FrameError, match="63 bytes"):
        describe(FILL[:63])


@given(st.binary(min_size=64, max_size=64 * 6).map(lambda data: data[: len(data) // 64 * 64]))
def test_any_bytes_can_be_described(data: bytes) -> None:
    for shown in [*describe_events(data, CATALOG), *describe_commands(data, CATALOG)]:
        assert to_line(shown)
