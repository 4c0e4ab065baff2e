"""Read tc_frame.h and tc_status.def into plain data.

The header is written for C compilers and people; this reader understands exactly the subset it is
written in and refuses anything else with the line that it did not understand, so that a construct
which the generators would miss cannot slip in. It also lays the structs out by the C rules and
refuses hidden padding, misaligned fields, and sizes that contradict the header's own assertions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INCLUDE = ROOT / "src" / "tradecore_ext" / "include"

# C type -> (size in bytes, numpy format). Little-endian is part of the format, not of the machine.
SCALARS = {
    f"{sign}int{bits}_t": (bits // 8, f"<{code}{bits // 8}" if bits > 8 else f"{code}1")
    for sign, code in (("", "i"), ("u", "u"))
    for bits in (8, 16, 32, 64)
}


class HeaderError(ValueError):
    """The header holds something that the generators do not understand."""


@dataclass(frozen=True)
class Field:
    """One member of a struct; ``count`` is 1 or the length of an array; ``doc`` its comment."""

    name: str
    ctype: str
    count: int
    offset: int
    size: int
    doc: str

    @property
    def is_reserved(self) -> bool:
        """Tell whether the field must be zero."""
        return self.name.startswith("reserved")


@dataclass(frozen=True)
class Struct:
    """One struct with its layout."""

    name: str
    size: int
    alignment: int
    fields: tuple[Field, ...]
    doc: str


@dataclass(frozen=True)
class Member:
    """One code of an enumeration."""

    name: str
    value: int
    doc: str


@dataclass(frozen=True)
class Enumeration:
    """One enumeration: ``tc_side`` with members ``TC_SIDE_BUY`` ..."""

    name: str
    members: tuple[Member, ...]
    doc: str

    @property
    def prefix(self) -> str:
        """Return what all members start with: ``TC_SIDE_``."""
        names = [member.name for member in self.members]
        shared = names[0]
        while not all(name.startswith(shared) for name in names):
            shared = shared[:-1]
        return shared[: shared.rindex("_") + 1]

    @property
    def is_flags(self) -> bool:
        """Tell whether the members are bits that combine."""
        values = [member.value for member in self.members]
        return self.name.endswith(("_flag", "_field")) and all(v & (v - 1) == 0 for v in values)


@dataclass(frozen=True)
class Constant:
    """One ``#define`` with a value; ``ctype`` is None for a plain int."""

    name: str
    value: int
    ctype: str | None
    doc: str


@dataclass(frozen=True)
class Status:
    """One line of tc_status.def."""

    code: int
    name: str
    sentence: str


@dataclass(frozen=True)
class Header:
    """Everything that tc_frame.h and tc_status.def say."""

    doc: str
    constants: tuple[Constant, ...]
    enums: tuple[Enumeration, ...]
    structs: tuple[Struct, ...]
    statuses: tuple[Status, ...]
    families: dict[int, str]


def read(include: Path = INCLUDE) -> Header:
    """Parse the two files in a folder.

    Raises
    ------
    HeaderError
        On a construct outside the subset, a hidden hole, or a code used twice.
    """
    text = (include / "tc_frame.h").read_text("utf-8")
    doc = _comment_text(text[: text.index("#ifndef")])
    constants, enums, structs = _Parser(text).parse()
    _compare_with_assertions(text, structs)
    statuses, families = _statuses((include / "tc_status.def").read_text("utf-8"))
    return Header(doc, constants, enums, structs, statuses, families)


def _comment_text(comment: str) -> str:
    """Return a C comment as plain text, its paragraphs kept."""
    body = comment.strip().removeprefix("/*").removesuffix("*/")
    lines = [re.sub(r"^\s*\*? ?", "", line).strip() for line in body.strip().splitlines()]
    paragraphs = "\n".join(lines).split("\n\n")
    return "\n\n".join(re.sub(r"\s+", " ", paragraph).strip() for paragraph in paragraphs)


_DEFINE = re.compile(r"#define (TC_\w+) +(.+?)(?: +/\* *(.*?) *\*/)?$")
_INTEGER = re.compile(r"^(?:0x[0-9A-Fa-f]+|\d+)$")
_CAST = re.compile(r"^\(\((\w+)\)(.+)\)$")
_FIELD = re.compile(r"^(\w+) (\w+)(?:\[(\d+)\])?;(?: +/\* *(.*?) *\*/)?$")
_MEMBER = re.compile(r"(TC_\w+) = (0x[0-9A-Fa-f]+|\d+)(,?)(?: */\* *(.*?) *\*/)?")
_SECTION = re.compile(r"^/\* -+ ")


class _Parser:
    """Line by line; a block comment that stands alone documents what follows it directly."""

    def __init__(self, text: str) -> None:
        self.lines = text[text.index("#include") : text.index("#ifdef __cplusplus")].splitlines()
        self.at = 0
        self.pending_doc = ""
        self.constants: list[Constant] = []
        self.enums: list[Enumeration] = []
        self.structs: dict[str, Struct] = {}

    def parse(
        self,
    ) -> tuple[tuple[Constant, ...], tuple[Enumeration, ...], tuple[Struct, ...]]:
        while self.at < len(self.lines):
            line = self.lines[self.at].rstrip()
            if not line or line.startswith("#include"):
                self.at += 1
                self.pending_doc = ""
            elif line.startswith("/*"):
                self._comment()
            elif line.startswith("#define"):
                self._constant(line)
            elif line.startswith("enum "):
                self._enum()
            elif line.startswith("typedef struct "):
                self._struct()
            else:
                raise HeaderError(f"tc_frame.h: not understood: {line!r}")
        return tuple(self.constants), tuple(self.enums), tuple(self.structs.values())

    def _until(self, end: str) -> str:
        start = self.at
        while end not in self.lines[self.at]:
            self.at += 1
        self.at += 1
        return "\n".join(self.lines[start : self.at])

    def _comment(self) -> None:
        comment = self._until("*/")
        # "/* ---- commands ---- */" divides the file and documents nothing.
        self.pending_doc = "" if _SECTION.match(comment) else _comment_text(comment)

    def _take_doc(self) -> str:
        doc, self.pending_doc = self.pending_doc, ""
        return doc

    def _constant(self, line: str) -> None:
        match = _DEFINE.match(line)
        if not match:
            raise HeaderError(f"tc_frame.h: not understood: {line!r}")
        name, text, doc = match.groups()
        cast = _CAST.match(text)
        ctype, expression = cast.groups() if cast else (None, text)
        left, _, shift = expression.partition(" << ")
        if not _INTEGER.match(left) or (shift and not _INTEGER.match(shift)):
            raise HeaderError(f"tc_frame.h: not a constant: {line!r}")
        value = int(left, 0) << int(shift or "0", 0)
        self.constants.append(Constant(name, value, ctype, doc or self._take_doc()))
        self.at += 1

    def _enum(self) -> None:
        doc = self._take_doc()
        text = self._until("};")
        head, _, rest = text.partition("{")
        body, _, tail = rest.rpartition("};")
        members = tuple(
            Member(m.group(1), int(m.group(2), 0), m.group(4) or "") for m in _MEMBER.finditer(body)
        )
        left_over = re.sub(r"/\*.*?\*/", "", _MEMBER.sub("", body)).strip()
        if left_over or not members:
            raise HeaderError(f"tc_frame.h: not understood in {head.strip()}: {left_over!r}")
        if len({member.value for member in members}) != len(members):
            raise HeaderError(f"tc_frame.h: {head.strip()} uses a code twice")
        if "/*" in tail:
            doc = (doc + " " + _comment_text(tail)).strip()
        self.enums.append(Enumeration(head.split()[1], members, doc))

    def _struct(self) -> None:
        doc = self._take_doc()
        text = self._until("} ")
        lines = text.splitlines()
        name = lines[0].split()[2]
        if lines[-1] != f"}} {name};":
            raise HeaderError(f"tc_frame.h: struct {name} ends with {lines[-1]!r}")
        fields: list[Field] = []
        offset, alignment = 0, 1
        for line in lines[1:-1]:
            match = _FIELD.match(line.strip())
            if not match:
                raise HeaderError(f"tc_frame.h: {name}: not understood: {line.strip()!r}")
            ctype, field, count_text, field_doc = match.groups()
            size, align = self._size(ctype, name)
            count = int(count_text or 1)
            if offset % align:
                raise HeaderError(f"tc_frame.h: {name}.{field} leaves a hole before it")
            fields.append(Field(field, ctype, count, offset, size * count, field_doc or ""))
            offset += size * count
            alignment = max(alignment, align)
        if offset % alignment:
            raise HeaderError(f"tc_frame.h: {name} leaves a hole at its end")
        self.structs[name] = Struct(name, offset, alignment, tuple(fields), doc)

    def _size(self, ctype: str, owner: str) -> tuple[int, int]:
        if ctype in SCALARS:
            return SCALARS[ctype][0], SCALARS[ctype][0]
        if ctype in self.structs:
            return self.structs[ctype].size, self.structs[ctype].alignment
        raise HeaderError(f"tc_frame.h: {owner}: unknown type {ctype}")


def _compare_with_assertions(text: str, structs: tuple[Struct, ...]) -> None:
    asserted = {m[0]: int(m[1]) for m in re.findall(r"sizeof\((tc_\w+)\) == (\d+)", text)}
    for struct in structs:
        if asserted.get(struct.name) != struct.size:
            raise HeaderError(
                f"tc_frame.h: {struct.name} is {struct.size} bytes, "
                f"its TC_ASSERT says {asserted.get(struct.name, 'nothing')}"
            )


_STATUS = re.compile(r'^TC_STATUS\((\d+), (\w+), "([^"]+)"\)$')


def _statuses(text: str) -> tuple[tuple[Status, ...], dict[int, str]]:
    end = text.index("*/") + 2
    families = {int(digit): name for digit, name in re.findall(r"(\d)xx ([^;.\n]+)", text[:end])}
    statuses: list[Status] = []
    for line in text[end:].splitlines():
        if not line.strip():
            continue
        match = _STATUS.match(line)
        if not match:
            raise HeaderError(f"tc_status.def: not understood: {line!r}")
        statuses.append(Status(int(match.group(1)), match.group(2), match.group(3)))
    codes = [status.code for status in statuses]
    if codes != sorted(set(codes)):
        raise HeaderError("tc_status.def: codes must be unique and ascending")
    if len({status.name for status in statuses}) != len(statuses):
        raise HeaderError("tc_status.def: a name is used twice")
    strangers = {code // 100 for code in codes} - {0, *families}
    if strangers:
        raise HeaderError(f"tc_status.def: no family is named for {sorted(strangers)}xx")
    return tuple(statuses), families
