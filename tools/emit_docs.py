"""Write the reference pages of frames and statuses."""

from __future__ import annotations

from emit_cython import NOTICE
from emit_python import class_name
from tc_header import SCALARS, Header, Struct

MARK = f"<!-- {NOTICE} -->"


def _type(ctype: str, count: int) -> str:
    text = ctype.removesuffix("_t") if ctype in SCALARS else f"[`{ctype}`](#{ctype})"
    return f"{text} x {count}" if count > 1 else text


def _struct_section(struct: Struct) -> list[str]:
    out = [f"### {struct.name}", "", f"{struct.size} bytes. {struct.doc}".strip(), ""]
    out += ["| offset | size | type | field | meaning |", "|---:|---:|---|---|---|"]
    for field in struct.fields:
        doc = "zero" if field.is_reserved else field.doc
        kind = _type(field.ctype, field.count)
        out.append(f"| {field.offset} | {field.size} | {kind} | `{field.name}` | {doc} |")
    return [*out, ""]


def frames_md(header: Header) -> str:
    """Return docs/reference/frames.md."""
    out = [MARK, "# Frames", "", header.doc, ""]
    out += ["What each command does with its fields stands in [semantics](semantics.md),"]
    out += ["why a command was refused in [statuses](statuses.md).", ""]
    out += ["## Constants", "", "| name | value | meaning |", "|---|---:|---|"]
    out += [f"| `{c.name}` | {c.value} | {c.doc} |" for c in header.constants]
    out += ["", "## Structs", ""]
    for struct in header.structs:
        out += _struct_section(struct)
    out += ["## Codes", "", "The Python enumerations live in `tradecore.codes`.", ""]
    for enum in header.enums:
        out += [f"### {enum.name}", "", f"Python: `{class_name(enum)}`. {enum.doc}".strip(), ""]
        out += ["| code | name | meaning |", "|---:|---|---|"]
        for member in enum.members:
            name = member.name.removeprefix(enum.prefix)
            out.append(f"| {member.value} | `{name}` | {member.doc} |")
        out.append("")
    return "\n".join(out).rstrip() + "\n"


def statuses_md(header: Header) -> str:
    """Return docs/reference/statuses.md."""
    out = [
        *(MARK, "# Statuses", ""),
        "The `status` field of an event: why a command was refused, or why the event happened.",
        "The most specific reason reaches the client; a code is never reused. In Python:",
        "`tradecore.Status(code).sentence`. The fields are described in [frames](frames.md).",
        "",
    ]
    family = None
    for status in header.statuses:
        if status.code // 100 != family or family is None:
            family = status.code // 100
            title = header.families.get(family, "fine")
            out += ["", f"## {family}xx {title}" if family else "## 0", ""]
            out += ["| code | name | meaning |", "|---:|---|---|"]
        out.append(f"| {status.code} | `{status.name}` | {status.sentence} |")
    return "\n".join(out).replace("\n\n\n", "\n\n") + "\n"
