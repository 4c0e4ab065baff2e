"""Commissions of a spot exchange in exact arithmetic: parts, sides, roles, discount asset.

Amounts and rates are `decimal.Decimal`, `fractions.Fraction`, integers or decimal text; floats are
refused, because money does not start from a rounded number. Results are fractions: nothing is
rounded until the caller asks for it with `round_down` or `round_up` in the smallest unit of an
asset.

The engine charges its own fees in integers (maker and taker rate with one floor on the cumulative
notional). This module is for statements, for tariffs with more parts than two rates, and for
checking venues' reports.

Source: Binance Spot API documents, ``faqs/commission_faq.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Literal, TypeAlias

from tradecore.errors import ConfigError

__all__ = [
    "Commission",
    "CommissionRates",
    "Exact",
    "commission",
    "exact",
    "notional",
    "round_down",
    "round_up",
]

Exact: TypeAlias = int | Decimal | Fraction | str


def exact(value: Exact) -> Fraction:
    """Return a number as an exact fraction.

    Parameters
    ----------
    value : int, Decimal, Fraction or str
        Text is ASCII decimal, with or without an exponent.

    Returns
    -------
    Fraction

    Raises
    ------
    ConfigError
        For a float, a boolean, an infinity, a NaN, text that is no number, or an exponent beyond
        +-400.
    """
    if isinstance(value, bool) or not isinstance(value, int | Decimal | Fraction | str):
        raise ConfigError(f"an exact number is needed, not {type(value).__name__}")
    if isinstance(value, str):
        if not value.isascii() or "_" in value:
            raise ConfigError(f"not a decimal number: {value!r}")
        try:
            value = Decimal(value)
        except InvalidOperation as error:
            raise ConfigError(f"not a decimal number: {value!r}") from error
    # An exponent such as 1e999999999 would be a fraction of a gigabyte.
    if isinstance(value, Decimal) and (not value.is_finite() or abs(value.adjusted()) > 400):
        raise ConfigError(f"not a finite amount of money: {value}")
    return Fraction(value)


def notional(px: Exact, qty: Exact) -> Fraction:
    """Return price times quantity, in the quote asset."""
    return exact(px) * exact(qty)


def _quanta(amount: Fraction, unit: Exact) -> Fraction:
    """Return how many units an amount is."""
    step = exact(unit)
    if step <= 0:
        raise ConfigError("unit: a positive amount is needed")
    return amount / step


def round_down(amount: Fraction, unit: Exact) -> Fraction:
    """Round towards minus infinity to a multiple of `unit`."""
    return (_quanta(amount, unit) // 1) * exact(unit)


def round_up(amount: Fraction, unit: Exact) -> Fraction:
    """Round towards plus infinity to a multiple of `unit`."""
    return -((-_quanta(amount, unit)) // 1) * exact(unit)


@dataclass(frozen=True, slots=True)
class CommissionRates:
    """Rates of one part of a commission; a fraction of the amount received, 0.001 for 10 bps.

    Attributes
    ----------
    maker, taker : Fraction
        By the role in the trade: exactly one of the two applies.
    buyer, seller : Fraction
        By the side: exactly one applies, on top of the role's.
    """

    maker: Fraction = Fraction(0)
    taker: Fraction = Fraction(0)
    buyer: Fraction = Fraction(0)
    seller: Fraction = Fraction(0)

    @classmethod
    def of(cls, rates: Mapping[str, Exact]) -> CommissionRates:
        """Build the rates from a mapping with any of the four names.

        Raises
        ------
        ConfigError
            For another name or a rate that is no exact number.
        """
        unknown = set(rates) - {"maker", "taker", "buyer", "seller"}
        if unknown:
            raise ConfigError(f"commission rates: unknown name {sorted(unknown)[0]!r}")
        return cls(**{name: exact(rate) for name, rate in rates.items()})

    def rate(self, side: Literal[1, 2], role: Literal["maker", "taker"]) -> Fraction:
        """Return the rate that applies to a side (1 buy, 2 sell) and a role."""
        by_role = self.maker if role == "maker" else self.taker
        return by_role + (self.buyer if side == 1 else self.seller)


@dataclass(frozen=True, slots=True)
class Commission:
    """Commission of one trade, by part, in one asset.

    Attributes
    ----------
    standard, special, tax : Fraction
    """

    standard: Fraction
    special: Fraction
    tax: Fraction

    @property
    def total(self) -> Fraction:
        """Sum of the parts."""
        return self.standard + self.special + self.tax

    def in_asset(self, px: Exact, discount: Exact = 1) -> Commission:
        """Return the same commission paid in a discount asset.

        Parameters
        ----------
        px : Exact
            Price of the discount asset in the asset of this commission, positive.
        discount : Exact
            *Multiplier* of the standard part only: 0.75 takes 25 % off. Special and tax parts are
            never discounted.

        Returns
        -------
        Commission
        """
        price = exact(px)
        if price <= 0:
            raise ConfigError("px: a positive price of the discount asset is needed")
        return Commission(
            self.standard * exact(discount) / price, self.special / price, self.tax / price
        )


def commission(
    received: Fraction,
    side: Literal[1, 2],
    role: Literal["maker", "taker"],
    *,
    standard: CommissionRates | None = None,
    special: CommissionRates | None = None,
    tax: CommissionRates | None = None,
) -> Commission:
    """Return the commission of one trade.

    Parameters
    ----------
    received : Fraction
        What the account receives and is charged on: the notional for a sale, the quantity for a
        purchase.
    side : {1, 2}
        1 buy, 2 sell (FIX 54).
    role : {"maker", "taker"}
        Whether the order rested or arrived.
    standard, special, tax : CommissionRates, optional
        Rates of each part; a missing part is free.

    Returns
    -------
    Commission
        In the asset of `received`.
    """
    free = CommissionRates()
    return Commission(
        *(received * (part or free).rate(side, role) for part in (standard, special, tax))
    )
