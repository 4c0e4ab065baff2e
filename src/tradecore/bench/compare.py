"""Compare two result files: what became faster, slower, or is not comparable at all.

Results are matched by name, unit, workload hash and conditions; of several results with one key the
newest (last) line of a file counts. Results of different machines are shown and never judged.
Instruction counts repeat to the last digit, so a percent is a regression; times do not, so they
are judged by a margin, and only where their confidence intervals do not overlap.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tradecore.testing.results import Result, higher_is_better
from tradecore.testing.stats import overlap

__all__ = ["COUNT_MARGIN", "Row", "compare", "failures", "render"]

COUNT_MARGIN: Final = 1.0
"""Percent by which a count of instructions may grow, at most."""

_COUNTED: Final = ("instructions/", "events/", "fills/")


@dataclass(frozen=True)
class Row:
    """One key of either file.

    Parameters
    ----------
    name, unit, conditions : str
    old, new : float or None
        Medians; None where a file lacks the key.
    worse_percent : float or None
        By how much the new one costs more, negative for an improvement.
    note : str
        ``new``, ``gone``, ``DIFFERENT RESULT``, ``within noise``...
    judged : bool
        Whether `failures` looks at it.
    """

    name: str
    unit: str
    conditions: str
    old: float | None
    new: float | None
    worse_percent: float | None
    note: str
    judged: bool


def compare(old: Iterable[Result], new: Iterable[Result]) -> list[Row]:
    """Match results by key; later results of a key replace earlier ones. O(n)."""
    before = {r.key: r for r in old}
    after = {r.key: r for r in new}
    rows = []
    for key in [*before, *(k for k in after if k not in before)]:
        a, b = before.get(key), after.get(key)
        one = b or a
        assert one is not None
        worse, note, judged = None, "", False
        if a is None:
            note = "new"
        elif b is None:
            note = "gone"
        else:
            worse, note, judged = _judge(a, b)
        rows.append(
            Row(
                name=one.name,
                unit=one.unit,
                conditions=" ".join(f"{k}={v}" for k, v in sorted(one.conditions.items())),
                old=None if a is None else a.median,
                new=None if b is None else b.median,
                worse_percent=worse,
                note=note,
                judged=judged,
            )
        )
    return rows


def _judge(a: Result, b: Result) -> tuple[float | None, str, bool]:
    worse = _worse_percent(a, b)
    if a.machine.cpu != b.machine.cpu or a.machine.cores != b.machine.cores:
        return worse, "other machine: not judged", False
    # A search or a load stops at another command each time: its hash names a length, not a result.
    if a.result_sha256 != b.result_sha256 and not a.name.startswith("saturation/"):
        return worse, "DIFFERENT RESULT", True
    if a.ci95 is not None and b.ci95 is not None and overlap(a.ci95, b.ci95):
        return worse, "within noise", False
    return worse, "", True


def _worse_percent(a: Result, b: Result) -> float | None:
    """Return by how many percent `b` costs more than `a` (a rate counts as its inverse)."""
    cost_a, cost_b = (b.median, a.median) if higher_is_better(a.unit) else (a.median, b.median)
    return None if cost_a == 0 else (cost_b / cost_a - 1.0) * 100.0


def failures(rows: Iterable[Row], threshold: float) -> list[Row]:
    """Return the judged rows that are worse than allowed or did other work.

    Parameters
    ----------
    rows : iterable of Row
    threshold : float
        Percent for times, rates and sizes; counts of instructions use the smaller of it and
        `COUNT_MARGIN`.
    """
    bad = []
    for row in rows:
        counted = row.unit.startswith(_COUNTED)
        allowed = min(threshold, COUNT_MARGIN) if counted else threshold
        worse = row.worse_percent is not None and row.worse_percent > allowed
        if row.judged and (row.note == "DIFFERENT RESULT" or worse):
            bad.append(row)
    return bad


def render(rows: Iterable[Row]) -> str:
    """Return the table as text."""
    lines = [f"{'benchmark':<44} {'unit':<12} {'old':>11} {'new':>11} {'cost':>8}  note"]
    for row in rows:
        name = f"{row.name} {row.conditions}".strip()
        old = "-" if row.old is None else f"{row.old:,.4g}"
        new = "-" if row.new is None else f"{row.new:,.4g}"
        cost = "" if row.worse_percent is None else f"{row.worse_percent:+.1f}%"
        lines.append(f"{name:<44} {row.unit:<12} {old:>11} {new:>11} {cost:>8}  {row.note}")
    return "\n".join(line.rstrip() for line in lines)
