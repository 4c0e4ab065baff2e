"""The way in: kinds by content, folders, digests, damaged and unknown files; captures and ITCH."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from shared_data import shared, shared_files
from tradecore import verify
from tradecore.data import encode_message
from tradecore.data.workload import WORKLOAD_RECORD, write_workload
from tradecore.errors import ConfigError, DataError
from tradecore.verify import captures, detect, itch
from verify_cases import as_case, write_jsonl

PNL = {"name": "n", "inputs": {"fills": []}, "expected": {"qty": 0}, "abs_tol": 0}
EDGE = {"name": "n", "messages": [], "reports": []}
COINTOSSX = {"suite": "LimitOrder", "n": 1, "init": [], "aggressor": [], "expected_book": []}


def quote(update: int, bid: str, bid_qty: str, ask: str, ask_qty: str) -> bytes:
    data = {"u": update, "s": "X", "b": bid, "B": bid_qty, "a": ask, "A": ask_qty}
    return b"1 " + json.dumps({"stream": "x@bookTicker", "data": data}).encode()


def update(first: int, last: int, bids: list[list[str]], asks: list[list[str]]) -> bytes:
    data = {"s": "X", "U": first, "u": last, "b": bids, "a": asks}
    return b"1 " + json.dumps({"stream": "x@depth", "data": data}).encode()


SNAPSHOT = (
    b"1 " + json.dumps({"lastUpdateId": 10, "bids": [["9", "1"]], "asks": [["11", "2"]]}).encode()
)
CAPTURE = [
    SNAPSHOT,
    update(11, 12, [["9.5", "3"]], []),
    quote(12, "9.5", "3", "11", "2"),
    quote(13, "9.5", "3", "10.5", "4"),
    update(13, 13, [], [["10.5", "4"]]),
]


def capture(tmp_path: Path, lines: list[bytes]) -> str:
    path = tmp_path / "capture"
    path.write_bytes(gzip.compress(b"\n".join(lines)))
    return str(path)


def test_capture_quotes_may_come_before_or_after_their_update(tmp_path: Path) -> None:
    result = captures.judge(capture(tmp_path, CAPTURE))
    assert result.ok
    assert result.lines == ["captures: quotes 2/2, 2 updates without a gap"]


def test_capture_quote_that_differs_fails(tmp_path: Path) -> None:
    lines = [*CAPTURE[:2], quote(12, "9.5", "3", "11", "1"), *CAPTURE[3:]]
    result = captures.judge(capture(tmp_path, lines))
    assert (result.passed, result.failed) == (1, 1)
    assert result.failures[0].name == "quote at update 12"


def test_capture_with_a_gap_fails(tmp_path: Path) -> None:
    result = captures.judge(capture(tmp_path, [*CAPTURE[:3], update(15, 15, [], [])]))
    assert result.failed == 1
    assert "does not continue" in result.failures[0].actual


def test_capture_without_anything_to_compare_fails(tmp_path: Path) -> None:
    assert captures.judge(capture(tmp_path, CAPTURE[:2])).failed == 1


def itch_stream() -> bytes:
    message = encode_message("S", tracking_number=1, ts_ns=5, event_code=b"O")
    return b"".join(len(message).to_bytes(2, "big") + message for _ in range(3))


def test_itch_stream_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "feed"
    path.write_bytes(itch_stream())
    assert itch.judge(str(path)).lines == ["itch: 3/3 messages equal, 1 types"]


def test_itch_message_that_differs_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "feed"
    path.write_bytes(itch_stream())
    real = itch.ItchBatch.encode

    def broken(batch: itch.ItchBatch, framing: str) -> bytes:
        data = bytearray(real(batch, framing))  # type: ignore[arg-type]
        data[len(data) // 2] ^= 1
        return bytes(data)

    monkeypatch.setattr(itch.ItchBatch, "encode", broken)
    result = itch.judge(str(path))
    assert (result.passed, result.failed) == (2, 1)
    assert result.failures[0].name == "message 1, type S"


def test_kinds_are_recognised_by_content(tmp_path: Path) -> None:
    for kind, case in (
        ("matching", as_case("tick")),
        ("pnl", PNL),
        ("edge", EDGE),
        ("cointossx", COINTOSSX),
        ("manifest", {"file": "x", "sha256_reports": "0"}),
        ("replay", {"A_5": {"groups": 1, "groups_ok": 1}}),
    ):
        plain = tmp_path / "name.says.nothing"
        path = write_jsonl(plain, [case, case])
        assert detect.detect(path) == kind
        plain.write_text(json.dumps([case], indent=2))
        assert detect.detect(path) == kind
        plain.write_bytes(gzip.compress(json.dumps(case).encode()))
        assert detect.detect(path) == kind
    plain.write_bytes(itch_stream())
    assert detect.detect(path) == "itch"
    plain.write_bytes(b"0,0,0,5,100,10\n1,1,100,4,5,6")
    assert detect.detect(path) == "reports"
    plain.write_bytes(b"\n".join(CAPTURE))
    assert detect.detect(path) == "captures"
    for text in (b"", b"date,close\n2020-01-01,7\n", b"{}", b"[]", b"# notes\n", b"\x00" * 64):
        plain.write_bytes(text)
        assert detect.detect(path) is None


def test_folder_is_walked_and_unknown_files_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    write_jsonl(tmp_path / "inner" / "b.jsonl", [as_case("tick")])
    write_jsonl(tmp_path / "a.jsonl", [EDGE])
    (tmp_path / "notes.md").write_text("# notes\n")
    results = verify.run([tmp_path])
    assert [result.kind for result in results] == ["edge", "matching"]
    assert all(result.ok for result in results)


def test_damaged_file_in_a_folder_is_a_failed_result(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [as_case("tick")])
    (tmp_path / "b.zip").write_bytes(b"PK\x03\x04" + bytes(100))
    results = verify.run([str(tmp_path)])
    assert [result.ok for result in results] == [True, False]
    assert "truncated download" in results[1].failures[0].actual


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"# notes\n", "no kind that is judged"),
        (b'[{"file": "x", "sha256_reports": "0"}]', "expected results"),
        (b"PK\x03\x04" + bytes(100), "truncated download"),
        (b"MEBW_001" + bytes(8), "big-endian"),
        (b"\x1f\x8b\x08\x00" + bytes(10), "compressed"),
    ],
)
def test_named_file_that_cannot_be_judged_is_one_error(
    content: bytes, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(DataError, match=reason) as error:
        verify.run([path])
    assert error.value.file == str(path)


def test_missing_file_and_empty_folder_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be opened"):
        verify.run([tmp_path / "absent"])
    with pytest.raises(DataError, match="nothing in this folder"):
        verify.run([tmp_path])
    with pytest.raises(ConfigError, match="no file"):
        verify.run([])


def test_zip_that_is_no_day_is_unknown(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("readme", "x")
    assert detect.detect(str(tmp_path / "x.zip")) is None


def test_expected_digest_needs_one_workload(tmp_path: Path) -> None:
    path = tmp_path / "orders.bin"
    write_workload(path, np.zeros(0, WORKLOAD_RECORD))
    digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert verify.run([path], expect=digest)[0].ok
    assert not verify.run([path], expect="0" * 64)[0].ok
    with pytest.raises(ConfigError, match="64 hexadecimal"):
        verify.run([path], expect="abc")
    with pytest.raises(ConfigError, match="exactly one workload"):
        verify.run([path, path], expect=digest)


def test_progress_ends_at_the_total(tmp_path: Path) -> None:
    path = tmp_path / "orders.bin"
    table = np.zeros(1, WORKLOAD_RECORD)
    table["order_id"], table["order_qty"], table["px"] = 1, 1, 1
    write_workload(path, table)
    seen: list[tuple[str, int, int]] = []
    verify.run([path], progress=lambda *step: seen.append(step))
    assert seen[-1] == (str(path), 1, 1)


@pytest.mark.shared
def test_shared_capture_has_every_quote() -> None:
    for path in shared_files("data/market_captures", "*.gz"):
        result = captures.judge(str(path))
        assert result.ok
        assert result.lines[0].startswith("captures: quotes 577/577")


@pytest.mark.shared
def test_shared_itch_streams_come_back() -> None:
    results = [result for result in verify.run([shared("data/itch50")]) if result.kind == "itch"]
    assert sum(result.passed for result in results) >= 117 + 1000 + 12012
    assert all(result.ok for result in results)
