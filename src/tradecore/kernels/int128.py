"""Checked 128-bit integer arithmetic for compiled kernels.

Money is int64 and a product of two int64 needs 128 bits, which neither Numba nor NumPy offers.
These are the few operations the kernels need, on an unsigned (high, low) pair of uint64: multiply,
divide by 64 bits, and the checked int64 results built from them. Everything is exact; where a
result does not fit int64 the second value returned is False.

Unsigned and signed integers are never mixed in one expression: NumPy and Numba would promote them
to float64.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from tradecore.kernels._jit import jit

__all__ = [
    "I64",
    "INT64_MAX",
    "INT64_MIN",
    "add_checked",
    "magnitude",
    "mul_checked",
    "muldiv_checked",
]

# What compiled code calls an int64 and a truth value is either a NumPy scalar or a Python one to
# the type checker.
I64: TypeAlias = int | np.int64
Flag: TypeAlias = bool | np.bool_

INT64_MAX = np.int64(2**63 - 1)
INT64_MIN = np.int64(-(2**63))

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_SHIFT_32 = np.uint64(32)
_MASK_32 = np.uint64(0xFFFFFFFF)
_LIMIT_POSITIVE = np.uint64(2**63 - 1)
_LIMIT_NEGATIVE = np.uint64(2**63)


@jit
def magnitude(value: I64) -> np.uint64:
    """Return the absolute value of an int64 as uint64; exact for the most negative one too."""
    if value >= 0:
        return np.uint64(value)
    # -(value + 1) never overflows, and adding one back in uint64 does not either.
    return np.uint64(-(value + 1)) + _ONE


@jit
def _mul_wide(a: np.uint64, b: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Return the 128-bit product of two uint64 as (high, low), by 32-bit halves."""
    a_low = a & _MASK_32
    a_high = a >> _SHIFT_32
    b_low = b & _MASK_32
    b_high = b >> _SHIFT_32
    low = a_low * b_low
    middle_1 = a_high * b_low + (low >> _SHIFT_32)
    middle_2 = a_low * b_high + (middle_1 & _MASK_32)
    high = a_high * b_high + (middle_1 >> _SHIFT_32) + (middle_2 >> _SHIFT_32)
    return high, (middle_2 << _SHIFT_32) | (low & _MASK_32)


@jit
def _div_wide(
    high: np.uint64, low: np.uint64, divisor: np.uint64
) -> tuple[np.uint64, np.uint64, Flag]:
    """Divide 128 bits by a divisor below 2**63: (quotient, remainder, quotient fits 64 bits)."""
    if high == _ZERO:
        return low // divisor, low % divisor, True
    if high >= divisor:
        return _ZERO, _ZERO, False
    # One bit of the dividend at a time: 64 turns, no table. Only products beyond 64 bits come here.
    # A divisor below 2**63 keeps the remainder there too, so the shift never loses a bit.
    remainder = high
    quotient = _ZERO
    for index in range(64):
        remainder = (remainder << _ONE) | ((low >> np.uint64(63 - index)) & _ONE)
        quotient = quotient << _ONE
        if remainder >= divisor:
            remainder = remainder - divisor
            quotient = quotient | _ONE
    return quotient, remainder, True


@jit
def _signed(value: np.uint64, negative: Flag) -> tuple[I64, Flag]:
    """Give a magnitude its sign: (int64 value, it fits)."""
    if negative:
        if value > _LIMIT_NEGATIVE:
            return np.int64(0), False
        if value == _LIMIT_NEGATIVE:
            return INT64_MIN, True
        return -np.int64(value), True
    if value > _LIMIT_POSITIVE:
        return np.int64(0), False
    return np.int64(value), True


@jit
def add_checked(a: I64, b: I64) -> tuple[I64, Flag]:
    """Return (a + b, it fits int64); the value is 0 where it does not."""
    if b > 0:
        if a > INT64_MAX - b:
            return np.int64(0), False
    elif a < INT64_MIN - b:
        return np.int64(0), False
    return a + b, True


@jit
def mul_checked(a: I64, b: I64) -> tuple[I64, Flag]:
    """Return (a * b, it fits int64); the value is 0 where it does not."""
    high, low = _mul_wide(magnitude(a), magnitude(b))
    if high != _ZERO:
        return np.int64(0), False
    return _signed(low, (a < 0) != (b < 0))


@jit
def muldiv_checked(a: I64, b: I64, divisor: I64) -> tuple[I64, I64, Flag]:
    """Return (floor(a * b / divisor), remainder, it fits int64) for a positive divisor.

    The remainder lies in 0..divisor-1. The product is taken in 128 bits, so only the quotient has
    to fit. Rounding is towards minus infinity; the remainder makes it recoverable.
    """
    high, low = _mul_wide(magnitude(a), magnitude(b))
    quotient, remainder, fits = _div_wide(high, low, np.uint64(divisor))
    if not fits:
        return np.int64(0), np.int64(0), False
    negative = (a < 0) != (b < 0)
    if negative and remainder != _ZERO:
        quotient = quotient + _ONE
        remainder = np.uint64(divisor) - remainder
        if quotient == _ZERO:
            return np.int64(0), np.int64(0), False
    value, fits = _signed(quotient, negative)
    return value, np.int64(remainder), fits
