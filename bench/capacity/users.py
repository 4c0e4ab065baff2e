"""Whether a cell with so many users takes the memory and the time that a plan says it takes.

    python bench/capacity/users.py [--users 1000000] [--from capacity.jsonl]
                                   [--json] [--append FILE --time-utc T]

Builds one engine with that many funded accounts, half of which keep an order, and takes a snapshot
and a restore. Each measurement stands beside what `tradecore plan` derives from coefficients that
were measured on a tenth of that size.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from tradecore.bench.memory import open_orders, open_venue, resident_bytes  # noqa: E402
from tradecore.bench.run import quiet_gc, same  # noqa: E402
from tradecore.bench.setting import Setting, commit_of, load_average, monotonic_ns  # noqa: E402
from tradecore.capacity.coefficients import Coefficients, from_results  # noqa: E402
from tradecore.capacity.plan import state_parts  # noqa: E402
from tradecore.engine import Engine  # noqa: E402
from tradecore.testing.results import Result, append_results, read_results  # noqa: E402

EXAMPLE = ROOT / "src" / "tradecore" / "capacity" / "example.jsonl"
BATCH = 4_096


def measure(setting: Setting, users: int, coefficients: Coefficients) -> list[Result]:
    """Build the cell and measure it; a line each for memory, snapshot bytes, take and restore."""
    orders = users // 2
    instruments = min(1_000, max(users // 200, 1))
    before = resident_bytes()
    engine = open_venue(max(orders, 1_024), users, instruments)
    frames = open_orders(orders, users, instruments)
    # Half of the accounts keep an order; `open_orders` deals them out, one each.
    frames["account_id"] = 1 + np.arange(orders) * 2 % users
    for at in range(0, orders, BATCH):
        engine.apply(frames[at : at + BATCH])
    grown = resident_bytes() - before
    if engine.counters()["live_orders"] != orders:
        raise AssertionError("not all orders came to rest")
    with quiet_gc():
        begin = monotonic_ns()
        data = engine.snapshot()
        taken = monotonic_ns()
        other = Engine.restore(data)
        done = monotonic_ns()
    state = engine.state_hash()
    same("snapshot", state, other.state_hash())
    # An order in an instrument gives its account a position there.
    state_of = state_parts(users, 0.5, 0.5) | {"wallet": 0.0}
    rows = (
        ("memory", "GB", grown, "capacity/{}-bytes", 1e9),
        ("snapshot-bytes", "GB", len(data), "capacity/snapshot-bytes:{}", 1e9),
        ("snapshot-take", "s", taken - begin, "capacity/snapshot-take:{}", 1e9),
        ("snapshot-restore", "s", done - taken, "capacity/snapshot-restore:{}", 1e9),
    )
    results = []
    for name, unit, measured, key, scale in rows:
        # Coefficients of time are in microseconds.
        each = 1e3 if unit == "s" else 1.0
        predicted = each * sum(
            n * coefficients.value(key.format(part)) for part, n in state_of.items()
        )
        results.append(
            setting.result(
                f"users/{name}",
                unit,
                [measured / scale],
                conditions={"users": users, "orders": orders, "instruments": instruments},
                observed={
                    "predicted": round(predicted / scale, 4),
                    "error": round(predicted / measured - 1, 3),
                },
                sha256=state,
            )
        )
    return results


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--from", dest="source", type=Path, default=EXAMPLE, metavar="FILE")
    parser.add_argument("--json", action="store_true", help="print result lines instead of a table")
    parser.add_argument("--append", type=Path, metavar="FILE")
    parser.add_argument("--time-utc", default="", help="ISO 8601 time for the result lines")
    options = parser.parse_args(argv)
    setting = Setting(
        commit=commit_of(ROOT), time_utc=options.time_utc, load_1m=load_average(), repeats=1
    )
    coefficients = from_results(read_results(options.source), str(options.source))
    results = measure(setting, options.users, coefficients)
    if options.json:
        for result in results:
            print(msgspec.json.encode(result).decode())
    else:
        print(f"{options.users:,} users on {setting.machine.cpu}, load {setting.load_1m:.2f}")
        print(f"{'':<24} {'measured':>10} {'predicted':>10} {'error':>7}")
        for each in results:
            seen = each.observed
            print(
                f"{each.name:<24} {each.median:>10.3f} {float(seen['predicted']):>10.3f} "
                f"{float(seen['error']):>+7.0%}  {each.unit}"
            )
    if options.append is not None:
        append_results(options.append, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
