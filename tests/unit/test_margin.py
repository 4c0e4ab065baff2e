"""Margin arithmetic: published examples, and every liquidation price put back into its equation."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradecore import margin
from tradecore.errors import ConfigError

MONEY = st.fractions(Fraction(1, 100), 10_000)
RATE = st.fractions(0, Fraction(1, 10))
SIGN = st.sampled_from([1, -1])


def test_margin_call_prices_of_the_published_examples() -> None:
    assert margin.margin_call_px(40, "0.6", "0.25") == Fraction(64, 3)
    assert float(margin.margin_call_px_from_loan(300, 4000, "0.3")) == pytest.approx(
        19.0476, abs=1e-4
    )


@given(MONEY, st.fractions(Fraction(1, 10), 1), st.fractions(0, Fraction(1, 2)), st.booleans())
def test_equity_equals_the_maintenance_at_the_margin_call_price(
    px: Fraction, initial: Fraction, maintenance: Fraction, short: bool
) -> None:
    call = margin.margin_call_px(px, initial, maintenance, short=short)
    equity = px * initial + (px - call if short else call - px)
    assert equity == maintenance * call


def test_minimum_deposit_follows_regulation_t_and_finra() -> None:
    assert [margin.minimum_deposit(p) for p in (5000, 3000, 1500)] == [2500, 2000, 1500]


def test_tiers_charge_each_part_at_its_own_rate() -> None:
    tiers = [(10, "0.01"), (20, "0.02"), (30, "0.03")]
    assert margin.tiered_maintenance(25, tiers) == Fraction("0.45")
    assert margin.tiered_maintenance(-10, tiers) == Fraction("0.1")
    # Binance's form of the same table: rate times position less the amounts 0.1 and 0.3.
    assert margin.tiered_maintenance(15, tiers) == 15 * Fraction("0.02") - Fraction("0.1")
    assert margin.tiered_maintenance(30, tiers) == 30 * Fraction("0.03") - Fraction("0.3")
    with pytest.raises(ConfigError):
        margin.tiered_maintenance(31, tiers)
    with pytest.raises(ConfigError):
        margin.tiered_maintenance(5, [(3, 0), (2, 0)])


def test_inverse_cross_example_of_the_help_centre() -> None:
    found = margin.cross_liquidation_inverse(10_000, 8_000, "0.5", "0.005", "0.00075")
    assert found.bankruptcy_px is not None
    assert found.liq_px is not None
    assert float(found.bankruptcy_px) == pytest.approx(5718.57, abs=0.005)
    assert float(found.liq_px) == pytest.approx(5739.0835, abs=5e-5)


@given(MONEY, MONEY, MONEY, RATE, RATE, SIGN)
def test_inverse_prices_solve_their_equations(
    size: Fraction, entry: Fraction, balance: Fraction, mmr: Fraction, fee: Fraction, sign: int
) -> None:
    found = margin.cross_liquidation_inverse(sign * size, entry, balance, mmr, fee)
    closing = Fraction(0)
    if found.bankruptcy_px is not None:
        px = found.bankruptcy_px
        assert balance + sign * size * (1 / entry - 1 / px) == fee * size / px
        closing = fee * size / px
    if found.liq_px is not None:
        equity = balance + sign * size * (1 / entry - 1 / found.liq_px)
        assert equity == mmr * size / entry + closing


@given(
    MONEY, MONEY, MONEY, RATE, RATE, SIGN, st.sampled_from(["mark", "entry"]), st.fractions(0, 10)
)
def test_linear_prices_solve_their_equations(
    size: Fraction,
    entry: Fraction,
    balance: Fraction,
    mmr: Fraction,
    fee: Fraction,
    sign: int,
    on: margin.MaintenanceBase,
    amount: Fraction,
) -> None:
    found = margin.cross_liquidation_linear(
        sign * size, entry, balance, mmr, fee, maintenance_amount=amount, maintenance_on=on
    )
    if found.bankruptcy_px is not None:
        px = found.bankruptcy_px
        assert balance + sign * size * (px - entry) == fee * size * px
    if found.liq_px is not None:
        px = found.liq_px
        equity = balance + sign * size * (px - entry)
        if on == "mark":
            assert equity == (mmr + fee) * size * px - amount
        else:
            closing = fee * size * (found.bankruptcy_px or 0)
            assert equity == mmr * size * entry - amount + closing


def test_isolated_prices_have_the_venues_closed_forms() -> None:
    entry, leverage, mmr = 20_000, 50, Fraction(1, 200)
    long = margin.isolated_liquidation_linear(1, entry, leverage, mmr)
    assert (long.bankruptcy_px, long.liq_px) == (19_600, 19_700)
    short = margin.isolated_liquidation_linear(-1, entry, leverage, mmr)
    assert (short.bankruptcy_px, short.liq_px) == (20_400, 20_300)
    added = margin.isolated_liquidation_linear(2, entry, leverage, mmr, extra_margin=100)
    assert added.liq_px == 19_650
    inverse = margin.isolated_liquidation_inverse(10_000, 8_000, 25, mmr)
    assert inverse.liq_px == Fraction(8_000 * 25) / (25 + 1 - mmr * 25)
    inverse = margin.isolated_liquidation_inverse(-10_000, 8_000, 25, mmr)
    assert inverse.liq_px == Fraction(8_000 * 25) / (25 - 1 + mmr * 25)


def test_position_that_cannot_go_bankrupt_has_no_price() -> None:
    found = margin.cross_liquidation_linear(1, 100, 1_000, "0.01")
    assert (found.bankruptcy_px, found.liq_px) == (None, None)
    assert margin.cross_liquidation_inverse(-1, 100, 1, "0.01").bankruptcy_px is None


@given(st.lists(st.tuples(st.integers(-100, 100)), min_size=1), MONEY, RATE)
def test_funding_of_a_closed_market_adds_up_to_zero(
    sizes: list[tuple[int]], px: Fraction, rate: Fraction
) -> None:
    held = [size for (size,) in sizes]
    held.append(-sum(held))
    for inverse in (False, True):
        paid = [margin.funding_payment(q, px, rate, inverse=inverse) for q in held]
        assert sum(paid) == 0
    assert margin.funding_payment(10, 8_000, "0.0001") == 8


def test_most_profitable_and_most_leveraged_position_ranks_first() -> None:
    scores = [
        margin.adl_score(*p) for p in ((50, 100, 10), (50, 100, 50), (-5, 100, 50), (-5, 100, 10))
    ]
    assert scores[0] > scores[1] > 0 > scores[3] > scores[2]
    assert margin.adl_score(50, 100, 10, 150) == Fraction(50, 100) * Fraction(150, 10)


def test_arguments_that_make_no_sense_are_refused() -> None:
    for call in (
        lambda: margin.margin_call_px(1, 1, 1),
        lambda: margin.margin_call_px_from_loan(0, 1, 0),
        lambda: margin.cross_liquidation_linear(0, 1, 1, 0),
        lambda: margin.isolated_liquidation_linear(1, 1, 0, 0),
        lambda: margin.cross_liquidation_linear(1, 1, 1, 0, maintenance_on="last"),  # type: ignore[arg-type]
        lambda: margin.adl_score(1, 0, 1),
    ):
        with pytest.raises(ConfigError):
            call()
