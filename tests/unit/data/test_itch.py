"""ITCH 5.0: every type there and back, every framing, damage."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared_data import shared
from tradecore.data import itch
from tradecore.data.itch_spec import ITCH_MESSAGES, LENGTH_OF_TYPE
from tradecore.errors import DataError

# Lengths as printed in the headings of the NASDAQ TotalView-ITCH 5.0 specification.
SPECIFIED = {
    "S": 12, "R": 39, "H": 25, "Y": 20, "L": 26, "V": 35, "W": 12, "K": 28, "J": 35, "h": 21,
    "A": 36, "F": 40, "E": 31, "C": 36, "X": 23, "D": 19, "U": 35, "P": 44, "Q": 40, "B": 19,
    "I": 50, "N": 20, "O": 48,
}  # fmt: skip

# Field order as in the specification's tables, after the type letter, stock locate, tracking
# number and the two halves of the time. All bytes of the test message differ, so order and width
# both count.
STRUCTS = {
    "S": "c", "R": "8sccIcc2scccccIc", "H": "8scc4s",
    "Y": "8sc", "L": "4s8sccc", "V": "QQQ", "W": "c", "K": "8sIcI", "J": "8sIIII", "h": "8scc",
    "A": "QcI8sI", "F": "QcI8sI4s", "E": "QIQ", "C": "QIQcI", "X": "QI", "D": "Q", "U": "QQII",
    "P": "QcI8sIQ", "Q": "Q8sIQc", "B": "Q", "I": "QQc8sIIIcc", "N": "8sc", "O": "8scIIIQII",
}  # fmt: skip

START = struct.pack(">cHHHIc", b"S", 0, 0, 0x1122, 0x33445566, b"O")
ADD = b"A" + struct.pack(">HHHIQcI8sI", 513, 2, 1, 5, 77, b"B", 300, b"AAPL    ", 1_250_000)
DELETE = struct.pack(">cHHHIQ", b"D", 513, 2, 1, 6, 77)
MESSAGES = [START, ADD, DELETE]
FRAMED = {
    "length": b"".join(struct.pack(">H", len(raw)) + raw for raw in MESSAGES),
    "zero": b"".join(b"\0\0" + raw for raw in MESSAGES),
    "bare": b"".join(MESSAGES),
    "jsonl": b"".join(
        b'{"type": "%c", "hex": "%s"}\n' % (m[0], m.hex().encode()) for m in MESSAGES
    ),
}


def test_table_has_the_specified_types_and_lengths() -> None:
    assert {kind: message.size for kind, message in ITCH_MESSAGES.items()} == SPECIFIED


def test_hand_packed_messages_decode_to_their_fields() -> None:
    batch = itch.decode_itch(FRAMED["length"])
    (kind1, start), (kind2, add), (kind3, delete) = batch.messages()
    assert (kind1, kind2, kind3) == ("S", "A", "D")
    assert start.ts_ns == 0x112233445566
    assert start.event_code == b"O"
    assert tuple(add) == (513, 2, (1 << 32) + 5, 77, b"B", 300, b"AAPL    ", 1_250_000)
    assert delete.order_id == 77
    assert batch.columns("A")["px"].tolist() == [1_250_000]
    assert batch.rows("D").tolist() == [2]


@pytest.mark.parametrize("kind", sorted(STRUCTS))
def test_every_type_decodes_what_struct_packed(kind: str) -> None:
    layout = struct.Struct(f">cHHHI{STRUCTS[kind]}")
    assert layout.size == SPECIFIED[kind]
    raw = kind.encode() + bytes(range(65, 65 + layout.size - 1))
    _, locate, tracking, high, low, *rest = layout.unpack(raw)
    ((decoded_kind, record),) = itch.decode_itch(raw, "bare").messages()
    assert decoded_kind == kind
    assert tuple(record) == (locate, tracking, high << 32 | low, *rest)


@pytest.mark.parametrize("framing", list(FRAMED))
def test_framing_is_recognised_and_round_trips(tmp_path: Path, framing: itch.Framing) -> None:
    raw = FRAMED[framing]
    assert itch.detect_framing(raw) == framing
    path = tmp_path / "stream"
    path.write_bytes(gzip.compress(raw))
    batches = list(itch.iter_itch(path))
    assert b"".join(batch.encode(framing) for batch in batches) == raw
    assert [kind for kind, _ in itch.iter_itch_messages(path)] == ["S", "A", "D"]


def test_zero_length_that_ends_the_file_is_accepted_only_there(tmp_path: Path) -> None:
    path = tmp_path / "stream"
    path.write_bytes(FRAMED["length"] + b"\0\0")
    assert sum(len(batch.kinds) for batch in itch.iter_itch(path)) == 3
    path.write_bytes(FRAMED["length"] + b"\0\0" + FRAMED["length"])
    with pytest.raises(DataError, match="zero length that ends the file"):
        list(itch.iter_itch(path))


@pytest.mark.parametrize("framing", ["length", "zero", "bare"])
def test_every_truncation_is_whole_messages_or_one_error(framing: itch.Framing) -> None:
    raw = FRAMED[framing]
    sizes = [len(message) + (framing != "bare") * 2 for message in MESSAGES]
    whole = {0: 0, sizes[0]: 1, sizes[0] + sizes[1]: 2}
    for length in range(len(raw)):
        if length in whole:
            assert len(itch.decode_itch(raw[:length], framing).kinds) == whole[length]
            continue
        with pytest.raises(DataError, match="truncated") as caught:
            itch.decode_itch(raw[:length], framing)
        assert caught.value.offset == max(at for at in whole if at <= length)


@pytest.mark.parametrize(
    ("raw", "framing", "offset", "reason"),
    [
        (b"\0\x0dS" + bytes(12), "length", 2, "is 12 bytes long, the frame announces 13"),
        (b"\0\x0cz" + bytes(11), "length", 2, "unknown message type 'z'"),
        (START + b"?" + bytes(20), "bare", 12, "unknown message type '?'"),
        (b"\0\0" + START + b"\0\1" + START, "zero", 14, "two zero bytes"),
    ],
)
def test_bad_message_is_named_with_its_offset(
    raw: bytes, framing: itch.Framing, offset: int, reason: str
) -> None:
    with pytest.raises(DataError) as caught:
        itch.decode_itch(raw, framing, "feed")
    assert reason in caught.value.reason
    assert (caught.value.file, caught.value.offset) == ("feed", offset)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"hex": "53zz"}', "hexadecimal"),
        ('{"hex": ""}', "empty"),
        ('{"hex": "5300"}', "12 bytes long"),
        (f'{{"type": "A", "hex": "{START.hex()}"}}', "says type 'A'"),
        ("[1]", "hexadecimal message"),
    ],
)
def test_bad_line_is_named_with_its_offset(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "feed.jsonl"
    good = FRAMED["jsonl"]
    path.write_bytes(good + line.encode())
    with pytest.raises(DataError) as caught:
        list(itch.iter_itch(path))
    assert reason in caught.value.reason
    assert caught.value.offset == len(good)


@pytest.mark.parametrize(
    "head", [b"", b"PK\x03\x04" + bytes(40), b"time,px\n1,2\n", bytes(64), b'{"a": 1}']
)
def test_other_content_is_not_itch(head: bytes) -> None:
    assert itch.detect_framing(head) is None


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """Random messages of every type with arbitrary field bytes, NUL text included."""
    kinds = draw(st.lists(st.sampled_from(sorted(SPECIFIED)), max_size=30))
    return [
        kind.encode() + draw(st.binary(min_size=n, max_size=n))
        for kind in kinds
        for n in [SPECIFIED[kind] - 1]
    ]


@given(streams())
def test_any_stream_of_any_types_round_trips(messages: list[bytes]) -> None:
    raw = b"".join(struct.pack(">H", len(message)) + message for message in messages)
    batch = itch.decode_itch(raw, "length")
    assert batch.encode("length") == raw
    assert batch.encode("bare") == b"".join(messages)
    assert "".join(map(chr, batch.kinds)) == "".join(chr(message[0]) for message in messages)


@given(st.binary(max_size=200))
def test_any_bytes_decode_exactly_or_are_refused(raw: bytes) -> None:
    for framing in ("length", "zero", "bare"):
        try:
            batch = itch.decode_itch(raw, framing)
        except DataError as error:
            offset = error.offset
        else:
            assert batch.encode(framing) == raw.removesuffix(
                b"\0\0" if framing == "length" else b""
            )
            continue
        assert offset is not None
        assert 0 <= offset <= len(raw)


def test_encode_message_pads_text_and_checks_ranges() -> None:
    raw = itch.encode_message(
        "A", stock_locate=513, tracking_number=2, ts_ns=(1 << 32) + 5, order_id=77, side=b"B",
        order_qty=300, stock=b"AAPL", px=1_250_000,
    )  # fmt: skip
    assert raw == ADD
    for fields, word in [
        ({"px": 1 << 32}, "cannot hold"),
        ({"px": -1}, "cannot hold"),
        ({"stock": b"TOOLONGNAME"}, "holds 8 bytes"),
        ({"stock": 1}, "wants text"),
        ({"colour": 1}, "no field 'colour'"),
        ({"ts_ns": 1 << 48}, "48 bits"),
    ]:
        with pytest.raises(DataError, match=word):
            itch.encode_message("A", **fields)


def test_encode_refuses_columns_that_do_not_match_the_order() -> None:
    batch = itch.decode_itch(FRAMED["bare"], "bare")
    with pytest.raises(DataError, match="1 messages of type 'A' expected, 0 given"):
        itch.encode_itch(batch.kinds, {"S": batch.columns("S"), "D": batch.columns("D")})


def test_messages_that_straddle_chunks_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(itch, "_CHUNK", 50)
    path = tmp_path / "stream"
    path.write_bytes(FRAMED["length"] * 20)
    batches = list(itch.iter_itch(path))
    assert len(batches) > 10
    assert b"".join(batch.encode() for batch in batches) == FRAMED["length"] * 20
    firsts = np.cumsum([0] + [len(batch.kinds) for batch in batches])[:-1]
    assert [batch.first for batch in batches] == firsts.tolist()


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("bbekele_first1000.itch", {"S": 1, "R": 993, "H": 3, "Y": 3}),
        (
            "ex20101224.TEST_ITCH_50.lenprefixed",
            {
                "A": 4997,
                "F": 3,
                "E": 198,
                "X": 45,
                "D": 1745,
                "U": 12,
                "P": 5000,
                "S": 6,
                "R": 3,
                "H": 3,
            },
        ),
    ],
)
def test_recorded_file_has_its_published_mix_and_re_encodes(
    file: str, counts: dict[str, int]
) -> None:
    path = shared(f"data/itch50/{file}")
    batches = list(itch.iter_itch(path))
    kinds = b"".join(batch.kinds.tobytes() for batch in batches).decode()
    assert {kind: kinds.count(kind) for kind in set(kinds)} == counts
    assert b"".join(batch.encode() for batch in batches) == path.read_bytes()


def test_recorded_real_messages_re_encode_to_the_same_bytes() -> None:
    path = shared("data/itch50/nasdaq_real_messages.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    (batch,) = itch.iter_itch(path)
    assert len(batch.kinds) == 117
    assert len(batch.present()) == 15
    assert [chr(code) for code in batch.kinds] == [line["type"] for line in lines]
    assert batch.encode("bare").hex() == "".join(line["hex"] for line in lines)


def test_recorded_fields_read_as_by_hand() -> None:
    """Fields of real messages, read off their hexadecimal text with the specification in hand."""
    path = shared("data/itch50/nasdaq_real_messages.jsonl")
    messages = list(itch.iter_itch_messages(path))
    add = next(record for kind, record in messages if kind == "A")
    assert add.stock == b"IVOO    "
    assert (add.side, add.order_qty, add.px) == (b"B", 1600, 873_900)
    assert add.ts_ns == 34_199_999_894_278
    collar = next(record for kind, record in messages if kind == "J")
    assert (collar.stock, collar.reference_px) == (b"ZXZZT   ", 0x020918)
    assert (collar.upper_px, collar.lower_px, collar.extension) == (0x022344, 0x01AA90, 0)
    assert LENGTH_OF_TYPE[ord("J")] == 35
