"""What a call from Python costs: small batches through `apply`, and one helper call an order.

Batches are sliced before the clock starts: a service has them as payloads of messages. The helpers
are measured as a notebook calls them, arguments and returned result included; the loop around them
is measured empty and shown beside, not subtracted.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from tradecore.bench.inputs import Input, funded, generated
from tradecore.bench.run import feed, quiet_gc, same
from tradecore.bench.setting import Setting
from tradecore.codes import CommandKind, OrdType
from tradecore.engine import Engine
from tradecore.testing.results import Result

__all__ = ["python_batch", "python_call"]

SIZES = (64, 16, 1)


def python_batch(setting: Setting) -> list[Result]:
    """Measure batches of 64, 16 and 1 commands, on one busy book and through the whole pipeline."""
    return [*_batches(setting, "busy", "python"), *_batches(setting, "pipeline", "python-pipeline")]


def _batches(setting: Setting, name: str, row: str) -> list[Result]:
    work = generated(name, setting.commands)
    half = len(work) // 2
    count = min(half, setting.sized(400_000, 1_000))  # a million slices would be memory traffic
    warm_up = work.batches(last=half)
    values: dict[int, list[float]] = {size: [] for size in SIZES}
    state = ""
    for number in range(setting.repeats):
        for size in SIZES:
            setting.say(f"{row}: batches of {size}, round {number + 1} of {setting.repeats}")
            setting.settle()
            engine = work.engine()
            feed(engine, warm_up)
            batches = work.batches(size, half, half + count)
            values[size].append(feed(engine, batches) / count)
            found = engine.state_hash()
            state = state or found
            same(row, state, found)
    return [
        setting.result(
            f"{row}/batch-{size}",
            "ns/command",
            each,
            conditions={"batch": size, "accounts": work.config.accounts, "timed": count},
            workload=work.ref,
            sha256=state,
        )
        for size, each in values.items()
    ]


Row = tuple[int, int, int, str, int, int, int, int]


def _rows(work: Input, first: int, last: int) -> list[Row]:
    """Return commands as a notebook would hold them; what a call does comes first."""
    c = work.commands[first:last]
    # 0 limit, 1 market, 2 cancel, 3 replace
    what = (c["kind"] == CommandKind.CANCEL_ORDER) * 2 + (
        c["kind"] == CommandKind.REPLACE_ORDER
    ) * 3
    what[c["ord_type"] == OrdType.MARKET] = 1
    sides = ["buy" if side == 1 else "sell" for side in c["side"].tolist()]
    columns = (c["px"], c["order_qty"], c["order_id"], c["tif"])
    return list(
        zip(
            what.tolist(),
            c["account_id"].tolist(),
            c["instrument_id"].tolist(),
            sides,
            *(column.tolist() for column in columns),
            strict=True,
        )
    )


def _call_each(engine: Engine, rows: list[Row]) -> None:
    limit, market, cancel, replace = engine.limit, engine.market, engine.cancel, engine.replace
    for what, account, instrument, side, px, qty, order_id, tif in rows:
        if what == 0:
            limit(account, instrument, side, px, qty, order_id=order_id, tif=tif)
        elif what == 2:
            cancel(account, order_id)
        elif what == 3:
            replace(account, order_id, px, qty)
        else:
            market(account, instrument, side, qty, px=px, order_id=order_id)


def _empty_loop(rows: list[Row]) -> None:
    def nothing(*arguments: Any) -> None:
        """Take a call and do nothing with it."""

    for what, account, _instrument, side, px, qty, _order_id, _tif in rows:
        if what == 0:
            nothing(account, side, px, qty)
        elif what == 2:
            nothing(account, side)
        elif what == 3:
            nothing(account, px, qty, side)
        else:
            nothing(account, px, qty)


def python_call(setting: Setting) -> list[Result]:
    """Measure `engine.limit`, `market`, `cancel`, `replace` one by one.

    Whole pipeline on one busy book (1,000 accounts) and on the pipeline workload (1,000
    instruments, 100,000 accounts, where every call waits for memory); and matching only.
    """
    count = setting.commands
    inputs: dict[str, Callable[[], Input]] = {
        "python/call": lambda: funded("busy", count),
        "python/call-wide": lambda: generated("pipeline", count),
        "python/call-matching": lambda: generated("busy", count),
    }
    results = []
    for row, take in inputs.items():
        work = take()
        half = len(work) // 2
        rows = _rows(work, half, half + min(half, setting.sized(200_000, 1_000)))
        warm_up = work.batches(last=half)
        values: dict[str, list[float]] = {row: [], f"{row}-empty-loop": []}
        state = ""
        for number in range(setting.repeats):
            setting.say(f"{row}: round {number + 1} of {setting.repeats}")
            setting.settle()
            engine = work.engine()
            feed(engine, warm_up)
            with quiet_gc():
                start = perf_counter_ns()
                _call_each(engine, rows)
                middle = perf_counter_ns()
                _empty_loop(rows)
                end = perf_counter_ns()
            values[row].append((middle - start) / len(rows))
            values[f"{row}-empty-loop"].append((end - middle) / len(rows))
            found = engine.state_hash()
            state = state or found
            same(row, state, found)
        results += [
            setting.result(
                each,
                "ns/call",
                timed,
                conditions={"accounts": work.config.accounts, "calls": len(rows)},
                workload=work.ref,
                sha256=state,
            )
            for each, timed in values.items()
        ]
    return results
