"""The latency benchmark: the whole pipeline in open loop, 1,000,000 commands a second.

Two callers: ``latency/...`` is compiled code that drives the kernel (Numba, as a service that
embeds it would), ``latency-python/...`` one `Engine.apply` a call from Python.

Three views of the same runs, because a virtual machine is stopped by its host now and then and no
engine can answer meanwhile:

- ``latency/p...``: every command of every run, stalls included. Nothing is left out.
- ``latency/repeatable-p...``: each command's median over the runs. What the engine itself makes
  slow is slow in every run, because the stream is the same; a stall of the machine hits other
  commands each time. This shows the engine's own slow commands.
- ``latency/machine-p...``: gaps of a loop that only reads the clock, before and after each run.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import numpy as np

from tradecore.bench.inputs import Frames, generated
from tradecore.bench.openloop import STALL_NS, Run, control, open_loop, percentiles
from tradecore.bench.run import feed, hash_of, same
from tradecore.bench.setting import Setting, Values
from tradecore.engine import Engine
from tradecore.testing.results import Result

__all__ = ["RATE", "latency"]

RATE = 1_000_000
BURST = 64
Caller = Callable[[Engine, Frames, int], Run]


def latency(setting: Setting, rate: int = RATE) -> list[Result]:
    """Second half of the pipeline workload at `rate` commands a second, after feeding the first."""
    callers: dict[str, Caller] = {"latency-python": _from_python}
    if importlib.util.find_spec("numba") is None:
        setting.say("latency: only from Python, the compiled caller needs numba")
    else:
        callers = {"latency": _from_compiled_code} | callers
    return [row for name, caller in callers.items() for row in _one(setting, name, caller, rate)]


def _from_python(engine: Engine, frames: Frames, rate: int) -> Run:
    return open_loop(engine.apply, frames, rate, burst=BURST)


def _from_compiled_code(engine: Engine, frames: Frames, rate: int) -> Run:
    # Imports Numba, which takes longer than most of the suite's set-up.
    from tradecore.bench.compiled import compiled_open_loop

    return compiled_open_loop(engine.handle, frames, rate, burst=BURST)


def _one(setting: Setting, name: str, caller: Caller, rate: int) -> list[Result]:
    setting.say(f"{name}: {rate:,} commands a second in open loop")
    work = generated("pipeline", setting.commands)
    half = len(work) // 2
    warm_up, measured = work.batches(last=half), work.commands[half:]
    events, state = hash_of(work)
    quiet_ns = setting.sized(500_000_000)
    rows: dict[str, list[float]] = {}
    every, gaps = [], []
    stalls, calls, seconds = [], 0, 0.0
    for number in range(setting.repeats):
        setting.say(f"{name}: round {number + 1} of {setting.repeats}")
        setting.settle()
        engine = work.engine()
        # The control loop first: behind the warm-up it would let the caches go cold.
        gaps.append(control(quiet_ns))
        feed(engine, warm_up)
        run = caller(engine, measured, rate)
        gaps.append(control(quiet_ns))
        same(name, state, engine.state_hash())
        every.append(run.latency_ns)
        stalls.append(run.stalls_ns)
        calls += run.calls
        seconds += run.elapsed_ns / 1e9
        for p, value in percentiles(run.latency_ns).items():
            rows.setdefault(_row(name, "", p), []).append(value)
    own = np.median(np.stack(every), axis=0).astype(np.int64)
    for p, value in percentiles(own).items():
        rows[_row(name, "repeatable-", p)] = [value]
    machine = np.concatenate(gaps)
    for p, value in percentiles(machine).items():
        rows[_row(name, "machine-", p)] = [value]
    stood, seen = np.concatenate(stalls), machine[machine > STALL_NS]
    observed: Values = {
        "commands_per_call": round(setting.repeats * len(measured) / calls, 3),
        "achieved_per_s": round(setting.repeats * len(measured) / seconds),
        "stalls_in_runs": len(stood),
        "stalls_in_runs_ms": round(float(stood.sum()) / 1e6, 3),
        "run_s": round(seconds, 3),
        "stalls_in_control": len(seen),
        "stalls_in_control_ms": round(float(seen.sum()) / 1e6, 3),
        "control_s": round(float(machine.sum()) / 1e9, 3),
    }
    return [
        setting.result(
            row,
            "ns",
            values,
            conditions={"rate": rate, "burst": BURST, "accounts": True, "runs": setting.repeats},
            observed=observed,
            workload=work.ref,
            sha256=events,
        )
        for row, values in rows.items()
    ]


def _row(name: str, view: str, p: float) -> str:
    return f"{name}/{view}{'max' if p == 100.0 else f'p{p:g}'}"
