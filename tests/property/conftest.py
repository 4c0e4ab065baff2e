"""Adds up what the random streams reached, over all processes, and prints it at the end.

A test hands its counts over as ``record_property("coverage", {...})``; the properties of a report
travel from xdist workers to the process that writes the summary.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

import pytest

from watchdog import ends_within

HITS: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def watched(request: pytest.FixtureRequest) -> Iterator[None]:
    """A random stream may find an endless loop; nightly streams are longer."""
    with ends_within(6 * 3600 if request.config.getoption("--nightly") else 240):
        yield


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when != "call":
        return
    for name, value in report.user_properties:
        if name == "coverage":
            HITS.update(json.loads(str(value)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not HITS:
        return
    terminalreporter.section("random streams: what happened how often")
    rows = [f"{name} {count}" for name, count in sorted(HITS.items())]
    width = max(map(len, rows)) + 2
    for at in range(0, len(rows), 3):
        terminalreporter.write_line("".join(row.ljust(width) for row in rows[at : at + 3]))
