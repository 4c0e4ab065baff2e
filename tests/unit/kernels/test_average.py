"""Average cost on integers, against exact fractions and hand-worked positions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradecore.errors import ConfigError
from tradecore.kernels.average import average_cost, inverse_value
from tradecore.kernels.exact import Position

FILLS = st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 10**6)), min_size=1, max_size=30)


@given(FILLS)
def test_quantities_and_cash_are_conserved(fills: list[tuple[int, int]]) -> None:
    result = average_cost([q for q, _ in fills], [v for _, v in fills])
    position = cash = 0
    for row, (qty, value) in enumerate(fills):
        position += qty
        cash += -value if qty > 0 else value if qty < 0 else 0
        held = int(result.cost[row]) * (1 if position > 0 else -1 if position < 0 else 0)
        if all(q for q, _ in fills[: row + 1]):
            # What was realised so far is the cash flow plus what the open position cost.
            assert int(result.realised[: row + 1].sum()) == cash + held
        assert result.qty[row] == position


@given(FILLS, st.booleans())
def test_rounding_stays_below_one_unit_a_fill(fills: list[tuple[int, int]], inverse: bool) -> None:
    fills = [(qty, value) for qty, value in fills if qty]
    result = average_cost([q for q, _ in fills], [v for _, v in fills], inverse=inverse)
    exact = Position()
    for row, (qty, value) in enumerate(fills):
        exact.fill(Fraction(qty), Fraction(value, abs(qty)))
        realised = exact.realised * (-1 if inverse else 1)
        error = abs(int(result.realised[: row + 1].sum()) - realised)
        assert error <= 2 * (row + 1)


def test_flip_through_zero_splits_the_fill_by_quantity() -> None:
    result = average_cost([2, -3, 1], [200, 330, 100])
    assert result.qty.tolist() == [2, -1, 0]
    assert result.cost.tolist() == [200, 110, 0]
    assert result.realised.tolist() == [0, 20, 10]


def test_rounded_cost_stays_in_the_position_until_it_is_flat() -> None:
    result = average_cost([3, -1, -1, -1], [100, 34, 34, 34])
    assert result.realised.tolist() == [0, 1, 1, 0]
    assert int(result.realised.sum()) == 102 - 100


def test_inverse_long_gains_when_the_value_of_a_contract_falls() -> None:
    # 1000 contracts of 1 USD bought at 1000, sold at 1250: 1.0 - 0.8 BTC, in satoshi.
    value = inverse_value([1000, -1000], [1000, 1250], 10**8)
    assert value.tolist() == [10**8, 8 * 10**7]
    assert average_cost([1000, -1000], value, inverse=True).realised.tolist() == [0, 2 * 10**7]


def test_groups_do_not_touch_each_other() -> None:
    result = average_cost([1, -1, 1, -1], [10, 15, 20, 18], offsets=[0, 2, 4])
    assert result.realised.tolist() == [0, 5, 0, -2]


def test_products_beyond_int64_are_exact() -> None:
    # cost * closed is about 2**120 here; only the quotient has to fit.
    big = 2**60
    result = average_cost([big, -(big - 1)], [2**61, 2**61])
    assert result.realised.tolist() == [0, 2**61 - (2**61 * (big - 1)) // big]


def test_what_does_not_fit_is_refused_by_row() -> None:
    with pytest.raises(OverflowError, match="fill 1"):
        average_cost([2**62, 2**62], [1, 1])
    with pytest.raises(OverflowError, match="fill 1"):
        average_cost([1, 1], [2**62, 2**62])
    with pytest.raises(OverflowError, match="fill 0"):
        inverse_value([2**62], [1], 4)
    with pytest.raises(ConfigError):
        inverse_value([1], [0], 1)
    with pytest.raises(ConfigError):
        average_cost([1], [1.5])
    with pytest.raises(ConfigError):
        average_cost(np.array([2**63], dtype=np.uint64), [1])


def test_exact_position_keeps_one_leg_a_life() -> None:
    position = Position(fee_policy="separate")
    for qty, px in ((10, 100), (-10, 101), (4, 50), (-6, 60)):
        position.fill(Fraction(qty), Fraction(px), Fraction(1))
    assert [leg.realised for leg in position.legs] == [10, 40, 0]
    assert position.leg.qty == -2
    assert position.fees == 4
    assert (position.avg_px, position.unrealised(Fraction(55))) == (60, 10)


def test_exact_position_refuses_what_it_cannot_mean() -> None:
    with pytest.raises(ConfigError):
        Position(fee_policy="free")  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        Position(inverse=True).fill(Fraction(1), Fraction(0))
