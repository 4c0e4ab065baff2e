"""Where an own order stands when the data does not show orders: stated queue models.

Market-by-price data, quotes and bars are run on the same engine as order-by-order data: every level
is held by orders of the recorded account, and own orders stand among them. What the data cannot say
is who leaves when a level shrinks: somebody in front of the own order or somebody behind it. That
is what a model decides; everything else (price, time, trades, fees) is the engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from tradecore.errors import ConfigError

if TYPE_CHECKING:
    from tradecore_ext.backtest import Backtest

__all__ = ["QueueModel"]

_CODES: Final = {"risk_averse": 0, "proportional": 1, "power": 2, "optimistic": 3}
_TIERS: Final = {"L2": 1, "L1": 2, "bars": 3}


class QueueModel(msgspec.Struct, frozen=True, kw_only=True):
    """How a decrease of a level that is not a trade is shared out.

    With F lots in front of an own order and B behind it:

    ==============  =============================================================================
    risk_averse     everything leaves from behind first; the queue moves by trades only
    proportional    from the front with share F / (F + B)
    power           from the front with share F^n / (F^n + B^n): n > 1 says that most cancels come
                    from the longer side, as old orders at the front tend to stay
    optimistic      everything leaves from the front first
    ==============  =============================================================================

    Attributes
    ----------
    name : str
    n : int
        Exponent of ``power``, 1..4.
    participation_ppm : int
        Bars only: the share of a bar's volume that can be traded with, in parts per million.
    """

    name: Literal["risk_averse", "proportional", "power", "optimistic"] = "risk_averse"
    n: int = 2
    participation_ppm: int = 100_000

    def __post_init__(self) -> None:
        if not 1 <= self.n <= 4:
            raise ConfigError(f"the exponent of a power model is {self.n}; it must be 1..4")
        if not 1 <= self.participation_ppm <= 1_000_000:
            raise ConfigError("participation_ppm must be within 1..1,000,000")

    def words(self) -> str:
        """Return the model in words."""
        return f"power n={self.n}" if self.name == "power" else self.name.replace("_", " ")

    def apply(self, loop: Backtest, fidelity: str) -> None:
        """Set the model of a compiled loop for data of a fidelity (``L2``, ``L1``, ``bars``)."""
        if fidelity not in _TIERS:
            raise ConfigError(f"no fidelity {fidelity!r}; there are L3, {', '.join(_TIERS)}")
        loop.set_queue(_TIERS[fidelity], _CODES[self.name], self.n, self.participation_ppm)
