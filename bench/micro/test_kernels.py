"""One call of each bulk kernel on a fixed input. `pytest bench/micro --benchmark-enable` measures.

Without the option every benchmark runs once, as a test of its own result.
"""

from __future__ import annotations

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tradecore import kernels
from tradecore.kernels.lots import LotMethod

COUNT = 100_000
STEP = np.arange(COUNT, dtype=np.int64)
# A walk around zero that flips sides, prices that repeat: every branch of the matchers is taken.
QTY = (STEP * 7919) % 41 - 20
PX = 10_000 + (STEP * 104_729) % 301
OFFSETS = np.arange(0, COUNT + 1, 1_000)
RETURNS = 0.01 * np.sin(STEP * 0.731) + 0.0001


@pytest.mark.parametrize("method", ["fifo", "lifo", "hifo", "lofo"])
def test_match_lots(benchmark: BenchmarkFixture, method: LotMethod) -> None:
    found = benchmark(kernels.match_lots, QTY, PX, method=method, offsets=OFFSETS)
    assert int(found.open_qty.sum()) == int(QTY.sum())


def test_average_cost(benchmark: BenchmarkFixture) -> None:
    found = benchmark(kernels.average_cost, QTY, np.abs(QTY) * PX, offsets=OFFSETS)
    assert int(found.qty[OFFSETS[1:] - 1].sum()) == int(QTY.sum())


@pytest.mark.parametrize("parallel", [False, True])
def test_mark_positions(benchmark: BenchmarkFixture, parallel: bool) -> None:
    index = (STEP % 500).astype(np.int32)
    marks = 9_000 + np.arange(500)
    found = benchmark(kernels.mark_positions, QTY, QTY * PX, index, marks, parallel=parallel)
    assert np.array_equal(found.pnl, QTY * marks[index] - QTY * PX)


def test_sum_by_group(benchmark: BenchmarkFixture) -> None:
    index = (STEP % 500).astype(np.int32)
    totals, overflowed, left_out = benchmark(kernels.sum_by_group, QTY, index, 500)
    assert (int(totals.sum()), int(overflowed.sum()), left_out) == (int(QTY.sum()), 0, 0)


@pytest.mark.parametrize("window", [20, 2_000])
def test_rolling_sharpe(benchmark: BenchmarkFixture, window: int) -> None:
    found = benchmark(kernels.rolling_sharpe, RETURNS, window)
    part = RETURNS[-window:]
    assert found[-1] == pytest.approx(part.mean() / part.std(ddof=1) * np.sqrt(252), rel=1e-9)


def test_worst_drawdown(benchmark: BenchmarkFixture) -> None:
    found = benchmark(kernels.worst_drawdown, RETURNS)
    value = np.concatenate([[1.0], np.cumprod(1 + RETURNS)])
    expected = (value / np.maximum.accumulate(value) - 1).min()
    assert found.depth == pytest.approx(expected, rel=1e-9)
