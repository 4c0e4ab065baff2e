"""Recorded flow typed by hand: one line an order, times in nanoseconds."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

import tradecore as tc
from tradecore.research import Recording
from tradecore.research.recording import (
    TAG_HIDDEN,
    TAG_REDUCTION,
    TAG_REPAIR,
    TAKER_IDS,
    InstrumentInfo,
)

BUY, SELL = 1, 2


class Flow:
    """Collects frames; `recording` wraps them."""

    def __init__(self) -> None:
        self.rows: list[dict[str, int]] = []
        self._takers = 0

    def add(self, ts: int, **fields: int) -> Self:
        self.rows.append({"ts_ns": ts, **fields})
        return self

    def new(self, ts: int, order: int, side: int, px: int, qty: int, **more: int) -> Self:
        fields = {"kind": 1, "ord_type": 2, "tif": 1, "order_id": order, "side": side}
        return self.add(ts, **(fields | {"px": px, "order_qty": qty} | more))

    def take(self, ts: int, side: int, px: int, qty: int, **more: int) -> Self:
        """An immediate order."""
        self._takers += 1
        return self.new(ts, TAKER_IDS + self._takers, side, px, qty, **({"tif": 3} | more))

    def cancel(self, ts: int, order: int, **more: int) -> Self:
        return self.add(ts, kind=2, order_id=order, **more)

    def left(self, ts: int, order: int, qty: int, tag: int = TAG_REDUCTION) -> Self:
        """At most `qty` is left of an order."""
        if qty == 0:
            return self.cancel(ts, order, session_id=tag)
        return self.add(ts, kind=3, order_id=order, order_qty=qty, flags=8, session_id=tag)

    def repair(self, ts: int, order: int, qty: int) -> Self:
        return self.left(ts, order, qty, TAG_REPAIR)

    def hidden(self, ts: int, side: int, px: int, qty: int) -> Self:
        return self.take(ts, side, px, qty, session_id=TAG_HIDDEN)

    def frames(self) -> Any:
        frames = np.zeros(len(self.rows), tc.COMMAND)
        for at, row in enumerate(self.rows):
            for name, value in row.items():
                frames[at][name] = value
        return frames

    def recording(self, **terms: int) -> Recording:
        return Recording.of(self.frames(), "by hand", instruments={0: InstrumentInfo(terms=terms)})
