"""The numpy views: sizes, no gaps, and values where the header says they lie."""

from __future__ import annotations

import numpy as np
import pytest

from tradecore import dtypes

SIZES = {name: 64 for name in dtypes.__all__ if name.isupper() and name != "SCHEMA"}
SIZES |= {"INSTRUMENT": 256, "LIMITS": 128, "MARGIN_TIER": 16}


@pytest.mark.parametrize("name", SIZES)
def test_dtype_fields_cover_every_byte_once(name: str) -> None:
    dtype = getattr(dtypes, name)
    assert dtype.itemsize == SIZES[name]
    at = 0
    for field, (element, offset) in dtype.fields.items():  # header order
        assert offset == at, field
        at += element.itemsize
    assert at == dtype.itemsize


def test_command_bytes_lie_where_the_header_says() -> None:
    frame = bytearray(64)
    frame[0:8] = (7).to_bytes(8, "little")
    frame[8:10] = (1).to_bytes(2, "little")
    frame[11] = 2
    frame[16:20] = (300).to_bytes(4, "little")
    frame[24:32] = (1 << 40).to_bytes(8, "little")
    frame[32:40] = (-5).to_bytes(8, "little", signed=True)
    (row,) = np.frombuffer(frame, dtypes.COMMAND)
    fields = ("ts_ns", "kind", "side", "account_id", "order_id", "px")
    assert [int(row[name]) for name in fields] == [7, 1, 2, 300, 1 << 40, -5]


def test_instrument_tiers_are_four_records() -> None:
    array = np.zeros(1, dtypes.INSTRUMENT)
    array["tiers"]["im_ppm"][0, 3] = 9
    assert array.tobytes()[160 + 3 * 16 + 8] == 9
