"""What the public wrappers of the kernels do to their arguments before compiled code sees them.

One dtype, one layout, lengths checked: compiled code then needs no checks of its own, and only one
specialisation of each kernel is ever compiled. Nothing here copies an array that already has the
right dtype and layout.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tradecore.errors import ConfigError

__all__ = ["FloatArray", "IntArray", "as_f64", "as_i64", "check_offsets", "same_length"]

IntArray: TypeAlias = npt.NDArray[np.int64]
FloatArray: TypeAlias = npt.NDArray[np.float64]


def as_i64(name: str, values: npt.ArrayLike) -> IntArray:
    """Return `values` as a contiguous one-dimensional int64 array, without rounding anything.

    Parameters
    ----------
    name : str
        Name of the argument, for the message.
    values : array_like of int, shape (n,)
        Python integers or any integer dtype whose values fit int64.

    Returns
    -------
    ndarray of int64, shape (n,)
        `values` itself where it already fits.

    Raises
    ------
    ConfigError
        If the values are not integers (money has no fractions here), do not fit int64, or have
        another rank.
    """
    try:
        array = np.asarray(values)
        if array.size == 0:
            array = array.astype(np.int64)
        if array.dtype.kind not in "iu" or (array.dtype == np.uint64 and array.max() >= 2**63):
            raise ConfigError(f"{name}: integers that fit int64 are needed, not {array.dtype}")
        array = np.ascontiguousarray(array, dtype=np.int64)
    except OverflowError as error:
        raise ConfigError(f"{name}: a value does not fit int64") from error
    if array.ndim != 1:
        raise ConfigError(f"{name}: one dimension is needed, not {array.ndim}")
    return array


def as_f64(name: str, values: npt.ArrayLike | list[Any]) -> FloatArray:
    """Return `values` as a contiguous one-dimensional float64 array; None becomes NaN.

    Parameters
    ----------
    name : str
        Name of the argument, for the message.
    values : array_like of float, shape (n,)
        A pandas or polars series of numbers also works.

    Returns
    -------
    ndarray of float64, shape (n,)
        `values` itself where it already fits.

    Raises
    ------
    ConfigError
        If the values are not numbers or have another rank.
    """
    try:
        array = np.ascontiguousarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name}: numbers are needed ({error})") from error
    if array.ndim != 1:
        raise ConfigError(f"{name}: one dimension is needed, not {array.ndim}")
    return array


def same_length(**arrays: npt.NDArray[Any]) -> int:
    """Check that all named arrays have one length and return it.

    Raises
    ------
    ConfigError
        Naming the lengths, if they differ.
    """
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) != 1:
        text = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ConfigError(f"arrays of one length are needed, not {text}")
    return next(iter(lengths.values()))


def check_offsets(offsets: npt.ArrayLike | None, count: int) -> IntArray:
    """Return group boundaries: group `g` owns rows ``offsets[g]:offsets[g + 1]``.

    Parameters
    ----------
    offsets : array_like of int, shape (groups + 1,), or None
        Ascending, from 0 to `count`. None means one group that owns every row.
    count : int
        Number of rows.

    Returns
    -------
    ndarray of int64, shape (groups + 1,)

    Raises
    ------
    ConfigError
        If the boundaries do not ascend from 0 to `count`.
    """
    if offsets is None:
        return np.array([0, count], dtype=np.int64)
    array = as_i64("offsets", offsets)
    if len(array) < 1 or array[0] != 0 or array[-1] != count or bool(np.any(np.diff(array) < 0)):
        raise ConfigError(f"offsets must ascend from 0 to {count}")
    return array
