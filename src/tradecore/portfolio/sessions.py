"""Messages of the topic `user-events`: a trading session opened or closed.

A trading session is one run of one bot or one login; its number is in the upper half of every order
id that it gives out (docs/concepts/services.md). The messages are msgpack maps with a ``type``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final, NamedTuple, TypeAlias, cast

import msgspec

from tradecore.buffers import BytesLike
from tradecore.errors import DataError

__all__ = [
    "MAX_SESSION",
    "Session",
    "SessionClosed",
    "SessionOpened",
    "UserEvent",
    "decode_user_event",
    "encode_user_event",
    "merge_sessions",
]

MAX_SESSION: Final = (1 << 31) - 1
_SessionId = Annotated[int, msgspec.Meta(ge=1, le=MAX_SESSION)]
_AccountId = Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)]
_Ns = Annotated[int, msgspec.Meta(ge=0, le=(1 << 62) - 1)]
_Label = Annotated[str, msgspec.Meta(max_length=200)]


class SessionOpened(
    msgspec.Struct, frozen=True, kw_only=True, tag="session_opened", forbid_unknown_fields=True
):
    """A session began.

    Parameters
    ----------
    session_id : int
        1 to 2**31 - 1, chosen by the client and never used again.
    account_id : int
    label : str
        What it is, for people: a strategy's name, a version.
    ts_ns : int
        The client's time; the log's own time is kept where this is 0.
    """

    session_id: _SessionId
    account_id: _AccountId
    label: _Label = ""
    ts_ns: _Ns = 0


class SessionClosed(
    msgspec.Struct, frozen=True, kw_only=True, tag="session_closed", forbid_unknown_fields=True
):
    """A session ended in order; one that crashed stays open."""

    session_id: _SessionId
    account_id: _AccountId
    ts_ns: _Ns = 0


UserEvent: TypeAlias = SessionOpened | SessionClosed

_DECODER: Final = msgspec.msgpack.Decoder(UserEvent)
_ENCODER: Final = msgspec.msgpack.Encoder()


class Session(NamedTuple):
    """What is known of a session; the row of table `sessions`.

    Times are Unix ns, 0 = not seen.
    """

    user_id: int
    session_id: int
    account_id: int
    label: str
    opened_ts_ns: int
    closed_ts_ns: int

    def with_event(self, event: UserEvent, ts_ns: int) -> Session:
        """Return the session after an event taken by the log at `ts_ns`; repeats change nothing."""
        at = event.ts_ns or ts_ns
        if isinstance(event, SessionOpened):
            if self.opened_ts_ns:
                return self
            return self._replace(label=event.label, opened_ts_ns=at)
        return self if self.closed_ts_ns else self._replace(closed_ts_ns=at)


def encode_user_event(event: UserEvent) -> bytes:
    """Return the message as it stands in the log."""
    return _ENCODER.encode(event)


def decode_user_event(payload: BytesLike) -> UserEvent:
    """Read a message; DataError when it is none."""
    try:
        event: UserEvent = _DECODER.decode(cast("bytes", payload))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"not a user event: {error}") from None
    return event


def merge_sessions(
    known: Iterable[Session], news: Iterable[Session]
) -> dict[tuple[int, int], Session]:
    """Return sessions by (user, session), what was known first winning over what comes again."""
    merged = {(one.user_id, one.session_id): one for one in known}
    for one in news:
        key = (one.user_id, one.session_id)
        old = merged.get(key)
        if old is None:
            merged[key] = one
            continue
        opened = old if old.opened_ts_ns else one
        merged[key] = old._replace(
            label=opened.label,
            opened_ts_ns=opened.opened_ts_ns,
            closed_ts_ns=old.closed_ts_ns or one.closed_ts_ns,
        )
    return merged
