"""Commissions against the exchange's worked example, and exact numbers at their edges."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradecore.errors import ConfigError
from tradecore.fees import (
    CommissionRates,
    commission,
    exact,
    notional,
    round_down,
    round_up,
)


def test_worked_example_of_the_commission_faq_is_exact() -> None:
    # Binance Spot API, faqs/commission_faq.md: SELL MARKET 0.49975 at 35,000.
    worth = notional("35000", "0.49975")
    charged = commission(
        worth,
        2,
        "taker",
        standard=CommissionRates.of({"taker": "0.0000002", "seller": "0.0000004", "buyer": "9"}),
        tax=CommissionRates.of({"taker": "0.00000114", "seller": "0.00000116"}),
        special=CommissionRates.of({"taker": "0.02", "seller": "0.04"}),
    )
    assert charged.standard == Fraction("0.01049475")
    assert charged.special == Fraction("1049.475")
    assert charged.tax == Fraction("0.040229875")
    paid = charged.in_asset(260, "0.25")
    assert float(paid.standard) == pytest.approx(1.0091e-05, abs=1e-9)
    assert float(paid.total) == pytest.approx(4.036607129, abs=1e-8)


def test_side_and_role_choose_one_rate_each() -> None:
    rates = CommissionRates(
        maker=Fraction(1), taker=Fraction(2), buyer=Fraction(4), seller=Fraction(8)
    )
    assert [rates.rate(1, "maker"), rates.rate(2, "maker")] == [5, 9]
    assert [rates.rate(1, "taker"), rates.rate(2, "taker")] == [6, 10]


def test_missing_parts_are_free() -> None:
    assert commission(Fraction(5), 1, "maker").total == 0


@given(st.fractions(), st.sampled_from(["0.01", "1", "0.5", "3"]))
def test_rounding_encloses_the_amount_within_one_unit(amount: Fraction, unit: str) -> None:
    low, high = round_down(amount, unit), round_up(amount, unit)
    assert low <= amount <= high
    assert high - low in (0, Fraction(unit))
    assert low / Fraction(unit) == low // Fraction(unit)


@pytest.mark.parametrize("value", [7, "7", "7.0", "0.7e1", Decimal(7), Fraction(14, 2)])
def test_exact_numbers_come_in_every_exact_form(value: object) -> None:
    assert exact(value) == 7  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value",
    [
        0.1, True, None, "x", "", "NaN", "inf", "1e999999999", "1_000", "\uff11", Decimal("NaN"),
        Decimal("Infinity"), Decimal("1e401"),
    ],
)  # fmt: skip
def test_everything_else_is_refused(value: object) -> None:
    with pytest.raises(ConfigError):
        exact(value)  # type: ignore[arg-type]


def test_unknown_rates_and_units_are_refused() -> None:
    with pytest.raises(ConfigError):
        CommissionRates.of({"broker": 1})
    with pytest.raises(ConfigError):
        round_down(Fraction(1), 0)
    with pytest.raises(ConfigError):
        commission(Fraction(1), 1, "maker").in_asset(0)
