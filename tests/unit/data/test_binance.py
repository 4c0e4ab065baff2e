"""Binance captures and the depth rebuild; the venue's own book ticker is the oracle."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared_data import shared_files
from tradecore.data import binance as bn
from tradecore.data.depth import DepthBook, DepthGapError, DepthRebuild, Quote
from tradecore.errors import DataError

TICKER = (
    '{"stream":"x@bookTicker","data":{"u":7,"s":"X","b":"2683.80000000","B":"3.02920000",'
    '"a":"2683.81","A":"31"}}'
)
DEPTH = (
    '{"stream":"x@depth@100ms","data":{"e":"depthUpdate","E":1,"s":"X","U":5,"u":8,'
    '"b":[["2683.80000000","3.02920000"]],"a":[["2733.70000000","0.00000000"]]}}'
)
FUTURES = (
    '{"stream":"x@depth","data":{"e":"depthUpdate","E":1,"T":1,"s":"X","U":5,"u":8,"pu":3,'
    '"b":[],"a":[]}}'
)
TRADE = '{"stream":"x@trade","data":{"s":"X","t":9,"p":"0.00000001","q":"1","T":2,"m":true}}'
SNAPSHOT = '{"lastUpdateId":4,"bids":[["1.5","2"]],"asks":[]}'
KLINE = '{"stream":"x@kline_1m","data":{"anything":1}}'
PING = '{"id":1,"result":null}'


def _events(path: Path, *texts: str) -> list[bn.CaptureEvent]:
    path.write_text("".join(f"{at + 100} {text}\n" for at, text in enumerate(texts)))
    return list(bn.iter_capture(path))


def test_each_kind_of_message_becomes_integers(tmp_path: Path) -> None:
    events = _events(tmp_path / "c", TICKER, DEPTH, FUTURES, TRADE, SNAPSHOT)
    assert events == [
        bn.BookTicker(100, "X", 7, 268_380_000_000, 302_920_000, 268_381_000_000, 3_100_000_000),
        bn.DepthUpdate(
            101, "X", 5, 8, None, [(268_380_000_000, 302_920_000)], [(273_370_000_000, 0)]
        ),
        bn.DepthUpdate(102, "X", 5, 8, 3, [], []),
        bn.TradePrint(103, "X", 9, 1, 100_000_000, True),
        bn.DepthSnapshot(104, 4, [(150_000_000, 200_000_000)], []),
    ]


def test_other_messages_are_passed_over(tmp_path: Path) -> None:
    assert _events(tmp_path / "c", KLINE, PING) == []


@pytest.mark.parametrize(
    "number", ["1e400", "NaN", "-1", "1.", ".5", "1.000000001", "\uff11", "", " 1"]
)
def test_text_that_is_not_a_plain_number_is_refused(tmp_path: Path, number: str) -> None:
    with pytest.raises(DataError, match="bad message: value: "):
        _events(tmp_path / "c", TICKER.replace("2683.81", number))


@pytest.mark.parametrize(
    "line", ["", "x {}", "12 [1]", '12 {"stream":"x@trade","data":{"s":"X"}}', '12 {"stream":']
)
def test_bad_line_is_named_with_its_offset(tmp_path: Path, line: str) -> None:
    path = tmp_path / "c"
    good = f"100 {TRADE}\n"
    path.write_text(good + (line or "no time") + "\n" + good)
    with pytest.raises(DataError) as caught:
        list(bn.iter_capture(path))
    assert (caught.value.file, caught.value.offset) == (str(path), len(good))


def test_capture_is_recognised_by_content() -> None:
    assert bn.is_capture(f"1723161254024619568 {TICKER}".encode())
    assert bn.is_capture(f"1 {SNAPSHOT}".encode())
    assert not bn.is_capture(SNAPSHOT.encode())
    assert not bn.is_capture(b"34200.1,5,0,1,2238200,-1\n")


def _update(first: int, last: int, *bids: tuple[int, int], pu: int | None = None) -> bn.DepthUpdate:
    return bn.DepthUpdate(0, "X", first, last, pu, list(bids), [])


def test_updates_around_the_snapshot_follow_the_published_rules() -> None:
    rebuild = DepthRebuild()
    assert not rebuild.update(_update(1, 10, (5, 1)))
    assert not rebuild.update(_update(11, 20, (5, 2)))
    rebuild.snapshot(bn.DepthSnapshot(0, 15, [(4, 9)], [(8, 7)]))
    # 1..10 is older than the snapshot, 11..20 contains its successor.
    assert rebuild.last_id == 20
    assert rebuild.book.levels(1) == [(5, 2), (4, 9)]
    assert rebuild.book.quote() == Quote(5, 2, 8, 7)
    assert rebuild.update(_update(21, 22, (5, 0)))
    assert rebuild.book.levels(1, 1) == [(4, 9)]


@pytest.mark.parametrize(
    "update", [_update(24, 30), _update(20, 30), _update(21, 30, pu=19), _update(22, 23, (5, 5))]
)
def test_gap_is_an_error_and_changes_nothing(update: bn.DepthUpdate) -> None:
    rebuild = DepthRebuild()
    rebuild.snapshot(bn.DepthSnapshot(0, 15, [(4, 9)], []))
    rebuild.update(_update(16, 20, (5, 2)))
    with pytest.raises(DepthGapError):
        rebuild.update(update)
    assert rebuild.last_id == 20
    assert rebuild.book.levels(1) == [(5, 2), (4, 9)]


def test_first_update_must_reach_back_to_the_snapshot() -> None:
    rebuild = DepthRebuild()
    rebuild.snapshot(bn.DepthSnapshot(0, 15, [], []))
    with pytest.raises(DepthGapError):
        rebuild.update(_update(17, 20))


def test_update_that_ends_at_the_snapshot_is_dropped() -> None:
    rebuild = DepthRebuild()
    rebuild.snapshot(bn.DepthSnapshot(0, 15, [], []))
    assert not rebuild.update(_update(10, 15, (5, 1)))
    assert rebuild.book.levels(1) == []


def test_futures_stream_continues_by_previous_id() -> None:
    rebuild = DepthRebuild()
    rebuild.snapshot(bn.DepthSnapshot(0, 15, [], []))
    assert rebuild.update(_update(10, 20, pu=9))
    # Ids of the futures stream are not dense: `previous_id` decides, not `first_id`.
    assert rebuild.update(_update(35, 40, pu=20))


def test_updates_without_a_snapshot_are_bounded() -> None:
    rebuild = DepthRebuild(buffer=3)
    for number in range(3):
        rebuild.update(_update(number, number))
    with pytest.raises(DepthGapError, match="no snapshot"):
        rebuild.update(_update(3, 3))


@given(
    st.lists(st.tuples(st.sampled_from([1, 2]), st.integers(1, 12), st.integers(0, 3)), max_size=60)
)
def test_depth_book_agrees_with_a_plain_dict(steps: list[tuple[int, int, int]]) -> None:
    book = DepthBook()
    plain: dict[tuple[int, int], int] = {}
    for side, px, qty in steps:
        book.set_level(side, px, qty)
        plain[side, px] = qty
    for side in (1, 2):
        expected = sorted(
            ((px, qty) for (where, px), qty in plain.items() if where == side and qty),
            reverse=side == 1,
        )
        assert book.levels(side) == expected
        assert book.levels(side, 2) == expected[:2]


def test_recorded_book_equals_the_venues_own_best_prices() -> None:
    """Every depth update whose id a book ticker also names must leave the same best bid and ask."""
    path = shared_files("data/market_captures", "*ethusdt*.gz")[0]
    rebuild = DepthRebuild()
    tickers: dict[int, Quote] = {}
    applied = 0
    compared: list[bool] = []
    for event in bn.iter_capture(path):
        if isinstance(event, bn.BookTicker):
            tickers[event.update_id] = Quote(*event[3:])
        elif isinstance(event, bn.DepthSnapshot):
            rebuild.snapshot(event)
        elif isinstance(event, bn.DepthUpdate) and rebuild.update(event):
            applied += 1
            if event.last_id in tickers:
                compared.append(tickers[event.last_id] == rebuild.book.quote())
    assert (compared.count(True), len(compared), applied) == (577, 577, 3432)
