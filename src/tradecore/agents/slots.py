"""Resting orders as numbered places, so that events find their order without a search.

A participant owns a fixed number of slots and can have one live order in each. The order id is
built from the slot (low bits) and a generation (high bits), so the id of an event leads back to its
slot by a mask, and an id is never used twice.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from tradecore.agents.chance import Ints
from tradecore.agents.seen import Seen

__all__ = ["SLOT_BITS", "Slots"]

SLOT_BITS: Final = 24
_MASK: Final = (1 << SLOT_BITS) - 1


class Slots:
    """Live orders of all participants.

    Parameters
    ----------
    count : int
        Number of slots, below 2**24.

    Attributes
    ----------
    live : ndarray of bool, shape (count,)
        Whether an order is in the slot, as far as events have told.
    px : ndarray of int64, shape (count,)
        Price last asked for, ticks.
    """

    def __init__(self, count: int) -> None:
        assert count <= _MASK
        self.live: npt.NDArray[np.bool_] = np.zeros(count, np.bool_)
        self.px: Ints = np.zeros(count, np.int64)
        self._generation: Ints = np.zeros(count, np.int64)
        self._passing = 0

    def __len__(self) -> int:
        """Return the number of slots."""
        return len(self.live)

    def fresh(self, slots: Ints) -> Ints:
        """Return new order ids for the given slots, which must be distinct."""
        self._generation[slots] += 1
        return self.ids(slots)

    def ids(self, slots: Ints) -> Ints:
        """Return the order ids now in the given slots."""
        return (self._generation[slots] << SLOT_BITS) | slots

    def passing(self, n: int) -> Ints:
        """Return `n` ids for orders that never rest, so need no slot."""
        first = self._passing
        self._passing += n
        return (np.arange(first + 1, first + n + 1) << SLOT_BITS) | _MASK

    def observe(self, seen: Seen) -> None:
        """Learn from events, in order, which orders have come and gone. O(events)."""
        # An id lives once, so coming before going is the only order there is.
        self._set(seen.came, True)
        self._set(seen.gone, False)

    def _set(self, order_ids: npt.NDArray[np.uint64], live: bool) -> None:
        ids = order_ids.astype(np.int64)
        slots = ids & _MASK
        known = slots < len(self.live)
        slots, ids = slots[known], ids[known]
        # Only the order that is in the slot now: an older one has nothing more to say.
        current = self._generation[slots] == ids >> SLOT_BITS
        self.live[slots[current]] = live
