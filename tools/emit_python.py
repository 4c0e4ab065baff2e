"""Write the Python enumerations: tradecore.status and tradecore.codes."""

from __future__ import annotations

from emit_cython import NOTICE
from tc_header import Enumeration, Header

# Where the C name alone would say too little in Python.
CLASS_NAMES = {
    "tc_algo": "AllocationAlgorithm",
    "tc_alloc_top": "TopOrder",
}


def class_name(enum: Enumeration) -> str:
    """Return the Python class of an enumeration: tc_command_kind -> CommandKind."""
    words = enum.name.removeprefix("tc_").split("_")
    return CLASS_NAMES.get(enum.name, "".join(word.capitalize() for word in words))


def status_py(header: Header) -> str:
    """Return tradecore/status.py."""
    out = [
        '"""Why a command was refused or an event happened: one code, one name, one sentence.',
        "",
        NOTICE,
        '"""',
        "",
        "from __future__ import annotations",
        "",
        "from enum import IntEnum",
        "from typing import Final",
        "",
        "FAMILIES: Final[dict[int, str]] = {",
        *(f'    {digit}: "{name}",' for digit, name in sorted(header.families.items())),
        "}",
        "",
        "",
        "class Status(IntEnum):",
        '    """Code of the `status` field of an event. Codes are never reused; 0 means done.',
        "",
        "    Attributes",
        "    ----------",
        "    sentence : str",
        "        What the code means, for people.",
        '    """',
        "",
        "    sentence: str",
        "",
        '    def __new__(cls, code: int, sentence: str = "") -> Status:',
        '        """Make a member; `Status(code)` looks one up and needs no sentence."""',
        "        member = int.__new__(cls, code)",
        "        member._value_ = code",
        "        member.sentence = sentence",
        "        return member",
        "",
        "    @property",
        "    def family(self) -> str:",
        '        """Return what the hundreds of the code stand for; empty for OK."""',
        '        return FAMILIES.get(self.value // 100, "")',
        "",
    ]
    for status in header.statuses:
        line = f'    {status.name} = {status.code}, "{status.sentence}"'
        if len(line) > 100:
            out += [f"    {status.name} = (", f"        {status.code},"]
            out += [f'        "{status.sentence}",', "    )"]
        else:
            out.append(line)
    return "\n".join(out) + "\n"


def codes_py(header: Header) -> str:
    """Return tradecore/codes.py: the header's enumerations as IntEnum and IntFlag."""
    out = [
        '"""Codes of the fields of frames, as Python enumerations.',
        "",
        "Where FIX has a digit for an idea, the code is that digit.",
        "",
        NOTICE,
        '"""',
        "",
        "from __future__ import annotations",
        "",
        "from enum import IntEnum, IntFlag",
        "from typing import Final",
        "",
        f"FRAME_BYTES: Final = {_constant(header, 'TC_FRAME_BYTES')}",
        f"MAX_PX: Final = 1 << {_constant(header, 'TC_MAX_PX').bit_length() - 1}",
        f"MAX_QTY: Final = 1 << {_constant(header, 'TC_MAX_QTY').bit_length() - 1}",
        f"MAX_CASH: Final = 1 << {_constant(header, 'TC_MAX_CASH').bit_length() - 1}",
        f"ANY: Final = 0x{_constant(header, 'TC_ANY'):X}",
    ]
    for enum in header.enums:
        base = "IntFlag" if enum.is_flags else "IntEnum"
        summary = f"Codes of `{enum.name}`."
        out += ["", "", f"class {class_name(enum)}({base}):"]
        out += _docstring(summary, enum.doc)
        for member in enum.members:
            name = member.name.removeprefix(enum.prefix)
            out.append(f"    {name} = {member.value}")
    return "\n".join(out) + "\n"


def _constant(header: Header, name: str) -> int:
    return next(constant.value for constant in header.constants if constant.name == name)


def _docstring(summary: str, more: str) -> list[str]:
    if not more:
        return [f'    """{summary}"""', ""]
    sentence = more[0].upper() + more[1:] + ("" if more.endswith(".") else ".")
    return [f'    """{summary}', "", f"    {sentence}", '    """', ""]
