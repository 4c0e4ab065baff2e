"""The market that every peer gets: one LOBSTER day as order flow, and the same in their formats.

What is exported is derived from our own frames, whose book equals the recorded one on every row
(tests/research/test_lobster_day.py), so all peers replay the same orders at the same times.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tradecore.research import Recording
from tradecore.research.convert import from_lobster, record
from tradecore.research.recording import TAG_HIDDEN, TAG_REPAIR

BUY, SELL = 1, 2
# hftbacktest's event: documented as `event_dtype` of its package.
HFT_EVENT = np.dtype(
    [
        ("ev", "<u8"),
        ("exch_ts", "<i8"),
        ("local_ts", "<i8"),
        ("px", "<f8"),
        ("qty", "<f8"),
        ("order_id", "<u8"),
        ("ival", "<i8"),
        ("fval", "<f8"),
    ]
)


def load(path: str | Path) -> Recording:
    """Return the day in one contiguous chunk."""
    recording = record(from_lobster(path))
    recording.chunks = [np.concatenate(recording.chunks)]
    return recording


def repeated(recording: Recording, times: int, gap_ns: int = 60_000_000_000) -> Recording:
    """Return the day several times in a row; every copy has times of its own.

    Between two copies the book is emptied by cancels of all that could be left, so that a copy
    begins as the day does and ids may come again.
    """
    day = recording.chunks[0]
    alive: dict[int, None] = {}
    kinds, ids = day["kind"].tolist(), day["order_id"].tolist()
    tifs, tags = day["tif"].tolist(), day["session_id"].tolist()
    for kind, order_id, tif, tag in zip(kinds, ids, tifs, tags, strict=True):
        if kind == 1 and tif == 1 and tag == 0:
            alive[order_id] = None
        elif kind == 2:
            alive.pop(order_id, None)
    ends = np.zeros(len(alive), day.dtype)
    ends["kind"] = 2
    ends["order_id"] = list(alive)
    ends["ts_ns"] = int(day["ts_ns"][-1]) + gap_ns // 2
    whole = np.concatenate([day, ends])
    span = int(whole["ts_ns"][-1]) - int(whole["ts_ns"][0]) + gap_ns
    copies = []
    for number in range(times):
        copy = whole.copy()
        copy["ts_ns"] += np.uint64(span * number)
        copies.append(copy)
    found = Recording(
        name=f"{recording.name} x {times}",
        chunks=copies,
        instruments=recording.instruments,
        max_orders=recording.max_orders,
    )
    return found


def as_hftbacktest(frames: np.ndarray[Any, Any], names: dict[str, int]) -> np.ndarray[Any, Any]:
    """Return the day as hftbacktest's L3 events; `names` are the package's event flags."""
    both = names["EXCH_EVENT"] | names["LOCAL_EVENT"]
    side_of = {BUY: names["BUY_EVENT"], SELL: names["SELL_EVENT"]}
    orders: dict[int, list[int]] = {}  # id: side, px, open
    rows: list[tuple[int, int, int, int, int]] = []
    columns = ("kind", "ts_ns", "order_id", "side", "px", "order_qty", "tif", "session_id")
    for row in zip(*(frames[name].tolist() for name in columns), strict=True):
        kind, ts, order_id, side, px, qty, tif, tag = row
        if kind == 1 and tag == TAG_HIDDEN:
            continue
        if kind == 1 and tif != 1:
            rows.append((names["TRADE_EVENT"] | side_of[side], ts, px, qty, 0))
        elif kind == 1:
            orders[order_id] = [side, px, qty]
            rows.append((names["ADD_ORDER_EVENT"] | side_of[side], ts, px, qty, order_id))
        elif order_id in orders:
            mine, at, left = orders[order_id]
            now = qty if kind == 3 else 0
            if tag == TAG_REPAIR and left > now:
                event = names["FILL_EVENT"] | side_of[mine]
                rows.append((event, ts, at, left - now, order_id))
            if now:
                orders[order_id][2] = now
                event = names["MODIFY_ORDER_EVENT"]
            else:
                del orders[order_id]
                event = names["CANCEL_ORDER_EVENT"]
            rows.append((event | side_of[mine], ts, at, now, order_id))
    events = np.zeros(len(rows), HFT_EVENT)
    table = np.array(rows, np.int64)
    events["ev"] = table[:, 0] | both
    events["exch_ts"] = events["local_ts"] = table[:, 1]
    events["px"], events["qty"], events["order_id"] = table[:, 2], table[:, 3], table[:, 4]
    return events
