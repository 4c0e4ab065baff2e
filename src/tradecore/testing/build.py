"""Command frames from keyword arguments, byte by byte as the header says; no validation.

Tests and generators must be able to write wrong frames too, so every field can be set to anything
that fits its width, and what is not named is zero.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

from tradecore.testing.oracle.layout import K, fields_of
from tradecore_ext import _abi

TERMS_FIELDS: Final = frozenset(
    ("stop_px", "trailing_bps", "display_qty", "min_qty", "expire_ts_ns", "cash_order_qty")
)
_PLANS: Final = {
    name: (struct.Struct("<" + "".join(letter for _, letter in fields_of(name))),
           [field for field, _ in fields_of(name)])
    for name in _abi.STRUCTS
}  # fmt: skip


def frame(struct_name: str, **fields: int) -> bytes:
    """Return one struct of ``tc_frame.h`` as bytes; fields that are not named are zero.

    Raises
    ------
    KeyError
        The struct has no such field.
    """
    plan, names = _PLANS[struct_name]
    values = [fields.pop(name, 0) for name in names]
    if fields:
        raise KeyError(f"{struct_name} has no {sorted(fields)}")
    return plan.pack(*values)


def order(kind: int = K.NEW_ORDER, terms: int = 0, **fields: int) -> bytes:
    """Return NEW_ORDER (or another order command), with a TERMS frame where a field needs one."""
    rare = {name: fields.pop(name) for name in list(fields) if name in TERMS_FIELDS}
    with_terms = terms or bool(rare)
    fields.setdefault("cont", int(with_terms))
    head = frame("tc_command", kind=kind, **fields)
    return head + frame("tc_terms", kind=K.TERMS, **rare) if with_terms else head


def cancel(**fields: int) -> bytes:
    """Return CANCEL_ORDER."""
    return frame("tc_command", kind=K.CANCEL_ORDER, **fields)


def replace(**fields: int) -> bytes:
    """Return REPLACE_ORDER, with a TERMS frame where a field needs one."""
    return order(kind=K.REPLACE_ORDER, **fields)


def order_list(members: Iterable[bytes], **fields: int) -> bytes:
    """Return NEW_ORDER_LIST: the header and its members behind it."""
    body = b"".join(members)
    fields.setdefault("cont", len(body) // 64)
    return frame("tc_list", kind=K.NEW_ORDER_LIST, **fields) + body


def admin(kind: int, **fields: int) -> bytes:
    """Return a command of one frame that is not an order."""
    return frame("tc_admin", kind=kind, **fields)


def instrument(**fields: int) -> bytes:
    """Return INSTRUMENT; tick, lot, multiplier, base_per_lot default to 1, the phase to CONTINUOUS.

    Margin tiers are ``tiers0_max_notional``, ``tiers0_im_ppm``, ``tiers0_mm_ppm`` and so on to 3.
    """
    given = {"tick": 1, "lot": 1, "multiplier": 1, "base_per_lot": 1, "phase": 2, "cont": 3}
    return frame("tc_instrument", kind=K.INSTRUMENT, **(given | fields))


def limits(**fields: int) -> bytes:
    """Return LIMITS."""
    fields.setdefault("cont", 1)
    return frame("tc_limits", kind=K.LIMITS, **fields)
