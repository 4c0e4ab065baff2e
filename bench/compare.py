"""Compare two result files: what became faster, slower, or is not comparable at all.

    python bench/compare.py OLD.jsonl NEW.jsonl [--fail-above PERCENT] [--json]

The same as `tradecore bench compare`; what is judged, and how, stands in `tradecore.bench.compare`.
Exit status: 0 fine, 1 when `--fail-above` is given and a comparable result is worse by more than
that, or computed something else than before, 2 for a file that cannot be read.
"""

from __future__ import annotations

import argparse
import sys

import msgspec

from tradecore.bench.compare import Row, compare, failures, render
from tradecore.errors import DataError
from tradecore.testing.results import read_results

__all__ = ["Row", "compare", "failures", "main", "render"]


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
