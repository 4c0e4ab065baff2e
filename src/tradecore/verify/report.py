"""The verdict of one judged file: the one report type of every judge in this package.

A judge compares, never prints: it returns a `FileResult` whose `lines` are what a terminal shows
and whose other fields are what a program reads. Expected and actual are texts, because a person
compares them; the comparison itself is made by the judge on values.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from tradecore.errors import TradecoreError

__all__ = ["CASE_FAULTS", "Failure", "FileResult", "Judge", "Progress", "summary"]

CASE_FAULTS = (
    *(ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
    struct.error,
    TradecoreError,
)
"""What a value of another type or size than its schema says raises somewhere below a judge. Such a
case has failed, by itself: the cases around it are judged all the same."""

Progress = Callable[[str, int, int], None]
"""Called as ``progress(path, done, total)`` while a file is judged; `total` is 0 where unknown."""


class Failure(msgspec.Struct, frozen=True):
    """One expectation that does not hold, or one case that cannot be judged.

    Attributes
    ----------
    name : str
        The case, row or order, as its file calls it.
    expected, actual : str
        What should have come out and what did; for a case that cannot be judged `actual` is the
        reason.
    """

    name: str
    expected: str
    actual: str

    def __str__(self) -> str:
        """Return name, expectation and outcome on lines of their own."""
        return f"{self.name}\n  expected: {self.expected}\n  actual:   {self.actual}"


class FileResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one file.

    Attributes
    ----------
    path : str
        As the caller named it, or as it was found under the folder that the caller named.
    kind : str
        What the content is: ``matching``, ``pnl``, ``edge``, ``cointossx``, ``workload``,
        ``lobster``, ``captures``, ``itch``, ``lots``.
    passed, failed : int
        Expectations that hold and that do not.
    lines : list of str
        The lines to print, without the failures.
    failures : list of Failure
        At least one when `failed` is not 0. Rows of a long file are not all listed: the first ones
        are.
    not_applicable : list of Failure
        Cases that need a feature this library does not have or that contradict themselves; `actual`
        is the reason. They count neither as passed nor as failed.
    sha256 : str
        Digest of the canonical report stream of a workload, else empty.
    """

    path: str
    kind: str
    passed: int
    failed: int
    lines: list[str]
    failures: list[Failure] = []
    not_applicable: list[Failure] = []
    sha256: str = ""

    @property
    def ok(self) -> bool:
        """Whether everything that was judged holds."""
        return self.failed == 0


class Judge(Protocol):
    """A function that judges one file of the kind it knows."""

    def __call__(self, path: str, progress: Progress | None) -> FileResult:
        """Return the verdict; DataError when the file is damaged."""
        ...


def summary(
    kind: str,
    path: str,
    total: int,
    failures: Sequence[Failure],
    not_applicable: Sequence[Failure] = (),
) -> FileResult:
    """Return the verdict on a file of named cases: ``kind: P passed, F failed``.

    Parameters
    ----------
    kind, path : str
    total : int
        All cases of the file.
    failures : sequence of Failure
        One per failed case.
    not_applicable : sequence of Failure
        One per case that was not judged; the line names their number only where there are any.
    """
    passed = total - len(failures) - len(not_applicable)
    line = f"{kind}: {passed} passed, {len(failures)} failed"
    if not_applicable:
        line += f", {len(not_applicable)} not applicable"
    return FileResult(
        path=path,
        kind=kind,
        passed=passed,
        failed=len(failures),
        lines=[line],
        failures=list(failures),
        not_applicable=list(not_applicable),
    )
