"""Rolling statistics and drawdowns, against one window at a time, and hand-worked paths."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradecore.errors import ConfigError
from tradecore.kernels.drawdown import drawdown_series, max_drawdown, worst_drawdown
from tradecore.kernels.performance import sharpe
from tradecore.kernels.rolling import (
    rolling_max_drawdown,
    rolling_return,
    rolling_sharpe,
    rolling_vol,
)

RETURN = st.one_of(
    st.floats(-0.5, 0.5, allow_nan=False, width=32), st.sampled_from([0.0, -1.0, math.nan])
)
SERIES = st.lists(RETURN, min_size=0, max_size=60)


@settings(max_examples=200)
@given(SERIES, st.integers(2, 12))
def test_every_window_equals_the_same_window_alone(values: list[float], window: int) -> None:
    whole = rolling_return(values, window)
    vol = rolling_vol(values, window, periods=1)
    deepest = rolling_max_drawdown(values, window)
    for row in range(len(values)):
        part = np.array(values[max(0, row - window + 1) : row + 1])
        if len(part) < window or np.isnan(part).any():
            assert math.isnan(whole[row])
            assert math.isnan(vol[row])
            assert math.isnan(deepest[row])
            continue
        assert whole[row] == pytest.approx(np.prod(1 + part) - 1, rel=1e-12, abs=1e-12)
        assert vol[row] == pytest.approx(part.std(ddof=1), rel=1e-9, abs=1e-8)
        value = np.concatenate([[1.0], np.cumprod(1 + part)])
        peaks = np.maximum.accumulate(value)
        assert deepest[row] == pytest.approx((value / peaks - 1).min(), rel=1e-12, abs=1e-12)


def test_sliding_does_not_accumulate_rounding_errors() -> None:
    # Returns of 1e-4 beside a level of 1e6 would drown in running sums of squares.
    step = np.arange(50_000)
    values = 1e6 + 1e-4 * np.sin(step * 0.7)
    vol = rolling_vol(values, 50, periods=1)
    for row in (49, 10_000, 33_333, 49_999):
        assert vol[row] == pytest.approx(values[row - 49 : row + 1].std(ddof=1), rel=1e-4)


def test_error_of_an_outlier_is_gone_one_window_after_it() -> None:
    # Removing 1e9 again leaves an error of about 1e9**2 * 1e-16 in the sum of squares.
    values = 1e-3 * np.sin(np.arange(300) * 0.7)
    values[100] = 1e9
    vol = rolling_vol(values, 20, periods=1)
    for row in (99, 141, 200, 299):
        assert vol[row] == pytest.approx(values[row - 19 : row + 1].std(ddof=1), rel=1e-9)


def test_rolling_sharpe_is_the_sharpe_of_each_window() -> None:
    values = np.round(0.01 * np.sin(np.arange(40) * 1.3) + 0.001, 6)
    rolling = rolling_sharpe(values, 10, risk_free=0.0002)
    for row in range(9, 40):
        assert rolling[row] == pytest.approx(
            sharpe(values[row - 9 : row + 1], risk_free=0.0002), rel=1e-10
        )
    assert np.isinf(rolling_sharpe([0.5, 0.5], 2)[1])


def test_drawdown_of_a_hand_worked_path() -> None:
    found = worst_drawdown([0.10, -0.10, -0.10, 0.30, -0.05, 0.0])
    assert found.depth == pytest.approx(-0.19)
    assert (found.peak, found.trough, found.recovery, found.longest) == (0, 2, 3, 2)
    deeper = worst_drawdown([-0.1, 0.2, -0.3, 0.1])
    assert deeper.depth == pytest.approx(-0.3)
    assert (deeper.peak, deeper.trough, deeper.recovery, deeper.longest) == (1, 2, -1, 2)


def test_first_return_counts_against_the_starting_value() -> None:
    assert max_drawdown([-0.25, 0.1]) == pytest.approx(-0.25)
    assert worst_drawdown([-0.25, 0.1]).peak == -1


def test_series_that_never_falls_has_no_drawdown() -> None:
    found = worst_drawdown([0.1, 0.0, math.nan, 0.2])
    assert (found.depth, found.peak, found.trough, found.recovery, found.longest) == (
        0,
        -1,
        -1,
        -1,
        0,
    )
    assert math.isnan(max_drawdown([]))
    assert drawdown_series([0.1, -0.5]).tolist() == [0.0, -0.5]


@pytest.mark.parametrize(
    "call",
    [
        lambda: rolling_return([1.0], 0),
        lambda: rolling_vol([1.0], 1),
        lambda: rolling_return(["x"], 2),
    ],
)
def test_windows_and_series_that_make_no_sense_are_refused(call: object) -> None:
    with pytest.raises(ConfigError):
        call()  # type: ignore[operator]
