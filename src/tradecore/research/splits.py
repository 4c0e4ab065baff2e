"""Which samples to learn from and which to test on, when samples follow each other in time.

A label that is known only later (the move over the next minute, say) ties a sample to a stretch of
time. Training on a sample whose stretch reaches into the test leaks the answer; these splits leave
such samples out (purging), and some behind the test as well (embargo): Lopez de Prado, *Advances in
Financial Machine Learning*, chapter 7.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tradecore.errors import ConfigError

__all__ = ["purged_folds", "walk_forward"]

Places = npt.NDArray[np.int64]


def walk_forward(
    n: int, train: int, test: int, *, gap: int = 0, growing: bool = False
) -> Iterator[tuple[Places, Places]]:
    """Yield (training, test) positions that move forward in time, test after test.

    Parameters
    ----------
    n : int
        Samples, ascending in time.
    train, test : int
        Samples of each; the last test is shorter where they do not come out even.
    gap : int
        Samples left out between the two: at least the horizon of a label, in samples.
    growing : bool
        Train on everything before, instead of the last `train` samples.

    Raises
    ------
    ConfigError
        No room for one split.
    """
    if train < 1 or test < 1 or gap < 0 or train + gap >= n:
        raise ConfigError("train and test of at least 1, gap of at least 0, and room for a test")
    for first in range(train + gap, n, test):
        begin = 0 if growing else first - gap - train
        yield np.arange(begin, first - gap), np.arange(first, min(first + test, n))


def purged_folds(
    start_ns: npt.ArrayLike, end_ns: npt.ArrayLike, folds: int, *, embargo_ns: int = 0
) -> Iterator[tuple[Places, Places]]:
    """Yield (training, test) positions of a cross-validation that does not look into the test.

    Parameters
    ----------
    start_ns : array_like of int, shape (n,)
        When each sample was taken, ascending.
    end_ns : array_like of int, shape (n,)
        When its label was known.
    folds : int
        Tests, each a stretch of neighbours; together they are all samples.
    embargo_ns : int
        No training on samples taken so soon behind the end of the test's last label.

    Raises
    ------
    ConfigError
        Times that descend or end before they start, or folds that do not fit.

    Notes
    -----
    O(n) a fold.
    """
    start = np.ascontiguousarray(start_ns, np.int64)
    end = np.ascontiguousarray(end_ns, np.int64)
    if start.ndim != 1 or start.shape != end.shape:
        raise ConfigError("as many starts as ends are needed")
    if bool((np.diff(start) < 0).any()) or bool((end < start).any()):
        raise ConfigError("starts must ascend, and no label can be known before its sample")
    if not 2 <= folds <= len(start) or embargo_ns < 0:
        raise ConfigError(f"folds is {folds}; it must be 2..{len(start)}, and the embargo >= 0")
    for test in np.array_split(np.arange(len(start)), folds):
        first, last = start[test[0]], end[test].max()
        clear = (end < first) | (start > last + embargo_ns)
        yield np.flatnonzero(clear), test
