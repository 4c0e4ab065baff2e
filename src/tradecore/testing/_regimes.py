"""The five price regimes of the public matching-engine benchmark, generated at any length.

The model is re-implemented from its published description: flash1-dev/matching-engine-benchmark,
docs/METHODOLOGY.md (MIT licence), the suite whose 39,878-message files judge our report stream.
The random draws are our own, so the bytes differ from that suite's; the shape is the same (the
table in bench/README.md compares the two). Called by `tradecore.testing.workloads`.

The shape has three properties that decide the speed of an engine:

- every life ends before the next order is sent (the cancel follows its order by one or two
  messages), so ids are touched in short bursts but arrive in shuffled order over the id space;
- buys are priced off the first half of the price path, sells off the second, then all are
  shuffled: where the halves drift apart, uncancelled orders are stranded and the book deepens;
- 15 % of the orders are immediate-or-cancel, 20 % of the rest are modified upwards, 95 %
  cancelled, and about 2 % of cancels and modifies come twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tradecore.testing._draws import I64, Draws

_START_MID = 33_504  # ticks: 167.52 dollars on a half-cent grid
_DEEPEST_LEVEL = 799
_DEPTH_EXPONENT = 2.23
_HUMP_AMPLITUDE = 5.0
_HUMP_CENTRE = 8.0
_IOC_PPM = 150_000
_MODIFY_PPM = 200_000
_REPRICE_PPM = 800_000
_CANCEL_PPM = 950_000
_DUPLICATE_PPM = 20_000

# Typical excursion of the price over one run, as a share of the starting price.
SWINGS: dict[str, float] = {
    "static": 0.0,
    "normal": 0.02,
    "swing-25": 0.25,
    "swing-40": 0.40,
    "flash-crash": 0.60,
}


@dataclass(frozen=True)
class Messages:
    """Columns of a message stream, one entry a message, in wire order.

    `kind` is 0 new, 1 cancel, 2 modify, 3 set the phase in `qty` (scenes only); `side` 0 buy, 1
    sell; `ioc` 0 rests, 1 immediate-or-cancel, 2 market (no price); `px` in ticks; `qty` in lots;
    `offset_ns` log time since the first message, None where the pace is the caller's.
    """

    kind: NDArray[np.uint8]
    side: NDArray[np.uint8]
    ioc: NDArray[np.uint8]
    qty: I64
    order_id: NDArray[np.uint64]
    px: I64
    instrument_id: I64
    account_id: I64
    offset_ns: I64 | None = None


def _depth_weights() -> NDArray[np.float64]:
    """Return the chance of each distance from the mid: a power law plus a hump 8 ticks out."""
    return np.array(
        [
            1.0 / math.pow(k + 1.0, _DEPTH_EXPONENT)
            + _HUMP_AMPLITUDE * math.exp(-0.5 * (k - _HUMP_CENTRE) ** 2)
            for k in range(_DEEPEST_LEVEL + 1)
        ]
    )


def _mid_path(draws: Draws, orders: int, swing: float) -> I64:
    """Return the mid price in ticks at each order: a driftless geometric random walk.

    Only multiplication, addition and division of doubles in a fixed order: bit-equal everywhere.
    """
    step = swing / math.sqrt(orders)
    factors = 1.0 + draws.bell(orders) / 65536.0 * step
    factors[0] *= _START_MID
    path: I64 = np.rint(np.cumprod(factors)).astype(np.int64)
    return path


def generate(name: str, messages: int, seed: int) -> Messages:
    """Generate one regime.

    Parameters
    ----------
    name : str
        A key of `SWINGS`.
    messages : int
        Exact number of messages, >= 1.
    seed : int
        Low 64 bits count. The five regimes of one seed share their random path.

    Returns
    -------
    Messages
        Dense order ids 1..N in shuffled order, instrument 0, account 0.

    Notes
    -----
    O(messages log messages) time; about 0.5 s and 400 MB for two million messages.
    """
    # 1.99 messages an order on average; the surplus is cut off below.
    orders = messages * 10 // 19 + 64
    draws = Draws(seed)
    mid = _mid_path(draws, orders, SWINGS[name])
    distance = draws.pick(orders, _depth_weights()) + 1
    sell = np.arange(orders) >= orders // 2
    px_of = np.maximum(np.where(sell, mid + distance, mid - distance), 1)
    qty_of = draws.below(orders, 100) + 1

    arrival = draws.shuffled(orders)
    ioc = draws.chance(orders, _IOC_PPM)
    modified = draws.chance(orders, _MODIFY_PPM) & ~ioc
    repriced = draws.chance(orders, _REPRICE_PPM) & modified
    cancelled = draws.chance(orders, _CANCEL_PPM) & ~ioc
    cancel_twice = draws.chance(orders, _DUPLICATE_PPM) & cancelled
    modify_twice = draws.chance(orders, _DUPLICATE_PPM) & modified & cancelled

    # Each order sends a fixed sequence, some parts absent: new, modify, cancel, cancel, modify.
    always = np.ones(orders, dtype=np.bool_)
    sent = np.stack([always, modified, cancelled, cancel_twice, modify_twice], axis=1)
    order, part = np.nonzero(sent)  # row-major: orders in arrival order, parts in life order
    order, part = order[:messages], part[:messages]
    kind = np.array([0, 2, 1, 1, 2], dtype=np.uint8)[part]

    source = arrival[order]
    side = sell[source].astype(np.uint8)
    is_modify = kind == 2
    toward_touch = np.where(side == 0, 1, -1) * (repriced[order] & is_modify)
    return Messages(
        kind=kind,
        side=side,
        ioc=(ioc[order] & (kind == 0)).astype(np.uint8),
        qty=qty_of[source] + is_modify,
        order_id=(source + 1).astype(np.uint64),
        px=px_of[source] + toward_touch,
        instrument_id=np.zeros(len(order), dtype=np.int64),
        account_id=np.zeros(len(order), dtype=np.int64),
    )
