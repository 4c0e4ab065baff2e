"""Replay of small files whose outcome is worked out by hand, and of real days where they are."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest

from cli.command import Command
from shared_data import shared
from tradecore.data.itch import encode_message


def test_workload_gives_its_fill_and_its_book(tradecore: Command, workload: Path) -> None:
    document = tradecore("replay", workload, "--json").document
    assert document["kind"] == "workload"
    assert (document["rows"], document["commands"], document["fills"]) == (4, 4, 1)
    assert document["refused"] == {"UNKNOWN_ORDER": 1}
    assert document["book"]["bids"] == [[99, 1, 1]]
    assert document["book"]["asks"] == [[101, 2, 1]]
    assert document["open_orders"] == 2


def test_until_stops_after_that_many_rows(tradecore: Command, workload: Path) -> None:
    document = tradecore("replay", workload, "--until", "1", "--json").document
    assert (document["rows"], document["fills"]) == (1, 0)
    assert document["book"]["asks"] == [[101, 5, 1]]


def test_several_files_are_replayed_apart(tradecore: Command, workload: Path) -> None:
    both = tradecore("replay", workload, workload, "--json").document
    assert len(both) == 2
    assert both[0]["state_hash"] == both[1]["state_hash"]


# ------------------------------------------------------------------------------------- LOBSTER
# Two levels. Row 0 seeds; then: a new bid inside, half of it executed, one ask deleted so that the
# level behind it comes into view, and the rest of the bid taken together with the seeded one.
MESSAGES = """\
34200.000000000,1,9,100,1000000,1
34201.000000000,1,10,40,1000500,1
34202.000000000,4,10,15,1000500,1
34203.000000000,3,8,70,1001000,-1
34204.500000000,4,10,25,1000500,1
34204.500000000,4,9,30,1000000,1
"""
BOOK = """\
1001000,70,1000000,100,1002000,60,999000,50
1001000,70,1000500,40,1002000,60,1000000,100
1001000,70,1000500,25,1002000,60,1000000,100
1002000,60,1000500,25,1003000,10,1000000,100
1002000,60,1000000,100,1003000,10,999000,50
1002000,60,1000000,70,1003000,10,999000,50
"""


@pytest.fixture
def day(tmp_path: Path) -> Path:
    path = tmp_path / "ABC.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ABC_2012-06-21_34200000_57600000_message_2.csv", MESSAGES)
        archive.writestr("ABC_2012-06-21_34200000_57600000_orderbook_2.csv", BOOK)
    return path


def test_lobster_day_ends_with_its_last_snapshot(tradecore: Command, day: Path) -> None:
    document = tradecore("replay", day, "--json").document
    assert (document["kind"], document["rows"]) == ("lobster", 6)
    book = document["book"]
    assert book["symbol"] == "ABC"
    assert [level[:2] for level in book["asks"]] == [[1002000, 60], [1003000, 10]]
    assert [level[:2] for level in book["bids"]] == [[1000000, 70], [999000, 50]]
    # One fill for the first execution, two for the sweep of two orders.
    assert document["fills"] == 3
    assert document["refused"] == {}
    assert "2 of 2 recorded aggressive orders" in document["notes"][0]


def test_lobster_until_takes_rows_and_times(tradecore: Command, day: Path) -> None:
    by_rows = tradecore("replay", day, "--until", "3", "--json").document
    by_time = tradecore("replay", day, "--until", "9:30:02", "--json").document
    assert by_rows["rows"] == by_time["rows"] == 3
    assert by_rows["state_hash"] == by_time["state_hash"]
    assert by_rows["book"]["bids"][0][:2] == [1000500, 25]
    assert tradecore("replay", day, "--until", "9:29").code == 2


def test_paced_replay_ends_in_the_same_state(tradecore: Command, day: Path) -> None:
    """Pacing decides when, never what. The day's 4.5 seconds pass in a hundred-thousandth."""
    paced = tradecore("replay", day, "--speed", "1e5", "--json").document
    assert paced["state_hash"] == tradecore("replay", day, "--json").document["state_hash"]


def test_plot_is_written(tradecore: Command, day: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    done = tradecore("replay", day, "--plot", "day.png", "--json")
    assert done.document["plot"] == "day.png"
    assert (tmp_path / "day.png").read_bytes().startswith(b"\x89PNG")
    done = tradecore("replay", day, day, "--plot", "day.png")
    assert "one file" in done.complaint


# ---------------------------------------------------------------------------------------- ITCH
def _stream(*messages: tuple[str, dict[str, Any]]) -> bytes:
    raw = [encode_message(kind, **fields) for kind, fields in messages]
    return b"".join(len(each).to_bytes(2, "big") + each for each in raw)


@pytest.fixture
def itch(tmp_path: Path) -> Path:
    """Add three orders; one is executed in part, one reduced, one replaced, then one deleted."""
    stock = {"stock_locate": 7, "stock": b"ABC     "}
    path = tmp_path / "day.itch"
    path.write_bytes(
        _stream(
            ("A", stock | {"ts_ns": 1, "order_id": 1, "side": b"B", "order_qty": 100, "px": 10000}),
            ("A", stock | {"ts_ns": 2, "order_id": 2, "side": b"S", "order_qty": 80, "px": 10100}),
            ("A", stock | {"ts_ns": 3, "order_id": 3, "side": b"S", "order_qty": 50, "px": 10200}),
            ("E", {"stock_locate": 7, "ts_ns": 4, "order_id": 1, "last_qty": 30}),
            ("X", {"stock_locate": 7, "ts_ns": 5, "order_id": 2, "canceled_qty": 20}),
            ("U", {"stock_locate": 7, "ts_ns": 6, "order_id": 3, "new_order_id": 4,
                   "order_qty": 55, "px": 10150}),
            ("D", {"stock_locate": 7, "ts_ns": 7, "order_id": 99}),
        )
    )  # fmt: skip
    return path


def test_itch_stream_rebuilds_the_book(tradecore: Command, itch: Path) -> None:
    document = tradecore("replay", itch, "--json").document
    assert (document["kind"], document["rows"], document["fills"]) == ("itch", 7, 1)
    assert document["book"]["symbol"] == "ABC"
    assert document["book"]["bids"] == [[10000, 70, 1]]
    assert document["book"]["asks"] == [[10100, 60, 1], [10150, 55, 1]]
    assert document["notes"] == ["1 messages name orders that the stream never added"]


def test_itch_until_counts_messages(tradecore: Command, itch: Path) -> None:
    document = tradecore("replay", itch, "--until", "3", "--json").document
    assert (document["rows"], document["fills"]) == (3, 0)


# ---------------------------------------------------------------------------------- real files
@pytest.mark.shared
@pytest.mark.slow
def test_real_day_fills_what_was_recorded(tradecore: Command) -> None:
    path = shared("data/lobster/LOBSTER_SampleFile_AMZN_2012-06-21_5.zip")
    document = tradecore("replay", path, "--json").document
    assert document["rows"] == 155_935
    assert document["refused"] == {}
    # The counts of this day that the description of the data names.
    equal, total = (int(n.replace(",", "")) for n in document["notes"][0].split()[:3:2])
    assert total == 6_591
    assert equal >= 6_573


@pytest.mark.shared
def test_real_itch_stream_is_understood(tradecore: Command) -> None:
    path = shared("data/itch50/ex20101224.TEST_ITCH_50.lenprefixed")
    document = tradecore("replay", path, "--json").document
    assert document["rows"] == 12_012
    assert document["fills"] > 0
