"""The byte stream under every reader: compression by content, bounded reads, one kind of error."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pytest

from tradecore.data.source import open_member, open_source, open_zip
from tradecore.errors import DataError

TEXT = b"".join(b"line %d\n" % number for number in range(20_000))


def _zstd(data: bytes) -> bytes:
    zstandard = pytest.importorskip("zstandard")
    return bytes(zstandard.ZstdCompressor().compress(data))


def _write(path: Path, kind: str, data: bytes = TEXT) -> Path:
    pack = {"plain": lambda raw: raw, "gzip": gzip.compress, "zstd": _zstd}[kind]
    path.write_bytes(pack(data))
    return path


@pytest.mark.parametrize("kind", ["plain", "gzip", "zstd"])
def test_content_is_recognised_without_a_suffix(tmp_path: Path, kind: str) -> None:
    with open_source(_write(tmp_path / "data", kind)) as source:
        assert source.peek(6) == b"line 0"
        assert source.offset == 0
        assert source.read(7) == b"line 0\n"
        assert b"".join(source.chunks(1000)) == TEXT[7:]
        assert source.offset == len(TEXT)


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_two_concatenated_frames_read_as_one_file(tmp_path: Path, kind: str) -> None:
    path = _write(tmp_path / "data", kind)
    path.write_bytes(path.read_bytes() * 2)
    with open_source(path) as source:
        assert source.read(3 * len(TEXT)) == TEXT * 2


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_every_kind_of_truncation_is_noticed(tmp_path: Path, kind: str) -> None:
    whole = _write(tmp_path / "data", kind).read_bytes()
    for length in {6, len(whole) // 3, len(whole) - 5, len(whole) - 1}:
        (tmp_path / "cut").write_bytes(whole[:length])
        with (
            open_source(tmp_path / "cut") as source,
            pytest.raises(DataError, match="truncated") as caught,
        ):
            source.read(len(TEXT) + 1)
        assert caught.value.file == str(tmp_path / "cut")
        assert caught.value.offset is not None


def test_flipped_bit_in_gzip_is_a_data_error(tmp_path: Path) -> None:
    whole = bytearray(_write(tmp_path / "data", "gzip").read_bytes())
    whole[len(whole) // 2] ^= 0x10
    (tmp_path / "flipped").write_bytes(whole)
    with open_source(tmp_path / "flipped") as source, pytest.raises(DataError):
        source.read(len(TEXT) + 1)


def test_zstd_bomb_is_read_in_small_steps(tmp_path: Path) -> None:
    path = _write(tmp_path / "bomb", "zstd", bytes(1 << 28))
    assert path.stat().st_size < 1 << 16
    with open_source(path) as source:
        assert source.read(100) == bytes(100)
        assert len(source._stream._output) <= 32 << 20


def test_lines_give_offsets_and_strip_both_line_ends(tmp_path: Path) -> None:
    path = _write(tmp_path / "data", "plain", b"ab\r\n\ncd\nlast")
    with open_source(path) as source:
        assert list(source.lines(chunk=3)) == [(0, b"ab"), (4, b""), (5, b"cd"), (8, b"last")]


def test_endless_line_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "data", "plain", b"x" * 100)
    with open_source(path) as source, pytest.raises(DataError, match="no line end"):
        list(source.lines(chunk=10, longest=50))


def test_zip_member_with_wrong_crc_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inside.csv", TEXT)
    raw = bytearray(path.read_bytes())
    raw[200] ^= 1
    path.write_bytes(raw)
    with open_zip(path) as archive, open_member(archive, "inside.csv") as source:
        with pytest.raises(DataError, match="CRC") as caught:
            source.read(2 * len(TEXT))
        assert caught.value.file == f"{path}!inside.csv"


def test_truncated_zip_is_refused_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inside.csv", TEXT)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match="zip") as caught:
        open_zip(path)
    assert caught.value.offset == 1000
