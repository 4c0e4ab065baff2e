"""The enumerations are generated; FIX and the design say what people rely on in them."""

from __future__ import annotations

import pytest

from tradecore import codes
from tradecore.status import FAMILIES, Status


@pytest.mark.parametrize(
    ("code", "fix"),
    [
        (codes.Side.BUY, 1),  # FIX 54
        (codes.Side.SELL, 2),
        (codes.OrdType.MARKET, 1),  # FIX 40
        (codes.OrdType.LIMIT, 2),
        (codes.OrdType.STOP, 3),
        (codes.OrdType.STOP_LIMIT, 4),
        (codes.Tif.DAY, 0),  # FIX 59
        (codes.Tif.GTC, 1),
        (codes.Tif.IOC, 3),
        (codes.Tif.FOK, 4),
        (codes.Tif.GTD, 6),
    ],
)
def test_code_with_a_fix_digit_has_that_digit(code: int, fix: int) -> None:
    assert code == fix


def test_flags_combine_and_are_single_bits() -> None:
    both = codes.OrderFlag.POST_ONLY | codes.OrderFlag.REDUCE_ONLY
    assert codes.OrderFlag.POST_ONLY in both
    for flags in (codes.OrderFlag, codes.FillFlag, codes.LimitField):
        values = [flag.value for flag in flags]
        assert all(value & (value - 1) == 0 for value in values)
        assert len(set(values)) == len(values)


def test_largest_price_times_largest_quantity_fits_128_bits() -> None:
    assert codes.MAX_PX * codes.MAX_QTY < 1 << 127


def test_status_is_its_code_and_explains_itself() -> None:
    assert Status(0) is Status.OK
    assert int(Status.TICK) == 202
    assert Status.TICK.sentence == "The price is not a multiple of the tick."
    assert Status.TICK.family == "instrument and phase"
    assert Status.OK.family == ""


def test_every_status_belongs_to_a_family_and_ends_its_sentence() -> None:
    for status in Status:
        assert status.sentence.endswith("."), status
        assert status is Status.OK or status // 100 in FAMILIES, status


def test_unknown_status_code_is_refused() -> None:
    with pytest.raises(ValueError, match="999"):
        Status(999)
