"""Measure the research runner beside what else there is: same data, same strategy, same machine.

    python bench/research/run.py DAY.zip [--peers PYTHON] [--bars FILE] [--append FILE --time-utc T]

DAY.zip is a LOBSTER day; PYTHON an interpreter in whose environment the peers are installed
(requirements.txt beside this file). Without it only our side runs. Every number is the smallest CPU
time of several runs of the loop alone: data are loaded, engines built and strategies compiled
before. CPU time, because a shared machine takes wall time away at will; each run is one thread.

Which models each side runs:

- hftbacktest: L3 data, FIFO queue model, constant order latency both ways, no partial fills (the
  only exchange it has for L3). Own orders change nothing in the market.
- tradecore: the engine itself; own orders rest in the real queue, trade in part, and what they take
  is gone; recorded orders that they displaced leave.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from bench.research import flows, ours  # noqa: E402

from tradecore.research import Latency, Recording, Setup, Strategy  # noqa: E402
from tradecore.research.convert import record  # noqa: E402
from tradecore.research.convert_levels import from_bars  # noqa: E402
from tradecore.research.market import Market  # noqa: E402
from tradecore.research.runner import run_market  # noqa: E402

INTERVAL_NS = 100_000_000
ORDER_LATENCY_NS = 1_000_000
QTY, MOST = 100, 1_000


def best_of(build: Callable[[], Any], run: Callable[[Any], object], repeats: int) -> float:
    """Return the smallest CPU time of `run(build())`, seconds; building is not counted."""
    found = []
    for _ in range(repeats):
        ready = build()
        begin = time.process_time()
        run(ready)
        found.append(time.process_time() - begin)
    return min(found)


def compiled(recording: Recording, strategy: Any, subscribed: int, repeats: int) -> dict[str, Any]:
    """Measure a compiled strategy."""
    setup = Setup(latency=Latency.of(0, ORDER_LATENCY_NS, ORDER_LATENCY_NS))
    params = np.zeros(8, np.int64)
    markets: list[Market] = []

    def build() -> Market:
        params[:] = 0
        params[:3] = INTERVAL_NS, QTY, MOST
        markets[:] = [Market(recording, setup, subscribed)]
        return markets[0]

    begin = time.perf_counter()
    idle = Market(recording, setup, subscribed)  # a handle does not keep its loop alive
    strategy(idle.loop.handle, np.array([INTERVAL_NS, QTY, 0] + [0] * 5))
    first = time.perf_counter() - begin
    seconds = best_of(build, lambda market: strategy(market.loop.handle, params), repeats)
    counters = markets[0].loop.counters()
    result = markets[0].result("", {}, "")
    return {
        "peer": "tradecore, compiled",
        "events": len(recording),
        "seconds": seconds,
        "compile_s": first,
        "calls": counters["timer_calls"] + counters["book_calls"],
        "orders": len(result.orders),
        "fills": len(result.fills),
    }


def interpreted(
    recording: Recording, make: Callable[[], Strategy], repeats: int, **settings: Any
) -> dict[str, Any]:
    """Measure a strategy that is a Python class."""
    setup = Setup(**settings)
    last: list[Any] = []

    def run(strategy: Strategy) -> None:
        last[:] = [run_market(recording, strategy, setup)]

    seconds = best_of(make, run, repeats)
    market, result = last[0], last[0].result("", {}, "")
    counters = market.loop.counters()
    return {
        "peer": "tradecore, Python class",
        "events": len(recording),
        "seconds": seconds,
        "calls": sum(counters[f"{kind}_calls"] for kind in ("timer", "book", "trade", "order")),
        "orders": len(result.orders),
        "fills": len(result.fills),
    }


def peer(python: str, name: str, data: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Run a peer in its own environment."""
    command = [python, str(HERE / "peers.py"), name, str(data), json.dumps(settings)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"peer": name, "error": done.stderr.strip().splitlines()[-1:]}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def show(title: str, rows: list[dict[str, Any]]) -> None:
    """Print one comparison; ratios are against the first row."""
    print(f"\n{title}")
    first: float | None = None
    for row in rows:
        if "error" in row:
            print(f"  {row['peer']:26} failed: {row['error']}")
            continue
        ns = row["seconds"] / row["events"] * 1e9
        first = first or ns
        print(
            f"  {row['peer']:26} {ns:9.1f} ns an event  {1e3 / ns:7.2f} M/s  x{ns / first:6.1f}   "
            f"{row['events']:,} events, {row['calls']:,} calls, {row['orders']:,} orders, "
            f"{row['fills']:,} fills"
        )


def compare(
    day: Recording, bars: Recording | None, python: str | None, repeats: int, times: int
) -> dict[str, list[dict[str, Any]]]:
    """Run everything; return the rows of every comparison."""
    long = flows.repeated(day, times)
    found: dict[str, list[dict[str, Any]]] = {}
    models = {"flags": {}}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.npz"
        if python is not None:
            told = subprocess.run(
                [python, str(HERE / "peers.py"), "flags"],
                capture_output=True,
                text=True,
                check=True,
            )
            models["flags"] = json.loads(told.stdout)
            events = flows.as_hftbacktest(day.chunks[0], models["flags"])
            np.savez(data, events=events, bars=bars.chunks[0] if bars is not None else [])
        shared = {
            "interval_ns": INTERVAL_NS,
            "order_latency_ns": ORDER_LATENCY_NS,
            "qty": float(QTY),
            "most": float(MOST),
            "repeats": repeats,
        }
        for mode, strategy, bits in (("timer", ours.quoter, 0), ("feed", ours.eager, 1)):
            rows = [compiled(long, strategy, bits, repeats)]
            if python is not None:
                rows.append(peer(python, "hftbacktest", data, shared | {"mode": mode}))
            found[f"compiled quoter, {mode}"] = rows
        rows = [
            interpreted(long, ours.Quoter, 1),
            interpreted(day, ours.Eager, repeats),
        ]
        rows[0]["peer"] += ", timer"
        rows[1]["peer"] += ", every quote"
        if python is not None:
            for trade in (False, True):
                settings = {"deltas": 40_000, "flags": models["flags"], "trade": trade}
                rows.append(peer(python, "nautilus", data, settings))
                rows[-1]["peer"] += ", quoting" if trade else ", listening"
        found["Python quoter"] = rows
        if bars is not None:
            rows = [interpreted(bars, ours.Crossover, repeats)]
            if python is not None:
                rows.append(peer(python, "backtrader", data, {}))
            found["moving averages over bars"] = rows
    return found


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("day", help="a LOBSTER day (zip)")
    parser.add_argument("--peers", metavar="PYTHON", help="interpreter with the peers installed")
    parser.add_argument(
        "--bars", metavar="FILE", help="one-minute bars (CSV), prices of 5 decimals"
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--times", type=int, default=5, help="the day so many times in a row")
    parser.add_argument("--json", metavar="FILE", help="write the rows as JSON")
    args = parser.parse_args()
    bars = record(from_bars(args.bars, 60_000_000_000, 5)) if args.bars else None
    found = compare(flows.load(args.day), bars, args.peers, args.repeats, args.times)
    for title, rows in found.items():
        show(title, rows)
    if args.json:
        Path(args.json).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    spread = [row["seconds"] for rows in found.values() for row in rows if "seconds" in row]
    print(f"\nsmallest of {args.repeats} runs each; {statistics.fsum(spread):.1f} s of loops shown")


if __name__ == "__main__":
    main()
