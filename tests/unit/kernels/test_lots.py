"""Tax lots: hand-worked cases, and properties against a matcher of plain lists."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradecore.errors import ConfigError
from tradecore.kernels.lots import LotMethod, allocate_by_qty, match_lots

METHODS: tuple[LotMethod, ...] = ("fifo", "lifo", "hifo", "lofo")
FILLS = st.lists(st.tuples(st.integers(-20, 20), st.integers(-5, 12)), min_size=0, max_size=40)


def plain(
    fills: list[tuple[int, int]], method: str, short: bool
) -> tuple[list[tuple[int, int, int]], list[tuple[int, int]], list[int]]:
    """Match by sorting a list of open lots before every single unit of work: slow and obvious."""
    lots: list[list[int]] = []
    matches, refused = [], []
    for row, (qty, _) in enumerate(fills):
        held = sum(lot[1] for lot in lots)
        if not short and qty < 0 and held + qty < 0:
            refused.append(row)
            continue
        while qty and lots and lots[0][1] * qty < 0:
            if method == "fifo":
                lots.sort(key=lambda lot: lot[0])
            elif method == "lifo":
                lots.sort(key=lambda lot: -lot[0])
            else:
                sign = -1 if method == "hifo" else 1
                lots.sort(key=lambda lot: (sign * fills[lot[0]][1], lot[0]))
            lot = lots[0]
            part = min(abs(qty), abs(lot[1]))
            matches.append((lot[0], row, part))
            lot[1] += part if lot[1] < 0 else -part
            qty += part if qty < 0 else -part
            if not lot[1]:
                lots.pop(0)
        if qty:
            lots.append([row, qty])
    return matches, sorted((row, left) for row, left in lots), refused


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("oversell", ["short", "error"])
@settings(max_examples=150)
@given(fills=FILLS)
def test_lots_match_a_plain_list_matcher(
    method: LotMethod, oversell: str, fills: list[tuple[int, int]]
) -> None:
    found = match_lots(
        [qty for qty, _ in fills],
        [px for _, px in fills],
        method=method,
        oversell=oversell,  # type: ignore[arg-type]
    )
    matches, left, refused = plain(fills, method, oversell == "short")
    assert list(zip(found.open_fill, found.close_fill, found.qty, strict=True)) == matches
    assert list(zip(found.open_lot, found.open_qty, strict=True)) == left
    assert found.refused.tolist() == refused
    for k, (opened, closed, qty) in enumerate(matches):
        difference = fills[closed][1] - fills[opened][1]
        assert found.gain[k] == qty * difference * (1 if fills[opened][0] > 0 else -1)


@given(fills=FILLS)
def test_sum_of_gains_of_a_flat_position_is_the_same_under_every_method(
    fills: list[tuple[int, int]],
) -> None:
    rest = sum(qty for qty, _ in fills)
    flat = [*fills, (-rest, 7)]
    cash = -sum(qty * px for qty, px in flat)
    for method in METHODS:
        found = match_lots([q for q, _ in flat], [p for _, p in flat], method=method)
        assert found.open_lot.size == 0
        assert int(found.gain.sum()) == cash


@given(st.lists(FILLS, min_size=1, max_size=5))
def test_positions_in_one_call_equal_positions_alone(groups: list[list[tuple[int, int]]]) -> None:
    rows = [fill for group in groups for fill in group]
    offsets = np.cumsum([0] + [len(group) for group in groups])
    for method in METHODS:
        both = match_lots(
            [q for q, _ in rows], [p for _, p in rows], method=method, offsets=offsets
        )
        gains: list[int] = []
        for group in groups:
            one = match_lots([q for q, _ in group], [p for _, p in group], method=method)
            gains += one.gain.tolist()
        assert both.gain.tolist() == gains


def test_flip_through_zero_opens_the_rest_on_the_other_side() -> None:
    found = match_lots([5, -8, 3], [100, 110, 105])
    assert found.gain.tolist() == [50, 15]
    assert found.open_lot.size == 0


def test_equal_prices_close_the_oldest_lot_first() -> None:
    for method in ("hifo", "lofo"):
        assert match_lots([1, 1, -1], [10, 10, 12], method=method).open_fill.tolist() == [0]


def test_rank_replaces_the_price_in_the_comparison() -> None:
    found = match_lots([1, 1, -1], [10, 20, 30], method="hifo", rank=[9, 1, 0])
    assert found.open_px.tolist() == [10]


def test_refused_sale_changes_nothing() -> None:
    found = match_lots([15, -16, -15], [1, 2, 3], oversell="error")
    assert found.refused.tolist() == [1]
    assert found.gain.tolist() == [30]


def test_gain_beyond_int64_raises() -> None:
    with pytest.raises(OverflowError):
        match_lots([2**40, -(2**40)], [0, 2**40])
    with pytest.raises(OverflowError):
        match_lots([2**62, 2**62], [0, 0])
    with pytest.raises(OverflowError):
        match_lots([1, -1], [-(2**62), 2**62])


@pytest.mark.parametrize(
    ("qty", "px", "options"),
    [
        ([1.5], [1], {}),
        ([1], [1, 2], {}),
        ([[1]], [[1]], {}),
        ([1], [1], {"method": "best"}),
        ([1], [1], {"oversell": "maybe"}),
        ([1], [1], {"offsets": [0, 2]}),
        ([1, 1], [1, 1], {"offsets": [0, 2, 1, 2]}),
        ([2**63], [1], {}),
        ([-(2**63)], [1], {}),
    ],
)
def test_arguments_that_do_not_fit_are_refused(
    qty: object, px: object, options: dict[str, object]
) -> None:
    with pytest.raises(ConfigError):
        match_lots(qty, px, **options)  # type: ignore[arg-type]


@given(FILLS, st.lists(st.integers(-1000, 1000), min_size=40, max_size=40))
def test_allocated_fees_add_up_for_fills_matched_completely(
    fills: list[tuple[int, int]], fees: list[int]
) -> None:
    qty = [q for q, _ in fills]
    found = match_lots(qty, [p for _, p in fills])
    share = allocate_by_qty(found.open_fill, found.qty, qty, fees[: len(qty)])
    given_out = np.zeros(len(qty) + 1, dtype=np.int64)
    np.add.at(given_out, found.open_fill, share)
    matched = np.zeros(len(qty) + 1, dtype=np.int64)
    np.add.at(matched, found.open_fill, found.qty)
    for row, size in enumerate(qty):
        if size and matched[row] == abs(size):
            assert given_out[row] == fees[row]
        elif size:
            exact = Fraction(fees[row] * int(matched[row]), abs(size))
            assert 0 <= exact - int(given_out[row]) < 1


def test_parts_larger_than_their_fill_are_refused() -> None:
    with pytest.raises(ConfigError):
        allocate_by_qty([0, 0], [2, 2], [3], [10])
    with pytest.raises(ConfigError):
        allocate_by_qty([1], [1], [3], [10])
