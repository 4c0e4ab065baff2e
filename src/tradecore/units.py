"""Money text to integers and back: the only place of the library that reads a decimal number.

A price, size or amount enters as text (or `Decimal`, or `int`), is checked against the step of its
unit and becomes an int64 count of steps; nothing is ever rounded and no float takes part. Whoever
needs a price in ticks asks here, so that there is one answer to what "101.25" means and one wording
of what is wrong with "1e400".

Grammar of the text: ``[-] (0 | [1-9][0-9]*) [. [0-9]+]`` in ASCII, at most 40 characters. What
other parsers let through is refused: exponents, ``NaN`` and ``Infinity``, a sign ``+``, white
space, separators, digits of other scripts, leading zeros, a bare dot.
"""

from __future__ import annotations

import operator
import re
from decimal import Decimal
from typing import Final, TypeAlias

import msgspec

from tradecore.codes import MAX_CASH, MAX_PX, MAX_QTY
from tradecore.errors import ConfigError

__all__ = [
    "MAX_DECIMALS",
    "Money",
    "Unit",
    "from_lots",
    "from_ticks",
    "parse_decimal",
    "to_lots",
    "to_ticks",
]

Money: TypeAlias = str | int | Decimal
"""What a caller may pass for a price, size or amount; floats are refused."""

MAX_DECIMALS: Final = 18
"""Most decimals a unit may have: 10**-18 of a coin, beyond which int64 amounts are useless."""

_MAX_TEXT: Final = 40
# re.ASCII keeps \d from matching the digits of every script.
_PLAIN: Final = re.compile(r"(-?)(0|[1-9]\d*)(?:\.(\d+))?", re.ASCII)

# What people and hostile clients really send, each with the sentence that helps; first match wins.
_SHAPES: Final = (
    (re.compile(r"\s*"), "is empty", "write a plain decimal number such as '101.25'"),
    (re.compile(r".*\s.*", re.DOTALL), "holds white space", "remove it"),
    (re.compile(r"[^\x00-\x7f]+|.*[^\x00-\x7f].*"), "holds non-ASCII characters", "use digits 0-9"),
    (
        re.compile(r"[+-]?s?(nan\d*|inf(inity)?)", re.IGNORECASE),
        "is not a finite number",
        "write a plain decimal number such as '101.25'",
    ),
    (re.compile(r".*\d[eE].*"), "is written with an exponent", "write all digits out"),
    (re.compile(r"\+.*"), "starts with a sign '+'", "leave the sign away"),
    (re.compile(r".*[_,'].*"), "holds a digit separator", "write the digits without separators"),
    (re.compile(r"-?0\d.*"), "starts with superfluous zeros", "write '0.5', not '00.5'"),
    (re.compile(r"-?(\.\d+|\d+\.)"), "has a dot without digits on both sides", "write '0.5'"),
)


def _fail(where: str, value: object, reason: str, advice: str) -> ConfigError:
    shown = ascii(value)
    if len(shown) > 48:
        shown = shown[:45] + "..."
    return ConfigError(f"{where}: {shown} {reason}; {advice}")


def _parse_text(text: str, where: str) -> tuple[int, int]:
    if len(text) > _MAX_TEXT:
        raise _fail(where, text, f"has {len(text)} characters", f"at most {_MAX_TEXT} are read")
    match = _PLAIN.fullmatch(text)
    if match is None:
        for shape, reason, advice in _SHAPES:
            if shape.fullmatch(text):
                raise _fail(where, text, reason, advice)
        raise _fail(where, text, "is not a number", "write a plain decimal such as '101.25'")
    sign, whole, fraction = match.groups(default="")
    digits = int(whole + fraction)
    if sign and not digits:
        raise _fail(where, text, "is a negative zero", "write '0'")
    return (-digits if sign else digits), len(fraction)


def parse_decimal(value: Money, where: str = "value") -> tuple[int, int]:
    """Read a decimal number exactly.

    Parameters
    ----------
    value : str, int or Decimal
        Text by the grammar of this module; an int; a finite Decimal (its own number of decimals is
        kept, so ``Decimal("1.50")`` has two).
    where : str
        What the value is, for the error: ``"px"``, ``"orders[3].order_qty"``.

    Returns
    -------
    digits, decimals : int
        The value is ``digits * 10**-decimals``.

    Raises
    ------
    ConfigError
        Anything else, floats and booleans included; the text names `where`, the value, what is
        wrong with it and what to write instead.
    """
    if isinstance(value, str):
        return _parse_text(value, where)
    return _parse_number(value, where)


def _parse_number(value: object, where: str) -> tuple[int, int]:
    if isinstance(value, bool):
        raise _fail(where, value, "is a boolean", "pass text such as '101.25'")
    if isinstance(value, int):
        # Compared before it is printed: turning a huge int into text is quadratic.
        if not -(10**_MAX_TEXT) < value < 10**_MAX_TEXT:
            raise ConfigError(f"{where}: the integer has more than {_MAX_TEXT} digits; check it")
        return value, 0
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise _fail(where, value, "is not a finite number", "pass a finite Decimal")
        sign, digits, exponent = value.as_tuple()
        assert isinstance(exponent, int)
        if len(digits) > _MAX_TEXT or not -_MAX_TEXT <= exponent <= _MAX_TEXT:
            raise _fail(where, value, "has too many digits", f"at most {_MAX_TEXT} are read")
        number = int("".join(map(str, digits)))
        if sign and not number:
            raise _fail(where, value, "is a negative zero", "pass Decimal('0')")
        number = -number if sign else number
        return (number * 10**exponent, 0) if exponent > 0 else (number, -exponent)
    kind = type(value).__name__
    if isinstance(value, float):
        raise _fail(where, value, "is a float, and money is never one", "pass text, '101.25'")
    raise _fail(where, value, f"is of type {kind}", "pass text such as '101.25', or a Decimal")


class Unit(msgspec.Struct, frozen=True):
    """A step of money: a tick, a lot, the smallest unit of an asset.

    Parameters
    ----------
    step : int
        The step without its decimal point, at least 1.
    decimals : int
        Decimals of the step, 0 to `MAX_DECIMALS`: a tick of ``0.05`` is ``Unit(5, 2)``.

    Examples
    --------
    >>> tick = Unit.parse("0.05")
    >>> tick.to_units("101.25")
    2025
    >>> tick.to_text(2025)
    '101.25'
    """

    step: int
    decimals: int

    def __post_init__(self) -> None:
        """Refuse a step that is not positive and decimals that no amount can have."""
        if not 1 <= self.step <= MAX_CASH:
            raise ConfigError(f"unit: the step must be positive, not {self.step}; write '0.01'")
        if not 0 <= self.decimals <= MAX_DECIMALS:
            raise ConfigError(
                f"unit: {self.decimals} decimals; at most {MAX_DECIMALS} can be represented"
            )

    @classmethod
    def parse(cls, text: Money, where: str = "unit") -> Unit:
        """Read a step such as ``"0.05"``; trailing zeros count as decimals people may write.

        Raises
        ------
        ConfigError
            Not a positive decimal number of at most `MAX_DECIMALS` decimals.
        """
        step, decimals = parse_decimal(text, where)
        if step <= 0:
            raise _fail(where, text, "is not a positive step", "write for example '0.01'")
        if decimals > MAX_DECIMALS:
            raise _fail(where, text, f"has {decimals} decimals", f"at most {MAX_DECIMALS} fit")
        if step > MAX_CASH:
            raise _fail(where, text, "is too large a step", f"at most {MAX_CASH} fits")
        return cls(step, decimals)

    def to_units(
        self, value: Money, where: str = "value", *, low: int = 0, high: int = MAX_CASH
    ) -> int:
        """Return the number of whole steps in a value, exactly.

        Parameters
        ----------
        value : str, int or Decimal
            The amount in natural notation: ``"101.25"``.
        where : str
            What the value is, for the error.
        low, high : int
            Inclusive bounds of the result, in steps.

        Raises
        ------
        ConfigError
            Malformed, more decimals than the step has, not a multiple of the step, or outside the
            bounds. Nothing is rounded.
        """
        digits, decimals = parse_decimal(value, where)
        if decimals > self.decimals:
            raise _fail(
                where,
                value,
                f"has {decimals} decimals",
                f"the step {self} allows {self.decimals}",
            )
        scale: int = 10 ** (self.decimals - decimals)
        units, rest = divmod(digits * scale, self.step)
        if rest:
            below = self.to_text(units)
            above = self.to_text(units + 1)
            raise _fail(
                where,
                value,
                f"is not a multiple of the step {self}",
                f"its neighbours are {below} and {above}",
            )
        if not low <= units <= high:
            raise _fail(
                where,
                value,
                "is out of range",
                f"between {self.to_text(low)} and {self.to_text(high)} is accepted",
            )
        return units

    def to_text(self, units: int) -> str:
        """Return a count of steps in natural notation, with all decimals of the step.

        ``to_units(to_text(n)) == n`` for every n in range. Never uses an exponent.

        Raises
        ------
        TypeError
            `units` is no whole number.
        """
        # NumPy's numbers would overflow where Python's do not.
        total = operator.index(units) * self.step
        if not self.decimals:
            return str(total)
        sign = "-" if total < 0 else ""
        text = str(abs(total)).rjust(self.decimals + 1, "0")
        return f"{sign}{text[: -self.decimals]}.{text[-self.decimals :]}"

    def to_decimal(self, units: int) -> Decimal:
        """Return a count of steps as an exact Decimal; no context is consulted."""
        return Decimal(self.to_text(units))

    def __str__(self) -> str:
        """Return the step in natural notation."""
        return self.to_text(1)


def to_ticks(px: Money, tick_size: Money, where: str = "px") -> int:
    """Return a price in ticks.

    Parameters
    ----------
    px : str, int or Decimal
        Price in natural notation, at least 0 (0 stands for "no price" in frames).
    tick_size : str, int or Decimal
        Price step, for example ``"0.05"``.

    Raises
    ------
    ConfigError
        See `Unit.to_units`; the bound is 2**56 ticks.

    Examples
    --------
    >>> to_ticks("101.25", "0.05")
    2025
    """
    return Unit.parse(tick_size, "tick_size").to_units(px, where, high=MAX_PX)


def from_ticks(ticks: int, tick_size: Money) -> str:
    """Return a price in natural notation: ``from_ticks(2025, "0.05") == "101.25"``."""
    return Unit.parse(tick_size, "tick_size").to_text(ticks)


def to_lots(qty: Money, lot_size: Money, where: str = "order_qty") -> int:
    """Return a quantity in lots: ``to_lots("0.3", "0.1") == 3``.

    Raises
    ------
    ConfigError
        See `Unit.to_units`; the bound is 2**56 lots.
    """
    return Unit.parse(lot_size, "lot_size").to_units(qty, where, high=MAX_QTY)


def from_lots(lots: int, lot_size: Money) -> str:
    """Return a quantity in natural notation: ``from_lots(3, "0.1") == "0.3"``."""
    return Unit.parse(lot_size, "lot_size").to_text(lots)
