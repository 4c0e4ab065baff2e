"""High-dynamic-range histograms: percentiles of billions of latencies in a few kilobytes.

Buckets are as wide as the number of digits allows: with three digits every recorded value is known
to better than a thousandth, from one nanosecond to eighteen minutes, and two histograms add up
exactly. The layout and the text of `percentile_text` are those of HdrHistogram (Gil Tene), so its
plotter reads our ``.hgrm`` files; recording takes whole numpy arrays.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["Histogram"]

Int64s = npt.NDArray[np.int64]

_HALF_BITS: Final = 10  # 1,024 values a half bucket: three significant digits
_HALF: Final = 1 << _HALF_BITS
_HIGHEST: Final = (1 << 40) - 1  # 18 minutes in nanoseconds


class Histogram:
    """Counts of non-negative integers, three significant digits, up to 2**40 - 1.

    Larger values count as the largest; the exact extremes are kept beside the buckets.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(_index_of(np.array([_HIGHEST]))[0] + 1, np.int64)
        self._max = 0
        self._min = _HIGHEST
        self._sum = 0

    def __len__(self) -> int:
        """Return how many values were recorded."""
        return int(self._counts.sum())

    @property
    def max(self) -> int:
        """The largest recorded value, exact; 0 when nothing was recorded."""
        return self._max

    @property
    def min(self) -> int:
        """The smallest recorded value, exact; 0 when nothing was recorded."""
        return self._min if len(self) else 0

    @property
    def mean(self) -> float:
        """The exact mean, 0 when nothing was recorded."""
        return self._sum / len(self) if len(self) else 0.0

    def record(self, values: Int64s) -> None:
        """Count values. O(n).

        Parameters
        ----------
        values : ndarray of int64, shape (n,)
            Nanoseconds, or any other non-negative unit.

        Raises
        ------
        ValueError
            A value is negative: a clock went backwards.
        """
        if not len(values):
            return
        low, high = int(values.min()), int(values.max())
        if low < 0:
            raise ValueError(f"a histogram takes no negative value, got {low}")
        index = _index_of(np.minimum(values, _HIGHEST))
        self._counts += np.bincount(index, minlength=len(self._counts))
        self._min, self._max = min(self._min, low), max(self._max, high)
        self._sum += int(values.sum())

    def add(self, other: Histogram) -> None:
        """Add what another histogram counted, without loss."""
        self._counts += other._counts
        self._min, self._max = min(self._min, other._min), max(self._max, other._max)
        self._sum += other._sum

    def percentile(self, p: float) -> int:
        """Return the smallest value that at least p % do not exceed, to three digits.

        The largest value of the bucket is given, never more than the largest recorded one. 0 when
        nothing was recorded. O(buckets).
        """
        total = len(self)
        if not total:
            return 0
        # p as thousandths of a per cent, rank rounded up, all in integers.
        rank = max(-(-total * round(p * 1000) // 100_000), 1)
        index = int(np.searchsorted(np.cumsum(self._counts), rank))
        return min(_highest_of(index), self._max)

    def share_above(self, value: int) -> float:
        """Return the share of recorded values above `value` (its bucket counted as not above)."""
        total = len(self)
        if not total:
            return 0.0
        index = int(_index_of(np.array([min(value, _HIGHEST)]))[0])
        return float(self._counts[index + 1 :].sum()) / total

    def curve(self) -> list[tuple[float, int]]:
        """Return (share of values up to here, value) for every bucket that is not empty."""
        filled = np.flatnonzero(self._counts)
        upto = np.cumsum(self._counts[filled]) / max(len(self), 1)
        return [
            (share, min(_highest_of(int(i)), self._max))
            for share, i in zip(upto.tolist(), filled, strict=True)
        ]

    def percentile_text(self, scale: float = 1_000.0) -> str:
        """Return the distribution as HdrHistogram's plotter reads it (``.hgrm``).

        Parameters
        ----------
        scale : float
            What a value is divided by: 1,000 shows nanoseconds as microseconds.
        """
        lines = [
            f"{'Value':>12} {'Percentile':>14} {'TotalCount':>10} {'1/(1-Percentile)':>14}",
            "",
        ]
        total = len(self)
        for share, value in self.curve():
            rest = f"{1 / (1 - share):14.2f}" if share < 1 else ""
            count = round(share * total)
            lines.append(f"{value / scale:12.3f} {share:2.12f} {count:10d} {rest}".rstrip())
        lines.append(f"#[Mean    = {self.mean / scale:12.3f}]")
        lines.append(f"#[Max     = {self.max / scale:12.3f}, Total count    = {total:12d}]")
        return "\n".join(lines) + "\n"


def _index_of(values: Int64s) -> Int64s:
    """Return the bucket of each value: linear up to 2,048, then 1,024 buckets an octave."""
    # frexp is exact here: values stay far below 2**53. Its exponent is the bit length.
    octave = np.maximum(np.frexp(values.astype(np.float64))[1] - (_HALF_BITS + 1), 0)
    octave = octave.astype(np.int64)
    index: Int64s = (octave << _HALF_BITS) + (values >> octave)
    return index


def _highest_of(index: int) -> int:
    """Return the largest value that a bucket stands for."""
    if index < 2 * _HALF:
        return index
    octave = (index >> _HALF_BITS) - 1
    return ((_HALF + (index & (_HALF - 1)) + 1) << octave) - 1
