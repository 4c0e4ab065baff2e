"""Tax-lot matching: finds which opening fill each closing fill closes.

Exact on integers, long and short, through zero, for one position or for millions of fills of many
positions in one call (group the fills by position and pass the boundaries). The method decides
which open lot goes first; everything else is common: a fill against the position closes lots one
after the other, what is left over opens a lot on the other side.

Methods (the sum of gains of a position that ends flat is the same under all of them):

========  ==========================================================================================
fifo      oldest lot first
lifo      newest lot first
hifo      highest opening price first; equal prices oldest first
lofo      lowest opening price first; equal prices oldest first
========  ==========================================================================================

``hifo`` means the highest *price* also for short lots, where that is the sale with the largest
proceeds. A caller that wants another order (by cost including fees, by tax term) passes `rank`,
which replaces the price in the comparison.

FIFO and LIFO cost O(1) per fill and match, HIFO and LOFO O(log open lots) by a binary heap. Memory
is O(fills).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from tradecore.errors import ConfigError
from tradecore.kernels._arrays import IntArray, as_i64, check_offsets, same_length
from tradecore.kernels._jit import jit
from tradecore.kernels.int128 import INT64_MIN, add_checked, mul_checked, muldiv_checked

__all__ = ["LotMatches", "LotMethod", "Oversell", "allocate_by_qty", "match_lots"]

LotMethod: TypeAlias = Literal["fifo", "lifo", "hifo", "lofo"]
Oversell: TypeAlias = Literal["error", "short"]

_FIFO, _LIFO, _HIFO, _LOFO = 0, 1, 2, 3
_METHODS = {"fifo": _FIFO, "lifo": _LIFO, "hifo": _HIFO, "lofo": _LOFO}


@dataclass(frozen=True, slots=True)
class LotMatches:
    """What `match_lots` found; a row of the first six arrays is one lot-level gain.

    All arrays are int64.

    Attributes
    ----------
    open_fill, close_fill : ndarray, shape (matches,)
        Rows of the opening and of the closing fill in the caller's arrays, in the order of
        matching.
    qty : ndarray, shape (matches,)
        Lots closed, always positive.
    open_px, close_px : ndarray, shape (matches,)
        Prices of the two fills, ticks.
    gain : ndarray, shape (matches,)
        ``qty * (close_px - open_px)`` for a long lot, the negative for a short one, times
        `multiplier`.
    open_lot : ndarray, shape (open lots,)
        Fill row of every lot that is still open, oldest first within its position.
    open_qty : ndarray, shape (open lots,)
        Signed quantity left in it: positive long, negative short.
    refused : ndarray, shape (refused,)
        Fill rows refused under ``oversell="error"``; such a fill changed nothing.
    """

    open_fill: IntArray
    close_fill: IntArray
    qty: IntArray
    open_px: IntArray
    close_px: IntArray
    gain: IntArray
    open_lot: IntArray
    open_qty: IntArray
    refused: IntArray


@jit
def _before(a: int, b: int, rank: IntArray, highest: bool) -> bool:
    """Whether lot `a` is closed before lot `b`; of two equal ranks the older (smaller) one."""
    if rank[a] != rank[b]:
        return bool((rank[a] > rank[b]) == highest)
    return a < b


@jit
def _sift_up(heap: IntArray, size: int, rank: IntArray, highest: bool) -> None:
    """Restore the heap after a lot was put at its end."""
    child = size - 1
    while child > 0:
        parent = (child - 1) // 2
        if not _before(heap[child], heap[parent], rank, highest):
            return
        heap[child], heap[parent] = heap[parent], heap[child]
        child = parent


@jit
def _sift_down(heap: IntArray, size: int, rank: IntArray, highest: bool) -> None:
    """Restore the heap after its last lot was put at the root."""
    parent = 0
    while True:
        child = 2 * parent + 1
        if child >= size:
            return
        if child + 1 < size and _before(heap[child + 1], heap[child], rank, highest):
            child += 1
        if not _before(heap[child], heap[parent], rank, highest):
            return
        heap[child], heap[parent] = heap[parent], heap[child]
        parent = child


@jit
def _match(
    qty: IntArray,
    px: IntArray,
    rank: IntArray,
    offsets: IntArray,
    method: int,
    allow_short: bool,
    multiplier: int,
    matches: IntArray,
    left: IntArray,
    store: IntArray,
    refused: IntArray,
) -> tuple[int, int, bool]:
    """Match every group; returns (matches, refused fills, every gain fits int64).

    `store` holds the open lots of the current group: a queue from `head` for FIFO, a stack for
    LIFO, a heap for the other two. It is reused from group to group. `left` receives the signed
    quantity left in every fill's own lot.
    """
    n_match = 0
    n_refused = 0
    highest = method == _HIFO
    for group in range(len(offsets) - 1):
        head = 0
        tail = 0
        position = np.int64(0)
        for row in range(offsets[group], offsets[group + 1]):
            incoming = qty[row]
            if incoming == 0:
                continue
            opposite = (position > 0 and incoming < 0) or (position < 0 and incoming > 0)
            if not allow_short and incoming < 0 and position + incoming < 0:
                refused[n_refused] = row
                n_refused += 1
                continue
            # From here on this fill must succeed; only a gain beyond int64 stops the whole call.
            position += incoming
            remaining = incoming
            while opposite and remaining != 0 and tail > head:
                lot = store[tail - 1] if method == _LIFO else store[head]
                if abs(left[lot]) <= abs(remaining):
                    closed = left[lot]
                    if method == _FIFO:
                        head += 1
                    elif method == _LIFO:
                        tail -= 1
                    else:
                        tail -= 1
                        store[0] = store[tail]
                        _sift_down(store, tail, rank, highest)
                else:
                    closed = -remaining
                left[lot] -= closed
                remaining += closed
                difference, fits_1 = add_checked(px[row], -px[lot])
                value, fits_2 = mul_checked(closed, difference)
                gain, fits_3 = mul_checked(value, multiplier)
                if not (fits_1 and fits_2 and fits_3):
                    return n_match, n_refused, False
                matches[n_match, 0] = lot
                matches[n_match, 1] = row
                matches[n_match, 2] = abs(closed)
                matches[n_match, 3] = gain
                n_match += 1
            if remaining != 0:
                if tail == head:
                    head = 0
                    tail = 0
                left[row] = remaining
                store[tail] = row
                tail += 1
                if method >= _HIFO:
                    _sift_up(store, tail, rank, highest)
    return n_match, n_refused, True


def match_lots(
    qty: npt.ArrayLike,
    px: npt.ArrayLike,
    *,
    method: LotMethod = "fifo",
    oversell: Oversell = "short",
    offsets: npt.ArrayLike | None = None,
    multiplier: int = 1,
    rank: npt.ArrayLike | None = None,
) -> LotMatches:
    """Match the closing fills of one or many positions against their open lots.

    Parameters
    ----------
    qty : array_like of int, shape (fills,)
        Signed lots in time order: positive bought, negative sold. Zero is ignored.
    px : array_like of int, shape (fills,)
        Prices in ticks.
    method : {"fifo", "lifo", "hifo", "lofo"}
        Which open lot is closed first; see the table of the module.
    oversell : {"short", "error"}
        A sale of more than is held either opens a short lot with the rest (a margined account), or
        is refused as a whole and listed in `LotMatches.refused` (a cash account).
    offsets : array_like of int, shape (positions + 1,), optional
        Boundaries of the positions in the arrays; one position by default.
    multiplier : int
        Money units per tick and lot.
    rank : array_like of int, shape (fills,), optional
        Replaces `px` in the comparison of ``hifo`` and ``lofo``.

    Returns
    -------
    LotMatches

    Raises
    ------
    ConfigError
        For an unknown method or policy, arrays of different lengths, or a quantity of -2**63.
    OverflowError
        If a position or a gain does not fit int64.

    Notes
    -----
    O(fills) for fifo and lifo, O(fills * log open lots) for hifo and lofo.

    Examples
    --------
    >>> match_lots([4, 5, 6, -7], [100, 111, 122, 130]).qty.tolist()
    [4, 3]
    """
    if method not in _METHODS:
        raise ConfigError(
            f"method: one of {', '.join(get_args(LotMethod))} is needed, not {method!r}"
        )
    if oversell not in get_args(Oversell):
        raise ConfigError(f"oversell: one of {', '.join(get_args(Oversell))}, not {oversell!r}")
    qty_array = as_i64("qty", qty)
    px_array = as_i64("px", px)
    rank_array = px_array if rank is None else as_i64("rank", rank)
    count = same_length(qty=qty_array, px=px_array, rank=rank_array)
    bounds = check_offsets(offsets, count)
    if count and (int(qty_array.min()) == INT64_MIN or int(px_array.min()) == INT64_MIN):
        raise ConfigError("qty and px: -2**63 is reserved")
    # The largest position any prefix can reach; with it inside int64 no sum of quantities can
    # overflow.
    if float(np.abs(qty_array).sum(dtype=np.float64)) >= 2.0**63:
        raise OverflowError("the sum of the quantities does not fit int64")
    matches = np.empty((2 * count, 4), dtype=np.int64)
    left = np.zeros(count, dtype=np.int64)
    store = np.empty(count, dtype=np.int64)
    refused = np.empty(count, dtype=np.int64)
    n_match, n_refused, fits = _match(
        qty_array,
        px_array,
        rank_array,
        bounds,
        _METHODS[method],
        oversell == "short",
        int(multiplier),
        matches,
        left,
        store,
        refused,
    )
    if not fits:
        raise OverflowError(f"the gain of match {n_match} does not fit int64")
    found = matches[:n_match]
    open_fill = found[:, 0].copy()
    close_fill = found[:, 1].copy()
    open_lot = np.flatnonzero(left).astype(np.int64)
    return LotMatches(
        open_fill=open_fill,
        close_fill=close_fill,
        qty=found[:, 2].copy(),
        open_px=px_array[open_fill],
        close_px=px_array[close_fill],
        gain=found[:, 3].copy(),
        open_lot=open_lot,
        open_qty=left[open_lot],
        refused=refused[:n_refused].copy(),
    )


@jit
def _allocate(
    fill: IntArray,
    part: IntArray,
    fill_qty: IntArray,
    amount: IntArray,
    done: IntArray,
    out: IntArray,
) -> bool:
    """Give every part floor(A * done_after / Q) - floor(A * done_before / Q)."""
    for row in range(len(fill)):
        owner = fill[row]
        before, _, fits_1 = muldiv_checked(amount[owner], done[owner], fill_qty[owner])
        done[owner] += part[row]
        after, _, fits_2 = muldiv_checked(amount[owner], done[owner], fill_qty[owner])
        if not (fits_1 and fits_2) or done[owner] > fill_qty[owner]:
            return False
        out[row] = after - before
    return True


def allocate_by_qty(
    fill: npt.ArrayLike, part_qty: npt.ArrayLike, fill_qty: npt.ArrayLike, amount: npt.ArrayLike
) -> IntArray:
    """Spread an amount of every fill (its fee, its total cost) over the matches it took part in.

    In proportion to quantity, with the floor taken on the cumulative quantity: the parts of a fill
    that was matched completely add up to its amount exactly, whatever the rounding of each.

    Parameters
    ----------
    fill : array_like of int, shape (matches,)
        `LotMatches.open_fill` or `LotMatches.close_fill`.
    part_qty : array_like of int, shape (matches,)
        `LotMatches.qty`.
    fill_qty : array_like of int, shape (fills,)
        Quantity of every fill; the sign is ignored.
    amount : array_like of int, shape (fills,)
        Money units to spread; may be negative (a rebate).

    Returns
    -------
    ndarray of int64, shape (matches,)

    Raises
    ------
    ConfigError
        If a fill's parts exceed its quantity, or lengths differ.
    """
    fill_array = as_i64("fill", fill)
    part_array = as_i64("part_qty", part_qty)
    whole_array = np.abs(as_i64("fill_qty", fill_qty))
    amount_array = as_i64("amount", amount)
    same_length(fill=fill_array, part_qty=part_array)
    count = same_length(fill_qty=whole_array, amount=amount_array)
    if len(fill_array) and (int(fill_array.min()) < 0 or int(fill_array.max()) >= count):
        raise ConfigError(f"fill: rows of 0..{count - 1} are needed")
    out = np.empty(len(fill_array), dtype=np.int64)
    done = np.zeros(count, dtype=np.int64)
    if not _allocate(fill_array, part_array, np.maximum(whole_array, 1), amount_array, done, out):
        raise ConfigError("part_qty: the parts of a fill exceed its quantity")
    return out
