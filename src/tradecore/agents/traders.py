"""Takers and momentum traders: people who want the position now and pay the spread for it."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from tradecore.agents.chance import Ints
from tradecore.agents.population import MOMENTUM, TAKER, Population
from tradecore.agents.view import Part
from tradecore.codes import CommandKind, OrderFlag, OrdType, Side, Stp, Tif

__all__ = ["Momentum", "Takers"]

Mask = npt.NDArray[np.bool_]


def _send_now(
    part: Part, where: Ints, account: Ints, instrument: Ints, buy: Mask, qty: Ints, px: Ints
) -> None:
    """Fill rows `where` with immediate orders; the other arrays are as long as `where`."""
    part["kind"][where] = CommandKind.NEW_ORDER
    part["account_id"][where] = account
    part["instrument_id"][where] = part.view.ids[instrument]
    part["order_id"][where] = part.slots.passing(len(where))
    part["side"][where] = np.where(buy, Side.BUY, Side.SELL)
    part["ord_type"][where] = OrdType.LIMIT
    part["tif"][where] = Tif.IOC
    part["stp"][where] = Stp.EXPIRE_TAKER
    part["order_qty"][where] = qty
    part["px"][where] = np.maximum(px, 1)


class Takers:
    """Informed traders: they know the fair value, and take whatever is quoted on its wrong side."""

    _FOK_PPM: Final = 60_000
    _MARKET_PPM: Final = 150_000

    def __init__(self, people: Population) -> None:
        self._people = people

    def act(self, part: Part) -> None:
        """Fill the rows with orders of those who see an edge; the others wait."""
        n, view, chance = part.n, part.view, part.chance
        account = self._people.pick(chance, n, TAKER)
        instrument = chance.below(n, len(view.ids))
        # Everybody is a little wrong, each time differently.
        worth = view.fair[instrument] + chance.bell(n, 3)
        buy = worth > view.ask[instrument]
        sell = worth < view.bid[instrument]
        where = np.flatnonzero((buy | sell) & view.open[instrument])
        account, instrument, buy = account[where], instrument[where], buy[where]
        touch = np.where(buy, view.ask[instrument], view.bid[instrument])
        reach = np.where(buy, 2, -2)
        qty = chance.between(len(where), 1, 8)
        _send_now(part, where, account, instrument, buy, qty, touch + reach)
        fok = where[chance.chance(len(where), self._FOK_PPM)]
        part["tif"][fok] = Tif.FOK
        market = where[chance.chance(len(where), self._MARKET_PPM)]
        part["ord_type"][market] = OrdType.MARKET


class Momentum:
    """Trend followers: they trade with the difference of two averages, and protect it by a stop.

    Parameters
    ----------
    people : Population
    instruments : int
    first_slot : int
        The class owns one slot per account and instrument from here on, for the stop.
    """

    _MOST_LOTS: Final = 500
    _STOP_PPM: Final = 40_000
    _TRAILING_BPS: Final = 60

    def __init__(self, people: Population, instruments: int, first_slot: int) -> None:
        self._people = people
        self._first_slot = first_slot
        self.slots = people.size(MOMENTUM) * instruments

    def act(self, part: Part) -> None:
        """Fill half of the rows with trades, the other half with stops behind positions."""
        half = part.n // 2
        self._trade(part, half)
        self._protect(part, half)

    def _trade(self, part: Part, n: int) -> None:
        view, chance = part.view, part.chance
        account = self._people.pick(chance, n, MOMENTUM)
        instrument = chance.below(n, len(view.ids))
        # In millionths of the price; each reads the trend with an error of its own.
        trend = (view.fast - view.slow)[instrument] * 1_000_000 // view.slow[instrument]
        trend += chance.bell(n, 250)
        held = view.position[account, instrument]
        enter = (np.abs(trend) > 600) & (np.sign(trend) * held < self._MOST_LOTS)
        leave = (np.abs(trend) < 200) & (held != 0)
        # Coins cannot be sold short: on spot a falling trend means selling what was bought.
        able = view.linear[instrument] | (trend > 0) | (held > 0)
        where = np.flatnonzero((enter | leave) & able & view.open[instrument])
        account, instrument, held = account[where], instrument[where], held[where]
        closing = leave[where]
        buy = np.where(closing, held < 0, trend[where] > 0)
        touch = np.where(buy, view.ask[instrument], view.bid[instrument])
        qty = chance.between(len(where), 5, 60)
        owns = ~view.linear[instrument] & ~buy
        qty = np.where(closing, np.abs(held), np.where(owns, np.minimum(qty, held), qty))
        _send_now(part, where, account, instrument, buy, qty, touch + np.where(buy, 4, -4))
        part["flags"][where[closing]] = OrderFlag.REDUCE_ONLY

    def _protect(self, part: Part, begin: int) -> None:
        view, chance, slots = part.view, part.chance, part.slots
        n = part.n - begin
        account = self._people.pick(chance, n, MOMENTUM)
        instrument = chance.below(n, len(view.ids))
        at = (account - self._people.first[MOMENTUM]) * len(view.ids) + instrument
        slot = at + self._first_slot
        held = view.position[account, instrument]
        wanted = (held != 0) & ~slots.live[slot] & view.open[instrument]
        # One order a slot: the first visitor of a place has it.
        where = np.flatnonzero(wanted)
        where = where[np.unique(slot[where], return_index=True)[1]]
        account, instrument, held, slot = (x[where] for x in (account, instrument, held, slot))
        sell = held > 0
        mid = view.mid[instrument]
        gap = mid * chance.between(len(where), 6, 20) // 1000
        stop_px = np.where(sell, mid - gap, mid + gap)
        rows = where + begin
        part["kind"][rows] = CommandKind.NEW_ORDER
        part["account_id"][rows] = account
        part["instrument_id"][rows] = view.ids[instrument]
        part["order_id"][rows] = slots.fresh(slot)
        part["side"][rows] = np.where(sell, Side.SELL, Side.BUY)
        part["ord_type"][rows] = OrdType.STOP_LIMIT
        part["tif"][rows] = Tif.DAY
        part["stp"][rows] = Stp.EXPIRE_TAKER
        part["order_qty"][rows] = np.abs(held)
        part["px"][rows] = np.maximum(np.where(sell, stop_px - gap, stop_px + gap), 1)
        trailing = chance.chance(len(where), self._STOP_PPM)
        part["stop_px"][rows] = np.where(trailing, 0, np.maximum(stop_px, 1))
        part["trailing_bps"][rows] = np.where(trailing, self._TRAILING_BPS, 0)
