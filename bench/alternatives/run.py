"""Measure the engines of this folder on the published workloads and print or append results.

    python bench/alternatives/run.py [NAME...] [--repeats 7] [--append FILE --time-utc T]

Builds the driver, writes the workloads into build/workloads (once) and runs all engines
interleaved: once with tables as small as the workload allows, once sized for a million orders, as
somebody would who does not know the flow beforehand. Names default to all workloads. `--append`
adds one `Result` line an engine; the time is the caller's, as for every result.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from bench.workloads import SUITE  # noqa: E402

from tradecore.testing.results import SCHEMA, Result, append_results, machine  # noqa: E402

CAPACITIES = (0, 1_000_000)  # orders the engines are sized for; 0: what the workload needs


def output(*command: str | Path) -> str:
    """Return the standard output of a command that must succeed."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    return done.stdout.strip()


def commit() -> str:
    """Return the checked-out commit, with a plus sign where files differ from it."""
    git = shutil.which("git")
    if git is None:
        return ""
    return output(git, "rev-parse", "HEAD") + ("+" if output(git, "status", "--porcelain") else "")


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", default=list(SUITE))
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--append", type=Path, metavar="FILE")
    parser.add_argument("--time-utc", default="", help="ISO 8601 time for the result lines")
    options = parser.parse_args(argv)
    make = shutil.which("make")
    if make is None:
        print("error: needs make and a C++ compiler", file=sys.stderr)
        return 2
    build = ROOT / "build"
    output(make, "-s", "-C", Path(__file__).parent, f"BUILD={build / 'alternatives'}")
    here = machine(output(shutil.which("g++") or "c++", "--version").splitlines()[0] + " -O3")
    at = commit()
    print(
        f"{'workload':<12} {'engine':<24} {'capacity':>9} {'median':>8} {'min':>8} {'max':>8}"
        "  ns/command"
    )
    for name, capacity in itertools.product(options.names, CAPACITIES):
        entry = SUITE[name]
        path = build / "workloads" / f"{name}-{entry.sha256[:12]}.bin"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(entry.make().encode())
        arguments = ["--repeats", str(options.repeats), "--capacity", str(capacity)]
        lines = output(build / "alternatives" / "driver", path, *arguments).splitlines()
        rows = [json.loads(line) for line in lines]
        sized = f"{capacity:,}" if capacity else "as needed"
        results = [
            Result(
                schema=SCHEMA,
                name=f"matching/{name}",
                unit=row["unit"],
                median=row["median"],
                min=row["min"],
                max=row["max"],
                repeats=row["repeats"],
                conditions={
                    "engine": row["engine"],
                    "batch": row["batch"],
                    "capacity": sized,
                },
                machine=here,
                commit=at,
                workload=entry.ref,
                # The driver's own checksum of its event stream: equal for engines that agree.
                result_sha256=row["checksum"],
                time_utc=options.time_utc,
            )
            for row in rows
        ]
        for row in rows:
            print(
                f"{name:<12} {row['engine']:<24} {sized:>9} {row['median']:8.1f} "
                f"{row['min']:8.1f} {row['max']:8.1f}"
            )
        if options.append is not None:
            append_results(options.append, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
