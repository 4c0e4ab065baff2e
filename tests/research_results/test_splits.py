"""Splits by hand, and the rule they exist for: no training label overlaps the test."""

from __future__ import annotations

import numpy as np
import pytest

from tradecore.errors import ConfigError
from tradecore.research.splits import purged_folds, walk_forward


def test_walk_forward_by_hand() -> None:
    found = [(a.tolist(), b.tolist()) for a, b in walk_forward(10, 3, 2, gap=1)]
    assert found == [
        ([0, 1, 2], [4, 5]),
        ([2, 3, 4], [6, 7]),
        ([4, 5, 6], [8, 9]),
    ]
    growing = [a.tolist() for a, _ in walk_forward(8, 3, 2, growing=True)]
    assert growing == [[0, 1, 2], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 5, 6]]


def test_purged_folds_by_hand() -> None:
    """Samples every 10 ns whose labels are known 15 ns later; the middle test is 40..79."""
    start = np.arange(0, 120, 10)
    found = list(purged_folds(start, start + 15, 3, embargo_ns=10))
    train, test = found[1]
    assert test.tolist() == [4, 5, 6, 7]
    # 30 is known at 45, inside; 80 and 90 start before the last label (85) and the embargo (95).
    assert train.tolist() == [0, 1, 2, 10, 11]


def test_no_training_label_overlaps_a_test() -> None:
    draw = np.random.default_rng(4)
    start = np.sort(draw.integers(0, 10_000, 500))
    end = start + draw.integers(0, 300, 500)
    tested = []
    for train, test in purged_folds(start, end, 7, embargo_ns=50):
        assert len(train) > 300
        low, high = start[test].min(), end[test].max()
        assert not ((start[train] <= high) & (end[train] >= low)).any()
        assert not ((start[train] > high) & (start[train] <= high + 50)).any()
        tested += test.tolist()
    assert tested == list(range(500))


def test_impossible_splits_are_refused() -> None:
    with pytest.raises(ConfigError, match="room"):
        list(walk_forward(5, 5, 1))
    with pytest.raises(ConfigError, match="ascend"):
        list(purged_folds([1, 0], [2, 2], 2))
    with pytest.raises(ConfigError, match="folds"):
        list(purged_folds([0, 1], [1, 2], 3))
