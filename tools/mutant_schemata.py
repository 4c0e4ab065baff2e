"""Put many mutants into one kernel, chosen at run time: they cost one compilation together.

A fault that changes whole statements becomes ``if tc_mutant == 7: <fault> else: <original>``, a
fault in the condition of an ``if`` or ``while`` becomes a conditional expression. What does not fit
either shape is left over and has to be compiled on its own. Number 0 is the kernel as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

SWITCH = 'cdef extern from "tc_mutant.h":\n    int tc_mutant\n\n'
# The number comes from the environment of the process that imports the kernel.
SWITCH_HEADER = """\
#include <stdlib.h>
static int tc_mutant;
__attribute__((constructor)) static void tc_mutant_choose(void) {
    const char* text = getenv("TRADECORE_MUTANT");
    tc_mutant = text ? atoi(text) : 0;
}
"""
_HEADER = re.compile(r"^(if|elif|while) (.+):(?:  #.*)?$")
_BRANCH = re.compile(r"^(elif\b|else:)")
_FIRST_IMPORT = re.compile(r"^from \S+ c?import ", re.MULTILINE)
_DECLARATION = re.compile(r"^(cdef|from|import|cimport)\b")


@dataclass(frozen=True)
class Fault:
    """One exchange of text: the only occurrence of ``find`` becomes ``replace``."""

    number: int
    find: str
    replace: str


@dataclass
class _Place:
    """Whole lines [first, last) that one or several faults change."""

    first: int
    last: int
    faults: list[Fault] = field(default_factory=list)


def combine(text: str, faults: list[Fault]) -> tuple[str, list[Fault]]:
    """Return the source with all faults that fit, and the faults that do not.

    Parameters
    ----------
    text : str
        One kernel source.
    faults : list of Fault
        Exchanges, each found exactly once in the text.
    """
    lines = text.splitlines()
    left_over: list[Fault] = []
    out = list(lines)
    # From the end, so that line numbers in front stay true.
    for place in sorted(_places(text, faults), key=lambda place: -place.first):
        original = lines[place.first : place.last]
        variants = [(f.number, _exchanged(text, f, place)) for f in place.faults]
        following = lines[place.last] if place.last < len(lines) else ""
        woven = _as_condition(original, variants) or _as_statements(original, variants, following)
        if woven is None or _inside_brackets(lines, place.first):
            left_over += place.faults
        else:
            out[place.first : place.last] = woven
    combined = "\n".join(out) + "\n"
    if len(left_over) == len(faults):
        return text, left_over
    first = _FIRST_IMPORT.search(combined)
    start = first.start() if first else 0
    return combined[:start] + SWITCH + combined[start:], left_over


def _places(text: str, faults: list[Fault]) -> list[_Place]:
    """Group faults by the lines they touch; groups do not overlap."""
    spans = []
    for fault in faults:
        at = text.index(fault.find)
        first = text.count("\n", 0, at)
        last = first + fault.find.rstrip("\n").count("\n") + 1
        spans.append((first, last, fault))
    places: list[_Place] = []
    for first, last, fault in sorted(spans, key=lambda span: span[:2]):
        if places and first < places[-1].last:
            places[-1].last = max(places[-1].last, last)
            places[-1].faults.append(fault)
        else:
            places.append(_Place(first, last, [fault]))
    return places


def _exchanged(text: str, fault: Fault, place: _Place) -> list[str]:
    """Return the lines of the place with the fault in them."""
    lines = text.splitlines()
    after = len(lines) - place.last
    changed = text.replace(fault.find, fault.replace).splitlines()
    return changed[place.first : len(changed) - after]


def _inside_brackets(lines: list[str], at: int) -> bool:
    """Tell whether a line continues an expression of the lines before it."""
    start = at
    while start and not re.match(r"[a-z@]", lines[start]):
        start -= 1
    before = re.sub(r'"""(?:.|\n)*?"""|#.*', "", "\n".join(lines[start:at]))
    return sum(before.count(a) - before.count(b) for a, b in ("()", "[]", "{}")) != 0


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _as_condition(original: list[str], variants: list[tuple[int, list[str]]]) -> list[str] | None:
    """Weave faults in the condition of one header line."""
    match = _HEADER.match(original[0].strip()) if len(original) == 1 else None
    if not match:
        return None
    keyword, condition = match.groups()
    for number, lines in variants:
        other = _HEADER.match(lines[0].strip()) if len(lines) == 1 else None
        if not other or other.group(1) != keyword:
            return None
        # Both arms as C truth values: of two types Cython would make a Python object.
        fault = other.group(2)
        condition = f"(<bint>({fault}) if tc_mutant == {number} else <bint>({condition}))"
    return [f"{' ' * _indent(original[0])}{keyword} {condition}:"]


def _is_block(lines: list[str], following: str) -> bool:
    """Tell whether the lines are whole statements of one indentation, with their bodies."""
    real = [line for line in lines if line.strip() and not line.strip().startswith("#")]
    if not real:
        return not lines or all(not line.strip() for line in lines)
    indent = _indent(real[0])
    text = "\n".join(re.sub(r"#.*", "", line) for line in real)
    return (
        all(_indent(line) >= indent for line in real)
        and not any(_BRANCH.match(line.strip()) for line in real if _indent(line) == indent)
        and not any(_DECLARATION.match(line.strip()) for line in real)
        and not real[-1].rstrip().endswith(":")
        and all(text.count(a) == text.count(b) for a, b in ("()", "[]", "{}"))
        and not (_BRANCH.match(following.strip()) and _indent(following) >= indent)
        # A header in the middle takes the next lines along, one at the end would need them.
        and _indent(following) <= indent
    )


def _as_statements(
    original: list[str], variants: list[tuple[int, list[str]]], following: str
) -> list[str] | None:
    """Weave faults that exchange whole statements."""
    if not all(_is_block(lines, following) for lines in [original, *(v[1] for v in variants)]):
        return None
    indent = _indent(original[0])
    pad = " " * indent
    out = []
    for k, (number, lines) in enumerate(variants):
        out.append(f"{pad}{'el' if k else ''}if tc_mutant == {number}:")
        out += [f"    {line}" for line in lines if line.strip()] or [f"{pad}    pass"]
    out.append(f"{pad}else:")
    return out + [f"    {line}" for line in original]
