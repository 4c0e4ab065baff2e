"""Bytes an open order takes, and proof that the steady state allocates nothing.

Two independent measures of the bytes: the resident set of the process before and after a million
orders come to rest (arenas are committed on first touch, so what grows is what the orders took),
and the sizes of the structs. Both count every index: id buckets, level slots, pages, the account's
list of orders.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tradecore.bench.inputs import BATCH, Frames, generated
from tradecore.bench.run import feed, hash_of, same
from tradecore.bench.setting import Setting, Values
from tradecore.codes import CommandKind, OrdType, Side, Tif
from tradecore.dtypes import COMMAND
from tradecore.engine import Engine
from tradecore.testing.results import Result

__all__ = ["allocations", "memory", "open_orders", "open_venue", "resident_bytes"]

INSTRUMENTS = 1_000
LEVELS = 100  # a side and instrument


def open_orders(count: int, accounts: int = 0, instruments: int = INSTRUMENTS) -> Frames:
    """Return limit orders that all come to rest, spread over instruments, sides and levels.

    Prices go round 100 levels a side; ids are scattered over 62 bits.
    """
    frames = np.zeros(count, COMMAND)
    number = np.arange(count, dtype=np.int64)
    side = number // instruments % 2
    step = number // (2 * instruments) % LEVELS
    frames["kind"] = CommandKind.NEW_ORDER
    frames["ord_type"], frames["tif"] = OrdType.LIMIT, Tif.GTC
    frames["instrument_id"] = number % instruments
    frames["side"] = np.where(side == 0, Side.BUY, Side.SELL)
    frames["px"] = np.where(side == 0, 10_000 - step, 10_001 + step)
    frames["order_qty"] = 1 + number % 7
    # Multiplying by an odd number is one to one, so ids are distinct.
    scattered = (number.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    frames["order_id"] = (scattered >> np.uint64(2)) | np.uint64(1 << 62)
    if accounts:
        frames["account_id"] = 1 + (number * 7919) % accounts
    return frames


def open_venue(
    orders: int, accounts: int = 0, instruments: int = INSTRUMENTS, *, prefault: bool = False
) -> Engine:
    """Return an engine for `open_orders` with its instruments and funded accounts."""
    engine = Engine(
        accounts=accounts > 0,
        max_instruments=instruments,
        max_orders=max(orders, 1024),
        max_levels=2 * LEVELS * instruments,
        max_pages=16 * instruments,
        max_terms=1024,
        max_accounts=accounts + 1,
        max_groups=1,
        max_assets=2,
        max_wallets=2 * accounts + 2,
        max_positions=orders if accounts else 0,
        prefault=prefault,
    )
    for number in range(instruments):
        engine.define_instrument(
            number, base_asset=1, quote_asset=0, maker_fee_ppm=100, taker_fee_ppm=300
        )
    for number in range(1, accounts + 1):
        engine.open_account(number)
        engine.deposit(number, 0, 10**12)
        engine.deposit(number, 1, 10**9)
    return engine


def resident_bytes() -> int:
    """Return the resident set of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def memory(setting: Setting) -> list[Result]:
    """Rest a million orders over 1,000 instruments and see what the process grew by."""
    count = setting.sized(1_000_000, 2_000)
    instruments = min(INSTRUMENTS, max(count // 200, 1))
    results = []
    for name, accounts in (("matching", 0), ("pipeline", setting.sized(1_000, 10))):
        setting.say(f"memory: {count:,} open orders, {name}")
        orders = open_orders(count, accounts, instruments)
        engine = open_venue(count, accounts, instruments)
        before = resident_bytes()
        for at in range(0, count, BATCH):
            engine.apply(orders[at : at + BATCH])
        grown = resident_bytes() - before
        counters = engine.counters()
        if counters["live_orders"] != count:
            raise AssertionError(f"{counters['live_orders']:,} of {count:,} orders came to rest")
        part = engine.bytes_per_order()
        shared = counters["levels"] * part["level"] + counters["pages"] * part["page"]
        own = part["order"] + part["money"] + part["id_bucket"] + part["scratch"]
        conditions: Values = {
            "orders": count,
            "instruments": instruments,
            "levels": counters["levels"],
            "accounts": accounts,
        }
        observed: Values = {
            "struct_bytes": round(own + shared / count, 1),
            "positions": counters["positions"],
            "resident_mb": round(grown / 1e6, 1),
        }
        results.append(
            setting.result(
                f"memory/{name}",
                "bytes/order",
                [grown / count],
                conditions=conditions,
                observed=observed,
                sha256=engine.state_hash(),
            )
        )
        results.append(
            setting.result(
                f"memory/{name}-structs",
                "bytes/order",
                [own + shared / count],
                conditions=conditions,
                sha256=engine.state_hash(),
            )
        )
        del engine
    return results + allocations(setting)


class _Heap(ctypes.Structure):
    """`struct mallinfo2` of glibc."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks"),
            *("fordblks", "keepcost"),
        )
    ]


def _heap_bytes() -> int:
    """Return the bytes handed out by malloc and by its mmap; 0 where glibc does not tell."""
    try:
        info = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        return 0
    info.restype = _Heap
    now = info()
    return int(now.uordblks + now.hblkhd)


def allocations(setting: Setting) -> list[Result]:
    """Watch a million commands of the steady pipeline: C heap, Python objects, page faults.

    Python's own tracing allocates, so it watches the first quarter of them alone; heap and faults
    are watched over the rest.
    """
    work = generated("pipeline", setting.commands)
    half = len(work) // 2
    events, state = hash_of(work)
    engine = work.engine()
    feed(engine, work.batches(last=half))
    batches = work.batches(first=half)
    quarter = max(len(batches) // 4, 2)
    apply = engine.apply
    tracemalloc.start()
    try:
        first = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for batch in batches[:quarter]:
            apply(batch)
        traced = tracemalloc.get_traced_memory()[1] - first
    finally:
        tracemalloc.stop()
    rest = batches[quarter:]
    _watch(apply, rest[:1])  # the first pass over the watching code may allocate
    own, _, _ = _watch(apply, [])  # what the watching itself leaves behind
    heap, blocks, faults = _watch(apply, rest[1:])
    watched = sum(map(len, rest[1:]))
    same("allocations", state, engine.state_hash())
    return [
        setting.result(
            "memory/steady-heap-growth",
            "bytes/command",
            [max(heap - own, 0) / max(watched, 1)],
            conditions={"commands": len(work) - half, "batch": BATCH, "accounts": True},
            observed={
                "malloc_bytes": heap,
                "of_them_the_watchers": own,
                "python_blocks": blocks,
                "tracemalloc_peak_bytes": traced,
                "page_faults": faults,
            },
            workload=work.ref,
            sha256=events,
        )
    ]


def _watch(apply: Callable[[Frames], object], batches: list[Frames]) -> tuple[int, int, int]:
    """Apply batches; return growth of the C heap and of Python blocks, and minor page faults."""
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks, heap = sys.getallocatedblocks(), _heap_bytes()
    for batch in batches:
        apply(batch)
    grown, more = _heap_bytes() - heap, sys.getallocatedblocks() - blocks
    return grown, more, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
