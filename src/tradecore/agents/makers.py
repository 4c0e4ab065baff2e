"""Makers: a ladder of quotes around an estimate of the fair value, moved all the time."""

from __future__ import annotations

from typing import Final

import numpy as np

from tradecore.agents.chance import Chance, Ints
from tradecore.agents.population import MAKER, Population
from tradecore.agents.view import Part
from tradecore.codes import CommandKind, OrderFlag, OrdType, Side, Stp, Tif

__all__ = ["Makers"]

LEVELS: Final = 5
_CANCEL_PPM: Final = 60_000
_ICEBERG_PPM: Final = 40_000
# Lots of inventory that move a maker's quotes by one tick.
_LOTS_PER_TICK: Final = 400


class Makers:
    """The maker class: two sides times five levels on every instrument for each maker.

    Parameters
    ----------
    people : Population
    instruments : int
    first_slot : int
        The class owns the slots from here on.
    chance : Chance
        Draws each maker's habits.
    """

    def __init__(
        self, people: Population, instruments: int, first_slot: int, chance: Chance
    ) -> None:
        makers = people.size(MAKER)
        shape = (makers, instruments, 2, LEVELS)
        self.slots = makers * instruments * 2 * LEVELS
        self._first_slot = first_slot
        grid = np.indices(shape).reshape(4, -1)
        self._maker, self._instrument, self._side, self._level = grid
        self._half: Ints = chance.between(makers, 1, 4)
        self._gap: Ints = chance.between(makers, 1, 4)
        self._size: Ints = chance.between(makers, 4, 40)
        # Visited in a drawn order, so that neighbours in time are not neighbours in the ladder.
        self._tour = np.argsort(chance.bits(self.slots), kind="stable")
        self._at = 0
        self._account = self._maker + people.first[MAKER]

    def act(self, part: Part) -> None:
        """Fill the rows with new quotes, moves and cancels of the next slots of the tour."""
        n = min(part.n, self.slots)
        visit = self._tour[(self._at + np.arange(n)) % self.slots]
        self._at = (self._at + n) % self.slots
        view, chance = part.view, part.chance
        maker, instrument, side = self._maker[visit], self._instrument[visit], self._side[visit]
        account = self._account[visit]
        slots = visit + self._first_slot
        sign = 2 * side - 1  # -1 bids, +1 asks
        skew = np.clip(view.position[account, instrument] // _LOTS_PER_TICK, -12, 12)
        estimate = (3 * view.fair[instrument] + view.mid[instrument]) // 4
        away = self._half[maker] + self._level[visit] * self._gap[maker] + chance.below(n, 3)
        px = estimate - skew + sign * away
        # Half of the makers never take: what would go through the market as it was a moment ago
        # stops in front of it. The others trade with whoever is wrong, so the market moves.
        inside = np.where(
            side == 0,
            np.minimum(px, view.ask[instrument] - 1),
            np.maximum(px, view.bid[instrument] + 1),
        )
        passive = maker % 2 == 0
        px = np.maximum(np.where(passive, inside, px), 1)
        live = part.slots.live[slots]
        drop = live & chance.chance(n, _CANCEL_PPM)
        move = live & ~drop & (px != part.slots.px[slots]) & view.accepts[instrument]
        new = ~live & view.accepts[instrument]
        part.slots.px[slots[move | new]] = px[move | new]
        qty = self._size[maker] * chance.between(n, 2, 6) // 2
        head = slice(0, n)
        kind = np.where(new, CommandKind.NEW_ORDER, 0)
        kind[move] = CommandKind.REPLACE_ORDER
        kind[drop] = CommandKind.CANCEL_ORDER
        part["kind"][head] = kind
        part["account_id"][head] = account
        part["instrument_id"][head] = view.ids[instrument]
        ids = part.slots.ids(slots)
        ids[new] = part.slots.fresh(slots[new])
        part["order_id"][head] = ids
        part["px"][head] = np.where(drop, 0, px)
        part["order_qty"][head] = np.where(drop, 0, qty)
        part["flags"][head] = np.where(move, OrderFlag.LEAVES, 0)
        fresh = np.flatnonzero(new)
        part["side"][fresh] = np.where(side[fresh] == 0, Side.BUY, Side.SELL)
        part["ord_type"][fresh] = OrdType.LIMIT
        part["tif"][fresh] = Tif.GTC
        part["stp"][fresh] = Stp.EXPIRE_TAKER
        part["flags"][fresh] = np.where(passive[fresh], OrderFlag.POST_ONLY, 0)
        iceberg = fresh[chance.chance(len(fresh), _ICEBERG_PPM)]
        part["display_qty"][iceberg] = np.maximum(qty[iceberg] // 4, 1)
