"""One PnL case: typed access to its inputs, and the comparison with what it expects.

A case is judged only if every input it gives was understood: `Inputs` remembers which keys a rule
has read, and what is left over is a reason to fail, never to guess. Numbers are read from the JSON
text as exact decimals.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

from tradecore.fees import exact

__all__ = ["Answers", "CannotExpressError", "Inputs", "Value", "matches", "show"]

# What a rule may answer: numbers (exact or float), text, and lists or mappings of them.
Value: TypeAlias = Any
Answers: TypeAlias = Mapping[str, Callable[[], Value]]


# Inputs that name things and change no number.
_LABELS = frozenset(
    ("asset", "comment", "currency", "description", "instrument", "label", "symbol", "venue")
)


class CannotExpressError(Exception):
    """The case asks for something that no rule here can express; the text says what."""


class Inputs:
    """The inputs of a case, with the words around them, remembering what was read.

    Parameters
    ----------
    values : mapping
        The ``inputs`` object of the case; numbers are int or Decimal.
    texts : sequence of str
        Name, source and note of the case, in this order: where a published convention is named in
        words only, the first text that names one decides.
    """

    def __init__(self, values: Mapping[str, Any], texts: Sequence[str] = ()) -> None:
        self._values = values
        self._texts = [text.lower() for text in texts]
        self._read: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def has(self, *names: str) -> bool:
        """Whether every one of the inputs is given and not null."""
        return all(name in self for name in names)

    def any_of(self, *names: str) -> bool:
        """Whether at least one of the inputs is given and not null."""
        return any(name in self for name in names)

    @property
    def unread(self) -> list[str]:
        """Inputs that no rule has looked at, apart from labels."""
        return sorted(set(self._values) - self._read - _LABELS)

    def with_row(self, name: str, row: Mapping[str, Any]) -> Inputs:
        """Return the inputs of one row of a list, together with the ones all rows share."""
        self._read.update(self._values)
        shared = {key: value for key, value in self._values.items() if key != name}
        return Inputs({**shared, **row}, self._texts)

    @property
    def keys(self) -> list[str]:
        """All inputs."""
        return sorted(self._values)

    def raw(self, *names: str, default: Any = None) -> Any:
        """Return the first of the named inputs that is given; all of the names count as read."""
        self._read.update(names)
        for name in names:
            if name in self:
                return self._values[name]
        return default

    def number(self, *names: str, default: Fraction | int | None = None) -> Fraction:
        """Return a number exactly."""
        value = self.raw(*names, default=default)
        if value is None:
            raise CannotExpressError(f"input {names[0]!r} is needed")
        return to_fraction(names[0], value)

    def real(self, *names: str, default: float | None = None) -> float:
        """Return a number as float, for statistics."""
        value = self.raw(*names)
        if value is None:
            if default is None:
                raise CannotExpressError(f"input {names[0]!r} is needed")
            return default
        return float(to_fraction(names[0], value))

    def numbers(self, *names: str) -> list[Fraction]:
        """Return a list of exact numbers."""
        return [to_fraction(names[0], item) for item in self.rows(*names)]

    def series(self, *names: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return a list of numbers as floats; null, and text such as "nan", becomes NaN."""
        return np.array([to_float(names[0], item) for item in self.rows(*names)], dtype=np.float64)

    def matrix(self, *names: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return a list of equally long lists of numbers as floats."""
        rows = self.rows(*names)
        if not all(isinstance(row, list) and len(row) == len(rows[0]) for row in rows):
            raise CannotExpressError(f"input {names[0]!r}: rows of one length are needed")
        return np.array([[to_float(names[0], item) for item in row] for row in rows])

    def rows(self, *names: str) -> list[Any]:
        """Return a list."""
        value = self.raw(*names, default=[])
        if not isinstance(value, list):
            raise CannotExpressError(f"input {names[0]!r}: a list is needed")
        return value

    def text(self, *names: str, default: str = "") -> str:
        """Return text in lower case."""
        value = self.raw(*names, default=default)
        if not isinstance(value, str):
            raise CannotExpressError(f"input {names[0]!r}: text is needed")
        return value.lower()

    def flag(self, *names: str) -> bool:
        """Return a truth value; false where it is not given."""
        value = self.raw(*names, default=False)
        if not isinstance(value, bool):
            raise CannotExpressError(f"input {names[0]!r}: true or false is needed")
        return value

    def word(self, options: Mapping[str, str]) -> str | None:
        """Return what the case's own words say.

        Parameters
        ----------
        options : mapping
            Regular expression of a word to the answer it stands for.

        Returns
        -------
        str or None
            Name, source and note are searched in this order, and the earliest word of the first
            text that has one wins.
        """
        for text in self._texts:
            found = [
                (match.start(), answer)
                for pattern, answer in options.items()
                if (match := re.search(rf"(?<![a-z0-9]){pattern}(?![a-z0-9])", text))
            ]
            if found:
                return min(found)[1]
        return None


def to_fraction(name: str, value: Any) -> Fraction:
    """Return one number of a case exactly."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | Fraction):
        raise CannotExpressError(f"{name!r}: a number is needed, not {show(value)}")
    return exact(value)


def to_float(name: str, value: Any) -> float:
    """Return one number of a series; null and "nan" become NaN."""
    if value is None or (isinstance(value, str) and value.lower() == "nan"):
        return math.nan
    if isinstance(value, Decimal) and not value.is_finite():
        return float(value)
    return float(to_fraction(name, value))


def _special(value: Any) -> float | None:
    """Return NaN or an infinity written as text or as a JSON extension; None for all else."""
    if isinstance(value, str):
        text = value.lower().lstrip("+")
        named = {"nan": math.nan, "inf": math.inf, "infinity": math.inf}
        named |= {f"-{key}": -number for key, number in named.items() if key != "nan"}
        return named.get(text)
    if isinstance(value, float | Decimal) and not math.isfinite(value):
        return float(value)
    return None


def matches(expected: Any, actual: Value, tol: Fraction, *, inside: bool = False) -> bool:
    """Whether an answer is within tolerance of what the case expects.

    Parameters
    ----------
    expected : object
        From the file. A null inside a list is not asserted; a null on its own expects that there is
        no answer (None or NaN).
    actual : object
        The answer.
    tol : Fraction
        Absolute tolerance, inclusive, compared exactly.
    inside : bool
        Whether `expected` is an item of a list.

    Returns
    -------
    bool
    """
    if expected is None:
        return inside or actual is None or (isinstance(actual, float) and math.isnan(actual))
    if isinstance(expected, list):
        if not isinstance(actual, Sequence | np.ndarray) or len(expected) != len(actual):
            return False
        return all(
            matches(want, got, tol, inside=True) for want, got in zip(expected, actual, strict=True)
        )
    if isinstance(expected, dict):
        return isinstance(actual, Mapping) and all(
            key in actual and matches(want, actual[key], tol) for key, want in expected.items()
        )
    if isinstance(expected, bool):
        return actual is expected
    special = _special(expected)
    if special is not None:
        if actual is None:
            return math.isnan(special)
        if isinstance(actual, bool) or not isinstance(actual, int | float | Fraction):
            return False
        return bool(float(actual) == special or (math.isnan(special) and math.isnan(actual)))
    if isinstance(expected, str):
        return isinstance(actual, str) and actual.lower() == expected.lower()
    if isinstance(actual, bool) or not isinstance(actual, int | float | Fraction):
        return False
    if isinstance(actual, float) and not math.isfinite(actual):
        return False
    return abs(exact(expected) - Fraction(actual)) <= tol


def show(value: Value) -> str:
    """Return a value for a person: fractions as decimals of up to 12 digits."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {show(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str):
        return "[" + ", ".join(show(item) for item in value) + "]"
    if isinstance(value, Fraction):
        try:
            return str(value.numerator) if value.denominator == 1 else f"{float(value):.12g}"
        except (OverflowError, ValueError):
            return f"a number of {value.numerator.bit_length()} bits"
    if isinstance(value, float):
        return f"{value:.12g}"
    return str(value)
