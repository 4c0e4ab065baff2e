"""Frames as tuples: `struct` packers built from the compiled layout, and plain integer codes.

The oracle never touches numpy. Each packer covers exactly the fields of one C struct in the order
of their offsets; the frames have no padding, so a format string is the whole truth.
"""

from __future__ import annotations

import struct
from collections import namedtuple
from typing import Any, Final

from tradecore_ext import _abi

_LETTER: Final = {
    "u1": "B",
    "<u2": "H",
    "<u4": "I",
    "<u8": "Q",
    "<i4": "i",
    "<i8": "q",
}


def fields_of(name: str) -> list[tuple[str, str]]:
    """Return (field, format letter) of one struct in offset order, arrays of structs flattened."""
    flat: list[tuple[str, str, int]] = []
    for field, (kind, offset, count, _size) in _abi.STRUCTS[name]["fields"].items():
        for i in range(count):
            if kind in _abi.STRUCTS:
                size = _abi.STRUCTS[kind]["itemsize"]
                flat.extend(
                    (f"{field}{i}_{inner}", letter, offset + i * size + at)
                    for (inner, letter), at in zip(fields_of(kind), _offsets(kind), strict=True)
                )
            else:
                width = struct.calcsize("<" + _LETTER[kind])
                name_i = field if count == 1 else f"{field}{i}"
                flat.append((name_i, _LETTER[kind], offset + i * width))
    flat.sort(key=lambda row: row[2])
    return [(field, letter) for field, letter, _ in flat]


def _offsets(name: str) -> list[int]:
    return sorted(spec[1] for spec in _abi.STRUCTS[name]["fields"].values())


def packer(name: str) -> struct.Struct:
    """Return the `struct.Struct` of one C struct; its size is checked against the compiler's."""
    made = struct.Struct("<" + "".join(letter for _, letter in fields_of(name)))
    if made.size != _abi.STRUCTS[name]["itemsize"]:
        raise AssertionError(f"{name}: padding where the contract promises none")
    return made


def record(name: str) -> Any:
    """Return a namedtuple type whose fields are those of one C struct, in packing order."""
    return namedtuple(name.removeprefix("tc_"), [field for field, _ in fields_of(name)])


FRAME: Final = _abi.CONSTANTS["TC_FRAME_BYTES"]
MAX_PX: Final = _abi.CONSTANTS["TC_MAX_PX"]
MAX_QTY: Final = _abi.CONSTANTS["TC_MAX_QTY"]
MAX_CASH: Final = _abi.CONSTANTS["TC_MAX_CASH"]
ANY: Final = _abi.CONSTANTS["TC_ANY"]
MAX_TIME: Final = (1 << 62) - 1
MAX_SIDE_QTY: Final = 1 << 62
MAX_I64: Final = (1 << 63) - 1

COMMAND: Final = packer("tc_command")
TERMS: Final = packer("tc_terms")
LIST: Final = packer("tc_list")
ADMIN: Final = packer("tc_admin")
INSTRUMENT: Final = packer("tc_instrument")
LIMITS: Final = packer("tc_limits")
ORDER_EVENT: Final = packer("tc_order_event")
FILL_EVENT: Final = packer("tc_fill_event")
SETTLE_EVENT: Final = packer("tc_settle_event")
REJECT_EVENT: Final = packer("tc_reject_event")
MARKET_EVENT: Final = packer("tc_market_event")
BALANCE_EVENT: Final = packer("tc_balance_event")
ACCOUNT_EVENT: Final = packer("tc_account_event")

Admin: Final = record("tc_admin")
InstrumentFrame: Final = record("tc_instrument")
LimitsFrame: Final = record("tc_limits")
ListHead: Final = record("tc_list")


class Codes:
    """Plain `int` codes by name: comparing these is several times faster than IntEnum members."""

    def __init__(self, enum: str) -> None:
        for name, value in _abi.CODES[enum].items():
            setattr(self, name, value)

    def __getattr__(self, name: str) -> int:  # only reached for a name the header lacks
        raise AttributeError(name)


K: Final = Codes("tc_command_kind")
E: Final = Codes("tc_event_kind")
T: Final = Codes("tc_ord_type")
TIF: Final = Codes("tc_tif")
STP: Final = Codes("tc_stp")
F: Final = Codes("tc_order_flag")
PH: Final = Codes("tc_phase")
FF: Final = Codes("tc_fill_flag")
TRIGGER: Final = Codes("tc_trigger")
LISTS: Final = Codes("tc_contingency")
SCOPE: Final = Codes("tc_scope")
STATE: Final = Codes("tc_account_state")
LIM: Final = Codes("tc_limit_field")


class Statuses:
    """Plain `int` statuses by name, as `Codes`."""

    def __init__(self) -> None:
        for name, value in _abi.STATUSES.items():
            setattr(self, name, value)

    def __getattr__(self, name: str) -> int:
        raise AttributeError(name)


S: Final = Statuses()
