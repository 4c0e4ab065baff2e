"""What counts as worse: intervals that overlap do not, an instruction more does."""

from __future__ import annotations

from typing import Any

import pytest

from tradecore.bench.compare import compare, failures
from tradecore.testing.results import Machine, Result, summarise

MACHINE = Machine(cpu="Test", cores=2, kernel="Linux", compiler="gcc -O3", python="3.11")


def result(*values: float, **changes: Any) -> Result:
    fields: dict[str, Any] = {
        "name": "matching/busy",
        "unit": "ns/command",
        "machine": MACHINE,
        "commit": "abc",
        "time_utc": "2026-01-01T00:00:00Z",
        "result_sha256": "f00",
    }
    return summarise(values, **(fields | changes))


def test_times_within_each_others_noise_are_not_judged() -> None:
    noisy = compare([result(30, 40, 50)], [result(35, 50, 60)])
    assert noisy[0].note == "within noise"
    assert not failures(noisy, 8)
    clear = compare([result(30, 30.1, 30.2)], [result(40, 40.1, 40.2)])
    assert clear[0].worse_percent == pytest.approx(33.2, abs=0.1)
    assert len(failures(clear, 8)) == 1


def test_instructions_may_grow_by_a_percent_whatever_the_margin() -> None:
    counted = {"name": "instructions/busy", "unit": "instructions/command"}
    small = compare([result(1_000.0, **counted)], [result(1_009.0, **counted)])
    large = compare([result(1_000.0, **counted)], [result(1_011.0, **counted)])
    assert not failures(small, 50)
    assert len(failures(large, 50)) == 1


def test_saturation_of_another_length_is_not_other_work() -> None:
    one = {"name": "saturation/engine", "unit": "commands/s"}
    rows = compare([result(1e6, **one)], [result(1e6, **one, result_sha256="bar")])
    assert not failures(rows, 8)
    rows = compare([result(1e6)], [result(1e6, result_sha256="bar")])
    assert len(failures(rows, 8)) == 1
