"""Checked 128-bit arithmetic against Python's unbounded integers."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tradecore.kernels.int128 import add_checked, magnitude, mul_checked, muldiv_checked

LOW, HIGH = -(2**63), 2**63 - 1
EDGES = [0, 1, -1, 2, -2, HIGH, LOW, LOW + 1, HIGH - 1, 2**31, 2**32, -(2**32), 3_037_000_500]
INT64 = st.one_of(st.sampled_from(EDGES), st.integers(LOW, HIGH), st.integers(-(10**6), 10**6))
POSITIVE = st.one_of(st.sampled_from([1, 2, HIGH, 2**32]), st.integers(1, HIGH))


def fits(value: int) -> bool:
    return LOW <= value <= HIGH


@given(INT64)
def test_magnitude_is_exact_for_every_int64(a: int) -> None:
    assert int(magnitude(a)) == abs(a)


@settings(max_examples=400)
@given(INT64, INT64)
def test_sum_and_product_are_exact_or_refused(a: int, b: int) -> None:
    value, ok = add_checked(a, b)
    assert bool(ok) == fits(a + b)
    assert not ok or value == a + b
    value, ok = mul_checked(a, b)
    assert bool(ok) == fits(a * b)
    assert not ok or value == a * b


@settings(max_examples=600)
@given(INT64, INT64, POSITIVE)
def test_muldiv_floors_like_python_or_is_refused(a: int, b: int, divisor: int) -> None:
    quotient, remainder = divmod(a * b, divisor)
    value, rest, ok = muldiv_checked(a, b, divisor)
    assert bool(ok) == fits(quotient)
    assert not ok or (value, rest) == (quotient, remainder)


def test_muldiv_boundary_quotients_at_the_int64_edge() -> None:
    assert muldiv_checked(LOW, HIGH, HIGH)[0::2] == (LOW, True)
    assert muldiv_checked(HIGH, HIGH, HIGH)[0::2] == (HIGH, True)
    assert not muldiv_checked(LOW, LOW, 2**62)[2]  # 2**64: beyond even uint64
    assert not muldiv_checked(LOW, -1, 1)[2]  # 2**63: one beyond int64
