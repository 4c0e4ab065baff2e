"""The judge of LOBSTER days, on a day worked out by hand and on the shared ones."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from shared_data import shared_files
from tradecore.verify import lobster

# time, type, order, size, price, direction of the resting order | two levels: ask, bid, ask, bid
DAY = [
    ("34200.1,1,1,100,10100,-1", (10100, 100, 9900, 30, 10200, 50, 9800, 40)),
    ("34200.2,1,2,20,10100,-1", (10100, 120, 9900, 30, 10200, 50, 9800, 40)),
    # One buyer takes the old order, whose submission the file lacks or only hints at, then order 2.
    ("34200.3,4,1,100,10100,-1", (10100, 20, 9900, 30, 10200, 50, 9800, 40)),
    ("34200.3,5,0,7,10100,-1", (10100, 20, 9900, 30, 10200, 50, 9800, 40)),
    ("34200.3,4,2,20,10100,-1", (10200, 50, 9900, 30, 10300, 70, 9800, 40)),
    ("34200.4,3,99,30,9900,1", (10200, 50, 9800, 40, 10300, 70, 9700, 10)),
    ("34200.5,2,98,10,10200,-1", (10200, 40, 9800, 40, 10300, 70, 9700, 10)),
    # A better price pushes 10300 out of sight; when it goes, 10300 is seen with another size.
    ("34200.6,1,3,5,10150,-1", (10150, 5, 9800, 40, 10200, 40, 9700, 10)),
    ("34200.7,3,3,5,10150,-1", (10200, 40, 9800, 40, 10300, 60, 9700, 10)),
]


def write_day(folder: Path, day: list[tuple[str, tuple[int, ...]]] = DAY) -> str:
    path = folder / "day.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x_message_2.csv", "".join(message + "\n" for message, _ in day))
        rows = (",".join(map(str, row)) + "\n" for _, row in day)
        archive.writestr("x_orderbook_2.csv", "".join(rows))
    return str(path)


def test_day_worked_out_by_hand_is_equal(tmp_path: Path) -> None:
    result = lobster.judge(write_day(tmp_path))
    assert result.lines == ["rows 9/9", "aggressors 1/1 fills 2/2"]
    assert result.ok


def test_row_that_differs_is_counted_and_shown(tmp_path: Path) -> None:
    day = list(DAY)
    message, row = day[6]
    day[6] = (message, (row[0], 41, *row[2:]))
    result = lobster.judge(write_day(tmp_path, day))
    assert result.lines[0] == "rows 8/9"
    assert result.failures[0].name == "row 6, asks"
    assert result.failures[0].expected == "41@10200 70@10300"
    assert result.failures[0].actual == "40@10200 70@10300"
    assert not result.ok


def test_size_that_never_was_submitted_stays_wrong(tmp_path: Path) -> None:
    day = list(DAY)
    day[1] = ("34200.2,1,2,21,10100,-1", day[1][1])
    # Row 1 shows 120 where 121 stand. The executions leave one share at 10100, on every row after.
    assert lobster.judge(write_day(tmp_path, day)).lines[0] == "rows 1/9"


def test_execution_out_of_turn_is_reported_not_failed(tmp_path: Path) -> None:
    day = list(DAY)
    day[2] = ("34200.3,4,2,20,10100,-1", (10100, 100, *day[2][1][2:]))
    day[3] = (day[3][0], day[2][1])
    day[4] = ("34200.3,4,1,100,10100,-1", day[4][1])
    result = lobster.judge(write_day(tmp_path, day))
    assert result.lines == ["rows 9/9", "aggressors 0/1 fills 0/2"]
    assert result.ok


SWEEP = [
    ("34200.1,5,0,5,10000,1", (10100, 100, 9900, 30, 10200, 50, 9800, 40)),
    ("34200.2,4,7,30,9900,1", (10100, 100, 9800, 40, 10200, 50, 9700, 5)),
    ("34200.2,4,8,40,9800,1", (10100, 100, 9700, 5, 10200, 50, 9600, 6)),
    ("34200.2,4,1,2,9700,1", (10100, 100, 9700, 3, 10200, 50, 9600, 6)),
]


def test_sweep_over_levels_is_one_aggressor(tmp_path: Path) -> None:
    assert lobster.judge(write_day(tmp_path, SWEEP[:3])).lines == [
        "rows 3/3",
        "aggressors 1/1 fills 2/2",
    ]


def test_sweep_beyond_the_levels_shown_finds_nothing_there(tmp_path: Path) -> None:
    # The price that a row in its middle shows was not in the book when the order came.
    assert lobster.judge(write_day(tmp_path, SWEEP)).lines == [
        "rows 4/4",
        "aggressors 0/1 fills 0/3",
    ]


def test_absent_levels_are_no_levels(tmp_path: Path) -> None:
    none = (9999999999, 0, -9999999999, 0)
    day = [
        ("34200.1,1,1,100,10100,-1", (10100, 100, *none[2:], *none)),
        ("34200.2,1,2,20,9900,1", (10100, 100, 9900, 20, *none)),
        ("34200.3,3,2,20,9900,1", (10100, 100, *none[2:], *none)),
    ]
    assert lobster.judge(write_day(tmp_path, day)).lines[0] == "rows 3/3"


@pytest.mark.shared
@pytest.mark.slow
def test_shared_days_are_equal_on_every_row_and_replay_as_published() -> None:
    lines = {}
    for path in shared_files("data/lobster", "*.zip"):
        result = lobster.judge(str(path))
        assert result.ok, str(result.failures[:3])
        lines[path.name] = result.lines[1:]
    published = lines.get("LOBSTER_SampleFile_AMZN_2012-06-21_5.zip")
    assert published in (
        None,
        ["aggressors 6573/6591 fills 8894/8974", "replay as in expected_replay.json"],
    )
