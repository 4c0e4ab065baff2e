"""Average-cost positions: exact integer cost basis over the fills of many positions.

A position is (quantity, cost basis). A fill in its direction adds to both. A fill against it
removes the same fraction of cost as of quantity and realises the difference; a fill through zero
closes with one part and opens with the other. The cost basis is an integer amount of money, so the
average price is a ratio nobody ever rounds:

- removed cost = ``floor(cost * closed / |quantity|)``; for values that are not negative that is the
  truncation of the engine's ledger. The rounding stays in the position and is realised with its
  last lot, so a position that ends flat has realised exactly the sum of its cash flows;
- a fill through zero splits its value the same way: the closing part gets ``floor(value * closed /
  |fill quantity|)``.

The *value* of a fill is what its quantity is worth in the money of the account: ``qty * px *
multiplier`` for a linear instrument, ``qty * unit / px`` for an inverse one (see `inverse_value`),
where a long position gains when the value falls.

Source: average-cost method as in the position accounting of futures front ends; inverse contracts
from the published PnL guides of BitMEX and Bybit (average entry is the harmonic mean).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tradecore.errors import ConfigError
from tradecore.kernels._arrays import IntArray, as_i64, check_offsets, same_length
from tradecore.kernels._jit import jit
from tradecore.kernels.int128 import I64, INT64_MIN, add_checked, muldiv_checked

__all__ = ["AverageCost", "average_cost", "inverse_value"]


@dataclass(frozen=True, slots=True)
class AverageCost:
    """State of the position after every fill. All arrays are int64, shape (fills,).

    Attributes
    ----------
    qty : ndarray
        Signed position after the fill, lots.
    cost : ndarray
        Cost basis after the fill, money units, never negative for positive prices; ``cost / |qty|``
        is the average value of a lot.
    realised : ndarray
        Realised by this fill alone, money units, without fees.
    """

    qty: IntArray
    cost: IntArray
    realised: IntArray


@jit
def _average(
    qty: IntArray,
    value: IntArray,
    offsets: IntArray,
    inverse: bool,
    out_qty: IntArray,
    out_cost: IntArray,
    out_realised: IntArray,
) -> int:
    """Run every group; returns the row that overflowed, or -1."""
    for group in range(len(offsets) - 1):
        position: I64 = np.int64(0)
        cost: I64 = np.int64(0)
        for row in range(offsets[group], offsets[group + 1]):
            incoming = qty[row]
            amount = value[row]
            gain: I64 = np.int64(0)
            if (position > 0 and incoming < 0) or (position < 0 and incoming > 0):
                closed = min(abs(incoming), abs(position))
                removed, _, fits_1 = muldiv_checked(cost, closed, np.abs(position))
                closing, _, fits_2 = muldiv_checked(amount, closed, abs(incoming))
                gain, fits_3 = add_checked(closing, -removed)
                if not (fits_1 and fits_2 and fits_3):
                    return row
                if (position < 0) != inverse:
                    gain = -gain
                cost -= removed
                amount -= closing
                opens = abs(incoming) > abs(position)
            else:
                opens = True
            total, fits_4 = add_checked(position, incoming)
            if not fits_4:
                return row
            position = total
            if opens:
                cost, fits_5 = add_checked(cost, amount)
                if not fits_5:
                    return row
            out_qty[row] = position
            out_cost[row] = cost
            out_realised[row] = gain
    return -1


def average_cost(
    qty: npt.ArrayLike,
    value: npt.ArrayLike,
    *,
    offsets: npt.ArrayLike | None = None,
    inverse: bool = False,
) -> AverageCost:
    """Run fills through average-cost positions.

    Parameters
    ----------
    qty : array_like of int, shape (fills,)
        Signed lots in time order: positive bought, negative sold.
    value : array_like of int, shape (fills,)
        Value of the whole fill, money units, not signed by side.
    offsets : array_like of int, shape (positions + 1,), optional
        Boundaries of the positions in the arrays; one position by default.
    inverse : bool
        The value is in the base asset: a long position gains when it falls.

    Returns
    -------
    AverageCost

    Raises
    ------
    ConfigError
        If lengths differ or a value is -2**63.
    OverflowError
        Naming the first fill whose result does not fit int64.

    Notes
    -----
    O(fills). Fees are not part of the cost basis here: add them to the realised amount, or into
    `value` beforehand.

    Examples
    --------
    >>> average_cost([2, -3], [200, 330]).realised.tolist()
    [0, 20]
    """
    qty_array = as_i64("qty", qty)
    value_array = as_i64("value", value)
    count = same_length(qty=qty_array, value=value_array)
    bounds = check_offsets(offsets, count)
    if count and (int(qty_array.min()) == INT64_MIN or int(value_array.min()) == INT64_MIN):
        raise ConfigError("qty and value: -2**63 is reserved")
    result = AverageCost(*(np.empty(count, dtype=np.int64) for _ in range(3)))
    row = _average(
        qty_array, value_array, bounds, bool(inverse), result.qty, result.cost, result.realised
    )
    if row >= 0:
        raise OverflowError(f"fill {row}: a quantity or an amount does not fit int64")
    return result


@jit
def _inverse_value(qty: IntArray, px: IntArray, unit: int, out: IntArray) -> int:
    """floor(|qty| * unit / px) per fill; returns the row that overflowed, or -1."""
    for row in range(len(qty)):
        amount, _, fits = muldiv_checked(abs(qty[row]), unit, px[row])
        if not fits:
            return row
        out[row] = amount
    return -1


def inverse_value(qty: npt.ArrayLike, px: npt.ArrayLike, unit: int) -> IntArray:
    """Return what the fills of an inverse contract are worth in its base asset.

    Parameters
    ----------
    qty : array_like of int, shape (fills,)
        Contracts; the sign is ignored.
    px : array_like of int, shape (fills,)
        Prices in ticks, positive.
    unit : int
        Smallest units of the base asset that one contract is worth at a price of one tick.

    Returns
    -------
    ndarray of int64, shape (fills,)
        ``floor(|qty| * unit / px)``, base-asset units.

    Raises
    ------
    ConfigError
        If a price is not positive.
    OverflowError
        Naming the first fill whose value does not fit int64.
    """
    qty_array = as_i64("qty", qty)
    px_array = as_i64("px", px)
    count = same_length(qty=qty_array, px=px_array)
    if count and int(px_array.min()) <= 0:
        raise ConfigError("px: prices of an inverse contract are positive")
    if count and int(qty_array.min()) == INT64_MIN:
        raise ConfigError("qty: -2**63 is reserved")
    out = np.empty(count, dtype=np.int64)
    row = _inverse_value(qty_array, px_array, int(unit), out)
    if row >= 0:
        raise OverflowError(f"fill {row}: its value does not fit int64")
    return out
