"""Our histogram against the reference implementation, value by value."""

from __future__ import annotations

import numpy as np
import pytest

from tradecore.bench.hdr import Histogram

PERCENTILES = (1, 50, 75, 90, 99, 99.9, 99.99, 100)
TOP = (1 << 40) - 1


def latencies(seed: int, count: int = 20_000) -> np.ndarray:
    drawn = np.random.default_rng(seed).lognormal(10, 3, count)
    return drawn.astype(np.int64) + 1


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_percentile_equals_the_reference_implementation(seed: int) -> None:
    reference = pytest.importorskip("hdrh.histogram", reason="needs the package hdrhistogram")
    values = latencies(seed)
    ours, theirs = Histogram(), reference.HdrHistogram(1, TOP, 3)
    ours.record(values)
    for value in values.tolist():
        theirs.record_value(value)
    for p in PERCENTILES[:-1]:
        assert ours.percentile(p) == theirs.get_value_at_percentile(p)
    # The reference gives the top of the last bucket; nothing above the largest value was seen.
    assert ours.percentile(100) == values.max() <= theirs.get_value_at_percentile(100)


def test_percentile_is_within_a_thousandth_of_the_exact_value() -> None:
    values = latencies(4)
    histogram = Histogram()
    histogram.record(values)
    for p in PERCENTILES:
        exact = int(np.sort(values)[int(np.ceil(len(values) * p / 100)) - 1])
        assert exact <= histogram.percentile(p) <= exact * 1.001


def test_small_values_are_exact() -> None:
    histogram = Histogram()
    histogram.record(np.arange(1, 2_001))
    assert [histogram.percentile(p) for p in (0.05, 50, 99.9, 100)] == [1, 1_000, 1_998, 2_000]
    assert (histogram.min, histogram.max, histogram.mean) == (1, 2_000, 1_000.5)


def test_add_equals_recording_everything_in_one() -> None:
    parts = [Histogram() for _ in range(3)]
    for seed, part in enumerate(parts):
        part.record(latencies(seed))
    whole, total = Histogram(), Histogram()
    whole.record(np.concatenate([latencies(seed) for seed in range(3)]))
    for part in parts:
        total.add(part)
    assert total.curve() == whole.curve()
    assert (total.min, total.max, len(total)) == (whole.min, whole.max, len(whole))


def test_empty_histogram_has_zeros() -> None:
    histogram = Histogram()
    histogram.record(np.zeros(0, np.int64))
    assert (len(histogram), histogram.percentile(99), histogram.max, histogram.min) == (0, 0, 0, 0)
    assert histogram.share_above(0) == 0


def test_negative_value_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        Histogram().record(np.array([5, -1]))


def test_values_above_the_range_count_as_the_largest() -> None:
    histogram = Histogram()
    histogram.record(np.array([1 << 50]))
    assert histogram.max == 1 << 50
    assert histogram.percentile(50) == TOP


def test_share_above_counts_what_exceeds_a_limit() -> None:
    histogram = Histogram()
    histogram.record(np.array([10] * 999 + [5_000_000]))
    assert histogram.share_above(1_000_000) == pytest.approx(0.001)


def test_percentile_text_is_the_format_of_the_plotter() -> None:
    histogram = Histogram()
    histogram.record(np.array([1_000, 2_000, 3_000, 1_000_000]))
    lines = histogram.percentile_text().splitlines()
    assert lines[0].split() == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
    rows = [line.split() for line in lines[2:] if not line.startswith("#")]
    assert [int(row[2]) for row in rows] == [1, 2, 3, 4]
    assert [float(row[0]) for row in rows] == [1.0, 2.0, pytest.approx(3.0, rel=1e-3), 1_000.0]
    assert "Total count    =            4" in lines[-1]
