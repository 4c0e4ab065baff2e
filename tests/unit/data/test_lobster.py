"""LOBSTER days: exact columns, blocks in step, damage. The reference parser is csv + Decimal."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared_data import shared, shared_files
from tradecore.data import lobster as lob
from tradecore.data.textcols import integer_table
from tradecore.errors import DataError

MESSAGES = """34200.017459617,5,0,1,2238200,-1
34200.18960767,1,11885113,21,2238100,1
34200.5,4,11885113,20,2238100,1
34201,3,11885113,1,2238100,1
34201.999999999004,7,0,0,-1,-1
"""
BOOK = """2239500,100,2231800,100
2239500,100,2238100,21
2239500,100,2238100,1
2239500,100,2231800,100
9999999999,0,-9999999999,0
"""


def _day(path: Path, messages: str = MESSAGES, book: str = BOOK) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("X_message_1.csv", messages)
        archive.writestr("X_orderbook_1.csv", book)
        archive.writestr("ReadMe.txt", "hello")
    return path


def test_small_day_has_exact_columns(tmp_path: Path) -> None:
    day = lob.read_lobster(_day(tmp_path / "day.zip"))
    assert day.levels == 1
    assert day.messages.tolist() == [
        (34200017459617, 0, 1, 2238200, 5, -1),
        (34200189607670, 11885113, 21, 2238100, 1, 1),
        (34200500000000, 11885113, 20, 2238100, 4, 1),
        (34201000000000, 11885113, 1, 2238100, 3, 1),
        (34201999999999, 0, 0, -1, 7, -1),
    ]
    assert day.book[0].tolist() == [[2239500, 100, 2231800, 100]]
    assert day.book[4].tolist() == [[lob.ABSENT_PX, 0, -lob.ABSENT_PX, 0]]


def test_windows_line_ends_and_missing_last_line_end_are_accepted(tmp_path: Path) -> None:
    plain = lob.read_lobster(_day(tmp_path / "a.zip"))
    other = lob.read_lobster(
        _day(tmp_path / "b.zip", MESSAGES.replace("\n", "\r\n"), BOOK.rstrip("\n"))
    )
    assert np.array_equal(plain.messages, other.messages)
    assert np.array_equal(plain.book, other.book)


@pytest.mark.parametrize(
    ("messages", "book", "offset", "reason"),
    [
        (
            MESSAGES.replace("20,2238100", "2O,2238100"),
            BOOK,
            MESSAGES.index("20,2238100"),
            "field 4 is not an integer: '2O'",
        ),
        (
            MESSAGES.replace("34201,3", "nan,3"),
            BOOK,
            None,
            "field 1 is not a number of seconds: 'nan'",
        ),
        (MESSAGES.replace("34201,3", "1e400,3"), BOOK, None, "'1e400'"),
        (MESSAGES.replace("34201,3", "\uff13,3"), BOOK, None, "field 1 is not a number of seconds"),
        (MESSAGES.replace(",5,0,1,", ",5,0,1,1,"), BOOK, 0, "7 fields in a line, 6 expected"),
        (MESSAGES, BOOK.replace(",21\n", "\n"), 24, "3 fields in a line, 4 expected"),
        (
            MESSAGES.replace("34201,3", "34000,3"),
            BOOK,
            MESSAGES.index("34201,3"),
            "row 3: time runs backwards",
        ),
        (MESSAGES.replace(",5,0,1,", ",8,0,1,"), BOOK, 0, "row 0: impossible message: type 8"),
        (MESSAGES + "34300,1,5,5,5,1\n", BOOK, None, "ends after 5 rows, but"),
        (MESSAGES.replace("20,2238100", "2:,2238100"), BOOK, None, "not an integer: '2:'"),
        (MESSAGES.replace("20,2238100", "2/,2238100"), BOOK, None, "not an integer: '2/'"),
        (MESSAGES, BOOK + "1,1,1,1\n", None, "ends after 5 rows, but"),
        (MESSAGES, "1,2,3\n", 0, "a multiple of 4"),
        (MESSAGES, BOOK.replace("2231800", "1" * 19), None, "is not an integer"),
        ("", "", 0, "the first order-book line has 0 fields"),
    ],
)
def test_damage_is_one_error_with_member_and_place(
    tmp_path: Path, messages: str, book: str, offset: int | None, reason: str
) -> None:
    with pytest.raises(DataError) as caught:
        lob.read_lobster(_day(tmp_path / "bad.zip", messages, book))
    assert reason in caught.value.reason
    assert "bad.zip!X_" in caught.value.file
    if offset is not None:
        assert caught.value.offset == offset


def test_archive_without_the_members_is_not_a_day(tmp_path: Path) -> None:
    path = tmp_path / "other.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.csv", "1,2\n")
    assert not lob.is_lobster_zip(path)
    assert lob.is_lobster_zip(_day(tmp_path / "day.zip"))
    with pytest.raises(DataError, match="not a LOBSTER archive: 0 members"):
        lob.read_lobster(path)


def test_runs_join_executions_of_one_instant_and_side() -> None:
    rows = [
        (1, 4, 1),
        (1, 5, 1),
        (1, 4, 1),
        (1, 4, -1),
        (1, 1, -1),
        (1, 4, -1),
        (2, 4, -1),
        (2, 3, 1),
    ]
    messages = np.zeros(len(rows), lob.LOBSTER_MESSAGE)
    for field, column in (("ts_ns", 0), ("type", 1), ("direction", 2)):
        messages[field] = [row[column] for row in rows]
    assert lob.aggressor_runs(messages).tolist() == [0, -1, 0, 1, -1, 2, 3, -1]


@given(
    st.lists(st.lists(st.integers(-(10**18) + 1, 10**18 - 1), min_size=3, max_size=3), max_size=20)
)
def test_integer_table_agrees_with_int(rows: list[list[int]]) -> None:
    block = "".join(f"{a},{b},{c}\n" for a, b, c in rows).encode()
    assert integer_table(block, 3, "", 0).tolist() == rows


@given(st.lists(st.decimals(0, 999_999_998, allow_nan=False, places=None), min_size=1, max_size=10))
def test_fixed_point_column_agrees_with_decimal(times: list[Decimal]) -> None:
    texts = [f"{time:f}"[:28] for time in times]
    texts = [text.rstrip(".") for text in texts]
    block = "".join(f"{text},1\n" for text in texts).encode()
    expected = [int((Decimal(text) * 10**9).to_integral_value(ROUND_HALF_UP)) for text in texts]
    if any(len(text.partition(".")[2]) > 18 for text in texts):
        with pytest.raises(DataError):
            integer_table(block, 2, "", 0, fixed_point=9)
    else:
        assert integer_table(block, 2, "", 0, fixed_point=9)[:, 0].tolist() == expected


@given(st.binary(max_size=60))
def test_any_bytes_parse_exactly_or_are_refused(data: bytes) -> None:
    block = data + b"\n"
    try:
        table = integer_table(block, 2, "f", 100)
    except DataError as error:
        offset = error.offset
    else:
        lines = block.replace(b"\r\n", b"\n").split(b"\n")[:-1]
        assert table.tolist() == [[int(field) for field in line.split(b",")] for line in lines]
        return
    assert offset is not None
    assert 100 <= offset <= 100 + len(block)


def test_recorded_days_equal_a_naive_parse() -> None:
    path = shared_files("data/lobster", "*AMZN*5.zip")[0]
    day = lob.read_lobster(path)
    with zipfile.ZipFile(path) as archive:
        names = {
            kind: next(n for n in archive.namelist() if kind in n)
            for kind in ("message", "orderbook")
        }
        with archive.open(names["orderbook"]) as raw:
            book = np.loadtxt(raw, np.int64, delimiter=",")
        with archive.open(names["message"]) as raw:
            rows = list(csv.reader(io.TextIOWrapper(raw)))
    assert np.array_equal(book, day.book.reshape(len(book), -1))
    time = [int((Decimal(row[0]) * 10**9).to_integral_value(ROUND_HALF_UP)) for row in rows]
    assert day.messages["ts_ns"].tolist() == time
    for column, field in enumerate(("type", "order_id", "order_qty", "px", "direction"), 1):
        assert day.messages[field].tolist() == [int(row[column]) for row in rows]


def test_recorded_day_has_the_published_number_of_aggressors() -> None:
    published = json.loads(shared("data/lobster/expected_replay.json").read_text())["AMZN_5"]
    day = lob.read_lobster(shared_files("data/lobster", "*AMZN*5.zip")[0])
    assert int(lob.aggressor_runs(day.messages).max()) + 1 == published["groups"]
    assert int((day.messages["type"] == lob.EXECUTE).sum()) == published["fills"]
