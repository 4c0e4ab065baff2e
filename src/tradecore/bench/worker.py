"""One engine in a process of its own, started and stopped over pipes: a cell of a scaling run.

    python -m tradecore.bench.worker --workload pipeline --commands 1500000 --seed 2 --pass 250000

Writes ``ready`` when an engine is built and warm, waits for a line, applies the next commands of
its stream, writes one JSON line with begin and end on the machine's monotonic clock, and is ready
again; at the end of the stream it builds a new engine. Ends when its input does. The parent is
`tradecore.bench.scaling`.
"""

from __future__ import annotations

import argparse
import sys
from time import process_time_ns

import msgspec

from tradecore.bench.inputs import Frames, from_workload
from tradecore.bench.run import quiet_gc
from tradecore.bench.setting import monotonic_ns
from tradecore.engine import Engine
from tradecore.testing.workloads import make

__all__ = ["Pass", "main"]

_BATCH = 256


class Pass(msgspec.Struct, frozen=True):
    """One timed pass: first command, commands, monotonic and CPU nanoseconds, state hash behind."""

    first: int
    commands: int
    begin_ns: int
    end_ns: int
    cpu_ns: int
    state: str


def main(argv: list[str] | None = None) -> int:
    """Serve passes until the input ends."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workload", required=True)
    parser.add_argument("--commands", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--pass", type=int, required=True, dest="each", help="commands of a pass")
    options = parser.parse_args(argv)
    work = from_workload(make(options.workload, options.commands, options.seed))
    each = min(options.each, len(work) // 2)
    warm = len(work) % each or each  # whole passes behind the warm-up
    while True:
        engine = work.engine()
        for batch in work.batches(last=warm):
            engine.apply(batch)
        for first in range(warm, len(work), each):
            batches = work.batches(_BATCH, first, first + each)
            print("ready", flush=True)
            if not sys.stdin.readline():
                return 0
            found = _pass(engine, batches)
            state = engine.state_hash()
            print(msgspec.json.encode(Pass(first, each, *found, state)).decode(), flush=True)


def _pass(engine: Engine, batches: list[Frames]) -> tuple[int, int, int]:
    """Apply batches; return begin and end, and CPU nanoseconds."""
    apply = engine.apply
    with quiet_gc():
        cpu, begin = process_time_ns(), monotonic_ns()
        for batch in batches:
            apply(batch)
        return begin, monotonic_ns(), process_time_ns() - cpu


if __name__ == "__main__":
    sys.exit(main())
