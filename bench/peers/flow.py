"""The orders every peer is given: add without trading, match, cancel what is left.

Built from the seeded `busy` workload with a plain reference book in this file, so that what should
happen is known without asking any peer: how many fills, which volume, which orders stay.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from tradecore.testing import workloads

BUY, SELL = 0, 1


@dataclass
class Flow:
    """Three phases of calls and what they must lead to.

    `adds` and `takers` are (order_id, side, px, qty) with side 0 buy, 1 sell; no add trades, every
    taker fills completely. `cancels` are the ids still resting, shuffled. `levels` are the three
    phases as (side, px, total quantity), one level change after another, for a book that only
    stores levels.
    """

    adds: list[tuple[int, int, int, int]] = field(default_factory=list)
    takers: list[tuple[int, int, int, int]] = field(default_factory=list)
    cancels: list[int] = field(default_factory=list)
    levels: list[list[tuple[int, int, int]]] = field(default_factory=lambda: [[], [], []])
    fills: int = 0
    volume: int = 0


class ReferenceBook:
    """Price-time priority with dicts and queues, written to be read rather than to be fast."""

    def __init__(self) -> None:
        self.queues: tuple[dict[int, deque[int]], ...] = ({}, {})
        self.open_qty: dict[int, int] = {}
        self.place: dict[int, tuple[int, int]] = {}

    def best(self, side: int) -> int | None:
        """Return the best price of a side."""
        prices = self.queues[side]
        if not prices:
            return None
        return max(prices) if side == BUY else min(prices)

    def crosses(self, side: int, px: int) -> bool:
        """Tell whether an order would trade at once."""
        best = self.best(1 - side)
        return best is not None and (px >= best if side == BUY else px <= best)

    def total(self, side: int, px: int) -> int:
        """Return the open quantity of a level."""
        return sum(self.open_qty[order_id] for order_id in self.queues[side].get(px, ()))

    def rest(self, order_id: int, side: int, px: int, qty: int) -> None:
        """Put an order at the back of its level."""
        self.queues[side].setdefault(px, deque()).append(order_id)
        self.open_qty[order_id], self.place[order_id] = qty, (side, px)

    def remove(self, order_id: int) -> None:
        """Take an order out."""
        side, px = self.place.pop(order_id)
        del self.open_qty[order_id]
        self.queues[side][px].remove(order_id)
        if not self.queues[side][px]:
            del self.queues[side][px]

    def take(self, side: int, qty: int) -> list[tuple[int, int, int]]:
        """Trade against the other side; return (price, quantity, maker) of each fill."""
        fills = []
        while qty:
            px = self.best(1 - side)
            if px is None:
                raise ValueError("the reference flow ran out of makers")
            maker = self.queues[1 - side][px][0]
            traded = min(qty, self.open_qty[maker])
            fills.append((px, traded, maker))
            qty -= traded
            self.open_qty[maker] -= traded
            if self.open_qty[maker] == 0:
                self.remove(maker)
        return fills


def build(adds: int = 10_000, takers: int = 4_000, seed: int = 2) -> Flow:
    """Build the flow: about `adds` resting orders on 350 levels, then `takers` that trade."""
    m = workloads.make("busy", adds + 20 * takers, seed).messages
    rows = zip(
        m.kind.tolist(),
        m.ioc.tolist(),
        m.side.tolist(),
        m.px.tolist(),
        m.qty.tolist(),
        strict=True,
    )
    flow, book, order_id = Flow(), ReferenceBook(), 0
    for kind, ioc, side, px, qty in rows:
        if kind != 0:
            continue
        order_id += 1
        if len(flow.adds) < adds:
            if not ioc and not book.crosses(side, px):
                book.rest(order_id, side, px, qty)
                flow.adds.append((order_id, side, px, qty))
                flow.levels[0].append((side, px, book.total(side, px)))
        elif ioc and len(flow.takers) < takers:
            fills = book.take(side, qty)
            limit = fills[-1][0]
            flow.takers.append((order_id, side, limit, qty))
            flow.fills += len(fills)
            flow.volume += sum(traded for _, traded, _ in fills)
            touched = dict.fromkeys(price for price, _, _ in fills)
            flow.levels[1] += [(1 - side, price, book.total(1 - side, price)) for price in touched]
    # A fixed shuffle without a generator: ids in the order of a multiplicative hash.
    flow.cancels = sorted(book.open_qty, key=lambda i: i * 0x9E3779B97F4A7C15 % (1 << 64))
    for cancelled in flow.cancels:
        side, px = book.place[cancelled]
        book.remove(cancelled)
        flow.levels[2].append((side, px, book.total(side, px)))
    return flow
