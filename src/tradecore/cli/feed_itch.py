"""An ITCH 5.0 stream as commands.

ITCH tells what became of resting orders. An execution is turned back into the aggressive order
that caused it: an immediate order of the other side at the resting order's price. Trades without
a displayed order (P), crosses (Q) and administrative messages do not touch the book and are
counted only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from tradecore.cli.feeds import BATCH, Batch, Feed, Frames, Until
from tradecore.codes import CommandKind, OrderFlag, OrdType, Side, Tif
from tradecore.data.flows import instrument_frames
from tradecore.data.itch import iter_itch
from tradecore.data.source import compression_of
from tradecore.dtypes import COMMAND
from tradecore.engine import EngineConfig

__all__ = ["itch_feed"]

_PX_DECIMALS: Final = 4
_TAKER_IDS: Final = 1 << 62
_INSTRUMENTS: Final = 1 << 16
_MOST_ORDERS: Final = 1 << 22
# An order needs an add message of at least 36 bytes and two of framing.
_BYTES_PER_ORDER: Final = 38

_NEW, _CANCEL, _REPLACE = (
    int(CommandKind.NEW_ORDER),
    int(CommandKind.CANCEL_ORDER),
    int(CommandKind.REPLACE_ORDER),
)


class _Translator:
    """Turns messages into commands; keeps what the stream has told about resting orders."""

    def __init__(self, names: dict[int, str]) -> None:
        self._open: dict[int, list[int]] = {}  # id -> instrument, side, px, open quantity
        self._rows: list[tuple[int, ...]] = []
        self._takers = 0
        self._defined: set[int] = set()
        self._names = names
        self.unknown = 0

    def message(self, kind: str, m: Any) -> None:
        """Take over one message."""
        if kind in "AF":
            bought = int(Side.BUY if m.side == b"B" else Side.SELL)
            self._add(m.ts_ns, m.stock_locate, m.order_id, bought, m.px, m.order_qty)
            self._names.setdefault(m.stock_locate, m.stock.decode("ascii", "replace").strip())
        elif kind == "R":
            self._names[m.stock_locate] = m.stock.decode("ascii", "replace").strip()
        elif kind in "ECXDU":
            order = self._open.get(m.order_id)
            if order is None:
                self.unknown += 1
            elif kind in "EC":
                self._execute(m, order)
            elif kind == "X":
                self._reduce(m, order)
            else:
                del self._open[m.order_id]
                self._send(m.ts_ns, _CANCEL, 0, 0, 0, m.order_id, 0, 0, 0, 0)
                if kind == "U":
                    instrument, side = order[0], order[1]
                    self._add(m.ts_ns, instrument, m.new_order_id, side, m.px, m.order_qty)

    def _send(self, *row: int) -> None:
        self._rows.append(row)

    def _add(self, ts: int, instrument: int, order_id: int, side: int, px: int, qty: int) -> None:
        self._open[order_id] = [instrument, side, px, qty]
        self._send(ts, _NEW, side, OrdType.LIMIT, Tif.GTC, order_id, px, qty, 0, instrument)

    def _execute(self, m: Any, order: list[int]) -> None:
        instrument, side, px, _ = order
        self._takers += 1
        taker = Side.SELL if side == Side.BUY else Side.BUY
        number = _TAKER_IDS + self._takers
        self._send(
            *(m.ts_ns, _NEW, taker, OrdType.LIMIT, Tif.IOC, number, px, m.last_qty, 0, instrument)
        )
        order[3] -= m.last_qty
        if order[3] <= 0:
            del self._open[m.order_id]

    def _reduce(self, m: Any, order: list[int]) -> None:
        order[3] -= m.canceled_qty
        if order[3] > 0:
            flags = int(OrderFlag.LEAVES)
            self._send(m.ts_ns, _REPLACE, 0, 0, 0, m.order_id, 0, order[3], flags, order[0])
        else:
            del self._open[m.order_id]
            self._send(m.ts_ns, _CANCEL, 0, 0, 0, m.order_id, 0, 0, 0, 0)

    def take(self) -> Frames:
        """Return the commands since the last call as frames, new instruments defined first."""
        table = np.array(self._rows, np.int64).reshape(-1, 10)
        self._rows.clear()
        frames = np.zeros(len(table), COMMAND)
        columns = ("ts_ns", "kind", "side", "ord_type", "tif", "order_id", "px", "order_qty")
        for i, name in enumerate((*columns, "flags", "instrument_id")):
            frames[name] = table[:, i]
        used = np.unique(frames["instrument_id"][frames["kind"] == _NEW]).tolist()
        fresh = sorted(set(used) - self._defined)
        if not fresh:
            return frames
        self._defined.update(fresh)
        definitions = instrument_frames(len(fresh))
        definitions["instrument_id"] = fresh
        return np.concatenate([definitions.view(COMMAND), frames])


def _capacity(path: str) -> int:
    """Return how many orders can be alive at once, at most."""
    with open(path, "rb") as file:
        if compression_of(file.read(4)):
            return _MOST_ORDERS
    return min(_MOST_ORDERS, max(64, os.path.getsize(path) // _BYTES_PER_ORDER))


def itch_feed(path: str, until: Until) -> Feed:
    """Return the feed of an ITCH stream; memory is bounded by the orders that are open.

    Raises
    ------
    DataError
        While it is read: a message is malformed or cut short.
    """
    names: dict[int, str] = {}
    notes: list[str] = []
    translator = _Translator(names)

    def batches() -> Iterator[Batch]:
        pending = 0
        for kind, message in _messages(path, until):
            translator.message(kind, message)
            pending += 1
            if pending == BATCH:
                yield Batch(translator.take(), pending)
                pending = 0
        yield Batch(translator.take(), pending)
        if translator.unknown:
            notes.append(f"{translator.unknown:,} messages name orders that the stream never added")

    return Feed(
        path=path,
        kind="itch",
        rows=0,
        config=EngineConfig(max_instruments=_INSTRUMENTS, max_orders=_capacity(path)),
        batches=batches,
        names=names,
        px_decimals=_PX_DECIMALS,
        since_midnight=True,
        notes=notes,
    )


def _messages(path: str, until: Until) -> Iterator[tuple[str, Any]]:
    left = -1 if until.rows is None else until.rows
    for batch in iter_itch(path):
        for kind, message in batch.messages():
            if left == 0 or (until.ts_ns is not None and message.ts_ns > until.ts_ns):
                return
            left -= 1
            yield kind, message
