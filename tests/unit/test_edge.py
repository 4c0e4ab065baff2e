"""The edge: every message becomes frames and comes back; untrusted input gets one clear error."""

from __future__ import annotations

import contextlib
import struct
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tradecore
from tradecore import messages as m
from tradecore.catalog import Catalog
from tradecore.codes import CommandKind
from tradecore.edge import decode_message, encode_message, from_frames, to_frames
from tradecore.errors import FrameError
from tradecore.instruments import AssetSpec, InstrumentSpec, MarginTier

BTC, USD = AssetSpec("BTC", 1), AssetSpec("USD", 0)
SPOT = InstrumentSpec("BTC-USD", 3, BTC, USD, tick_size="0.05", lot_size="0.1")
PERP = InstrumentSpec(
    "PERP",
    4,
    BTC,
    USD,
    instrument_type="linear",
    tick_size="0.5",
    tiers=(MarginTier("0", 100_000, 50_000),),
)
CATALOG = Catalog([SPOT, PERP])
ORDER: dict[str, Any] = {
    "order_id": 7,
    "account_id": 2,
    "instrument": "BTC-USD",
    "side": "buy",
    "order_qty": "0.3",
}


def test_new_order_lies_in_the_frame_as_the_header_says() -> None:
    order = m.NewOrder(
        **ORDER,
        px="101.25",
        tif="gtd",
        stp="decrement",
        post_only=True,
        expire_ts_ns=99,
        display_qty="0.1",
        ts_ns=5,
        sent_ts_ns=4,
        session_id=8,
    )
    frames = to_frames(order, CATALOG)
    head = struct.unpack("<QHBBBBBBIIQqqQII", frames[:64])
    assert head == (5, 1, 1, 1, 2, 6, 4, 0, 2, 3, 7, 2025, 3, 4, 1, 8)
    assert struct.unpack("<qHHIqqQqQQ", frames[64:]) == (0, 0x8001, 0, 0, 1, 0, 99, 0, 0, 0)


def test_market_order_by_cash_lies_in_the_frame_as_the_header_says() -> None:
    given = {**ORDER, "order_qty": 0, "ord_type": "market", "tif": "ioc"}
    frames = to_frames(m.NewOrder(**given, cash_order_qty="12.5"), CATALOG)
    assert struct.unpack("<qHHIqqQqQQ", frames[64:])[7] == 1_250_000_000


def test_limits_lie_in_the_frame_as_the_header_says() -> None:
    message = m.SetLimits(
        scope="group", group_id=5, max_order_qty=0, max_open_orders=7, rate_per_s=1, rate_burst=2
    )
    frames = to_frames(message, CATALOG)
    assert struct.unpack("<QHBBBBBBIIIIqqqqqIIQIIQQQQ", frames) == (
        *(0, 24, 1, 0, 0, 0, 2, 0, 0, 0, 5, 1 | 16 | 32),
        *(0, 0, 0, 0, 7, 1, 2, 0, 0, 0, 0, 0, 0, 0),
    )


# message, then the ADMIN frame's fields from offset 0 on: ts kind cont side phase state scope r,
# account instrument asset group, amount mark ref, epoch contra
ADMIN = [
    (m.Time(ts_ns=9), (9, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)),
    (m.MassCancel(), (0, 11, 0, 0, 0, 0, 0, 0, 2**32 - 1, 2**32 - 1, 0, 0, 0, 0, 0, 0, 0)),
    (
        m.MassCancel(account_id=2, instrument="PERP", side="sell"),
        (0, 11, 0, 2, 0, 0, 0, 0, 2, 4, 0, 0, 0, 0, 0, 0, 0),
    ),
    (
        m.SetPhase(instrument="BTC-USD", phase="halted", ref_px="100"),
        (0, 12, 0, 0, 4, 0, 0, 0, 0, 3, 0, 0, 0, 0, 2000, 0, 0),
    ),
    (m.Uncross(instrument="BTC-USD"), (0, 13, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0)),
    (
        m.MarkPrice(instrument="PERP", px="100.5"),
        (0, 14, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 201, 0, 0, 0),
    ),
    (m.LastPrice(instrument="PERP", px=7), (0, 15, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 14, 0, 0, 0)),
    (
        m.OpenAccount(account_id=2, group_id=1, trade_group=9),
        (0, 22, 0, 0, 0, 0, 0, 0, 2, 0, 0, 1, 0, 0, 0, 0, 9),
    ),
    (
        m.Deposit(account_id=2, asset="BTC", amount="0.5"),
        (0, 25, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 50_000_000, 0, 0, 0, 0),
    ),
    (
        m.Withdraw(account_id=2, asset="USD", amount=1),
        (0, 26, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 100_000_000, 0, 0, 0, 0),
    ),
    (
        m.Transfer(account_id=2, to_account_id=3, asset="BTC", amount="0.00000001"),
        (0, 27, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 1, 0, 0, 0, 3),
    ),
    (
        m.KillSwitch(scope="firm", on=True),
        (0, 28, 0, 0, 0, 1, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    ),
    (
        m.Restrict(instrument="PERP", on=False),
        (0, 29, 0, 0, 0, 0, 0, 0, 2**32 - 1, 4, 0, 0, 0, 0, 0, 0, 0),
    ),
    (
        m.Funding(instrument="PERP", amount="-0.25"),
        (0, 30, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, -25_000_000, 0, 0, 0, 0),
    ),
    (m.Epoch(epoch=2), (0, 31, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0)),
    (
        m.Rate(asset="BTC", rate="1.5"),
        (0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1_500_000_000, 0, 0, 0, 0),
    ),
    (
        m.MarginMode(account_id=2, instrument="PERP", mode="isolated"),
        (0, 34, 0, 0, 0, 1, 0, 0, 2, 4, 0, 0, 0, 0, 0, 0, 0),
    ),
    (
        m.MarginTransfer(account_id=2, instrument="PERP", amount="3"),
        (0, 35, 0, 0, 0, 0, 0, 0, 2, 4, 0, 0, 300_000_000, 0, 0, 0, 0),
    ),
]


@pytest.mark.parametrize(("message", "fields"), ADMIN, ids=lambda v: type(v).__name__)
def test_admin_message_lies_in_the_frame_as_the_header_says(
    message: m.Message, fields: tuple[int, ...]
) -> None:
    assert struct.unpack("<QHBBBBBBIIIIqqqII", to_frames(message, CATALOG)) == fields


def test_every_kind_of_message_has_a_frame_here() -> None:
    tested = {fields[1] for _, fields in ADMIN} | {1, 2, 3, 4, 21, 24}
    assert tested == {int(kind) for kind in CommandKind} - {CommandKind.TERMS}


# ------------------------------------------------------------------------------- round trips
px = st.integers(1, 10**6).map(SPOT.from_ticks)
qty = st.integers(1, 10**6).map(SPOT.from_lots)
ids = st.integers(1, 2**63 - 1)
accounts = st.integers(0, 2**32 - 1)
times = st.integers(0, 2**62 - 1)
flags = st.booleans()


def optional(strategy: Any) -> Any:
    return st.just(0) | strategy


new_orders = st.builds(
    m.NewOrder,
    ts_ns=st.just(0),
    order_id=ids,
    account_id=st.just(5),
    instrument=st.just("BTC-USD"),
    side=st.sampled_from(["buy", "sell"]),
    order_qty=qty,
    px=optional(px),
    ord_type=st.sampled_from(["market", "limit", "stop", "stop_limit", "take_profit_limit"]),
    tif=st.sampled_from(["day", "gtc", "ioc", "fok", "gtd"]),
    stp=st.sampled_from(["none", "expire_taker", "expire_maker", "expire_both", "decrement"]),
    stop_px=optional(px),
    trailing_bps=st.integers(0, 9999),
    display_qty=optional(qty),
    min_qty=optional(qty),
    expire_ts_ns=times,
    post_only=flags,
    reduce_only=flags,
    top=flags,
    session_id=accounts,
)
lists = st.builds(
    m.NewOrderList,
    ts_ns=times,
    list_id=ids,
    account_id=st.just(5),
    instrument=st.just("BTC-USD"),
    contingency=st.sampled_from(["oco", "oto"]),
    members=st.tuples(new_orders, new_orders),
)
replaces = st.builds(
    m.ReplaceOrder,
    ts_ns=times,
    order_id=ids,
    account_id=accounts,
    instrument=st.just("BTC-USD"),
    px=optional(px),
    order_qty=optional(qty),
    stop_px=optional(px),
    display_qty=optional(qty),
    leaves=flags,
    requeue=flags,
)
cancels = st.builds(m.CancelOrder, ts_ns=times, order_id=ids, account_id=accounts)
definitions = st.sampled_from([m.DefineInstrument(spec=spec) for spec in (SPOT, PERP)])
admin = st.sampled_from([message for message, _ in ADMIN])
MESSAGES = new_orders | lists | replaces | cancels | definitions | admin


@given(st.lists(MESSAGES, min_size=1, max_size=5))
def test_messages_become_frames_and_come_back(messages: list[m.Message]) -> None:
    frames = b"".join(to_frames(message, CATALOG) for message in messages)
    found = list(from_frames(frames, CATALOG))
    assert b"".join(to_frames(message, CATALOG) for message in found) == frames
    assert [type(message) for message in found] == [type(message) for message in messages]


@given(MESSAGES)
def test_messages_become_json_and_come_back(message: m.Message) -> None:
    if len(encode_message(message)) < m.MAX_MESSAGE_BYTES:
        assert decode_message(encode_message(message)) == message


@given(st.lists(MESSAGES, min_size=1, max_size=8))
def test_frames_of_the_edge_pass_the_engines_frame_check(messages: list[m.Message]) -> None:
    """Whatever the engine refuses then is a rule of business: statuses 104 and up."""
    engine = tradecore.Engine(max_instruments=8, max_orders=64, accounts=True, max_accounts=16)
    calm = [message for message in messages if not isinstance(message, m.Epoch)]
    for message in calm:
        events = engine.events(to_frames(message, CATALOG))
        for event in events:
            frame_family = 100 <= event["status"] <= 102
            assert not frame_family, (message, event)


# ---------------------------------------------------------------------------------- refusals
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "message: Input data was truncated"),
        ("[]", "Expected `object`"),
        ("{", "message: "),
        ('{"type": "new_ordr"}', "Invalid value 'new_ordr'"),
        ('{"order_id": 1}', "missing required field `type`"),
        ('{"type": "time", "when": 1}', "unknown field `when`"),
        ('{"type": "time", "ts_ns": 1.5}', "Expected `int`"),
        ('{"type": "time", "ts_ns": true}', "Expected `int`"),
        ('{"type": "time", "ts_ns": "1"}', "Expected `int`"),
        ('{"type": "time", "ts_ns": -1}', ">= 0"),
        ('{"type": "time", "ts_ns": 9223372036854775807}', "<= 4611686018427387903"),
        ('{"type": "time", "ts_ns": 1, "ts_ns": 2}', "the key 'ts_ns' stands there twice"),
        ('{"type": "epoch", "epoch": 99999999999999999999999}', "int"),
        ('{"type": "mark_price", "instrument": "PERP", "px": 1.5}', "Expected `int | str`"),
        ('{"type": "mark_price", "instrument": "PERP", "px": NaN}', "message: "),
        ('{"type": "mark_price", "instrument": "", "px": 1}', "length >= 1"),
        ('{"type": "cancel_order", "order_id": 0, "account_id": 1}', ">= 1"),
        ("{" + '"a":{' * 3000, "message: "),
        (" " * 20_000, "20000 bytes, at most 16384"),
    ],
    ids=lambda value: value[:24],
)
def test_text_from_outside_that_is_no_message_is_refused(text: str, says: str) -> None:
    with pytest.raises(FrameError) as caught:
        decode_message(text)
    assert says in str(caught.value)


@given(st.binary(max_size=300))
def test_any_bytes_from_outside_are_a_message_or_one_error(data: bytes) -> None:
    with contextlib.suppress(FrameError):
        decode_message(data)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"px": "1e400"}, "new_order: px: '1e400' is written with an exponent"),
        ({"px": "NaN"}, "new_order: px: 'NaN' is not a finite number"),
        ({"px": "\uff11\uff12"}, "new_order: px: '\\uff11\\uff12' holds non-ASCII"),
        ({"px": "101.253"}, "has 3 decimals; the step 0.05 allows 2"),
        ({"px": "101.26"}, "not a multiple of the step 0.05; its neighbours are 101.25 and 101.30"),
        ({"px": "-1"}, "new_order: px: '-1' is out of range"),
        ({"px": str(2**60)}, "out of range"),
        ({"order_qty": "0.25"}, "new_order: order_qty: '0.25' has 2 decimals"),
        ({"order_qty": 0}, "give either order_qty or cash_order_qty"),
        ({"cash_order_qty": 1}, "give either order_qty or cash_order_qty"),
        ({"stop_px": "x"}, "new_order: stop_px: 'x' is not a number"),
        ({"display_qty": "-1"}, "new_order: display_qty"),
        ({"instrument": "nothing"}, "new_order: instrument: no instrument 'nothing' is known"),
    ],
)
def test_order_that_cannot_be_is_refused_by_field(change: dict[str, Any], says: str) -> None:
    with pytest.raises(FrameError) as caught:
        to_frames(m.NewOrder(**(ORDER | change)), CATALOG)
    assert says in str(caught.value)


MEMBER = m.NewOrder(**ORDER)
LIST: dict[str, Any] = {
    "list_id": 1,
    "account_id": 2,
    "instrument": "BTC-USD",
    "contingency": "oco",
}


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (m.NewOrderList(**LIST, members=(MEMBER,) * 3), "members: oco has 2, not 3"),
        (
            m.NewOrderList(**LIST, members=(MEMBER, m.NewOrder(**(ORDER | {"px": "x"})))),
            "new_order_list: members[1].px: 'x' is not a number",
        ),
        (
            m.NewOrderList(**LIST, members=(MEMBER, m.NewOrder(**(ORDER | {"account_id": 9})))),
            "members[1]: account and instrument must be those of the list",
        ),
        (
            m.NewOrderList(**LIST, members=(MEMBER, m.NewOrder(**ORDER, ts_ns=1))),
            "members[1]: only the list has times",
        ),
        (m.SetLimits(scope="firm"), "no limit is named"),
        (m.SetLimits(scope="firm", rate_per_s=1), "rate_per_s and rate_burst are set together"),
        (m.SetLimits(scope="firm", account_id=1, stale_ns=1), "account_id: the scope is firm"),
        (m.KillSwitch(scope="group", on=True), "group_id: groups count from 1"),
        (m.MarkPrice(instrument="PERP", px=0), "px: a price above 0 is needed"),
        (m.Deposit(account_id=1, asset="USD", amount=0), "amount: 0 is out of range"),
        (m.Deposit(account_id=1, asset="XXX", amount=1), "no asset 'XXX' is known"),
        (m.Rate(asset="USD", rate="0.0000000001"), "has 10 decimals"),
    ],
)
def test_message_that_cannot_be_is_refused(message: m.Message, says: str) -> None:
    with pytest.raises(FrameError) as caught:
        to_frames(message, CATALOG)
    assert says in str(caught.value)


GOOD = to_frames(m.NewOrder(**ORDER, px=100), CATALOG)


def changed(at: int, value: int) -> bytes:
    frame = bytearray(GOOD)
    frame[at] = value
    return bytes(frame)


@pytest.mark.parametrize(
    ("frames", "says", "offset"),
    [
        (GOOD + changed(8, 99), "kind 99 is not a command", 64),
        (changed(15, 1), "reserved bytes are not zero", 0),
        (changed(10, 1), "1 continuation frames, the buffer ends before", 0),
        (changed(11, 7), "7 is not a valid Side", 0),
        (changed(20, 200), "no instrument 200 is known", 0),
        (changed(56, 32), "fields or values that its kind does not have", 0),
        (changed(10, 1) + GOOD, "the continuation frame is not TERMS", 0),
        (GOOD[:63], "63 bytes are not a positive multiple", 0),
    ],
)
def test_frames_that_are_no_message_are_refused(frames: bytes, says: str, offset: int) -> None:
    with pytest.raises(FrameError) as caught:
        list(from_frames(frames, CATALOG))
    assert says in str(caught.value)
    assert caught.value.offset == offset


@given(st.integers(0, 3), st.data())
def test_any_mutated_frame_comes_back_as_itself_or_one_error(n: int, data: st.DataObject) -> None:
    frame = bytearray(to_frames(data.draw(MESSAGES), CATALOG))
    for _ in range(n):
        frame[data.draw(st.integers(0, len(frame) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(FrameError):
        found: list[m.Message] = list(from_frames(frame, CATALOG))
        assert b"".join(to_frames(message, CATALOG) for message in found) == frame


@pytest.mark.parametrize("kind", get_args(m.Message), ids=lambda kind: kind.__name__)
def test_messages_are_strict_structs(kind: type[msgspec.Struct]) -> None:
    assert kind.__struct_config__.frozen
    assert kind.__struct_config__.forbid_unknown_fields
