"""A cell as its rules read: plain dicts, one command at a time, nothing kept in arrays.

`NaiveCell` says what `tradecore.cell.Cell` must say, byte for byte; tests compare them over random
logs. The engine inside is the real one, which has an oracle of its own
(`tradecore.testing.oracle`); everything around it is done again here, and slowly: envelopes are
taken apart by hand, order ids are kept with the frames as sent, books are looked at after every
record, all of them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from tradecore.cell.config import CellConfig
from tradecore.codes import CellKind, CommandKind, EventKind, FillFlag, Side
from tradecore.engine import Engine
from tradecore.frames import pack, unpack
from tradecore.status import Status
from tradecore_ext.crc import crc32c_portable

__all__ = ["NaiveCell"]

_FRAME: Final = 64
_REMEMBERED_ENVELOPES: Final = 4096
_SHOWN_FLAGS: Final = FillFlag.AUCTION | FillFlag.LIQUIDATION | FillFlag.ADL
_Head = tuple[int, int]


def _is_int(value: object, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


def _open(payload: bytes) -> tuple[Status, list[Any]]:
    """Take an envelope apart: why it cannot be read, and its six parts."""
    try:
        parts = msgspec.msgpack.decode(payload)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return Status.UNREADABLE, []
    if not isinstance(parts, list) or len(parts) != 6:
        return Status.UNREADABLE, []
    schema, source, first_seq, count, crc, frames = parts
    ranges = ((1, 255), (0, 2**32 - 1), (1, 2**63 - 1), (1, 2**20), (0, 2**32 - 1))
    if not isinstance(frames, bytes):
        return Status.UNREADABLE, []
    if not all(_is_int(part, *bounds) for part, bounds in zip(parts, ranges, strict=False)):
        return Status.UNREADABLE, []
    if schema > 1:
        return Status.SCHEMA_UNKNOWN, []
    if not frames or len(frames) % _FRAME or count > len(frames) // _FRAME:
        return Status.UNREADABLE, []
    summed = b"".join(
        number.to_bytes(size, "little")
        for number, size in ((schema, 4), (source, 4), (first_seq, 8), (count, 4))
    )
    if crc32c_portable(summed + frames) != crc:
        return Status.BAD_CHECKSUM, []
    if len(list(_commands(frames))) != count:
        return Status.BAD_COUNT, []
    return Status.OK, parts


def _commands(frames: bytes) -> Iterator[bytes]:
    """Cut frames into commands; the last may be cut short."""
    while frames:
        size = _FRAME * (1 + frames[10])
        yield frames[:size]
        frames = frames[size:]


def _timeless(name: str, frame: bytes) -> bytes:
    fields = unpack(name, frame)
    fields["ts_ns"] = fields["sent_ts_ns"] = 0
    return pack(name, **fields)


def _is_id(order_id: int) -> bool:
    return 0 < order_id < 1 << 63


class _Command:
    """One command as the gate sees it: whose orders it brings, and what it says without times."""

    def __init__(self, frames: bytes, ts_ns: int) -> None:
        self.frames = ts_ns.to_bytes(8, "little") + frames[8:]
        self.kind = int.from_bytes(frames[8:10], "little")
        self.head = unpack("tc_command", frames)
        self.members: list[dict[str, Any]] = []
        self.said: list[bytes] = []
        if self.kind == CommandKind.NEW_ORDER:
            if _is_id(self.head["order_id"]):
                self.members = [self.head]
                self.said = [_timeless("tc_command", frames[:_FRAME]) + frames[_FRAME:]]
        elif self.kind == CommandKind.NEW_ORDER_LIST:
            self._list(frames, ts_ns)

    def _list(self, frames: bytes, ts_ns: int) -> None:
        header, rest = frames[:_FRAME], frames[_FRAME:]
        members, bodies, stamped = [], [], [self.frames[:_FRAME]]
        for body in _commands(rest):
            member = unpack("tc_command", body)
            whole = len(body) == _FRAME * (1 + member["cont"])
            if (
                member["kind"] != CommandKind.NEW_ORDER
                or not _is_id(member["order_id"])
                or not whole
            ):
                return
            members.append(member)
            bodies.append(_timeless("tc_command", body[:_FRAME]) + body[_FRAME:])
            stamped.append(ts_ns.to_bytes(8, "little") + body[8:])
        if 0 < len(members) <= 3:
            self.members = members
            whole_list = _timeless("tc_list", header) + b"".join(bodies)
            # Every member stands for the whole list, and for its place in it.
            self.said = [bytes([n]) + whole_list for n in range(len(members))]
            self.frames = b"".join(stamped)

    def foreign(self) -> tuple[int, int] | None:
        """Return (session named, session of the id) where they differ."""
        named = [(member["order_id"], member["session_id"]) for member in self.members]
        if self.kind == CommandKind.NEW_ORDER_LIST and self.members:
            header = unpack("tc_list", self.frames)
            named.insert(0, (header["list_id"], header["session_id"]))
        if self.kind in (CommandKind.CANCEL_ORDER, CommandKind.REPLACE_ORDER):
            if not _is_id(self.head["order_id"]) or self.head["session_id"] == 0:
                return None
            named = [(self.head["order_id"], self.head["session_id"])]
        for order_id, session_id in named:
            if session_id == 0 or order_id >> 32 != session_id:
                return session_id, order_id >> 32
        return None


class NaiveCell:
    """The cell of docs/concepts/services.md, slowly.

    Parameters
    ----------
    config : CellConfig
    """

    def __init__(self, config: CellConfig) -> None:
        self.config = config
        self.engine = Engine(config.engine)
        self.exec_seq = 1
        self.market_seq = 1
        self.applied_to: dict[int, int] = {}
        self.envelopes: OrderedDict[_Head, tuple[int, int]] = OrderedDict()
        self.orders: OrderedDict[tuple[int, int], dict[str, Any]] = OrderedDict()
        self.quotes: dict[int, tuple[int, int, int, int]] = {}
        self.changed: set[int] = set()
        self.period = 0

    def apply(self, offset: int, ts_ns: int, payload: bytes) -> tuple[bytes, bytes]:
        """Return the frames for `executions` and for `market-data` that a record makes."""
        status, parts = _open(payload)
        source, first_seq = (parts[1], parts[2]) if parts else (0, 0)
        if status == Status.OK and source:
            status = self._number(source, first_seq, parts[3], parts[4])
        if status != Status.OK:
            return self._numbered(self._head(status, offset, source, first_seq, 0), []), b""
        answers, events = self._run(parts[5], ts_ns)
        said = [self._finished(answer) for answer in answers] + events
        head = self._head(Status.OK, offset, source, first_seq, len(said))
        executions = self._numbered(head, said)
        tape = self._tape(events)
        if not tape:
            return executions, b""
        head = self._head(Status.OK, offset, source, first_seq, len(tape))
        market = b""
        for frame in [head, *tape]:
            market += self.market_seq.to_bytes(8, "little") + frame[8:]
            self.market_seq += 1
        return executions, market

    def _numbered(self, head: bytes, behind: list[bytes]) -> bytes:
        frames = self.exec_seq.to_bytes(8, "little") + head[8:] + b"".join(behind)
        self.exec_seq += 1 + len(behind)
        return frames

    def _head(self, status: int, offset: int, source: int, first_seq: int, count: int) -> bytes:
        return pack(
            "tc_batch_event", kind=CellKind.BATCH, status=status, in_seq=self.engine.in_seq,
            ts_ns=self.engine.now, in_offset=offset, in_first_seq=first_seq, in_source=source,
            count=count,
        )  # fmt: skip

    def _number(self, source: int, first_seq: int, count: int, crc: int) -> Status:
        hwm = self.applied_to.get(source, 0)
        if first_seq == hwm + 1:
            if source not in self.applied_to and len(self.applied_to) == self.config.max_sources:
                return Status.CAPACITY_SOURCES
            self.applied_to[source] = hwm + count
            self.envelopes[source, first_seq] = (count, crc)
            if len(self.envelopes) > _REMEMBERED_ENVELOPES:
                self.envelopes.popitem(last=False)
            return Status.OK
        if first_seq + count - 1 > hwm:
            return Status.GAP
        if self.envelopes.get((source, first_seq), (count, crc)) == (count, crc):
            return Status.REPETITION
        return Status.DIVERGED

    def _run(self, frames: bytes, ts_ns: int) -> tuple[list[dict[str, Any]], list[bytes]]:
        """Send the engine what passes, and collect what the gate answers itself.

        What passes goes to the engine in one call, because it tells a command cut short by the
        end of its buffer from one cut short by the next.
        """
        answers: list[dict[str, Any]] = []
        passed: list[_Command] = []
        brought: list[tuple[int, dict[str, Any]]] = []  # also those that are forgotten again
        for raw in _commands(frames):
            command = _Command(raw, ts_ns)
            foreign = command.foreign() if self.config.sessions else None
            if foreign is not None:
                answers.append(self._refusal(command, *foreign))
                continue
            keys = [(member["account_id"], member["order_id"]) for member in command.members]
            if keys and keys[0] in self.orders:
                answers.append(self._repetition(keys[0], command))
                continue
            for key, said in zip(keys, command.said, strict=True):
                if key not in self.orders:
                    if len(self.orders) == self.config.recent_orders:
                        self.orders.popitem(last=False)
                    self.orders[key] = {
                        "said": said,
                        "in_seq": self.engine.in_seq + len(passed) + 1,
                    }
                    brought.append((key[1], self.orders[key]))
            passed.append(command)
        if not passed:
            return answers, []
        raw_events = bytes(self.engine.apply(b"".join(each.frames for each in passed)))
        events = [raw_events[at : at + _FRAME] for at in range(0, len(raw_events), _FRAME)]
        for event in events:
            self._answered(event, brought)
        return answers, events

    def _refusal(self, command: _Command, named: int, carried: int) -> dict[str, Any]:
        kinds = {
            CommandKind.CANCEL_ORDER: EventKind.CANCEL_REJECTED,
            CommandKind.REPLACE_ORDER: EventKind.REPLACE_REJECTED,
        }
        head = command.head
        side = 0 if command.kind == CommandKind.NEW_ORDER_LIST else head["side"]
        frame = pack(
            "tc_reject_event", kind=kinds.get(CommandKind(command.kind), EventKind.REJECTED),
            status=Status.WRONG_SESSION, order_id=head["order_id"], account_id=head["account_id"],
            instrument_id=head["instrument_id"], side=side, observed=named, limit=carried,
            command_kind=command.kind,
        )  # fmt: skip
        return {"frame": frame}

    def _repetition(self, key: tuple[int, int], command: _Command) -> dict[str, Any]:
        order, first = self.orders[key], command.members[0]
        return {
            "key": key,
            "order": order,
            "same": order["said"] == command.said[0],
            "fields": {name: first[name] for name in ("side", "instrument_id")},
        }

    def _answered(self, event: bytes, brought: list[tuple[int, dict[str, Any]]]) -> None:
        head = unpack("tc_event", event)
        if head["kind"] not in (EventKind.ACCEPTED, EventKind.REJECTED):
            return
        whole_list = (
            head["kind"] == EventKind.REJECTED
            and unpack("tc_reject_event", event)["command_kind"] == CommandKind.NEW_ORDER_LIST
        )
        for order_id, order in brought:
            mine = order_id == head["order_id"] or whole_list
            if mine and order["in_seq"] == head["in_seq"] and "answer" not in order:
                order["answer"] = {
                    "answer_seq": head["seq"],
                    "answer_ts_ns": self.engine.now,
                    "answer_kind": head["kind"],
                    "answer_status": head["status"],
                }

    def _finished(self, answer: dict[str, Any]) -> bytes:
        """Complete a repetition: its first answer may have come with the same record."""
        if "frame" in answer:
            return bytes(answer["frame"])
        account_id, order_id = answer["key"]
        first = answer["order"].get("answer", {})
        status = first.get("answer_status", 0)
        return pack(
            "tc_repeat_event", kind=CellKind.REPEATED, order_id=order_id, account_id=account_id,
            status=status if answer["same"] else Status.REPEATED_OTHER_TERMS,
            **answer["fields"], **first,
        )  # fmt: skip

    # ---- market data -----------------------------------------------------------------------------
    def _tape(self, events: list[bytes]) -> list[bytes]:
        now = self.engine.now
        tape: list[bytes] = []
        for raw in events:
            event = unpack("tc_event", raw)
            if event["kind"] == EventKind.FILL:
                fill = unpack("tc_fill_event", raw)
                shared = ("instrument_id", "side", "in_seq", "last_px", "last_qty")
                tape.append(
                    pack(
                        "tc_trade_event",
                        kind=CellKind.TRADE,
                        ts_ns=now,
                        flags=fill["flags"] & _SHOWN_FLAGS,
                        **{name: fill[name] for name in shared},
                    )
                )
        tape += self._quotes()
        touches = {
            *(EventKind.ACCEPTED, EventKind.FILL, EventKind.CANCELED, EventKind.EXPIRED),
            *(EventKind.REPLACED, EventKind.TRIGGERED, EventKind.RESTATED, EventKind.PHASE),
            EventKind.AUCTION,
        }
        self.changed |= {
            unpack("tc_event", raw)["instrument_id"] for raw in events if raw[24] in touches
        }
        interval = self.config.depth_ns
        if interval and now // interval > self.period:
            self.period = now // interval
            for instrument_id in sorted(self.changed):
                for side in (Side.BUY, Side.SELL):
                    tape += self._picture(instrument_id, side)
            self.changed.clear()
        return tape

    def _levels(self, instrument_id: int, side: Side, most: int) -> list[tuple[int, int, int]]:
        try:
            return self.engine.depth(instrument_id, side, most)
        except KeyError:
            return []

    def _quotes(self) -> list[bytes]:
        """Look at every book; instruments whose best changed speak once, by id."""
        found = []
        for instrument_id in range(self.config.engine.max_instruments):
            best = [self._levels(instrument_id, side, 1) for side in (Side.BUY, Side.SELL)]
            bid, ask = (levels[0][:2] if levels else (0, 0) for levels in best)
            quote = (*bid, *ask)
            if quote != self.quotes.get(instrument_id, (0, 0, 0, 0)):
                self.quotes[instrument_id] = quote
                names = ("bid_px", "bid_qty", "ask_px", "ask_qty")
                found.append(
                    pack(
                        "tc_quote_event",
                        kind=CellKind.QUOTE,
                        instrument_id=instrument_id,
                        in_seq=self.engine.in_seq,
                        **dict(zip(names, quote, strict=True)),
                    )
                )
        return found

    def _picture(self, instrument_id: int, side: Side) -> list[bytes]:
        levels = self._levels(instrument_id, side, self.config.depth_levels) or [(0, 0, 0)]
        return [
            pack(
                "tc_level_event",
                kind=CellKind.LEVEL,
                instrument_id=instrument_id,
                side=side,
                in_seq=self.engine.in_seq,
                ts_ns=self.engine.now,
                px=px,
                qty=qty,
                orders=orders,
                index=index,
            )
            for index, (px, qty, orders) in enumerate(levels)
        ]
