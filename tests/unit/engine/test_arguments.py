"""What the helper calls and `apply` refuse before anything is run: by name, and nothing changes."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from tradecore import Engine
from tradecore.dtypes import COMMAND, EVENT, INSTRUMENT
from tradecore.errors import ConfigError, FrameError


@pytest.fixture
def engine() -> Engine:
    return Engine(accounts=False, max_instruments=2, max_orders=8)


Call = Callable[[Engine], Any]
# Typed as Any where a caller's mistake is the point.
FLOAT: Any = 101.9
DECIMAL: Any = Decimal("5.9")
TEXT: Any = "5"
NONE: Any = None

REFUSED: dict[str, tuple[Call, str]] = {
    "price with a fraction": (lambda e: e.limit(1, 1, "sell", FLOAT, 1), "px is 101.9"),
    "decimal": (lambda e: e.limit(1, 1, "buy", 5, DECIMAL), "qty is Decimal"),
    "numpy float": (lambda e: e.market(1, 1, "buy", np.float64(2.5)), "qty is"),  # type: ignore[arg-type]
    "text": (lambda e: e.stop(1, 1, "buy", TEXT, 1), "stop_px is '5'"),
    "none": (lambda e: e.limit(1, 1, "buy", NONE, 1), "px is None"),
    "half an order": (lambda e: e.cancel(1, FLOAT), "order_id is 101.9"),
    "negative account": (lambda e: e.limit(-1, 1, "buy", 5, 1), "account_id is -1"),
    "account of 33 bits": (lambda e: e.limit(1 << 32, 1, "buy", 5, 1), "0 to 4294967295"),
    "price of 64 bits": (lambda e: e.limit(1, 1, "buy", 1 << 63, 1), "px is 9223372036854775808"),
    "negative id": (lambda e: e.replace(1, -1), "order_id is -1"),
    "id of 65 bits": (lambda e: e.order(1 << 64), "order_id is 18446744073709551616"),
    "instrument of a book": (lambda e: e.best(FLOAT), "instrument_id is 101.9"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_argument_that_is_no_whole_number_or_does_not_fit_is_refused_by_name(
    engine: Engine, name: str
) -> None:
    call, words = REFUSED[name]
    with pytest.raises(ConfigError, match=words):
        call(engine)
    assert engine.in_seq == 0


def test_whole_numbers_of_other_types_are_taken(engine: Engine) -> None:
    result = engine.limit(np.uint32(1), np.int8(1), "buy", np.int64(5), 1, order_id=(1 << 63) - 1)  # type: ignore[arg-type]
    assert (result.order_id, engine.in_seq) == ((1 << 63) - 1, 1)


ARRAYS: dict[str, tuple[Callable[[], Any], str]] = {
    "objects": (lambda: np.array([None] * 8, object), "of object"),
    "floats": (lambda: np.zeros(8), "of float64"),
    "events": (lambda: np.zeros(2, EVENT), "of events"),
    "big endian": (lambda: np.zeros(2, COMMAND).astype(COMMAND.newbyteorder(">")), "other way"),
    "half frames": (lambda: np.zeros(2, [("a", "<u8", 4)]), "records of 32 bytes"),
    "gaps": (lambda: np.zeros(4, COMMAND)[::2], "ascontiguousarray"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_array_that_holds_no_frames_is_refused(engine: Engine, name: str) -> None:
    make, words = ARRAYS[name]
    with pytest.raises(FrameError, match=words):
        engine.apply(make())
    assert engine.in_seq == 0


def test_frames_bytes_and_words_are_taken(engine: Engine) -> None:
    frames = np.zeros(8, COMMAND)
    for commands in (frames, frames.view(np.uint8), frames.view("<u8"), frames.view(INSTRUMENT)):
        engine.apply(commands)
    assert engine.in_seq == 32


CONFIGS: dict[str, dict[str, Any]] = {
    "max_orders is 64.5": {"max_orders": 64.5},
    "max_orders is True": {"max_orders": True},
    "accounts is 'yes'": {"accounts": "yes"},
    "id_seed is 1.5": {"id_seed": 1.5},
    "prefetch is 99": {"prefetch": 99},
}


@pytest.mark.parametrize("words", CONFIGS)
def test_setting_that_no_snapshot_could_hold_is_refused_at_once(words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Engine(**CONFIGS[words])


def test_administrative_fields_are_whole_numbers(engine: Engine) -> None:
    with pytest.raises(ConfigError, match="tick is 101"):
        engine.define_instrument(1, tick=FLOAT)
    with pytest.raises(ConfigError, match="instrument_id is 101"):
        engine.define_instrument(FLOAT)
    with pytest.raises(ConfigError, match="mark_px is 101"):
        engine.mark(1, FLOAT)
    assert engine.in_seq == 0
