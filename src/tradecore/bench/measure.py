"""What a command, an account and an open order cost: the coefficients that a plan multiplies.

Each row is one number per unit of something that a planner can count (commands, accounts, orders,
bytes), measured alone, so that it can be multiplied and added. CPU time is the process's own, which
a busy machine disturbs less than the clock on the wall; memory is growth of the resident set.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from time import process_time_ns
from typing import Final

import numpy as np

from tradecore.bench.inputs import Frames, Input, funded, generated
from tradecore.bench.memory import open_orders, open_venue, resident_bytes
from tradecore.bench.openloop import control
from tradecore.bench.run import hash_of, quiet_gc, same
from tradecore.bench.setting import Setting, monotonic_ns
from tradecore.codes import CommandKind, EventKind, OrdType, Side, Tif
from tradecore.dtypes import ADMIN, COMMAND
from tradecore.engine import Engine
from tradecore.journal import replay
from tradecore.storage import FileJournal, read_segments
from tradecore.testing.results import Result

__all__ = [
    "MIXES",
    "accounts",
    "log",
    "machine",
    "mixes",
    "orders",
    "snapshots",
]

MIXES: Final = ("retail-day", "pipeline", "moves")
"""Streams that profiles choose from: people, robots, market makers."""

_BATCH: Final = 256


def _input(name: str, commands: int) -> Input:
    """Return a stream on a venue with accounts; `moves` as the business of 1,000 of them."""
    return funded(name, commands) if name == "moves" else generated(name, commands)


def mixes(setting: Setting) -> list[Result]:
    """Measure CPU, events and fills a command of each mix, and the wall time at two batch sizes."""
    rows: list[Result] = []
    commands = min(setting.commands, 1_000_000)
    for name in MIXES:
        setting.say(f"coefficients: what a command of {name} costs")
        work = _input(name, commands)
        half = len(work) // 2
        events, state = hash_of(work)
        cpu: list[float] = []
        wall: list[float] = []
        for _ in range(setting.repeats):
            engine = work.engine()
            for batch in work.batches(last=half):
                engine.apply(batch)
            batches = work.batches(_BATCH, first=half)
            with quiet_gc():
                used, begin = process_time_ns(), monotonic_ns()
                for batch in batches:
                    engine.apply(batch)
                took, spent = monotonic_ns() - begin, process_time_ns() - used
            same(name, state, engine.state_hash())
            cpu.append(spent / (len(work) - half))
            wall.append(took / (len(work) - half))
        made, fills = _events(work, half)
        for what, unit, values in (
            ("cpu", "ns/command", cpu),
            ("wall", "ns/command", wall),
            ("events", "events/command", [made]),
            ("fills", "fills/command", [fills]),
        ):
            rows.append(
                setting.result(
                    f"capacity/{what}",
                    unit,
                    values,
                    conditions={"mix": name, "batch": _BATCH},
                    workload=work.ref,
                    sha256=events,
                )
            )
    return rows


def _events(work: Input, half: int) -> tuple[float, float]:
    """Return events and fills a command of the second half."""
    engine = work.engine()
    made = fills = 0
    for batch in work.batches(last=half):
        engine.apply(batch)
    for batch in work.batches(first=half):
        events = engine.events(batch)
        made += len(events)
        fills += int((events["kind"] == EventKind.FILL).sum())
    return made / (len(work) - half), fills / (len(work) - half)


def log(setting: Setting, folder: Path | None = None) -> list[Result]:
    """Measure the journal: bytes and CPU a command, the flush of a commit, reading back."""
    work = generated("pipeline", min(setting.commands, 400_000))
    batches = work.batches(_BATCH)
    cpu: list[float] = []
    flush: list[float] = []
    late: list[float] = []
    back: list[float] = []
    size = 0.0
    for number in range(setting.repeats):
        setting.say(f"coefficients: journal, round {number + 1} of {setting.repeats}")
        with tempfile.TemporaryDirectory(prefix="tradecore-", dir=folder) as place:
            path = Path(place) / "journal"
            spent = 0
            waits: list[int] = []
            with FileJournal.open(path, source=1) as journal, quiet_gc():
                for at in range(0, len(batches), 8):
                    used = process_time_ns()
                    for batch in batches[at : at + 8]:
                        journal.append(batch)
                    spent += process_time_ns() - used
                    begin = monotonic_ns()
                    journal.commit()
                    waits.append(monotonic_ns() - begin)
            cpu.append(spent / len(work))
            # The first commits of a file also create its metadata.
            steady = np.sort(waits[len(waits) // 10 :])
            flush.append(float(np.median(steady)) / 1e9)
            late.append(float(steady[min(int(len(steady) * 0.999), len(steady) - 1)]) / 1e9)
            size = sum(each.stat().st_size for each in path.iterdir() if each.is_file())
            begin = monotonic_ns()
            replay(read_segments(path), lambda frames: None)
            back.append(len(work) / (monotonic_ns() - begin) * 1e9)
    rows = (
        ("capacity/log-cpu", "ns/command", cpu),
        ("capacity/log-flush", "s", flush),
        ("capacity/log-flush-p99.9", "s", late),
        ("capacity/log-read", "commands/s", back),
        ("capacity/log-bytes", "bytes/command", [size / len(work)]),
    )
    return [
        setting.result(
            name,
            unit,
            values,
            conditions={"batch": _BATCH, "group": 8 * _BATCH},
            workload=work.ref,
        )
        for name, unit, values in rows
    ]


def accounts(setting: Setting) -> list[Result]:
    """Measure resident bytes of an account with two wallets, of a further wallet, of a position."""
    count = setting.sized(100_000, 1_000)
    setting.say(f"coefficients: {count:,} accounts")
    before = resident_bytes()
    engine = open_venue(1_024, count, 1)
    grown = {"account": resident_bytes() - before}
    state = {"account": engine.state_hash()}
    wide = _wide_venue(count)
    for what, frames in _growth(count):
        before = resident_bytes()
        wide.apply(frames)
        grown[what] = resident_bytes() - before
        state[what] = wide.state_hash()
    if wide.counters()["positions"] != count:
        raise AssertionError("not every account got its position")
    return [
        setting.result(
            f"capacity/{what}-bytes",
            f"bytes/{what}",
            [max(size, 0) / count],
            conditions={"accounts": count},
            sha256=state[what],
        )
        for what, size in grown.items()
    ]


def _growth(count: int) -> list[tuple[str, Frames]]:
    """Return what gives each account of `_wide_venue` a wallet, and then a position.

    A position comes with the first order in an instrument. Orders are cancelled again one by one,
    so that they leave nothing else behind.
    """
    frames = np.zeros(count, ADMIN)
    frames["kind"], frames["asset_id"], frames["amount"] = CommandKind.DEPOSIT, 2, 10**6
    frames["account_id"] = np.arange(1, count + 1)
    return [("wallet", frames.view(COMMAND)), ("position", _place_and_cancel(count))]


def _wide_venue(count: int) -> Engine:
    """Return an engine with one instrument of asset 2 and funded accounts."""
    engine = Engine(
        accounts=True,
        max_instruments=1,
        max_orders=1_024,
        max_accounts=count + 1,
        max_groups=1,
        max_assets=3,
        max_wallets=2 * count + 4,
        max_positions=count,
    )
    engine.define_instrument(0, base_asset=2, quote_asset=0)
    admin = np.zeros(2 * count, ADMIN)
    admin["account_id"] = np.tile(np.arange(1, count + 1), 2)
    admin["kind"] = np.repeat([CommandKind.ACCOUNT, CommandKind.DEPOSIT], count)
    admin["amount"][count:] = 10**9
    engine.apply(admin.view(COMMAND))
    return engine


def _place_and_cancel(count: int) -> Frames:
    """Return one order of each account and its cancel, one pair after the other."""
    frames = np.zeros(2 * count, COMMAND)
    new, cancel = frames[::2], frames[1::2]
    for part in (new, cancel):
        part["account_id"] = part["order_id"] = np.arange(1, count + 1)
    new["kind"], cancel["kind"] = CommandKind.NEW_ORDER, CommandKind.CANCEL_ORDER
    new["side"], new["ord_type"], new["tif"] = Side.BUY, OrdType.LIMIT, Tif.GTC
    new["px"], new["order_qty"] = 100, 1
    return frames


def orders(setting: Setting) -> list[Result]:
    """Measure resident bytes an open order, with its share of levels, ids and positions."""
    count = setting.sized(400_000, 2_000)
    few = setting.sized(1_000, 10)
    setting.say(f"coefficients: {count:,} open orders")
    instruments = min(1_000, max(count // 200, 1))
    frames = open_orders(count, few, instruments)
    engine = open_venue(count, few, instruments)
    before = resident_bytes()
    for at in range(0, count, 4_096):
        engine.apply(frames[at : at + 4_096])
    grown = resident_bytes() - before
    return [
        setting.result(
            "capacity/order-bytes",
            "bytes/order",
            [grown / count],
            conditions={"orders": count, "instruments": instruments, "accounts": few},
            sha256=engine.state_hash(),
        )
    ]


def snapshots(setting: Setting) -> list[Result]:
    """Measure bytes and time of a snapshot and of a restore, by what the state consists of.

    Orders and accounts are measured as states that hold hardly anything else; a wallet and a
    position as what an image of the same accounts grows by.
    """
    many, few = setting.sized(200_000, 1_000), setting.sized(2_000, 100)
    setting.say("coefficients: snapshots")
    instruments = min(1_000, max(many // 200, 1))
    images = {}
    for what, live, held in (("order", many, few), ("account", few, many)):
        engine = open_venue(max(live, 1_024), held, instruments)
        frames = open_orders(live, held, instruments)
        for at in range(0, live, 4_096):
            engine.apply(frames[at : at + 4_096])
        images[what] = _image(setting, engine)
    engine = _wide_venue(many)
    before = _image(setting, engine)
    for what, frames in _growth(many):
        engine.apply(frames)
        now = _image(setting, engine)
        # Times may come out a little negative where the state hardly grew.
        images[what] = {
            verb: [max(a - b, 0.0) for a, b in zip(now[verb], before[verb], strict=True)]
            for verb in now
        }
        before = now
    return [
        setting.result(
            f"capacity/snapshot-{verb}",
            f"{'bytes' if verb == 'bytes' else 'us'}/{what}",
            [value / many for value in values],
            conditions={"of": what, "count": many},
        )
        for what, image in images.items()
        for verb, values in image.items()
    ]


def _image(setting: Setting, engine: Engine) -> dict[str, list[float]]:
    """Return microseconds of taking and restoring an image, and its bytes."""
    taken: list[float] = []
    restored: list[float] = []
    data = b""
    for _ in range(setting.repeats):
        with quiet_gc():
            begin = monotonic_ns()
            data = engine.snapshot()
            middle = monotonic_ns()
            other = Engine.restore(data)
            end = monotonic_ns()
        same("snapshot", engine.state_hash(), other.state_hash())
        taken.append((middle - begin) / 1e3)
        restored.append((end - middle) / 1e3)
    return {"take": taken, "restore": restored, "bytes": [float(len(data))]}


def machine(setting: Setting, limit_ns: int) -> list[Result]:
    """Measure how much of the time the machine stands still, as an open-loop sender feels it.

    A stall of S ns makes the commands of its first ``S - limit`` ns later than the limit, at any
    rate. The share of time lost so, over windows of a third of a second, is the row's value.
    """
    windows = 3 * setting.repeats
    window_ns = setting.sized(300_000_000, 1_000_000)
    shares: list[float] = []
    longest = 0
    for number in range(windows):
        setting.say(f"coefficients: the machine itself, window {number + 1} of {windows}")
        gaps = control(window_ns)
        longest = max(longest, int(gaps.max(initial=0)))
        over = gaps[gaps > limit_ns] - limit_ns
        shares.append(float(over.sum()) / window_ns)
    return [
        setting.result(
            "capacity/stalls",
            "share",
            shares,
            conditions={"limit_ms": limit_ns / 1e6, "window_s": window_ns / 1e9},
            observed={
                "median": statistics.median(shares),
                "longest_ms": round(longest / 1e6, 3),
            },
        )
    ]
