"""Latency of the whole pipeline in open loop, over rates: where the knee is.

    python bench/scenario/sweep.py [--rates 250000,500000,...] [--commands N] [--repeats 3]
                                   [--json] [--append FILE --time-utc T]

Each rate is measured like the row `latency` of `tradecore bench`: from scheduled send times, so a
command waits for those before it. A rate that the engine does not keep up with shows as latencies
that grow with the length of the run. The state hash after every run must be the same.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from tradecore.bench.latency import latency  # noqa: E402
from tradecore.bench.setting import Setting, commit_of, load_average  # noqa: E402
from tradecore.testing.results import append_results  # noqa: E402

RATES = "250000,500000,1000000,2000000,3000000,4000000,6000000"


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rates", default=RATES, help="commands a second, separated by commas")
    parser.add_argument("--commands", type=int, default=2_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print result lines instead of a table")
    parser.add_argument("--append", type=Path, metavar="FILE")
    parser.add_argument("--time-utc", default="", help="ISO 8601 time for the result lines")
    options = parser.parse_args(argv)
    setting = Setting(
        repeats=options.repeats,
        commands=options.commands,
        scale=min(options.commands / 2_000_000, 1.0),
        commit=commit_of(ROOT),
        time_utc=options.time_utc,
        load_1m=load_average(),
    )
    results = []
    shown = ("p50", "p99", "p99.9", "p99.99", "max")
    if not options.json:
        print(f"{'commands/s':>12} {'achieved':>12}" + "".join(f"{name:>12}" for name in shown))
    for rate in (int(text) for text in options.rates.split(",")):
        measured = latency(setting, rate)
        results += measured
        # The compiled caller comes first; without Numba there is only the one from Python.
        rows = {f"latency/{each.name.partition('/')[2]}": each for each in reversed(measured)}
        if not options.json:
            values = [rows[f"latency/{name}"].median for name in shown]
            achieved = rows["latency/p50"].observed["achieved_per_s"]
            print(f"{rate:>12,} {achieved:>12,}" + "".join(f"{value:>12,.0f}" for value in values))
    if options.json:
        for result in results:
            print(msgspec.json.encode(result).decode())
    if options.append is not None:
        append_results(options.append, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
