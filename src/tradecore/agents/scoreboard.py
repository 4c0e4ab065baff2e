"""Who has won what: PnL of every participant, kept from the events alone.

The engine keeps books of its own; this keeper reads only what the engine says in public. That the
two agree to the last unit is a check of both, and the demo makes it.
"""

from __future__ import annotations

import numpy as np

from tradecore.agents.chance import Ints
from tradecore.agents.population import CLASSES, Population
from tradecore.agents.seen import Seen
from tradecore.codes import Side

__all__ = ["Scoreboard"]


class Scoreboard:
    """Running result of every account and class.

    Parameters
    ----------
    people : Population

    Attributes
    ----------
    flow : ndarray of int64, shape (accounts + 1,)
        Cash from selling minus cash for buying, plus funding and liquidation transfers; quote
        units, without fees.
    fees : ndarray of int64, shape (accounts + 1,)
        Fees paid, rebates negative.
    position : ndarray of int64, shape (accounts + 1, instruments)
        Lots bought minus lots sold.
    fills, notional : ndarray of int64, shape (instruments,)
        Number of fills; quote units turned over.
    class_notional : ndarray of int64, shape (classes + 1,)
        Both sides of each fill counted for their class.
    last_px : ndarray of int64, shape (instruments,)
        Price of the last fill, ticks; the opening price before the first.
    """

    def __init__(self, people: Population) -> None:
        plans = people.spec.plans
        accounts, instruments = people.spec.accounts + 1, len(plans)
        self._class_of = people.class_of
        self._multiplier = np.array([plan.multiplier for plan in plans], np.int64)
        self.flow: Ints = np.zeros(accounts, np.int64)
        self.fees: Ints = np.zeros(accounts, np.int64)
        self.position: Ints = np.zeros((accounts, instruments), np.int64)
        self.fills: Ints = np.zeros(instruments, np.int64)
        self.notional: Ints = np.zeros(instruments, np.int64)
        self.class_notional: Ints = np.zeros(len(CLASSES) + 1, np.int64)
        self.last_px: Ints = np.array([plan.first_px for plan in plans], np.int64)

    def observe(self, seen: Seen) -> None:
        """Book one step's events. O(fills)."""
        fills = seen.fills
        if len(fills):
            at = fills["instrument_id"].astype(np.int64) - 1
            qty, px = fills["last_qty"], fills["last_px"]
            cash = px * qty * self._multiplier[at]
            sign = np.where(fills["side"] == Side.BUY, 1, -1)
            taker, maker = fills["account_id"], fills["maker_account_id"]
            np.subtract.at(self.flow, taker, sign * cash)
            np.add.at(self.flow, maker, sign * cash)
            np.add.at(self.position, (taker, at), sign * qty)
            np.subtract.at(self.position, (maker, at), sign * qty)
            np.add.at(self.fills, at, 1)
            np.add.at(self.notional, at, cash)
            np.add.at(self.class_notional, self._class_of[taker], cash)
            np.add.at(self.class_notional, self._class_of[maker], cash)
            self.last_px[at] = px  # the last of equal places stays
        np.add.at(self.fees, seen.settled["account_id"], seen.settled["fee"])
        np.add.at(self.flow, seen.transfers["account_id"], seen.transfers["amount"])

    def pnl(self, marks: Ints | None = None) -> Ints:
        """Return every account's result in quote units: flow + positions at a price - fees.

        Parameters
        ----------
        marks : ndarray of int64, shape (instruments,), optional
            Ticks; the last prices when not given. The sum over all accounts is minus the fees
            whatever the marks are, because positions add up to zero.
        """
        value = (self.last_px if marks is None else marks) * self._multiplier
        return self.flow + self.position @ value - self.fees

    def by_class(self, per_account: Ints) -> Ints:
        """Add up a per-account array by class; the insurance account is the entry at the end."""
        total: Ints = np.zeros(len(CLASSES) + 1, np.int64)
        np.add.at(total, self._class_of, per_account)
        return total
