"""Measure what `pip install` gives people today: one call per order, same seeded flow for all.

    python bench/peers/run.py [PEER...] [--repeats 5] [--append FILE --time-utc T]

Makes an environment of its own under build/peers-venv (never part of the project's), then runs each
peer `--repeats` times in processes of their own, interleaved, and prints medians with what each
package does and does not do. A number without that column would compare different work. Needs a
Python for which the peers publish wheels (3.11 or 3.12): `--python` names one.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from bench.peers.flow import build  # noqa: E402

from tradecore.testing.results import append_results, machine, summarise  # noqa: E402

VENV = ROOT / "build" / "peers-venv"
PHASES = ("add", "match", "cancel")

DOES = {
    "empty-loop": "the Python loop and a call of an empty function: what no peer can undercut",
    "tradecore (matching)": (
        "`engine.limit(...)`: all order types, every event kept; returns status and quantities"
    ),
    "tradecore (pipeline)": "the same with accounts, risk checks, holds, fees and settlement",
    "limit-order-book": (
        "matches by price and time (C++ through ctypes). Reports nothing: no fills, no status; no "
        "IOC, no replace, no accounts; unsigned prices, one book"
    ),
    "cython-orderbook": (
        "matches by price and time, limit and market, keeps a trade log. Decimal prices, ids given "
        "by the book; no IOC, no replace, no accounts"
    ),
    "lightmatchingengine": (
        "matches by price and time and returns trades (pure Python, best price by scanning all "
        "levels). No IOC, no replace, no accounts"
    ),
    "order-book": (
        "a sorted mapping price -> value in C: stores levels, knows no orders and matches nothing; "
        "here one level change per order"
    ),
    "nautilus_trader book": (
        "keeps single orders of a feed (L3) in price order; adding a crossing order does not trade"
    ),
    "nautilus_trader exchange": (
        "simulates a venue for one's own orders against recorded data: all order types, events, "
        "fees. Own orders never trade with each other. Order object and its events included"
    ),
    "hftbacktest (python)": (
        "simulates a venue for one's own orders against recorded data, with queue position and "
        "latency. Own orders never trade with each other. Called from Python"
    ),
    "hftbacktest (njit)": "the same called from a Numba-compiled strategy, as intended",
}


def ensure_venv(python: str) -> Path:
    """Create the peers' environment once; return its interpreter."""
    interpreter = VENV / "bin" / "python"
    stamp = VENV / "requirements.txt"
    wanted = (HERE / "requirements.txt").read_text(encoding="utf-8")
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
        print(f"installing the peers into {VENV.relative_to(ROOT)} ...", file=sys.stderr)
        subprocess.run([python, "-m", "venv", "--clear", str(VENV)], check=True)
        pip = [str(interpreter), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(HERE / "requirements.txt")], check=True)
        stamp.write_text(wanted, encoding="utf-8")
    return interpreter


def measure(interpreter: Path, peer: str, flow: Path) -> dict[str, Any]:
    """Run one peer once, in its environment; one that fails says so in place of numbers."""
    environment = dict(os.environ)
    if peer.startswith("tradecore"):
        # Ours runs in the environment it is installed in, or from the checkout built in place.
        interpreter = Path(sys.executable)
        environment["PYTHONPATH"] = os.pathsep.join(
            filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")])
        )
    command = [str(interpreter), str(HERE / "adapters.py"), peer, str(flow)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=True, env=environment
        )
    except subprocess.TimeoutExpired:
        return {"checked": "took longer than 60 s"}
    except subprocess.CalledProcessError as error:
        return {"checked": "failed: " + (error.stderr.strip().splitlines() or ["no message"])[-1]}
    row: dict[str, Any] = json.loads(done.stdout)
    return row


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("peers", nargs="*", metavar="PEER", default=list(DOES))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--python", default=sys.executable, help="interpreter for the environment")
    parser.add_argument("--append", type=Path, metavar="FILE")
    parser.add_argument("--time-utc", default="", help="ISO 8601 time for the result lines")
    options = parser.parse_args(argv)
    unknown = [peer for peer in options.peers if peer not in DOES]
    if unknown:
        parser.error(f"no such peer: {', '.join(unknown)}; there are: {', '.join(DOES)}")
    interpreter = ensure_venv(options.python)
    flow = VENV / "flow.json"
    flow.write_text(json.dumps(dataclasses.asdict(build())), encoding="utf-8")

    runs: dict[str, list[dict[str, Any]]] = {peer: [] for peer in options.peers}
    for _ in range(options.repeats):
        for peer in options.peers:
            runs[peer].append(measure(interpreter, peer, flow))

    here = machine()
    results = []
    print(f"{'ns per call, median':<26} {'add':>9} {'match':>9} {'cancel':>9}  check")
    for peer, rows in runs.items():
        cells = []
        for phase in PHASES:
            values = [row[phase] for row in rows if row.get(phase) is not None]
            cells.append(f"{statistics.median(values):9,.0f}" if values else f"{'-':>9}")
            if values:
                result = summarise(
                    values,
                    name=f"peers/{phase}",
                    unit="ns/call",
                    machine=here,
                    commit="",
                    time_utc=options.time_utc,
                    conditions={"peer": peer, "note": DOES[peer]},
                )
                results.append(result)
        print(f"{peer:<26} {' '.join(cells)}  {rows[-1]['checked']}")
    print()
    for peer in options.peers:
        print(f"{peer}: {DOES[peer]}")
    if options.append is not None:
        append_results(options.append, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
