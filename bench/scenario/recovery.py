"""How long an exchange is away: promotion of a standby, cold restart, a million accounts.

    python bench/scenario/recovery.py [promotion|restart|million ...] [--log file|kafka://HOST:PORT]
        [--rounds 11] [--accounts 1000000] [--json] [--append FILE --time-utc T]

- promotion: primary and standby on one log (an embedded log in a process of its own, or Kafka),
  2,000 orders a second; the primary is killed (SIGKILL); the time until the first execution of an
  order that was sent after the kill is heard. The roles change after every round.
- restart: a trading process is killed after 2,000,000 commands, the last half of them behind the
  newest snapshot; the time from its start until it serves, and the rate at which it caught up.
- million: one cell with 1,000,000 funded accounts that each hold a position: memory, the pause of a
  forked snapshot, the time until it is durable, the time to restore it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "src"), str(ROOT / "shells")]

from bench.scenario.cell import Log as SessionLog  # noqa: E402
from bench.scenario.exchange import Heard, _connected, _set_up, _toml, sustained  # noqa: E402

from tradecore.bench.inputs import funded  # noqa: E402
from tradecore.bench.setting import commit_of, load_average  # noqa: E402
from tradecore.cell import Cell, CellConfig, source_of  # noqa: E402
from tradecore.codes import CommandKind, OrdType, Tif  # noqa: E402
from tradecore.dtypes import ADMIN, COMMAND  # noqa: E402
from tradecore.engine import EngineConfig  # noqa: E402
from tradecore.envelope import encode, seal  # noqa: E402
from tradecore.storage import SnapshotStore  # noqa: E402
from tradecore.testing import _venue  # noqa: E402
from tradecore.testing.results import machine  # noqa: E402
from tradecore_shells.plumbing.ports import TRADING_COMMANDS  # noqa: E402
from tradecore_shells.plumbing.snapshots import ForkedSnapshots  # noqa: E402

ENV = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'shells'}"}


class Process:
    """One service of an exchange, restartable."""

    def __init__(self, module: str, settings: dict[str, Any], folder: Path, name: str) -> None:
        self.name = name
        self._module = module
        self._path = folder / f"{name}.toml"
        self._log = folder / f"{name}.log"
        self._path.write_text(_toml(settings), "utf-8")
        self.process: subprocess.Popen[bytes]
        self.start()

    def start(self) -> None:
        """Start it; its log is emptied."""
        with self._log.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self._module, str(self._path)], env=ENV, stderr=stream
            )

    def kill(self) -> None:
        """End it without warning."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)

    def poll(self) -> int | None:
        """As of a Popen."""
        return self.process.poll()

    def saw(self, what: str) -> bool:
        """Whether its log has a text."""
        return what in self._log.read_text("utf-8", "replace")

    def stop(self) -> None:
        """End it in order."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)


class _Endpoint:
    """What `_connected` needs of an exchange."""

    def __init__(self, url: str, process: Process) -> None:
        self.url, self.process = url, process


def _trading(
    folder: Path, url: str, config: CellConfig, name: str, role: str, every_s: float
) -> dict[str, Any]:
    return {
        "log": {"url": url},
        "cell": msgspec.to_builtins(config),
        "trading": {
            "role": role, "snapshots": str(folder / f"snapshots-{name}"),
            "snapshot_every_s": every_s, "takeover_s": 0.5, "tick_s": 0.02,
        },
    }  # fmt: skip


async def promotion(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Kill primaries and wait for the other's first execution."""
    work = funded("busy", 400_000)
    config = CellConfig(engine=msgspec.structs.replace(work.config, prefault=False))
    parts: list[Process] = []
    url = args.log
    if url == "file":
        url = f"unix:{folder}/log.sock"
        parts.append(
            Process(
                "tradecore_shells.logd",
                {"log": {"url": url}, "log_server": {"folder": str(folder / "log")}},
                folder, "log",
            )
        )  # fmt: skip
    pair = [
        Process("tradecore_shells.trading",
                _trading(folder, url, config, name, role, 5.0), folder, name)
        for name, role in (("a", "primary"), ("b", "standby"))
    ]  # fmt: skip
    parts += pair
    try:
        endpoint = _Endpoint(url, pair[0])
        log, reading = await _connected(endpoint), await _connected(endpoint)  # type: ignore[arg-type]
        heard = await _set_up(log, reading, work)
        source = SessionLog(work, 20)
        payloads = iter(source.payloads)
        away: list[float] = []
        primary, standby = pair
        for _ in range(args.rounds):
            while not standby.saw('"state": "standby"'):
                await _send(log, payloads, 0.05)
            await _send(log, payloads, 1.5)
            primary.kill()
            killed = time.perf_counter()
            offset = await log.append(TRADING_COMMANDS, 0, [next(payloads)])
            waiting = asyncio.create_task(heard.until(offset))
            while not waiting.done():
                await _send(log, payloads, 0.01)
            away.append(time.perf_counter() - killed)
            # The killed one comes back as the standby of the other.
            settings = _trading(folder, url, config, primary.name, "standby", 5.0)
            (folder / f"{primary.name}.toml").write_text(_toml(settings), "utf-8")
            primary.start()
            primary, standby = standby, primary
        heard.task.cancel()
        await log.close()
        await reading.close()
    finally:
        for part in reversed(parts):
            part.stop()
    return {
        "row": "promotion", "log": args.log, "rounds": len(away), "takeover_s": 0.5,
        "median_s": round(statistics.median(away), 3), "max_s": round(max(away), 3),
        "min_s": round(min(away), 3),
    }  # fmt: skip


async def _send(log: Any, payloads: Any, seconds: float) -> None:
    """Send 2,000 orders a second in envelopes of 20."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        await log.append(TRADING_COMMANDS, 0, [next(payloads)])
        await asyncio.sleep(0.01)


async def restart(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Kill a trading process and wait until it serves again."""
    work = funded("busy", args.commands)
    config = CellConfig(engine=msgspec.structs.replace(work.config, prefault=False))
    settings = _trading(folder, "", config, "x", "primary", 3600.0)
    settings["log"] = {"url": f"file:{folder}/log", "serve": f"unix:{folder}/log.sock"}
    process = Process("tradecore_shells.trading", settings, folder, "x")
    try:
        endpoint = _Endpoint(f"unix:{folder}/log.sock", process)
        source = SessionLog(work, 1024)
        half = len(source.payloads) // 2

        async def feed(payloads: list[bytes], first: bool) -> None:
            log, reading = await _connected(endpoint), await _connected(endpoint)  # type: ignore[arg-type]
            if first:
                heard = await _set_up(log, reading, work)
            else:
                heard = Heard(reading, (await reading.bounds("executions", 0)).end)
            await sustained(log, heard, payloads, 1)
            heard.task.cancel()
            await log.close()
            await reading.close()

        await feed(source.payloads[:half], first=True)
        process.stop()  # drains: a snapshot behind the first half
        process.start()
        await feed(source.payloads[half:], first=False)
        process.kill()
        begin = time.perf_counter()
        process.start()
        while not process.saw('"state": "primary"'):  # noqa: ASYNC110  (a line in a file)
            await asyncio.sleep(0.005)
        took = time.perf_counter() - begin
        text = (folder / "x.log").read_text("utf-8")
        stamps = {
            name: float(found[0])
            for name, pattern in (("loaded", r'"ts": "([0-9.]+)"[^\n]*"event": "loaded"'),
                                  ("primary", r'"ts": "([0-9.]+)"[^\n]*"state": "primary"'))
            if (found := re.findall(pattern, text))
        }  # fmt: skip
        behind = sum(len(part) for part in source.batches[half:])
        catch_up = stamps["primary"] - stamps["loaded"]
    finally:
        process.stop()
    return {
        "row": "restart", "commands_behind_snapshot": behind,
        "start_to_serving_s": round(took, 3), "catch_up_s": round(catch_up, 3),
        "catch_up_commands_per_s": round(behind / catch_up),
    }  # fmt: skip


def million(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Fill a cell with accounts and positions; save and restore it."""
    n = args.accounts
    config = CellConfig(
        engine=EngineConfig(
            accounts=True, max_accounts=n + 1, max_orders=1 << 16, max_instruments=4, max_groups=2,
            max_assets=4, max_wallets=2 * n + 8, max_positions=n + 8,
        ),
        recent_orders=1 << 20,
    )  # fmt: skip
    cell = Cell(config)
    at = 0

    def apply(frames: Any) -> None:
        nonlocal at
        cell.apply(at, at, encode(seal(frames, source=0, first_seq=1)))
        at += 1

    apply(_venue.instrument_frames(1, 0, fees=True))
    for first in range(0, n + 1, 50_000):
        ids = np.arange(first, min(first + 50_000, n + 1))
        for kind, asset in (
            (CommandKind.ACCOUNT, 0), (CommandKind.DEPOSIT, 0), (CommandKind.DEPOSIT, 1)
        ):  # fmt: skip
            frames = np.zeros(len(ids), ADMIN)
            frames["kind"], frames["account_id"] = kind, ids
            if kind == CommandKind.DEPOSIT:
                frames["asset_id"], frames["amount"] = asset, 1 << 40
            apply(frames.view(COMMAND))
    begin = time.perf_counter()
    for first in range(0, n, 20_000):
        ids = np.arange(first, min(first + 20_000, n))
        frames = np.zeros(len(ids), COMMAND)
        frames["kind"], frames["ord_type"], frames["tif"] = (
            CommandKind.NEW_ORDER, OrdType.LIMIT, Tif.GTC
        )  # fmt: skip
        frames["account_id"], frames["instrument_id"] = ids, _FIRST_INSTRUMENT
        frames["session_id"] = 1
        frames["order_id"] = 1 << 32 | (ids.astype(np.uint64) + 1)
        frames["side"] = 1 + ids % 2
        frames["px"], frames["order_qty"] = 1000, 1
        apply(frames)
    traded_s = time.perf_counter() - begin
    counters = cell.engine.counters()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    store = SnapshotStore(folder / "snapshots", source=source_of(0))
    snapshots = ForkedSnapshots(store)
    begin = time.perf_counter()
    capture = snapshots.capture(cell)
    pause = time.perf_counter() - begin
    asyncio.run(capture.publish())
    saved = time.perf_counter() - begin
    size = sum(path.stat().st_size for path in store.list())
    begin = time.perf_counter()
    loaded = store.load_newest().snapshot
    assert loaded is not None
    again = Cell.from_snapshot(config, loaded)
    restored = time.perf_counter() - begin
    if again.state_hash() != cell.state_hash():
        raise SystemExit("the restored cell differs")
    return {
        "row": "million", "accounts": n, "positions": counters["positions"],
        "orders_per_s_in_cell": round(n / traded_s), "rss_bytes": memory,
        "rss_bytes_per_account": round(memory / n), "snapshot_bytes": size,
        "snapshot_pause_s": round(pause, 4), "snapshot_s": round(saved, 3),
        "restore_s": round(restored, 3),
    }  # fmt: skip


_FIRST_INSTRUMENT = 0


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("what", nargs="*", default=["promotion", "restart", "million"])
    parser.add_argument("--log", default="file")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--commands", type=int, default=2_000_000)
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--append", metavar="FILE")
    parser.add_argument("--time-utc", default="", help="stamp of appended rows")
    args = parser.parse_args()
    for name in args.what:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            if name == "million":
                row = million(args, folder)
            else:
                row = asyncio.run({"promotion": promotion, "restart": restart}[name](args, folder))
        print(json.dumps(row), flush=True)
        if args.append:
            conditions = {
                "bench": "recovery", "commit": commit_of(ROOT), "load": load_average(),
                "machine": msgspec.to_builtins(machine()), "time_utc": args.time_utc,
            }  # fmt: skip
            with Path(args.append).open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(conditions | row) + "\n")


if __name__ == "__main__":
    main()
