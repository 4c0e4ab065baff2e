"""Positions on exact fractions, one fill at a time: the unrounded twin of the integer kernels.

For statements, checks and small data, where a price such as 7502.5 and a fee rate such as 0.00075
are given as text and the answer must not depend on a scale somebody chose. Same rules as
`tradecore.kernels.average` and as the engine's ledger, without any rounding; bulk work belongs to
the integer kernels.

Source: average cost as in futures front ends (Trading Technologies' and nautilus_trader's published
examples); inverse contracts from the PnL guides of BitMEX and Bybit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, TypeAlias, get_args

from tradecore.errors import ConfigError

__all__ = ["FeePolicy", "Leg", "Position"]

FeePolicy: TypeAlias = Literal["realised", "separate"]


@dataclass(slots=True)
class Leg:
    """One life of a position: from flat to flat, or to the fill that turned it over.

    Attributes
    ----------
    qty : Fraction
        Signed open quantity.
    cost : Fraction
        Cost basis of the open quantity.
    realised : Fraction
        Realised so far, with or without fees as the position's policy says.
    fees : Fraction
        Fees charged so far.
    peak_qty : Fraction
        Largest absolute quantity.
    open_qty, open_value, close_qty, close_value : Fraction
        Sums over the fills that opened and that closed, for the two average prices.
    """

    qty: Fraction = Fraction(0)
    cost: Fraction = Fraction(0)
    realised: Fraction = Fraction(0)
    fees: Fraction = Fraction(0)
    peak_qty: Fraction = Fraction(0)
    open_qty: Fraction = Fraction(0)
    open_value: Fraction = Fraction(0)
    close_qty: Fraction = Fraction(0)
    close_value: Fraction = Fraction(0)


@dataclass(slots=True)
class Position:
    """An average-cost position on exact fractions.

    Parameters
    ----------
    inverse : bool
        The contract is worth ``multiplier / px`` of the base asset instead of ``multiplier * px``
        of the quote.
    multiplier : Fraction
        Contract size.
    fee_policy : {"realised", "separate"}
        Whether fees lower the realised amount, or are only summed in `Leg.fees`.

    Attributes
    ----------
    legs : list of Leg
        Every life of the position, the current one last.
    """

    inverse: bool = False
    multiplier: Fraction = Fraction(1)
    fee_policy: FeePolicy = "realised"
    legs: list[Leg] = field(default_factory=lambda: [Leg()])

    def __post_init__(self) -> None:
        """Refuse an unknown policy before anything is booked under it."""
        if self.fee_policy not in get_args(FeePolicy):
            raise ConfigError(f"fee_policy: one of {', '.join(get_args(FeePolicy))}")

    @property
    def leg(self) -> Leg:
        """The current life of the position."""
        return self.legs[-1]

    @property
    def realised(self) -> Fraction:
        """Realised over all lives."""
        return sum((leg.realised for leg in self.legs), Fraction(0))

    @property
    def fees(self) -> Fraction:
        """Fees over all lives."""
        return sum((leg.fees for leg in self.legs), Fraction(0))

    def value(self, qty: Fraction, px: Fraction) -> Fraction:
        """Return what `qty` is worth at `px`, unsigned, in the settlement asset."""
        if self.inverse:
            if px <= 0:
                raise ConfigError("the price of an inverse contract is positive")
            return abs(qty) * self.multiplier / px
        return abs(qty) * self.multiplier * px

    def price(self, qty: Fraction, value: Fraction) -> Fraction | None:
        """Return the price at which `qty` is worth `value`; None for nothing."""
        if qty == 0 or (self.inverse and value == 0):
            return None
        size = abs(qty) * self.multiplier
        return size / value if self.inverse else value / size

    @property
    def avg_px(self) -> Fraction | None:
        """Average entry price of the open quantity; None while flat."""
        return self.price(self.leg.qty, self.leg.cost)

    @property
    def avg_px_open(self) -> Fraction | None:
        """Average price of the fills that opened the current life."""
        return self.price(self.leg.open_qty, self.leg.open_value)

    @property
    def avg_px_close(self) -> Fraction | None:
        """Average price of the fills that closed in the current life."""
        return self.price(self.leg.close_qty, self.leg.close_value)

    def fill(
        self,
        qty: Fraction,
        px: Fraction,
        fee: Fraction = Fraction(0),
        second_leg_fee: Fraction = Fraction(0),
    ) -> None:
        """Apply one fill.

        Parameters
        ----------
        qty : Fraction
            Signed: positive bought, negative sold.
        px : Fraction
            Price.
        fee : Fraction
            Fee of the fill; on a fill through zero all of it belongs to the leg that closes.
        second_leg_fee : Fraction
            Charged to the leg that a fill through zero opens.
        """
        held = self.leg.qty
        closing = Fraction(0)
        if held * qty < 0:
            closing = min(abs(qty), abs(held))
            self._close(closing, px)
        opening = abs(qty) - closing
        self._charge(fee)
        if opening:
            if closing or (held == 0 and (self.leg.open_qty or self.leg.close_qty)):
                self.legs.append(Leg())
                if closing:
                    self._charge(second_leg_fee)
            self._open(opening if qty > 0 else -opening, px)

    def unrealised(self, px: Fraction) -> Fraction:
        """Return what closing everything at `px` would realise, without fees."""
        gain = self.value(self.leg.qty, px) - self.leg.cost
        return gain if (self.leg.qty > 0) != self.inverse else -gain

    def _charge(self, fee: Fraction) -> None:
        self.leg.fees += fee
        if self.fee_policy == "realised":
            self.leg.realised -= fee

    def _open(self, qty: Fraction, px: Fraction) -> None:
        leg = self.leg
        value = self.value(qty, px)
        leg.qty += qty
        leg.cost += value
        leg.open_qty += abs(qty)
        leg.open_value += value
        leg.peak_qty = max(leg.peak_qty, abs(leg.qty))

    def _close(self, qty: Fraction, px: Fraction) -> None:
        leg = self.leg
        value = self.value(qty, px)
        removed = leg.cost * qty / abs(leg.qty)
        gain = value - removed
        leg.realised += gain if (leg.qty > 0) != self.inverse else -gain
        leg.cost -= removed
        leg.qty += -qty if leg.qty > 0 else qty
        leg.close_qty += qty
        leg.close_value += value
