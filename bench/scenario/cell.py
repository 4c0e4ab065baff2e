"""What a cell costs beside its engine: reading records, judging them, and saying what they made.

    python bench/scenario/cell.py [--workload busy] [--commands 1000000] [--batches 256,4096]
                                  [--repeats 5] [--json] [--append FILE --time-utc T]

Rows, nanoseconds a command, each round running all of them over the same commands:

- engine: `Engine.apply` of the frames, accounts, risk and ledger on;
- read: envelopes decoded, checksums verified, commands counted; no engine;
- gate: order ids looked up and remembered, sessions checked, the engine, execution frames and
  market data written;
- cell: `Cell.apply`: read and gate and what Python adds;
- cell-sealed: and the outputs sealed into the records that would be sent.

A cell that did other work than the engine alone makes the run invalid: the engine's state inside is
compared. Cells have met every page of their memory before they are measured.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import msgspec
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from bench.scenario.mark import commit  # noqa: E402

from tradecore.bench.inputs import Input, funded, generated  # noqa: E402
from tradecore.bench.run import quiet_gc, same  # noqa: E402
from tradecore.cell import Cell, CellConfig  # noqa: E402
from tradecore.codes import CommandKind  # noqa: E402
from tradecore.envelope import decode, encode, seal  # noqa: E402
from tradecore.errors import ConfigError  # noqa: E402
from tradecore.testing.results import Result, append_results, machine, summarise  # noqa: E402
from tradecore_ext.framing import count_commands  # noqa: E402
from tradecore_ext.gate import FrameBuffer, Gate  # noqa: E402

ROWS = ("engine", "read", "gate", "cell", "cell-sealed")
ORDERS = (CommandKind.NEW_ORDER, CommandKind.CANCEL_ORDER, CommandKind.REPLACE_ORDER)


class Log:
    """A workload as a log: envelopes of `batch` commands whose order ids carry a session."""

    def __init__(self, work: Input, batch: int) -> None:
        frames = work.commands.copy()
        orders = np.isin(frames["kind"], ORDERS)
        bare = orders & (frames["order_id"] >> np.uint64(32) == 0)
        frames["order_id"][bare] |= np.uint64(1 << 32)
        session = (frames["order_id"] >> np.uint64(32)).astype(np.uint32)
        frames["session_id"][orders] = session[orders]
        self.work = work
        self.batches = [frames[at : at + batch] for at in range(0, len(frames), batch)]
        self.times = [int(part["ts_ns"][-1]) for part in self.batches]
        for part, ts_ns in zip(self.batches, self.times, strict=True):
            part["ts_ns"] = ts_ns  # as the cell will write it: the engines then do the same
        self.payloads = [encode(seal(part, source=0, first_seq=1)) for part in self.batches]
        # Ids that come again later in a workload would be answered instead of applied.
        ids = frames["order_id"][frames["kind"] == CommandKind.NEW_ORDER]
        if len(np.unique(ids)) != len(ids):
            raise ConfigError(f"workload {work.ref.name} uses order ids twice")
        self.commands = len(frames)
        self.config = CellConfig(
            engine=msgspec.structs.replace(work.config, accounts=True),
            recent_orders=max(len(ids) // 2, 1),
        )

    def cell(self) -> Cell:
        """Return a cell with the venue set up."""
        cell = Cell(self.config)
        setup = encode(seal(self.work.setup, source=0, first_seq=1))
        cell.apply(0, int(self.work.setup["ts_ns"].max()), setup)
        return cell


def run_engine(log: Log) -> tuple[float, str]:
    """Apply the frames alone; seconds and state."""
    engine = log.work.engine(accounts=True)
    apply = engine.apply
    with quiet_gc():
        start = time.perf_counter()
        for part in log.batches:
            apply(part)
        seconds = time.perf_counter() - start
    return seconds, engine.state_hash()


def run_read(log: Log) -> float:
    """Read the records alone."""
    with quiet_gc():
        start = time.perf_counter()
        for payload in log.payloads:
            found = decode(payload)
            if count_commands(found.frames) != found.count:
                raise AssertionError("a record of this log is not what was written")
        return time.perf_counter() - start


def run_gate(log: Log) -> tuple[float, str]:
    """Gate and engine without what Python does around them."""
    engine = log.work.engine(accounts=True)
    config = log.config
    gate = Gate(
        engine,
        recent_orders=config.recent_orders,
        max_instruments=config.engine.max_instruments,
        sessions=True,
        id_seed=config.engine.id_seed,
        depth_levels=config.depth_levels,
        depth_ns=config.depth_ns,
    )
    with quiet_gc():
        start = time.perf_counter()
        for n, (part, ts_ns) in enumerate(zip(log.batches, log.times, strict=True)):
            gate.run(part, ts_ns, n, 0, 1, FrameBuffer(), FrameBuffer())
        seconds = time.perf_counter() - start
    return seconds, engine.state_hash()


def run_cell(log: Log, *, sealed: bool) -> tuple[float, str, dict[str, float]]:
    """Apply the records; seconds, state of the engine inside, frames a command."""
    cell = log.cell()
    executions = market = 0
    with quiet_gc():
        start = time.perf_counter()
        for n, (payload, ts_ns) in enumerate(zip(log.payloads, log.times, strict=True), 1):
            output = cell.apply(n, ts_ns, payload)
            executions += len(output.frames)
            market += len(output.market_frames)
            if sealed:
                output.executions(cell)
                output.market(cell)
        seconds = time.perf_counter() - start
    seen = {
        "execution_frames": round(executions / log.commands, 3),
        "market_frames": round(market / log.commands, 3),
    }
    return seconds, cell.engine.state_hash(), seen


def measure(
    name: str, commands: int, batches: list[int], repeats: int, at: str, when: str
) -> list[Result]:
    """Run all rows of all batch sizes in rounds."""
    work = funded(name, commands) if name != "pipeline" else generated(name, commands)
    results = []
    for batch in batches:
        log = Log(work, batch)
        values: dict[str, list[float]] = {row: [] for row in ROWS}
        seen: dict[str, float] = {}
        state = ""
        for _ in range(repeats):
            seconds, state = run_engine(log)
            values["engine"].append(seconds)
            values["read"].append(run_read(log))
            seconds, found = run_gate(log)
            values["gate"].append(seconds)
            same("gate", state, found)
            for row in ("cell", "cell-sealed"):
                seconds, found, seen = run_cell(log, sealed=row == "cell-sealed")
                values[row].append(seconds)
                same(row, state, found)
        results += [
            summarise(
                [1e9 * seconds / log.commands for seconds in values[row]],
                name=f"cell/{row}",
                unit="ns/command",
                machine=machine("cython"),
                commit=at,
                time_utc=when,
                conditions={"commands": log.commands, "batch": batch, "accounts": True},
                observed={**seen, "orders_per_s": round(log.commands / min(values[row]))},
                workload=work.ref,
                result_sha256=state,
            )
            for row in ROWS
        ]
    return results


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workload", default="busy", help="of one instrument, or 'pipeline'")
    parser.add_argument("--commands", type=int, default=1_000_000)
    parser.add_argument("--batches", default="256,4096", help="commands of a record")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print result lines instead of a table")
    parser.add_argument("--append", type=Path, metavar="FILE")
    parser.add_argument("--time-utc", default="", help="ISO 8601 time for the result lines")
    options = parser.parse_args(argv)
    batches = [int(size) for size in options.batches.split(",")]
    results = measure(
        *(options.workload, options.commands, batches, options.repeats),
        *(commit(), options.time_utc),
    )
    if options.json:
        for result in results:
            print(msgspec.json.encode(result).decode())
    else:
        cpu = results[0].machine.cpu
        print(f"{options.commands:,} commands, {cpu}, medians of {options.repeats}, ns/command")
        print(f"{'row':<18}" + "".join(f"{f'batch {size}':>22}" for size in batches))
        for row in ROWS:
            mine = [result for result in results if result.name == f"cell/{row}"]
            cells = [f"{r.median:8.1f} ({r.min:.1f}-{r.max:.1f})" for r in mine]
            print(f"{f'cell/{row}':<18}" + "".join(f"{cell:>22}" for cell in cells))
        for size in batches:
            rate = 1e9 / statistics.median(
                r.median
                for r in results
                if r.name == "cell/cell-sealed" and r.conditions["batch"] == size
            )
            print(f"records of {size}: {rate / 1e6:.2f} million commands/s, sealed")
    if options.append is not None:
        append_results(options.append, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
