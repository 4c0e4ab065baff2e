"""Snapshot and restore: 1,000,000 open orders, 100,000 accounts, in memory.

The bytes are those that the snapshot store writes to disk; what the disk takes is the disk's. Every
restored engine is compared with the original by its state hash, outside the timed part.
"""

from __future__ import annotations

from time import perf_counter_ns

from tradecore.bench.inputs import BATCH
from tradecore.bench.memory import open_orders, open_venue
from tradecore.bench.run import quiet_gc, same
from tradecore.bench.setting import Setting
from tradecore.engine import Engine
from tradecore.testing.results import Result

__all__ = ["snapshot"]


def snapshot(setting: Setting) -> list[Result]:
    """Snapshot an engine and build another one from the bytes."""
    count, accounts = setting.sized(1_000_000, 1_000), setting.sized(100_000, 100)
    instruments = min(1_000, max(count // 200, 1))
    setting.say(f"snapshot: resting {count:,} orders of {accounts:,} accounts")
    engine = open_venue(count, accounts, instruments)
    orders = open_orders(count, accounts, instruments)
    for at in range(0, count, BATCH):
        engine.apply(orders[at : at + BATCH])
    if engine.counters()["live_orders"] != count:
        raise AssertionError("not all orders came to rest")
    state = engine.state_hash()
    values: dict[str, list[float]] = {"snapshot/take": [], "snapshot/restore": []}
    data = b""
    for number in range(setting.repeats):
        setting.say(f"snapshot: round {number + 1} of {setting.repeats}")
        setting.settle()
        with quiet_gc():
            start = perf_counter_ns()
            data = engine.snapshot()
            taken = perf_counter_ns()
            restored = Engine.restore(data)
            done = perf_counter_ns()
        values["snapshot/take"].append((taken - start) / 1e9)
        values["snapshot/restore"].append((done - taken) / 1e9)
        same("snapshot", state, restored.state_hash())
        del restored
    return [
        setting.result(
            name,
            "s",
            each,
            conditions={"orders": count, "accounts": accounts, "instruments": instruments},
            observed={
                "mb": round(len(data) / 1e6, 1),
                "positions": engine.counters()["positions"],
            },
            sha256=state,
        )
        for name, each in values.items()
    ]
