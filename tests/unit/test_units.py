"""Money text: what is read, what is refused and with which sentence."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradecore.errors import ConfigError
from tradecore.units import Unit, from_lots, from_ticks, parse_decimal, to_lots, to_ticks


@pytest.mark.parametrize(
    ("text", "step", "units"),
    [
        ("101.25", "0.05", 2025),
        ("101.25", "0.25", 405),
        ("0.3", "0.1", 3),
        ("0", "0.01", 0),
        ("7", "1", 7),
        ("300", "25", 12),
        ("0.00000001", "0.00000001", 1),
        ("72057594037927936", "1", 1 << 56),
        (Decimal("101.25"), "0.05", 2025),
        (Decimal("1E+2"), "0.5", 200),
        (101, "0.05", 2020),
        ("0.10", "0.05", 2),
    ],
)
def test_units_exact_multiple_is_read(text: str, step: str, units: int) -> None:
    assert Unit.parse(step).to_units(text) == units


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1e400", "exponent"),
        ("1E5", "exponent"),
        ("NaN", "not a finite"),
        ("sNaN", "not a finite"),
        ("Inf", "not a finite"),
        ("-Infinity", "not a finite"),
        ("+1", "sign '+'"),
        ("\uff11\uff12", "non-ASCII"),
        ("\u0661\u0662", "non-ASCII"),
        ("1\uff12", "non-ASCII"),
        ("0.\u0661", "non-ASCII"),
        ("1\u00a02", "white space"),
        ("1_000", "separator"),
        ("1,000.5", "separator"),
        (" 1", "white space"),
        ("1\n", "white space"),
        ("", "empty"),
        ("  ", "empty"),
        ("01", "superfluous zeros"),
        ("00.5", "superfluous zeros"),
        (".5", "dot"),
        ("5.", "dot"),
        ("-0", "negative zero"),
        ("-0.00", "negative zero"),
        ("0x10", "not a number"),
        ("1.2.3", "not a number"),
        ("--1", "not a number"),
        ("ten", "not a number"),
        ("1\x00", "not a number"),
        ("9" * 41, "41 characters"),
        ("9" * 100_000, "100000 characters"),
        (1.5, "float"),
        (float("nan"), "float"),
        (True, "boolean"),
        (None, "NoneType"),
        (b"1", "bytes"),
        (Decimal("NaN"), "not a finite"),
        (Decimal("Infinity"), "not a finite"),
        (Decimal("1e999999"), "too many digits"),
        (Decimal("1e-999999"), "too many digits"),
        (10**5000, "more than 40 digits"),
    ],
    ids=lambda value: ascii(value)[:20] if not isinstance(value, int) else "int",
)
def test_units_malformed_value_is_refused_in_one_sentence(text: object, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_decimal(text, "orders[3].px")  # type: ignore[arg-type]
    message = str(caught.value)
    assert message.startswith("orders[3].px: ")
    assert says in message
    assert "\n" not in message
    assert len(message) < 200


@pytest.mark.parametrize(
    ("text", "step", "says"),
    [
        ("101.255", "0.01", "has 3 decimals; the step 0.01 allows 2"),
        ("101.250", "0.01", "has 3 decimals"),
        ("101.26", "0.05", "not a multiple of the step 0.05; its neighbours are 101.25 and 101.30"),
        ("1", "25", "not a multiple of the step 25; its neighbours are 0 and 25"),
        ("-1", "1", "out of range; between 0 and"),
        ("4611686018427387905", "1", "out of range"),
        ("0.1", "1", "has 1 decimals"),
    ],
)
def test_units_value_off_the_grid_is_refused(text: str, step: str, says: str) -> None:
    with pytest.raises(ConfigError, match=r"^px: ") as caught:
        Unit.parse(step).to_units(text, "px")
    assert says in str(caught.value)


@pytest.mark.parametrize("step", ["0", "-0.01", "0.00", "1e-2", "", "0." + "0" * 18 + "1"])
def test_units_impossible_step_is_refused(step: str) -> None:
    with pytest.raises(ConfigError, match=r"^tick_size: "):
        Unit.parse(step, "tick_size")


@pytest.mark.parametrize(("step", "decimals"), [(0, 0), (-1, 2), (1, 19), (1, -1)])
def test_units_impossible_struct_is_refused(step: int, decimals: int) -> None:
    with pytest.raises(ConfigError):
        Unit(step, decimals)


def test_units_ticks_and_lots_stop_at_the_frame_limit() -> None:
    assert to_ticks(str(1 << 56), "1") == 1 << 56
    with pytest.raises(ConfigError, match="out of range"):
        to_ticks(str((1 << 56) + 1), "1")
    with pytest.raises(ConfigError, match="out of range"):
        to_lots(str((1 << 56) + 1), "1")


def test_units_text_shows_all_decimals_and_the_sign() -> None:
    assert from_ticks(2025, "0.05") == "101.25"
    assert from_ticks(-1, "0.05") == "-0.05"
    assert from_ticks(0, "0.05") == "0.00"
    assert from_lots(3, "0.1") == "0.3"
    assert from_lots(3, "5") == "15"
    assert Unit.parse("0.05").to_decimal(-2025) == Decimal("-101.25")


STEPS = st.builds(Unit, st.integers(1, 10**6), st.integers(0, 18))


@given(STEPS, st.integers(-(1 << 62), 1 << 62))
def test_units_text_round_trips(unit: Unit, units: int) -> None:
    text = unit.to_text(units)
    assert unit.to_units(text, low=-(1 << 62)) == units
    assert unit.to_units(Decimal(text), low=-(1 << 62)) == units if units else True
    assert Decimal(text) == Decimal(units) * Decimal(unit.step).scaleb(-unit.decimals)


@given(st.text(max_size=45))
def test_units_any_text_is_a_number_as_decimal_reads_it_or_refused(text: str) -> None:
    try:
        digits, decimals = parse_decimal(text)
    except ConfigError:
        return
    assert Decimal(text) == Decimal(digits).scaleb(-decimals)
    assert text.isascii()
    assert not set(text) - set("-0123456789.")
