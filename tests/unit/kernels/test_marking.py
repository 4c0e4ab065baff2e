"""Marking positions, against Python's unbounded integers, up to the edges of int64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradecore.errors import ConfigError
from tradecore.kernels.marking import UNMARKED, mark_positions, mark_sorted, sum_by_group

EDGE = st.sampled_from([0, 1, -1, 2**62, -(2**62), 2**63 - 1, -(2**63), -(2**63) + 1, 2**31])
INT64 = st.one_of(EDGE, st.integers(-(2**63), 2**63 - 1), st.integers(-(10**6), 10**6))
POSITIONS = st.lists(st.tuples(INT64, INT64, st.integers(0, 3)), min_size=0, max_size=30)
INSTRUMENTS = st.lists(st.tuples(INT64, st.one_of(st.just(1), INT64)), min_size=4, max_size=4)


def fits(value: int) -> bool:
    return -(2**63) < value < 2**63


@pytest.mark.parametrize("parallel", [False, True])
@settings(max_examples=200)
@given(positions=POSITIONS, instruments=INSTRUMENTS)
def test_pnl_is_exact_or_counted_as_unmarked(
    parallel: bool, positions: list[tuple[int, int, int]], instruments: list[tuple[int, int]]
) -> None:
    mark = mark_positions(
        [p[0] for p in positions],
        [p[1] for p in positions],
        [p[2] for p in positions],
        [i[0] for i in instruments],
        [i[1] for i in instruments],
        parallel=parallel,
    )
    failed = 0
    for row, (qty, cost, which) in enumerate(positions):
        value = instruments[which][0] * instruments[which][1]
        pnl = qty * value - cost
        if int(mark.pnl[row]) == UNMARKED:
            # Refused only where an intermediate result leaves int64; -2**63 is reserved everywhere.
            assert not (fits(value) and fits(qty * value) and fits(cost) and fits(pnl))
            failed += 1
        else:
            assert int(mark.pnl[row]) == pnl
    assert mark.unmarked == failed


@given(POSITIONS, INSTRUMENTS)
def test_sorted_positions_mark_like_unsorted_ones(
    positions: list[tuple[int, int, int]], instruments: list[tuple[int, int]]
) -> None:
    positions.sort(key=lambda position: position[2])
    qty = [p[0] for p in positions]
    cost = [p[1] for p in positions]
    which = np.array([p[2] for p in positions], dtype=np.int64)
    px = [i[0] for i in instruments]
    many = [i[1] for i in instruments]
    offsets = np.searchsorted(which, np.arange(5))
    one = mark_positions(qty, cost, which, px, many)
    other = mark_sorted(qty, cost, offsets, px, many)
    assert one.pnl.tolist() == other.pnl.tolist()
    assert one.unmarked == other.unmarked


def test_unknown_instruments_are_not_marked() -> None:
    mark = mark_positions([1, 1, 1], [0, 0, 0], [0, 1, -1], [5])
    assert mark.pnl.tolist() == [5, UNMARKED, UNMARKED]
    assert mark.unmarked == 2


def test_result_goes_into_the_callers_array() -> None:
    out = np.empty(2, dtype=np.int64)
    assert mark_positions([1, -2], [3, -9], [0, 0], [4], 10, out=out).pnl is out
    assert out.tolist() == [37, -71]


@given(st.lists(st.tuples(INT64, st.integers(-1, 3)), max_size=30))
def test_totals_are_exact_unless_reported(rows: list[tuple[int, int]]) -> None:
    totals, overflowed, left_out = sum_by_group([r[0] for r in rows], [r[1] for r in rows], 3)
    known = [(pnl, group) for pnl, group in rows if pnl != UNMARKED and 0 <= group < 3]
    assert left_out == len(rows) - len(known)
    for group in range(3):
        amounts = [pnl for pnl, which in known if which == group]
        partial = np.cumsum(np.array([0, *amounts], dtype=object)).tolist()
        if overflowed[group]:
            assert any(not -(2**63) <= total < 2**63 for total in partial)
        else:
            assert totals[group] == sum(amounts)


def test_chunks_of_the_parallel_pass_cover_every_position() -> None:
    count = 200_003
    qty = np.arange(count, dtype=np.int64)
    index = (qty % 7).astype(np.int32)
    px = np.arange(1, 8)
    mark = mark_positions(qty, np.ones(count, dtype=np.int64), index, px, parallel=True)
    assert np.array_equal(mark.pnl, qty * (qty % 7 + 1) - 1)


@pytest.mark.parametrize(
    "arguments",
    [
        ([1.0], [1], [0], [1]),
        ([1, 2], [1], [0], [1]),
        ([1], [1], [2**40], [1]),
        ([[1]], [[1]], [[0]], [1]),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments: tuple[object, ...]) -> None:
    with pytest.raises(ConfigError):
        mark_positions(*arguments)  # type: ignore[arg-type]


def test_outputs_and_boundaries_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError):
        mark_positions([1], [1], [0], [1], out=np.empty(2, dtype=np.int64))
    with pytest.raises(ConfigError):
        mark_sorted([1], [1], [0, 1], [1, 2])
