"""How much slower the slowest commands are when the stream is made to hurt.

Every command is one `apply` call between two readings of the clock. The stream runs several times
and each command counts with its median: what the engine makes slow is slow every time, what the
machine makes slow is not. The row is p99.99 over the median of that.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

import numpy as np
import numpy.typing as npt

from tradecore.bench.hostile import NAMES, Hostile, colliding_ids, hostile, orders
from tradecore.bench.inputs import BATCH, Frames
from tradecore.bench.openloop import percentiles
from tradecore.bench.run import quiet_gc, same
from tradecore.bench.setting import Setting
from tradecore.codes import Side
from tradecore.engine import EngineConfig
from tradecore.testing.results import Result

__all__ = ["adversarial"]

_TIMED = 400_000
_BITS = 13  # the id table's size at construction


def _each(apply: Callable[[Any], Any], frames: Frames) -> npt.NDArray[np.int64]:
    """Return the nanoseconds of every single command."""
    taken = array("q")
    stamp = taken.append
    with quiet_gc():
        for at in range(len(frames)):
            one = frames[at : at + 1]
            start = perf_counter_ns()
            apply(one)
            stamp(perf_counter_ns() - start)
    return np.frombuffer(taken, np.int64)


def _colliding(count: int) -> Hostile:
    """All ids in one bucket, made with the key: what the key is kept secret for."""
    config = EngineConfig(max_instruments=1, max_orders=1 << (_BITS - 1), max_terms=64)
    ids = colliding_ids(min(max(count // 2_000, 50), 500), _BITS, config.id_seed)
    placed = orders(ids, Side.BUY, 100)
    return Hostile(config, placed[:1], placed[1:])


def adversarial(setting: Setting) -> list[Result]:
    """Measure the streams of `tradecore.bench.hostile`, one command a call."""
    count = setting.sized(1_000_000, 200)
    results = [_measure(setting, name, hostile(name, count)) for name in NAMES]
    results.append(_measure(setting, "colliding-ids-known-key", _colliding(count)))
    return results


def _measure(setting: Setting, name: str, stream: Hostile) -> Result:
    timed = stream.timed[: setting.sized(_TIMED, 200)]
    runs = []
    state, digest = "", ""
    for number in range(min(setting.repeats, 5)):
        setting.say(f"adversarial/{name}: round {number + 1}")
        engine = stream.engine()
        for at in range(0, len(stream.warm_up), BATCH):
            engine.apply(stream.warm_up[at : at + BATCH])
        runs.append(_each(engine.apply, timed))
        found = engine.state_hash()
        state = state or found
        same(f"adversarial/{name}", state, found)
        digest = hashlib.sha256(timed.tobytes()).hexdigest()
    own = np.median(np.stack(runs), axis=0).astype(np.int64)
    spread = percentiles(own)
    median = max(spread[50.0], 1)
    return setting.result(
        f"adversarial/{name}",
        "p99.99/median",
        [spread[99.99] / median],
        conditions={"commands": len(timed), "resting": len(stream.warm_up), "batch": 1},
        observed={
            "median_ns": spread[50.0],
            "p99_ns": spread[99.0],
            "p99.99_ns": spread[99.99],
            "max_ns": spread[100.0],
            "input_sha256": digest,
        },
        sha256=state,
    )
