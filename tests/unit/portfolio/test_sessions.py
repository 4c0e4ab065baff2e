"""User events: what stands in the log may be anything."""

from __future__ import annotations

import pytest

from tradecore.errors import DataError
from tradecore.portfolio.sessions import decode_user_event


@pytest.mark.parametrize(
    "garbage", [b"\xa2\xff\xfe", b"\x81\xa4type\xa2\xff\xfe", b"\x81\xa2\xff\xfe\x01"]
)
def test_text_that_is_not_utf8_is_one_error(garbage: bytes) -> None:
    with pytest.raises(DataError, match="not a user event"):
        decode_user_event(garbage)
