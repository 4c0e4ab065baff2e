"""Random logs for cells: orders with sessions, envelopes that come twice, early or damaged."""

from __future__ import annotations

import random
import struct
from typing import NamedTuple

from tradecore.codes import CommandKind
from tradecore.envelope import encode, encode_compact, seal
from tradecore.testing.strategies import CommandSource
from tradecore_ext.crc import crc32c

ORDERS = (CommandKind.NEW_ORDER, CommandKind.CANCEL_ORDER, CommandKind.REPLACE_ORDER)
NUMBERED = (5, 2 << 28 | 1, 3 << 28)


class Record(NamedTuple):
    """A record as a log would give it."""

    offset: int
    ts_ns: int
    payload: bytes


def with_session(command: bytes, session: int, named: int) -> bytes:
    """Return a command whose order ids carry `session` and which says it is of session `named`."""
    frames = bytearray(command)
    for at in range(0, len(frames), 64):
        kind = int.from_bytes(frames[at + 8 : at + 10], "little")
        if kind in ORDERS or kind == CommandKind.NEW_ORDER_LIST:
            number = int.from_bytes(frames[at + 24 : at + 32], "little")
            if 0 < number < 1 << 32:
                frames[at + 28 : at + 32] = session.to_bytes(4, "little")
            session_at = at + (40 if kind == CommandKind.NEW_ORDER_LIST else 60)
            frames[session_at : session_at + 4] = named.to_bytes(4, "little")
    return bytes(frames)


def sealed_as(schema: int, source: int, first_seq: int, count: int, frames: bytes) -> bytes:
    """Return an envelope whose checksum holds, whatever its numbers say."""
    crc = crc32c(struct.pack("<IIQI", schema, source, first_seq, count) + frames)
    head = struct.pack(
        ">BIBBBQBQBQBQBI",
        *(0xDD, 6, 0xCC, schema, 0xCF, source, 0xCF, first_seq, 0xCF, count, 0xCF, crc),
        *(0xC6, len(frames)),
    )
    return head + frames


class LogSource:
    """One seeded log.

    Parameters
    ----------
    rng : random.Random
    accounts : bool
        Whether the engine keeps accounts.
    """

    def __init__(self, rng: random.Random, accounts: bool) -> None:
        self.rng = rng
        self.sent: list[bytes] = []
        self.next_seq = dict.fromkeys(NUMBERED, 1)
        self.history: list[bytes] = []
        self.commands = CommandSource(rng, accounts)
        self.per_record = rng.choice((1, 3, 3, 8))

    def records(self, count: int) -> list[Record]:
        """Return about `count` records: a set-up, then whatever comes."""
        rng = self.rng
        setup, commands = self._split(self.commands.take(count * self.per_record))
        payloads = [encode(seal(b"".join(setup), source=0, first_seq=1))] if setup else []
        times = [1]
        while commands:
            size = rng.randrange(1, 2 * self.per_record)
            part, commands = commands[:size], commands[size:]
            frames = [self._session(command) for command in part]
            self.history += frames
            if rng.random() < 0.3:
                frames.insert(rng.randrange(len(frames) + 1), self._again())
            payloads.append(self._payload(b"".join(frames)))
            stamps = [int.from_bytes(command[:8], "little") for command in part]
            times.append(min(max(stamps), 1 << 61) + rng.choice((0, 0, 1, 1000)))
        times = times[-len(payloads) :]
        offset = -1
        records = []
        for ts_ns, payload in zip(times, payloads, strict=True):
            offset += rng.choice((1, 1, 1, 1, 3))
            records.append(Record(offset, ts_ns, payload))
        return records

    @staticmethod
    def _split(commands: list[bytes]) -> tuple[list[bytes], list[bytes]]:
        """The first commands define instruments and accounts; they come in one piece."""
        for n, command in enumerate(commands):
            if int.from_bytes(command[8:10], "little") <= CommandKind.NEW_ORDER_LIST:
                return commands[:n], commands[n:]
        return commands, []

    def _session(self, command: bytes) -> bytes:
        session = self.rng.choice((1, 1, 1, 2))
        named = session if self.rng.random() < 0.93 else self.rng.choice((0, 3, 1 << 31))
        return with_session(command, session, named)

    def _again(self) -> bytes:
        command = bytearray(self.rng.choice(self.history))
        if self.rng.random() < 0.3:
            command[self.rng.randrange(32, len(command))] ^= 1 << self.rng.randrange(8)
        if self.rng.random() < 0.5:  # sent again later: other times, same terms
            at = 32 if command[8] == CommandKind.NEW_ORDER_LIST else 48
            command[at : at + 8] = (self.rng.randrange(2)).to_bytes(8, "little")
        return bytes(command)

    def _payload(self, frames: bytes) -> bytes:
        rng = self.rng
        source = rng.choice((0, 0, *NUMBERED))
        first_seq = self.next_seq.get(source, rng.randrange(1, 9))
        luck = rng.random()
        if luck < 0.08 and self.sent:
            return rng.choice(self.sent)
        if luck < 0.14:
            first_seq = max(1, first_seq + rng.choice((-3, -1, 1, 2)))
        elif luck < 0.20:
            return self._damaged(frames, source, first_seq)
        sealed = seal(frames, source=source, first_seq=first_seq)
        if first_seq == self.next_seq.get(source):
            self.next_seq[source] += sealed.count
        payload = encode_compact(sealed) if rng.random() < 0.2 else encode(sealed)
        self.sent.append(payload)
        return payload

    def _damaged(self, frames: bytes, source: int, first_seq: int) -> bytes:
        rng = self.rng
        sealed = seal(frames, source=source, first_seq=first_seq)
        whole = encode(sealed)
        count = sealed.count
        kind = rng.randrange(6)
        if kind == 0:
            return sealed_as(2, source, first_seq, count, frames)
        if kind == 1:
            return sealed_as(1, source, first_seq, count + rng.choice((-1, 1)), frames)
        if kind == 2:
            return whole[: rng.randrange(len(whole))]
        if kind == 3:
            return rng.randbytes(rng.randrange(100))
        if kind == 4:
            return sealed_as(1, source, first_seq, count, frames + bytes(rng.randrange(1, 64)))
        data = bytearray(whole)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        return bytes(data)
