"""Who takes part: which account belongs to which class, and what each starts with."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from tradecore.agents.chance import Chance, Ints
from tradecore.agents.spec import CASH_DECIMALS, QUOTE_ASSET, MarketSpec
from tradecore.codes import ANY, CommandKind, Phase
from tradecore.dtypes import ADMIN, INSTRUMENT

__all__ = ["CLASSES", "MAKER", "MOMENTUM", "NOISE", "TAKER", "Population"]

CLASSES: Final = ("makers", "takers", "momentum", "noise")
MAKER, TAKER, MOMENTUM, NOISE = range(4)

# Share of the accounts in per mille; noise gets the rest.
_SHARES: Final = (60, 240, 200)
_DOLLAR: Final = 10**CASH_DECIMALS
# Cash at the start in dollars, lowest and highest, by class; and lots of every coin. Momentum
# traders are thin on purpose: they use leverage, and some of them are liquidated.
_CASH: Final = ((4_000_000, 8_000_000), (300_000, 900_000), (300, 5_000), (20_000, 80_000))
_COINS: Final = (60_000, 6_000, 40, 600)
_INSURANCE_CASH: Final = 50_000_000


class Population:
    """The accounts of a market, numbered from 0: makers first, then takers, momentum, noise.

    Parameters
    ----------
    spec : MarketSpec
    chance : Chance
        Draws the starting cash.

    Attributes
    ----------
    first, last : list of int
        Accounts ``first[c] .. last[c] - 1`` are of class c (an index into `CLASSES`).
    class_of : ndarray of int64, shape (accounts + 1,)
        Class of each account; the insurance account at the end has `len(CLASSES)`.
    cash : ndarray of int64, shape (accounts + 1,)
        Deposit in quote units.
    """

    def __init__(self, spec: MarketSpec, chance: Chance) -> None:
        self.spec = spec
        sizes = [max(1, spec.accounts * share // 1000) for share in _SHARES]
        sizes.append(spec.accounts - sum(sizes))
        self.last: list[int] = np.cumsum(sizes).tolist()
        self.first: list[int] = [0, *self.last[:-1]]
        classes = [*range(len(CLASSES)), len(CLASSES)]
        self.class_of: Ints = np.repeat(np.array(classes, np.int64), [*sizes, 1])
        ranges = zip(sizes, _CASH, strict=True)
        drawn = [chance.between(size, low, high) for size, (low, high) in ranges]
        self.cash: Ints = np.concatenate([*drawn, np.array([_INSURANCE_CASH])]) * _DOLLAR

    def size(self, of_class: int) -> int:
        """Return the number of accounts of a class."""
        return self.last[of_class] - self.first[of_class]

    def pick(self, chance: Chance, n: int, of_class: int) -> Ints:
        """Draw `n` accounts of a class, with repetition."""
        return chance.below(n, self.size(of_class)) + self.first[of_class]

    # ---- the venue ------------------------------------------------------------------------------
    def instrument_frames(self) -> npt.NDArray[np.void]:
        """Return the INSTRUMENT commands: fees, breaker, margin; in a call auction at first."""
        plans = self.spec.plans
        frames = np.zeros(len(plans), INSTRUMENT)
        frames["kind"], frames["cont"] = CommandKind.INSTRUMENT, 3
        frames["tick"] = frames["lot"] = 1
        frames["phase"] = Phase.AUCTION
        frames["maker_fee_ppm"], frames["taker_fee_ppm"] = -50, 400
        frames["dynamic_band_ppm"] = 30_000
        frames["halt_ns"], frames["auction_ns"] = 3 * self.spec.step_ns, 3 * self.spec.step_ns
        frames["stop_policy"] = 1
        for frame, plan in zip(frames, plans, strict=True):
            frame["instrument_id"] = plan.instrument_id
            frame["base_asset"], frame["quote_asset"] = plan.base_asset, QUOTE_ASSET
            frame["multiplier"] = plan.multiplier
            frame["base_per_lot"] = plan.lot_size
            frame["instrument_type"] = plan.kind
            frame["band_ref_px"] = 0
            if plan.is_linear:
                frame["tiers"][0] = (0, 50_000, 25_000)
                frame["liq_fee_ppm"], frame["liq_band_ppm"] = 2_000, 5_000
                frame["insurance_account"] = self.spec.insurance_account
        return frames

    def account_frames(self) -> npt.NDArray[np.void]:
        """Return the commands that open every account and pay in its cash and its coins."""
        n = self.spec.accounts + 1
        ids = np.arange(n)
        coins = sorted({plan.base_asset for plan in self.spec.plans if not plan.is_linear})
        lots = {plan.base_asset: plan.lot_size for plan in self.spec.plans if not plan.is_linear}
        parts = [np.zeros(n, ADMIN) for _ in range(2 + len(coins))]
        opening, cash, *stock = parts
        opening["kind"], opening["account_id"] = CommandKind.ACCOUNT, ids
        cash["kind"], cash["account_id"] = CommandKind.DEPOSIT, ids
        cash["asset_id"], cash["amount"] = QUOTE_ASSET, self.cash
        for coin, part in zip(coins, stock, strict=True):
            part["kind"], part["account_id"] = CommandKind.DEPOSIT, ids
            part["asset_id"] = coin
            part["amount"] = np.array([*_COINS, 1])[self.class_of] * lots[coin]
        return np.concatenate(parts)

    def drain_frame(self) -> npt.NDArray[np.void]:
        """Return the command that cancels every order of everybody."""
        frame = np.zeros(1, ADMIN)
        frame["kind"] = CommandKind.MASS_CANCEL
        frame["account_id"] = frame["instrument_id"] = ANY
        return frame
