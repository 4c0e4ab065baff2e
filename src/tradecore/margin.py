"""Margin in exact fractions: calls, maintenance tiers, liquidation prices, funding, ADL rank.

For planning, statements and checks. The engine itself measures margin in integers after every mark;
the formulas here give the *price* at which it would act, which the engine never needs. Numbers are
exact (see `tradecore.fees.exact`); signed quantities are positive long, negative short. A price
that no market can reach (zero or negative) is answered with None.

Sources: Federal Reserve Regulation T and FINRA rule 4210 (margin calls and minimum equity); Bybit
help centre, *How to calculate liquidation price* (inverse, USDT) and *Maintenance margin*; Binance
futures, *Liquidation protocols* (liquidation price, auto-deleveraging rank).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias, get_args

from tradecore.errors import ConfigError
from tradecore.fees import Exact, exact

__all__ = [
    "LiquidationPrices",
    "MaintenanceBase",
    "adl_score",
    "cross_liquidation_inverse",
    "cross_liquidation_linear",
    "funding_payment",
    "isolated_liquidation_inverse",
    "isolated_liquidation_linear",
    "margin_call_px",
    "margin_call_px_from_loan",
    "minimum_deposit",
    "tiered_maintenance",
]

MaintenanceBase: TypeAlias = Literal["mark", "entry"]


def _fraction_of_one(name: str, value: Exact) -> Fraction:
    """Return a rate after checking that it lies in [0, 1)."""
    rate = exact(value)
    if not 0 <= rate < 1:
        raise ConfigError(f"{name}: a rate in [0, 1) is needed, not {rate}")
    return rate


def margin_call_px(
    px: Exact, initial_margin: Exact, maintenance: Exact, *, short: bool = False
) -> Fraction:
    """Return the price at which a position opened on margin gets a margin call.

    Parameters
    ----------
    px : Exact
        Purchase (or short sale) price.
    initial_margin : Exact
        Equity put up, as a fraction of the value.
    maintenance : Exact
        Equity that must remain, as a fraction of the current value.
    short : bool
        A short sale: equity falls when the price rises.

    Returns
    -------
    Fraction
        ``px (1 - initial) / (1 - maintenance)``; short: ``px (1 + initial) / (1 + maintenance)``.
    """
    initial = exact(initial_margin)
    keep = _fraction_of_one("maintenance", maintenance)
    if short:
        return exact(px) * (1 + initial) / (1 + keep)
    return exact(px) * (1 - initial) / (1 - keep)


def margin_call_px_from_loan(shares: Exact, loan: Exact, maintenance: Exact) -> Fraction:
    """Return the price at which shares bought with a loan get a margin call.

    Parameters
    ----------
    shares : Exact
        Number bought, positive.
    loan : Exact
        Amount borrowed.
    maintenance : Exact
        Equity that must remain, as a fraction of the current value.

    Returns
    -------
    Fraction
        ``loan / (shares (1 - maintenance))``.
    """
    keep = _fraction_of_one("maintenance", maintenance)
    count = exact(shares)
    if count <= 0:
        raise ConfigError("shares: a positive number is needed")
    return exact(loan) / (count * (1 - keep))


def minimum_deposit(
    purchase: Exact, *, initial_margin: Exact = Fraction(1, 2), minimum: Exact = 2000
) -> Fraction:
    """Return what must be deposited to buy on margin.

    Parameters
    ----------
    purchase : Exact
        Value bought.
    initial_margin : Exact
        Regulation T: one half.
    minimum : Exact
        FINRA: 2,000, or the whole price of a smaller purchase.

    Returns
    -------
    Fraction
        The greater of ``initial_margin * purchase`` and ``min(minimum, purchase)``.
    """
    value = exact(purchase)
    return max(exact(initial_margin) * value, min(exact(minimum), value))


def tiered_maintenance(position: Exact, tiers: Sequence[tuple[Exact, Exact]]) -> Fraction:
    """Return the maintenance margin of a position under marginal tiers.

    Parameters
    ----------
    position : Exact
        Size in the unit of the tiers; the sign is ignored.
    tiers : sequence of (upper bound, rate)
        Ascending cumulative bounds. The part of the position within each tier is charged at the
        tier's rate.

    Returns
    -------
    Fraction

    Raises
    ------
    ConfigError
        If the bounds do not ascend, or the position exceeds the last one.

    Notes
    -----
    O(tiers). Equal to Binance's form ``rate * position - cum`` with its maintenance amounts.
    """
    size = abs(exact(position))
    total = Fraction(0)
    lower = Fraction(0)
    for bound, rate in tiers:
        upper = exact(bound)
        if upper <= lower:
            raise ConfigError("tiers: ascending upper bounds are needed")
        total += (min(size, upper) - lower) * exact(rate)
        if size <= upper:
            return total
        lower = upper
    raise ConfigError(f"position {size} exceeds the last tier {lower}")


@dataclass(frozen=True, slots=True)
class LiquidationPrices:
    """Two prices of a margined position; None where no positive price does it.

    Attributes
    ----------
    bankruptcy_px : Fraction or None
        Closing there, fee included, leaves nothing.
    liq_px : Fraction or None
        Equity equals the maintenance requirement there.
    """

    bankruptcy_px: Fraction | None
    liq_px: Fraction | None


def _reachable(numerator: Fraction, denominator: Fraction) -> Fraction | None:
    """Return the quotient if it is a positive price."""
    if denominator == 0 or (px := numerator / denominator) <= 0:
        return None
    return px


def _signed_size(qty: Exact) -> tuple[int, Fraction]:
    """Return (+1 long or -1 short, size)."""
    signed = exact(qty)
    if signed == 0:
        raise ConfigError("qty: an open position is needed")
    return (1, signed) if signed > 0 else (-1, -signed)


def cross_liquidation_inverse(
    qty: Exact, entry: Exact, balance: Exact, mmr: Exact, fee: Exact = 0
) -> LiquidationPrices:
    """Return the prices of an inverse contract whose whole balance is its margin.

    With s = +1 long and -1 short, contracts q, entry E, balance B (base asset), closing fee rate
    f::

        bankruptcy P_b:  B + s q (1/E - 1/P_b) = f q / P_b
        liquidation P_l: B + s q (1/E - 1/P_l) = mmr q / E + f q / P_b

    Parameters
    ----------
    qty : Exact
        Signed contracts.
    entry : Exact
        Average entry price.
    balance : Exact
        Wallet balance in the base asset.
    mmr : Exact
        Maintenance margin rate, on the entry value.
    fee : Exact
        Taker rate; the maintenance includes the fee of closing at the bankruptcy price.

    Returns
    -------
    LiquidationPrices
    """
    sign, size = _signed_size(qty)
    entry_value = size / exact(entry)
    funds = exact(balance)
    rate = exact(fee)
    bankruptcy = _reachable(size * (sign + rate), funds + sign * entry_value)
    closing_fee = Fraction(0) if bankruptcy is None else rate * size / bankruptcy
    required = exact(mmr) * entry_value + closing_fee
    return LiquidationPrices(
        bankruptcy, _reachable(sign * size, funds + sign * entry_value - required)
    )


def _base(maintenance_on: str) -> bool:
    """Whether the maintenance is measured on the mark price; refuse an unknown base."""
    if maintenance_on not in get_args(MaintenanceBase):
        raise ConfigError(f"maintenance_on: one of {', '.join(get_args(MaintenanceBase))}")
    return maintenance_on == "mark"


def cross_liquidation_linear(
    qty: Exact,
    entry: Exact,
    balance: Exact,
    mmr: Exact,
    fee: Exact = 0,
    *,
    maintenance_amount: Exact = 0,
    maintenance_on: MaintenanceBase = "mark",
) -> LiquidationPrices:
    """Return the prices of a linear contract whose whole balance is its margin.

    With s = +1 long and -1 short, size q, entry E, balance B, maintenance rate m and amount c
    (Binance's ``cum``)::

        bankruptcy P_b:  B + s q (P_b - E) = f q P_b
        liquidation P_l: B + s q (P_l - E) = m q P_l - c + f q P_l          on the mark price
                         B + s q (P_l - E) = m q E - c + f q P_b            on the entry price

    Parameters
    ----------
    qty : Exact
        Signed size.
    entry : Exact
        Average entry price.
    balance : Exact
        Wallet balance in the quote asset, less what other positions require.
    mmr : Exact
        Maintenance margin rate.
    fee : Exact
        Taker rate reserved for the closing order.
    maintenance_amount : Exact
        Deduction of a tier table.
    maintenance_on : {"mark", "entry"}
        Value that the rate applies to: Binance uses the mark price, Bybit's isolated mode the entry
        price.

    Returns
    -------
    LiquidationPrices
    """
    sign, size = _signed_size(qty)
    price = exact(entry)
    rate = exact(fee)
    shortfall = sign * size * price - exact(balance)
    bankruptcy = _reachable(shortfall, size * (sign - rate))
    deduction = exact(maintenance_amount)
    if _base(maintenance_on):
        liquidation = _reachable(shortfall - deduction, size * (sign - exact(mmr) - rate))
    else:
        closing_fee = rate * size * (bankruptcy or 0)
        required = exact(mmr) * size * price - deduction + closing_fee
        liquidation = _reachable(shortfall + required, sign * size)
    return LiquidationPrices(bankruptcy, liquidation)


def isolated_liquidation_linear(
    qty: Exact,
    entry: Exact,
    leverage: Exact,
    mmr: Exact,
    fee: Exact = 0,
    *,
    extra_margin: Exact = 0,
    maintenance_amount: Exact = 0,
    maintenance_on: MaintenanceBase = "entry",
) -> LiquidationPrices:
    """Return the prices of a linear contract with its own margin of ``size * entry / leverage``.

    Parameters
    ----------
    qty : Exact
        Signed size.
    entry : Exact
        Average entry price.
    leverage : Exact
        Positive.
    mmr : Exact
        Maintenance margin rate.
    fee : Exact
        Taker rate reserved for the closing order.
    extra_margin : Exact
        Margin added by hand, quote asset.
    maintenance_amount : Exact
        Deduction of a tier table.
    maintenance_on : {"mark", "entry"}
        "entry" gives Bybit's ``entry (1 - 1/leverage + mmr) - extra / size`` (long), "mark"
        Binance's form.

    Returns
    -------
    LiquidationPrices
    """
    _, size = _signed_size(qty)
    margin = size * exact(entry) / _leverage(leverage) + exact(extra_margin)
    return cross_liquidation_linear(
        qty,
        entry,
        margin,
        mmr,
        fee,
        maintenance_amount=maintenance_amount,
        maintenance_on=maintenance_on,
    )


def isolated_liquidation_inverse(
    qty: Exact,
    entry: Exact,
    leverage: Exact,
    mmr: Exact,
    fee: Exact = 0,
    *,
    extra_margin: Exact = 0,
) -> LiquidationPrices:
    """Return the prices of an inverse contract with its own margin of ``size / entry / leverage``.

    Without a fee the liquidation price is Bybit's ``entry L / (L + 1 - mmr L)`` for a long position
    and ``entry L / (L - 1 + mmr L)`` for a short one, L the leverage.

    Parameters
    ----------
    qty : Exact
        Signed contracts.
    entry : Exact
        Average entry price.
    leverage : Exact
        Positive.
    mmr : Exact
        Maintenance margin rate, on the entry value.
    fee : Exact
        Taker rate reserved for the closing order.
    extra_margin : Exact
        Margin added by hand, base asset.

    Returns
    -------
    LiquidationPrices
    """
    _, size = _signed_size(qty)
    margin = size / exact(entry) / _leverage(leverage) + exact(extra_margin)
    return cross_liquidation_inverse(qty, entry, margin, mmr, fee)


def _leverage(value: Exact) -> Fraction:
    """Return a leverage after checking that it is positive."""
    leverage = exact(value)
    if leverage <= 0:
        raise ConfigError("leverage: a positive number is needed")
    return leverage


def funding_payment(qty: Exact, px: Exact, rate: Exact, *, inverse: bool = False) -> Fraction:
    """Return what a position *pays* at a funding time; negative means it receives.

    Parameters
    ----------
    qty : Exact
        Signed size: a long position pays a positive rate.
    px : Exact
        Mark price.
    rate : Exact
        Funding rate of the interval.
    inverse : bool
        The position is worth ``qty / px`` of the base asset.

    Returns
    -------
    Fraction
        In the settlement asset. Over all positions of a contract the payments add up to zero.
    """
    value = exact(qty) / exact(px) if inverse else exact(qty) * exact(px)
    return value * exact(rate)


def adl_score(
    pnl: Exact, entry_value: Exact, margin_balance: Exact, mark_value: Exact | None = None
) -> Fraction:
    """Return the rank score of a position for auto-deleveraging: the highest is reduced first.

    Parameters
    ----------
    pnl : Exact
        Unrealised PnL.
    entry_value : Exact
        Absolute value of the position at entry, positive.
    margin_balance : Exact
        Equity behind it, positive.
    mark_value : Exact, optional
        Absolute value at the mark price, positive; the entry value by default.

    Returns
    -------
    Fraction
        ``pnl / entry_value`` times the effective leverage ``mark_value / margin_balance`` for a
        winning position, divided by it for a losing one.
    """
    cost = exact(entry_value)
    value = cost if mark_value is None else exact(mark_value)
    equity = exact(margin_balance)
    if cost <= 0 or value <= 0 or equity <= 0:
        raise ConfigError("positive values and a positive margin balance are needed")
    profit = exact(pnl) / cost
    leverage = value / equity
    return profit * leverage if profit > 0 else profit / leverage
