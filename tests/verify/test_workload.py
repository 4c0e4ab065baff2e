"""Report streams of binary workloads, against streams worked out by hand and the shared digests."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared_data import shared_files
from tradecore.data.workload import CANCEL, MODIFY, NEW, WORKLOAD_RECORD, write_workload
from tradecore.errors import DataError
from tradecore.verify import workload

BUY, SELL = 0, 1


def row(kind: int, side: int, number: int, px: int = 0, qty: int = 0, ioc: int = 0) -> list[int]:
    return [kind, side, ioc, 0, qty, 0, number, px, 0]


def records(*rows: list[int]) -> Any:
    table = np.array([tuple(line) for line in rows], WORKLOAD_RECORD)
    table["seq"] = np.arange(len(table))
    return table


# Every line follows from the grammar of the format and price-time priority.
ROWS = [
    row(NEW, BUY, 5, 100, 10),
    row(NEW, SELL, 6, 99, 4, ioc=1),
    row(MODIFY, BUY, 5, 101, 6),
    row(CANCEL, BUY, 5),
    row(CANCEL, BUY, 5),
    row(MODIFY, BUY, 5, 100, 1),
    row(NEW, SELL, 7, 50, 3, ioc=1),
]
STREAM = [
    "0,0,0,5,100,10",
    "0,1,1,6,99,4",
    "1,1,100,4,5,6",
    "3,2,0,5,101,6",
    "2,3,0,5,101",
    "4,4,5",
    "5,5,5",
    "0,6,1,7,50,3",
    "2,6,1,7,50",
]


def stream(table: Any) -> list[str]:
    return [line for piece in workload.reports(table) for line in piece]


def test_stream_of_a_small_workload_is_the_grammars() -> None:
    assert stream(records(*ROWS)) == STREAM


@pytest.mark.parametrize("batch", [1, 2, 3, 7])
def test_batch_size_does_not_show(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workload, "_BATCH", batch)
    assert stream(records(*ROWS)) == STREAM


def test_modify_gives_up_priority_even_where_it_only_gets_smaller() -> None:
    lines = stream(
        records(
            *(row(NEW, BUY, 1, 100, 10), row(NEW, BUY, 2, 100, 10)),
            row(MODIFY, BUY, 1, 100, 5),
            row(NEW, SELL, 3, 100, 5),
        )
    )
    assert lines[-1] == "1,3,100,5,2,3"


def test_modify_after_a_partial_fill_sets_the_open_quantity() -> None:
    lines = stream(
        records(
            *(row(NEW, SELL, 1, 100, 10), row(NEW, BUY, 2, 100, 4)),
            row(MODIFY, SELL, 1, 101, 6),
            row(NEW, BUY, 3, 101, 9, ioc=1),
        )
    )
    assert lines[3:] == ["3,2,1,1,101,6", "0,3,0,3,101,9", "1,3,101,6,1,3", "2,3,0,3,101"]


def test_lines_are_sorted_by_seq_where_the_file_is_not() -> None:
    table = records(row(NEW, BUY, 1, 100, 10), row(NEW, SELL, 2, 100, 10))
    table["seq"] = [9, 3]
    # Executed in file order: the fill belongs to the second record.
    assert stream(table) == ["0,3,1,2,100,10", "1,3,100,10,1,2", "0,9,0,1,100,10"]


def test_ids_and_prices_that_an_engine_does_not_take_come_back_as_they_were() -> None:
    top = (1 << 64) - 1
    lines = stream(
        records(row(NEW, BUY, 0, -7, 10), row(NEW, SELL, top, -9, 4), row(CANCEL, BUY, 0))
    )
    assert lines == ["0,0,0,0,-7,10", f"0,1,1,{top},-9,4", f"1,1,-7,4,0,{top}", "2,2,0,0,-7"]


def test_instruments_have_books_of_their_own() -> None:
    table = records(row(NEW, BUY, 1, 100, 10), row(NEW, SELL, 2, 100, 10), row(CANCEL, BUY, 1))
    table["instrument_id"] = [7, 1_000_000, 7]
    assert stream(table) == ["0,0,0,1,100,10", "0,1,1,2,100,10", "2,2,0,1,100"]


@pytest.mark.parametrize("suffix", [".bin", ".bin.gz", ".bin.zst"])
def test_digest_line_names_the_file(suffix: str, tmp_path: Path) -> None:
    path = str(tmp_path / f"orders{suffix}")
    write_workload(path, records(*ROWS))
    result = workload.judge(path)
    digest = hashlib.sha256("\n".join(STREAM).encode()).hexdigest()
    assert result.lines == [f"sha256 {digest} {path}"]
    assert result.ok
    assert workload.judge(path, expect=digest.upper()).passed == 1
    refused = workload.judge(path, expect="0" * 64)
    assert not refused.ok
    assert digest in str(refused.failures[0])


@pytest.mark.parametrize(
    ("expected", "line", "wanted"),
    [
        ([*STREAM[:4], "2,3,0,5,102", *STREAM[5:]], 5, "2,3,0,5,102"),
        (STREAM[:-1], 9, "the stream ends"),
        ([*STREAM, "4,7,1"], 10, "4,7,1"),
    ],
)
def test_first_difference_to_expected_reports_is_named(
    expected: list[str], line: int, wanted: str, tmp_path: Path
) -> None:
    path = tmp_path / "orders.bin.gz"
    write_workload(path, records(*ROWS))
    beside = tmp_path / "orders.reports.txt.gz"
    beside.write_bytes(gzip.compress("\n".join(expected).encode()))
    result = workload.judge(str(path))
    assert result.failed == 1
    assert result.failures[0].name == f"line {line} of orders.reports.txt.gz"
    assert result.failures[0].expected == wanted


def test_manifest_beside_the_workload_is_compared(tmp_path: Path) -> None:
    path = tmp_path / "orders.bin"
    write_workload(path, records(*ROWS))
    entry = {"file": "orders.bin", "sha256_reports": "1" * 64}
    (tmp_path / "manifest.json").write_text(json.dumps([entry]))
    assert workload.judge(str(path)).failed == 1
    entry["sha256_reports"] = hashlib.sha256("\n".join(STREAM).encode()).hexdigest()
    (tmp_path / "manifest.json").write_text(json.dumps([entry]))
    assert workload.judge(str(path)).passed == 1
    (tmp_path / "manifest.json").write_text('{"name": "something else"}')
    assert workload.judge(str(path)).ok


def test_order_that_the_stream_cannot_tell_is_an_error(tmp_path: Path) -> None:
    path = str(tmp_path / "orders.bin")
    write_workload(path, records(row(NEW, BUY, 1, 100, 10), row(NEW, BUY, 1, 100, 10)))
    with pytest.raises(DataError, match=r"seq 1.*DUPLICATE_ORDER_ID"):
        workload.judge(path)


def test_empty_workload_has_the_digest_of_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "orders.bin")
    write_workload(path, records())
    assert workload.judge(path).sha256 == hashlib.sha256(b"").hexdigest()


@pytest.mark.shared
def test_shared_workloads_have_their_published_digests() -> None:
    paths = shared_files("data/matching_workloads", "*.bin.gz")
    for path in paths:
        result = workload.judge(str(path))
        # Both the reports beside it and the manifest were compared.
        assert (result.passed, result.failed) == (2, 0), str(result.failures)
    assert len(paths) >= 5
