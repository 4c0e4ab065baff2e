"""A market maker compiled by Numba that trades against the engine without entering Python.

Run: python examples/numba/market_maker.py. Every step it cancels its two quotes and places new ones
around a random walk, while a random taker hits one side; one compiled loop, events read in place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

import tradecore as tc
from tradecore.kernels import native

NEW, CANCEL, LIMIT, GTC, IOC = 1, 2, 2, 1, 3
FILL = 3


@njit
def trade(handle: int, commands: np.ndarray[Any, Any], steps: int, seed: int) -> tuple[int, int]:
    """Return (events, lots traded) of `steps` rounds of quoting."""
    np.random.seed(seed)
    total = 0
    traded = 0
    mid = 10_000
    for step in range(steps):
        mid += np.random.randint(-1, 2)
        for k in range(2):
            old, new = commands[k], commands[2 + k]
            old.kind, old.account_id, old.instrument_id = CANCEL, 1, 0
            old.order_id = 2 * step + k + 1  # the quote of the step before
            new.kind, new.account_id, new.instrument_id = NEW, 1, 1
            new.side, new.ord_type, new.tif = k + 1, LIMIT, GTC
            new.order_id = 2 * step + k + 3
            new.px = mid - 2 + 4 * k
            new.order_qty = 5
        taker = commands[4]
        side = np.random.randint(1, 3)
        taker.kind, taker.account_id, taker.instrument_id = NEW, 2, 1
        taker.side, taker.ord_type, taker.tif = side, LIMIT, IOC
        taker.order_id = (1 << 40) + step
        taker.px = mid + 10 if side == 1 else mid - 10
        taker.order_qty = np.random.randint(1, 4)
        total += native.apply(handle, commands)
        for event in native.events_as_fills(handle):
            if event.kind == FILL:
                traded += event.last_qty
    return total, traded


def main(steps: int = 100_000) -> tuple[int, int, str]:
    """Run the market once; return events, lots traded and the state hash."""
    engine = tc.Engine(max_instruments=2, max_orders=1_024)
    engine.define_instrument(1)
    commands = np.zeros(5, dtype=tc.COMMAND)
    total, traded = trade(engine.handle, commands, steps, 7)
    return total, traded, engine.state_hash()


if __name__ == "__main__":
    print("events {}, lots traded {}, state {}".format(*main()))
