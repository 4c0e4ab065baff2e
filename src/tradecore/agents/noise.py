"""Noise: people who trade for reasons of their own, near and far, and change their minds."""

from __future__ import annotations

from typing import Final

import numpy as np

from tradecore.agents.chance import Chance
from tradecore.agents.population import NOISE, Population
from tradecore.agents.view import Part
from tradecore.codes import CommandKind, OrdType, Side, Stp, Tif

__all__ = ["Noise"]

ORDERS: Final = 4
_NEW_PPM: Final = 500_000
_CANCEL_PPM: Final = 300_000
_MOVE_PPM: Final = 200_000
_EXPIRING_PPM: Final = 100_000
_MARKETABLE_PPM: Final = 350_000
_TYPICAL_TICKS: Final = 12
# A new order is not further from the touch than this part of the price.
_FARTHEST_PPM: Final = 50_000
_LIFE_STEPS: Final = (5, 60)


class Noise:
    """The noise class: up to four live orders an account.

    Parameters
    ----------
    people : Population
    instruments : int
    first_slot : int
        The class owns ``ORDERS`` slots per account from here on.
    step_ns : int
        Log time of a step, for expiry.
    chance : Chance
        Draws in which order accounts get their turn.
    """

    def __init__(
        self, people: Population, instruments: int, first_slot: int, step_ns: int, chance: Chance
    ) -> None:
        self.slots = people.size(NOISE) * ORDERS
        self._first_slot = first_slot
        self._first_account = people.first[NOISE]
        self._step_ns = step_ns
        self._instrument = chance.below(self.slots, instruments)
        self._tour = np.argsort(chance.bits(self.slots), kind="stable")
        self._at = 0

    def act(self, part: Part) -> None:
        """Fill the rows with new orders, moves and cancels of the next slots of the tour."""
        n = min(part.n, self.slots)
        visit = self._tour[(self._at + np.arange(n)) % self.slots]
        self._at = (self._at + n) % self.slots
        view, chance = part.view, part.chance
        slots = visit + self._first_slot
        live = part.slots.live[slots]
        coin = chance.below(n, 1_000_000)
        # A dead slot may change its instrument; a live one keeps that of its order.
        self._instrument[visit] = np.where(
            live, self._instrument[visit], chance.below(n, len(view.ids))
        )
        instrument = self._instrument[visit]
        accepts = view.accepts[instrument]
        new = ~live & (coin < _NEW_PPM) & accepts
        drop = live & (coin < _CANCEL_PPM)
        move = live & ~drop & (coin < _CANCEL_PPM + _MOVE_PPM) & accepts
        buy = chance.chance(n, 500_000)
        mid = view.mid[instrument]
        away = np.minimum(chance.far(n, _TYPICAL_TICKS), mid * _FARTHEST_PPM // 1_000_000)
        sign = np.where(buy, -1, 1)
        touch = np.where(buy, view.bid[instrument], view.ask[instrument])
        eager = new & chance.chance(n, _MARKETABLE_PPM) & view.open[instrument]
        px = np.where(eager, mid - sign * 8, touch + sign * away)
        # A moved order drifts by a few ticks from where it was; its side is not known here.
        px = np.where(move, part.slots.px[slots] + chance.between(n, -6, 6), px)
        px = np.maximum(px, 1)
        part.slots.px[slots[new | move]] = px[new | move]
        head = slice(0, n)
        kind = np.where(new, CommandKind.NEW_ORDER, 0)
        kind[drop], kind[move] = CommandKind.CANCEL_ORDER, CommandKind.REPLACE_ORDER
        ids = part.slots.ids(slots)
        ids[new] = part.slots.fresh(slots[new])
        part["kind"][head] = kind
        part["account_id"][head] = visit // ORDERS + self._first_account
        part["instrument_id"][head] = view.ids[instrument]
        part["order_id"][head] = ids
        part["px"][head] = np.where(drop, 0, px)
        part["order_qty"][head] = np.where(new, chance.between(n, 1, 12), 0)
        fresh = np.flatnonzero(new)
        part["side"][fresh] = np.where(buy[fresh], Side.BUY, Side.SELL)
        part["ord_type"][fresh] = OrdType.LIMIT
        part["tif"][fresh] = np.where(eager[fresh], Tif.IOC, Tif.GTC)
        part["stp"][fresh] = Stp.EXPIRE_MAKER
        resting = np.flatnonzero(new & ~eager)
        expiring = resting[chance.chance(len(resting), _EXPIRING_PPM)]
        part["tif"][expiring] = Tif.GTD
        life = chance.between(len(expiring), *_LIFE_STEPS) * self._step_ns
        part["expire_ts_ns"][expiring] = view.now_ns + life
