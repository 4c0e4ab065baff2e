"""Coefficients out of result lines: which lines count, and what is missing."""

from __future__ import annotations

import msgspec
import pytest

from capacity_rows import line, rows
from tradecore.capacity.coefficients import ASSUMED, from_results
from tradecore.errors import ConfigError


def test_newest_line_of_a_key_counts() -> None:
    newer = line("capacity/log-bytes", "bytes/command", 99)
    assert from_results([*rows(), newer]).value("capacity/log-bytes") == 99


def test_interval_of_repeated_runs_is_kept() -> None:
    found = from_results([*rows(), line("capacity/order-bytes", "bytes/order", 99, 100, 101)])
    figure = found.figures["capacity/order-bytes"]
    assert figure.source == "measured"
    # Student: 100 +- 4.303 x 1 / sqrt(3).
    assert (figure.low, figure.high) == (
        pytest.approx(97.516, abs=0.01),
        pytest.approx(102.484, abs=0.01),
    )


def test_laws_are_fitted_to_the_lines() -> None:
    found = from_results(rows())
    assert found.cells is not None
    assert (found.cells.gamma, found.cells.alpha) == pytest.approx((4e6, 0.05), rel=1e-6)
    assert found.clients is not None
    assert (found.clients.gamma, found.clients.alpha) == pytest.approx((1_000, 0.001), rel=1e-6)


def test_without_scaling_lines_there_is_no_law_and_no_discount() -> None:
    found = from_results([each for each in rows() if not each.name.startswith("scaling/")])
    assert (found.cells, found.clients, found.neighbour) == (None, None, 1.0)


def test_services_that_were_not_measured_are_assumed_with_a_reason() -> None:
    figures = from_results(rows()).figures
    for name in ASSUMED:
        assert figures[name].source == "assumed"
        assert len(figures[name].note) > 20


@pytest.mark.parametrize(
    "name",
    ["capacity/log-bytes", "capacity/cpu", "saturation/engine", "capacity/snapshot-take"],
)
def test_missing_line_is_named(name: str) -> None:
    kept = [each for each in rows() if each.name != name]
    with pytest.raises(ConfigError, match=f"mine.jsonl: no coefficients.*{name}.*bench capacity"):
        from_results(kept, "mine.jsonl")


def test_lines_of_two_machines_are_refused() -> None:
    other = msgspec.structs.replace(rows()[0].machine, cpu="Other")
    mixed = [*rows(), msgspec.structs.replace(rows()[0], name="capacity/x", machine=other)]
    with pytest.raises(ConfigError, match="2 machines"):
        from_results(mixed, "mine.jsonl")


def test_portfolio_benchmark_replaces_the_assumed_rate_of_the_database() -> None:
    measured = line("portfolio/service", "rows/s", 31_000, 30_000, 32_000)
    figure = from_results([*rows(), measured]).figures["capacity/postgres-rows"]
    assert (figure.value, figure.source) == (31_000, "measured")
