"""Compare two result files: what became faster, slower, or is not comparable at all.

    python bench/compare.py OLD.jsonl NEW.jsonl [--fail-above PERCENT] [--json]

Results are matched by name, unit, workload hash and conditions; of several results with one key
the newest (last) line of a file counts. Exit status: 0 fine, 1 when `--fail-above` is given and a
comparable result is worse by more than that, or computed something else than before, 2 for a file
that cannot be read. Results of different machines are shown and never judged.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

import msgspec

from tradecore.errors import DataError
from tradecore.testing.results import Result, higher_is_better, read_results


@dataclass(frozen=True)
class Row:
    """One key of either file. `worse_percent` is negative for an improvement."""

    name: str
    unit: str
    conditions: str
    old: float | None
    new: float | None
    worse_percent: float | None
    note: str
    judged: bool


def compare(old: list[Result], new: list[Result]) -> list[Row]:
    """Match results by key; later results of a key replace earlier ones."""
    before = {r.key: r for r in old}
    after = {r.key: r for r in new}
    rows = []
    for key in [*before, *(k for k in after if k not in before)]:
        a, b = before.get(key), after.get(key)
        one = b or a
        assert one is not None
        conditions = " ".join(f"{k}={v}" for k, v in sorted(one.conditions.items()))
        worse, note, judged = None, "", False
        if a is None:
            note = "new"
        elif b is None:
            note = "gone"
        else:
            worse = _worse_percent(a, b)
            if a.machine.cpu != b.machine.cpu or a.machine.cores != b.machine.cores:
                note = "other machine: not judged"
            elif a.result_sha256 != b.result_sha256:
                note, judged = "DIFFERENT RESULT", True
            else:
                judged = True
        rows.append(
            Row(
                name=one.name,
                unit=one.unit,
                conditions=conditions,
                old=None if a is None else a.median,
                new=None if b is None else b.median,
                worse_percent=worse,
                note=note,
                judged=judged,
            )
        )
    return rows


def _worse_percent(a: Result, b: Result) -> float | None:
    """Return by how many percent `b` costs more than `a` (a rate counts as its inverse)."""
    cost_a, cost_b = (b.median, a.median) if higher_is_better(a.unit) else (a.median, b.median)
    return None if cost_a == 0 else (cost_b / cost_a - 1.0) * 100.0


def failures(rows: list[Row], threshold: float) -> list[Row]:
    """Return the judged rows that are worse than allowed or did other work."""
    return [
        row
        for row in rows
        if row.judged and (row.note == "DIFFERENT RESULT" or (row.worse_percent or 0.0) > threshold)
    ]


def render(rows: list[Row]) -> str:
    """Return the table as text."""
    lines = [f"{'benchmark':<44} {'unit':<12} {'old':>11} {'new':>11} {'cost':>8}  note"]
    for row in rows:
        name = f"{row.name} {row.conditions}".strip()
        old = "-" if row.old is None else f"{row.old:,.4g}"
        new = "-" if row.new is None else f"{row.new:,.4g}"
        cost = "" if row.worse_percent is None else f"{row.worse_percent:+.1f}%"
        lines.append(f"{name:<44} {row.unit:<12} {old:>11} {new:>11} {cost:>8}  {row.note}")
    return "\n".join(line.rstrip() for line in lines)


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("old", help="result file to compare with")
    parser.add_argument("new", help="result file to judge")
    parser.add_argument("--fail-above", type=float, metavar="PERCENT", default=None)
    parser.add_argument("--json", action="store_true", help="print rows as JSON lines")
    options = parser.parse_args(argv)
    try:
        rows = compare(read_results(options.old), read_results(options.new))
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.json:
        for row in rows:
            print(msgspec.json.encode(row).decode())
    else:
        print(render(rows))
    if options.fail_above is None:
        return 0
    bad = failures(rows, options.fail_above)
    if bad and not options.json:
        print(f"\n{len(bad)} of {len(rows)} worse by more than {options.fail_above:g} %")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
