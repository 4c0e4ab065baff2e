"""The snapshot container: round trip, canonical hash, and every bit flip and truncation refused."""

from __future__ import annotations

import hashlib
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradecore.errors import ConfigError, SnapshotError
from tradecore.journal_format import Position
from tradecore.snapshot import (
    SnapshotInfo,
    UnsupportedSnapshotError,
    decode,
    encode,
    encode_parts,
    state_hash,
)
from tradecore_ext.crc import crc32c

INFO = SnapshotInfo(
    source=7,
    in_seq=1000,
    out_seq=2500,
    now_ns=1_700_000_000_000_000_000,
    epoch=1,
    journal=Position(12, 1001, 0xDEADBEEF),
    config_digest=bytes(range(32)),
    build="tradecore 0.1.0",
)
SECTIONS = [("orders", b"abc" * 33), ("accounts", bytes(range(64))), ("timers", b"")]
CONFIG = b"\x81\xa1x\x01"
DATA = encode(INFO, SECTIONS, CONFIG)


def test_snapshot_round_trips() -> None:
    found = decode(DATA, "s.tcsn")
    assert [(name, bytes(data)) for name, data in found.sections] == SECTIONS
    assert found.config == CONFIG
    assert found.info == msgspec.structs.replace(INFO, state_hash=state_hash(SECTIONS))


def test_snapshot_sections_are_views_on_cache_lines() -> None:
    for _, data in decode(DATA).sections:
        assert data.obj is DATA
        assert not data or DATA.index(bytes(data)) % 64 == 0


def test_snapshot_without_journal_round_trips() -> None:
    info = SnapshotInfo(source=1, in_seq=5)
    assert decode(encode(info, [])).info.journal is None


def test_snapshot_every_bit_flip_is_refused() -> None:
    data = bytearray(DATA)
    for at in range(len(data)):
        for bit in range(8):
            data[at] ^= 1 << bit
            with pytest.raises(SnapshotError, match=r"^s\.tcsn: offset \d+: ") as caught:
                decode(bytes(data), "s.tcsn")
            # "Of another version" would stop a restart that could fall back.
            assert not isinstance(caught.value, UnsupportedSnapshotError)
            data[at] ^= 1 << bit


def test_snapshot_every_truncation_is_refused() -> None:
    for size in range(len(DATA)):
        with pytest.raises(SnapshotError) as caught:
            decode(DATA[:size], "s.tcsn")
        assert not isinstance(caught.value, UnsupportedSnapshotError)


@pytest.mark.parametrize("more", [b"\0", bytes(64), DATA])
def test_snapshot_with_bytes_behind_it_is_refused(more: bytes) -> None:
    with pytest.raises(SnapshotError):
        decode(DATA + more)


def repaired(at: int, value: bytes) -> bytes:
    """The snapshot with other head bytes and right checksums, as another version might write."""
    data = bytearray(DATA)
    data[at : at + len(value)] = value
    data[252:256] = crc32c(data[:252]).to_bytes(4, "little")
    table_end = 256 + 64 * 4
    data[-64:-32] = hashlib.blake2b(data[:table_end], digest_size=32).digest()
    return bytes(data)


@pytest.mark.parametrize(
    ("at", "value", "says"),
    [
        (4, struct.pack("<H", 2), "format version 2, this build reads version 1"),
        (8, struct.pack(">I", 0x01020304), "big-endian"),
        (6, struct.pack("<H", 128), "features"),
        (12, struct.pack("<I", 9), "schema 9"),
        (240, b"\1", "features"),
    ],
)
def test_snapshot_of_another_version_is_named_as_such(at: int, value: bytes, says: str) -> None:
    with pytest.raises(UnsupportedSnapshotError, match=says):
        decode(repaired(at, value))


def test_snapshot_with_another_state_hash_is_refused() -> None:
    found = decode(DATA).info.state_hash
    at = DATA.index(found)
    with pytest.raises(SnapshotError, match="do not add up to the state hash"):
        decode(repaired(at, bytes([found[0] ^ 1])))


@pytest.mark.parametrize("data", [b"", b"TC", b"PK\x03\x04" + bytes(400), DATA[:255]])
def test_snapshot_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(SnapshotError):
        decode(data)


@pytest.mark.parametrize(
    "sections",
    [
        [("config", b"")],
        [("Orders", b"")],
        [("", b"")],
        [("a" * 41, b"")],
        [("a/b", b"")],
        [("a", b""), ("a", b"")],
    ],
)
def test_snapshot_section_names_are_checked(sections: list[tuple[str, bytes]]) -> None:
    with pytest.raises(ConfigError, match="snapshot section"):
        encode(INFO, sections)


@pytest.mark.parametrize(
    "change",
    [
        {"build": "x" * 65},
        {"config_digest": b"short"},
        {"in_seq": -1, "journal": None},
        {"source": 1 << 32},
        {"in_seq": 999},
    ],
)
def test_snapshot_info_that_does_not_fit_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        encode(msgspec.structs.replace(INFO, **change), SECTIONS)


# -------------------------------------------------------------------------------- state hash
NAMES = st.from_regex(r"[a-z][a-z0-9_.]{0,39}", fullmatch=True)
STATES = st.dictionaries(NAMES.filter(lambda name: name != "config"), st.binary(max_size=200))


@given(STATES, st.randoms(use_true_random=False))
def test_state_hash_ignores_the_order_of_sections(state: dict[str, bytes], chance: object) -> None:
    items = list(state.items())
    chance.shuffle(items)  # type: ignore[attr-defined]
    assert state_hash(items) == state_hash(state.items())
    assert encode_parts(SnapshotInfo(1, 0), items)[0].state_hash == state_hash(state.items())


@given(STATES, STATES)
def test_state_hash_differs_for_different_states(a: dict[str, bytes], b: dict[str, bytes]) -> None:
    assert (state_hash(a.items()) == state_hash(b.items())) == (a == b)


def test_state_hash_is_the_documented_construction() -> None:
    expected = hashlib.blake2b(digest_size=32)
    for name, data in [(b"accounts", b"xy"), (b"orders", b"")]:
        expected.update(name + struct.pack("<Q", len(data)) + data)
    assert state_hash([("orders", b""), ("accounts", b"xy")]) == expected.digest()


@given(STATES, st.binary(max_size=50))
def test_snapshot_any_state_round_trips(state: dict[str, bytes], config: bytes) -> None:
    found = decode(encode(SnapshotInfo(3, 9), state.items(), config))
    assert {name: bytes(data) for name, data in found.sections} == state
    assert found.config == config
