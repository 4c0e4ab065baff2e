"""What the executions of a world say, read with nothing but the layout of the header."""

from __future__ import annotations

import struct
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final, NamedTuple

from tradecore.codes import EventKind

__all__ = ["BATCH", "REPEATED", "Event", "Facts", "read_event"]

BATCH: Final = 32
REPEATED: Final = 33
_HEAD: Final = struct.Struct("<QQIIBBHI4q")
_LIQUIDATION: Final = 3  # tc_account_state: from LIQ_CANCEL on positions only shrink


class Event(NamedTuple):
    """One frame of an event topic: the common head and the body as four signed numbers."""

    seq: int
    order_id: int
    account_id: int
    instrument_id: int
    kind: int
    side: int
    status: int
    in_seq: int
    body: tuple[int, int, int, int]


def read_event(frame: bytes) -> Event:
    """Take a frame apart."""
    head = _HEAD.unpack(frame)
    return Event._make((*head[:8], head[8:]))


class Facts:
    """Executions in order, and sums of them.

    Parameters
    ----------
    frames : list of bytes
        The frames of `executions`, each once, by number.

    Attributes
    ----------
    accepted, answered : Counter
        By order id: ACCEPTED events, and all first answers (ACCEPTED, REJECTED of any kind).
    repeated : Counter
        By order id: REPEATED events.
    filled : Counter
        By order id: lots.
    largest : dict
        By order id: the largest total quantity the engine ever agreed to.
    deposited : Counter
        By (account, asset): sum of DEPOSIT movements.
    fills, liquidations : int
        Fills, and steps of accounts into or within liquidation.
    """

    def __init__(self, frames: list[bytes]) -> None:
        self.events = [read_event(frame) for frame in frames]
        self.accepted: Counter[int] = Counter()
        self.answered: Counter[int] = Counter()
        self.repeated: Counter[int] = Counter()
        self.filled: Counter[int] = Counter()
        self.largest: dict[int, int] = defaultdict(int)
        self.deposited: Counter[tuple[int, int]] = Counter()
        self.fills = self.liquidations = 0
        for event in self.events:
            self._count(event)

    def _count(self, event: Event) -> None:
        kind, who = event.kind, event.order_id
        if kind == EventKind.ACCEPTED:
            self.accepted[who] += 1
            self.answered[who] += 1
            self.largest[who] = max(self.largest[who], event.body[1])
        elif kind == EventKind.REJECTED:
            self.answered[who] += 1
        elif kind == EventKind.REPLACED:
            self.largest[who] = max(self.largest[who], event.body[1])
        elif kind == REPEATED:
            self.repeated[who] += 1
        elif kind == EventKind.ACCOUNT_STATE:
            self.liquidations += event.body[3] & 0xFF >= _LIQUIDATION
        elif kind == EventKind.FILL:
            self.fills += 1
            self.filled[who] += event.body[1]
            self.filled[event.body[2] & (1 << 64) - 1] += event.body[1]
        elif kind == EventKind.BALANCE:
            asset, cause = event.body[2] & 0xFFFFFFFF, event.body[2] >> 32 & 0xFFFF
            if cause == _DEPOSIT:
                self.deposited[event.account_id, asset] += event.body[0]

    def batches(self) -> Iterator[Event]:
        """Yield the BATCH frames."""
        return (event for event in self.events if event.kind == BATCH)

    def time_is_monotone(self) -> list[str]:
        """Judge O9: engine time never goes back, and every record has its BATCH, once, in order."""
        last, due = 0, 0
        for event in self.batches():
            ts_ns, offset = event.body[0], event.body[1]
            if ts_ns < last:
                return [f"O9 engine time goes back from {last} to {ts_ns} at offset {offset}"]
            if offset != due:
                return [f"O9 the batch behind offset {due - 1} is of offset {offset}"]
            last, due = ts_ns, offset + 1
        return []

    def liquidation_shrinks(self) -> list[str]:
        """Judge that no position grows while its account is in liquidation."""
        states: dict[tuple[int, int], int] = {}
        positions: dict[tuple[int, int], int] = {}
        wrong = []
        for event in self.events:
            if event.kind == EventKind.ACCOUNT_STATE:
                states[event.account_id, event.instrument_id] = event.body[3] & 0xFF
            elif event.kind == EventKind.SETTLED:
                key = (event.account_id, event.instrument_id)
                now, before = event.body[2], positions.get(key, 0)
                in_state = max(states.get(key, 0), states.get((event.account_id, _ANY), 0))
                if in_state >= _LIQUIDATION and event.instrument_id == 1 and abs(now) > abs(before):
                    wrong.append(
                        f"liquidation: account {event.account_id} went from {before} to {now} "
                        f"in state {in_state}, event {event.seq}"
                    )
                positions[key] = now
        return wrong[:3]


_DEPOSIT: Final = 25
_ANY: Final = 0xFFFFFFFF
