"""CRC32C against published vectors, and the two implementations against a third, bit by bit."""

from __future__ import annotations

import mmap
import random

import numpy as np
import pytest

from tradecore_ext.crc import crc32c, crc32c_portable

BOTH = pytest.mark.parametrize("checksum", [crc32c, crc32c_portable])

# RFC 3720 appendix B.4 (its bytes are printed in transmission order, so little-endian here), and
# the check value of the Rocksoft catalogue.
VECTORS = {
    "zeros": (bytes(32), 0x8A9136AA),
    "ones": (b"\xff" * 32, 0x62A8AB43),
    "ascending": (bytes(range(32)), 0x46DD794E),
    "descending": (bytes(range(31, -1, -1)), 0x113FDB5C),
    "iscsi read command": (
        bytes.fromhex(
            "01c00000" "00000000" "00000000" "00000000" "14000000" "00000400"
            "00000014" "00000018" "28000000" "00000000" "02000000" "00000000"
        ),
        0xD9963A56,
    ),
    "check": (b"123456789", 0xE3069283),
    "empty": (b"", 0),
}  # fmt: skip


def by_definition(data: bytes, crc: int = 0) -> int:
    """One bit at a time, as the RFC defines it."""
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@BOTH
@pytest.mark.parametrize("name", VECTORS)
def test_crc32c_published_vectors_agree(checksum: object, name: str) -> None:
    data, expected = VECTORS[name]
    assert checksum(data) == expected  # type: ignore[operator]


# Every length class: below a word, single words, short blocks of three, long blocks of three.
LENGTHS = [*range(24), 255, 256, 767, 768, 769, 2304, 12287, 12288, 12289, 13056, 24576 + 7, 40000]


@BOTH
@pytest.mark.parametrize("length", LENGTHS)
def test_crc32c_every_length_class_agrees_with_definition(checksum: object, length: int) -> None:
    data = random.Random(length).randbytes(length)
    seed = 0x1234ABCD if length % 2 else 0
    assert checksum(data, seed) == by_definition(data, seed)  # type: ignore[operator]


def test_crc32c_large_buffer_agrees_between_implementations() -> None:
    data = random.Random(1).randbytes(1_000_003)
    assert crc32c(data) == crc32c_portable(data)


@pytest.mark.parametrize("start", range(9))
def test_crc32c_unaligned_start_agrees(start: int) -> None:
    data = random.Random(2).randbytes(20_000)
    assert crc32c(memoryview(data)[start:]) == crc32c_portable(data[start:])


@pytest.mark.parametrize("cut", [0, 1, 7, 64, 5000, 9_999, 10_000])
def test_crc32c_continued_equals_whole(cut: int) -> None:
    data = random.Random(3).randbytes(10_000)
    assert crc32c(data[cut:], crc32c(data[:cut])) == crc32c(data)


def test_crc32c_any_contiguous_buffer_is_accepted() -> None:
    array = np.arange(600, dtype="<i8")
    data = array.tobytes()
    with mmap.mmap(-1, len(data)) as mapped:
        mapped[:] = data
        values = {crc32c(each) for each in (data, bytearray(data), memoryview(data), array, mapped)}
    assert values == {crc32c(data)}


def test_crc32c_strided_view_is_refused() -> None:
    with pytest.raises((BufferError, ValueError)):
        crc32c(memoryview(bytes(16))[::2])


@pytest.mark.parametrize("data", ["text", 5, None])
def test_crc32c_no_buffer_is_refused(data: object) -> None:
    with pytest.raises(TypeError):
        crc32c(data)  # type: ignore[arg-type]


@pytest.mark.parametrize("crc", [-1, 1 << 32])
def test_crc32c_start_value_out_of_range_is_refused(crc: int) -> None:
    with pytest.raises(OverflowError):
        crc32c(b"x", crc)
