"""Binary order workloads: structure, streaming, damage. Counts come from the files' manifest."""

from __future__ import annotations

import gzip
import json
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared_data import shared
from tradecore.data import workload as wl
from tradecore.errors import DataError


def _hand_written() -> bytes:
    """Three messages typed by struct, independent of the reader's dtypes."""
    head = b"100_WBEM" + struct.pack("<II", 1, 3)
    new = struct.pack("<BBBBIQQqq", 0, 1, 1, 0, 25, 0, 7, 101, 0)
    cancel = struct.pack("<BBBBIQQqq", 1, 0, 0, 0, 0, 1, 2**64 - 1, -5, 0)
    modify = struct.pack("<BBBBIQQqq", 2, 0, 0, 0, 2**32 - 1, 2, 9, 2**40, 999)
    return head + new + cancel + modify


EXPECTED = [
    (0, 1, 1, 0, 25, 0, 7, 101, 0),
    (1, 0, 0, 0, 0, 1, 2**64 - 1, -5, 0),
    (2, 0, 0, 0, 2**32 - 1, 2, 9, 2**40, 999),
]


def _fails(data: bytes) -> DataError:
    with pytest.raises(DataError) as caught:
        wl.decode_workload(data, "orders.bin")
    assert caught.value.file == "orders.bin"
    return caught.value


def test_decode_hand_written_file_gives_its_fields() -> None:
    data = _hand_written()
    records = wl.decode_workload(data)
    assert records.tolist() == EXPECTED
    assert wl.encode_workload(records) == data


def test_decode_does_not_copy() -> None:
    buffer = bytearray(_hand_written())
    records = wl.decode_workload(buffer)
    buffer[16 + 4] = 99
    assert records["order_qty"][0] == 99


@pytest.mark.parametrize("suffix", [".bin", ".bin.gz", ".bin.zst"])
def test_write_then_read_in_every_compression(tmp_path: Path, suffix: str) -> None:
    if suffix.endswith("zst"):
        pytest.importorskip("zstandard")
    path = tmp_path / f"orders{suffix}"
    records = wl.decode_workload(_hand_written())
    wl.write_workload(path, records)
    first = path.read_bytes()
    wl.write_workload(path, records)
    assert path.read_bytes() == first
    renamed = path.rename(tmp_path / "no_suffix_at_all")
    assert wl.read_workload(renamed).tolist() == EXPECTED
    assert [batch.tolist() for batch in wl.iter_workload(renamed, 2)] == [
        EXPECTED[:2],
        EXPECTED[2:],
    ]


def test_plain_file_is_mapped_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "orders.bin"
    path.write_bytes(_hand_written())
    records = wl.read_workload(path)
    base = records
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base.obj if isinstance(base.base, memoryview) else base.base
    assert isinstance(base, np.memmap)


@pytest.mark.parametrize("length", range(16 + 3 * 40))
def test_every_truncation_is_one_error_at_the_last_whole_record(length: int) -> None:
    error = _fails(_hand_written()[:length])
    assert "truncated" in error.reason
    assert error.offset == (0 if length < 16 else 16 + (length - 16) // 40 * 40)


@pytest.mark.parametrize(
    ("position", "value", "offset", "word"),
    [
        (0, 0x41, 0, "MEBW_001"),
        (8, 2, 8, "version 2"),
        (16, 3, 16, "'type' is 3"),
        (57, 2, 57, "'side' is 2"),
        (98, 2, 98, "'ioc' is 2"),
        (59, 1, 59, "'reserved' is 1"),
        (55, 0x80, 48, "instrument_id"),
    ],
)
def test_bad_byte_is_named_with_its_offset(
    position: int, value: int, offset: int, word: str
) -> None:
    data = bytearray(_hand_written())
    data[position] = value
    error = _fails(bytes(data))
    assert error.offset == offset
    assert word in error.reason


def test_big_endian_file_is_called_big_endian() -> None:
    assert "big-endian" in _fails(b"MEBW_001" + struct.pack(">II", 1, 0)).reason


def test_trailing_bytes_are_refused() -> None:
    assert _fails(_hand_written() + b"x").offset == 136


def test_huge_announced_count_allocates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "liar.bin.gz"
    path.write_bytes(gzip.compress(b"100_WBEM" + struct.pack("<II", 1, 2**32 - 1)))
    with pytest.raises(DataError, match="announces 4294967295 records, 0 are complete"):
        wl.read_workload(path)


def test_missing_file_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.bin: cannot be opened: No such file"):
        wl.read_workload(tmp_path / "absent.bin")


@given(st.data())
def test_any_single_byte_change_reads_or_is_refused(data: st.DataObject) -> None:
    raw = bytearray(_hand_written())
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        records = wl.decode_workload(raw)
    except DataError as error:
        offset = error.offset
    else:
        assert wl.encode_workload(records) == bytes(raw)
        return
    assert offset is not None


def test_published_workloads_have_their_published_counts() -> None:
    folder = shared("data/matching_workloads")
    for entry in json.loads((folder / "manifest.json").read_text()):
        path = folder / entry["file"]
        records = wl.read_workload(path)
        assert len(records) == entry["messages"]
        assert records["seq"].tolist() == list(range(entry["messages"]))
        assert wl.encode_workload(records) == gzip.decompress(path.read_bytes())


def test_streaming_memory_is_bounded_by_the_batch(tmp_path: Path) -> None:
    path = tmp_path / "orders.bin.gz"
    wl.write_workload(path, np.zeros(400_000, wl.WORKLOAD_RECORD))  # 16 MB of records
    tracemalloc.start()
    try:
        assert sum(len(batch) for batch in wl.iter_workload(path, 4096)) == 400_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000
