"""The cell: one partition of the log, applied record by record to one engine.

`Cell.apply` is a function of the log and nothing else: no clock, no chance, no order of arrival but
the log's. Two cells that read the same records say the same frames with the same numbers, whatever
was packed together, and a cell that was restored from a snapshot goes on as if it had never
stopped. It never raises for what stands in a record: what cannot be applied is answered.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, Protocol, Self

import msgspec

from tradecore import envelope
from tradecore.buffers import byte_view
from tradecore.cell.channels import Channels
from tradecore.cell.config import CellConfig, source_of
from tradecore.cell.output import Alarm, DeadLetter, Output
from tradecore.codes import CellKind, CommandKind
from tradecore.engine import Engine
from tradecore.engine import state_hash as hash_of
from tradecore.errors import CapacityError, ConfigError, FrameError, SnapshotError
from tradecore.frames import pack
from tradecore.snapshot import Snapshot, SnapshotInfo
from tradecore.status import Status
from tradecore_ext.crc import crc32c
from tradecore_ext.framing import count_commands
from tradecore_ext.gate import Gate

if TYPE_CHECKING:
    from tradecore.buffers import BytesLike

__all__ = ["Cell", "LogRecord", "end_seq", "time_command"]

_STATE_VERSION: Final = 1
# version, cell, next offset, last offset + 1, log time and fingerprint of the last record, zero,
# next exec_seq, next market_seq
_HEAD: Final = struct.Struct("<IIQQQIIQQ")
_SCHEMA_OF: Final = msgspec.msgpack.Decoder(envelope.Envelope)


class LogRecord(Protocol):
    """A record as a log gives it."""

    @property
    def offset(self) -> int:
        """Return its number in the partition."""

    @property
    def ts_ns(self) -> int:
        """Return when the log took it, Unix ns."""

    @property
    def payload(self) -> BytesLike:
        """Return its bytes."""


def time_command() -> bytes:
    """Return one TIME command frame; the cell puts the log's time into it."""
    return pack("tc_admin", kind=CommandKind.TIME)


def end_seq(payload: BytesLike) -> int:
    """Return the number behind the last frame of a record of `executions` or `market-data`.

    Raises
    ------
    FrameError
        Not an envelope. The checksum is not looked at.
    """
    found = envelope.decode(payload, check_crc=False)
    return found.first_seq + found.count


def _fingerprint(record: memoryview) -> int:
    """Return 32 bits that tell records apart.

    The checksum of an envelope's content stands in its first 48 bytes, so these and the length are
    enough, and cost nothing beside the checksum over all of it that `decode` computes anyway.
    """
    return crc32c(record[:64], len(record) & 0xFFFFFFFF)


def _why_unreadable(payload: BytesLike) -> Status:
    """Name what `envelope.decode` refused."""
    try:
        envelope.decode(payload, check_crc=False)
    except FrameError:
        try:
            schema = _SCHEMA_OF.decode(payload).schema  # type: ignore[arg-type]
        except (msgspec.DecodeError, TypeError, ValueError):
            return Status.UNREADABLE
        return Status.SCHEMA_UNKNOWN if schema > envelope.SCHEMA else Status.UNREADABLE
    return Status.BAD_CHECKSUM


class Cell:
    """One engine behind one partition of `trading-commands`.

    Parameters
    ----------
    config : CellConfig
    cell_id : int
        Number of the cell and of its partition, 0 to 2**28 - 1.

    Attributes
    ----------
    config : CellConfig
    source : int
        Who numbers the outputs: ``1 << 28 | cell_id``.
    engine : Engine
        For looking inside. Sending it commands makes the state something no log explains.
    next_offset : int
        Offset of the record to apply next (or a later one, where the log skips numbers).

    Raises
    ------
    ConfigError, CapacityError
        Impossible sizes; no memory for them.

    Examples
    --------
    >>> from tradecore.cell import Cell, CellConfig, time_command
    >>> from tradecore.engine import EngineConfig
    >>> from tradecore.envelope import encode, seal
    >>> cell = Cell(CellConfig(engine=EngineConfig(max_orders=1024, max_accounts=16)))
    >>> output = cell.apply(0, 1_000, encode(seal(time_command(), source=0, first_seq=1)))
    >>> len(output.frames), cell.next_offset, cell.now_ns
    (1, 1, 1000)
    """

    def __init__(self, config: CellConfig, *, cell_id: int = 0) -> None:
        self._start(config, cell_id, Engine(config.engine))

    def _start(self, config: CellConfig, cell_id: int, engine: Engine) -> None:
        self.config = config
        self.cell_id = cell_id
        self.source = source_of(cell_id)
        self.engine = engine
        try:
            self._gate = Gate(
                engine,
                recent_orders=config.recent_orders,
                max_instruments=config.engine.max_instruments,
                sessions=config.sessions,
                id_seed=config.engine.id_seed,
                depth_levels=config.depth_levels,
                depth_ns=config.depth_ns,
            )
        except MemoryError as error:
            raise CapacityError(str(error)) from error
        self._channels = Channels(config.max_sources)
        self.next_offset = 0
        self._last: tuple[int, int, int] | None = None  # offset, log time, fingerprint

    # ---- applying --------------------------------------------------------------------------------
    def apply(self, offset: int, ts_ns: int, payload: BytesLike) -> Output:
        """Apply one record.

        Parameters
        ----------
        offset : int
            Its offset, at least `next_offset`.
        ts_ns : int
            The log's time of it, Unix ns; may step back.
        payload : bytes-like
            Whatever the record holds; not kept.

        Returns
        -------
        Output
            One batch of execution frames, at most one of market frames.

        Raises
        ------
        EngineFault
            The engine stopped, now or before: end, restore the newest snapshot, replay.
        ConfigError
            The offset was applied before: the caller has lost its place.

        Notes
        -----
        O(frames + events); about 10 ns a command beside the engine in records of 256.
        """
        output = Output(self._gate.exec_seq, self._gate.market_seq)
        before = self._counters()
        self._one(offset, ts_ns, payload, output)
        self._finish(output, before)
        return output

    def apply_many(self, records: Iterable[LogRecord]) -> Output:
        """Apply records in order and return what they made together; otherwise as `apply`.

        Records behind one that fences the cell (`Output.fenced`) are not applied.
        """
        output = Output(self._gate.exec_seq, self._gate.market_seq)
        before = self._counters()
        for record in records:
            self._one(record.offset, record.ts_ns, record.payload, output)
            if self._gate.fenced:
                break
        self._finish(output, before)
        return output

    def _counters(self) -> tuple[int, int, int]:
        gate = self._gate
        return gate.events, gate.repeated, gate.refused

    def _finish(self, output: Output, before: tuple[int, int, int]) -> None:
        gate = self._gate
        output.end_exec_seq = gate.exec_seq
        output.end_market_seq = gate.market_seq
        output.events = gate.events - before[0]
        output.repeated += gate.repeated - before[1]
        output.refused = gate.refused - before[2]
        output.fenced = gate.fenced

    def _one(self, offset: int, ts_ns: int, payload: BytesLike, output: Output) -> None:
        if offset < self.next_offset:
            raise ConfigError(
                f"record {offset} of the log was applied before; {self.next_offset} is the next"
            )
        gate = self._gate
        payload = byte_view(payload)
        try:
            found = envelope.decode(payload)
        except FrameError:
            status = _why_unreadable(payload)
            self._drop(status, offset, ts_ns, payload, output)
        else:
            head = found.source, found.first_seq
            status = Status.OK
            if count_commands(found.frames) != found.count:
                self._drop(Status.BAD_COUNT, offset, ts_ns, payload, output)
            elif (
                found.source
                and (status := self._channels.judge(*head, found.count, found.crc)) != Status.OK
            ):
                if status == Status.REPETITION:
                    output.repeated += 1
                else:
                    output.alarms.append(Alarm(offset, status, found.source))
                gate.skip(status, offset, *head, output.frames)
            else:
                gate.run(found.frames, ts_ns, offset, *head, output.frames, output.market_frames)
        self.next_offset = offset + 1
        self._last = offset, ts_ns, _fingerprint(payload)

    def _drop(
        self, status: Status, offset: int, ts_ns: int, payload: memoryview, output: Output
    ) -> None:
        output.dead_letters.append(DeadLetter(offset, ts_ns, status, bytes(payload)))
        output.alarms.append(Alarm(offset, status, 0))
        self._gate.skip(status, offset, 0, 0, output.frames)

    # ---- where it stands -------------------------------------------------------------------------
    @property
    def exec_seq(self) -> int:
        """Number of the next frame for `executions`."""
        return self._gate.exec_seq

    @property
    def market_seq(self) -> int:
        """Number of the next frame for `market-data`."""
        return self._gate.market_seq

    @property
    def in_seq(self) -> int:
        """Commands that the engine has seen."""
        return self.engine.in_seq

    @property
    def now_ns(self) -> int:
        """Engine time, Unix ns."""
        return self.engine.now

    @property
    def last_offset(self) -> int | None:
        """Offset of the record applied last, None before the first."""
        return self._last[0] if self._last else None

    @property
    def last_ts_ns(self) -> int:
        """The log's time of the record applied last, Unix ns; 0 before the first."""
        return self._last[1] if self._last else 0

    def recognises(self, record: LogRecord) -> bool:
        """Tell whether a record is the one that was applied last: offset, log time and content."""
        return self._last == (
            record.offset,
            record.ts_ns,
            _fingerprint(byte_view(record.payload)),
        )

    def applied_to(self, source: int) -> int:
        """Return the number of the last command of a source that was applied; 0 = none."""
        return self._channels.applied_to(source)

    # ---- state -----------------------------------------------------------------------------------
    def sections(self) -> list[tuple[str, bytes]]:
        """Return the whole state as named sections in canonical order: the engine's and its own.

        O(state), a copy of all of it.
        """
        gate = self._gate
        offset, ts_ns, print32 = self._last or (-1, 0, 0)
        head = _HEAD.pack(
            *(_STATE_VERSION, self.cell_id, self.next_offset, offset + 1, ts_ns, print32, 0),
            *(gate.exec_seq, gate.market_seq),
        )
        return [
            *self.engine.export_state(),
            ("cell.head", head),
            *self._channels.sections(),
            *gate.export_state(),
        ]

    def state_hash(self) -> str:
        """Return the canonical hash of the state, as hex: equal in every process. O(state)."""
        return hash_of(self.sections())

    def audit(self) -> bytes:
        """Return a record for `audit-logs` about the present state. O(state)."""
        return self.audit_of(bytes.fromhex(self.state_hash()), self.next_offset, self.in_seq)

    def audit_of(self, state_hash: bytes, next_offset: int, in_seq: int) -> bytes:
        """Return a record for `audit-logs`: one AUDIT frame about a state this cell has been in.

        Parameters
        ----------
        state_hash : bytes
            Of that state, 32 bytes; a snapshot's head has it.
        next_offset, in_seq : int
            As the properties were then. The record's number is ``next_offset + 1``: numbers
            ascend but have holes, because an audit is taken when somebody asks.
        """
        words = [int.from_bytes(state_hash[i : i + 8], "little") for i in range(0, 32, 8)]
        frame = pack(
            "tc_audit_event",
            seq=next_offset + 1,
            order_id=max(next_offset - 1, 0),
            kind=CellKind.AUDIT,
            in_seq=in_seq & 0xFFFFFFFF,
            **{f"hash{n}": word for n, word in enumerate(words)},
        )
        sealed = envelope.seal_events(frame, source=self.source, first_seq=next_offset + 1)
        return envelope.encode(sealed)

    def snapshot_parts(
        self, build: str = ""
    ) -> tuple[SnapshotInfo, list[tuple[str, bytes]], bytes]:
        """Return what `tradecore.snapshot.encode` and a snapshot store take.

        The snapshot's ``in_seq`` counts records of the log here: it is `next_offset`.
        """
        now = self.engine.counters()
        info = SnapshotInfo(
            source=self.source,
            in_seq=self.next_offset,
            out_seq=self.exec_seq - 1,
            now_ns=now["now"],
            epoch=now["epoch"],
            config_digest=self.config.digest(),
            build=build,
        )
        return info, self.sections(), msgspec.msgpack.encode(self.config)

    @classmethod
    def from_snapshot(
        cls, config: CellConfig | None, snapshot: Snapshot, *, cell_id: int | None = None
    ) -> Self:
        """Build the cell that a snapshot was taken of.

        Parameters
        ----------
        config : CellConfig or None
            With the settings of this process (id seed, prefetching); None = the snapshot's own.
        snapshot : Snapshot
            As `tradecore.snapshot.decode` gives it, hence undamaged.
        cell_id : int, optional
            The cell that is wanted.

        Raises
        ------
        SnapshotError
            It is not of a cell, of another cell, of another configuration, or not a state that a
            cell can have.
        """
        try:
            own = msgspec.msgpack.decode(snapshot.config, type=CellConfig)
        except (msgspec.DecodeError, ConfigError) as error:
            raise SnapshotError(f"not the snapshot of a cell: {error}") from None
        if config is not None and config.digest() != own.digest():
            raise SnapshotError("made with another cell configuration than the one given")
        parts = {name: bytes(data) for name, data in snapshot.sections}
        inner = [part for part in parts.items() if not part[0].startswith("cell.")]
        cell = cls.__new__(cls)
        try:
            head = _HEAD.unpack(parts["cell.head"])
            version, its_id, next_offset, behind_last, ts_ns, print32, _, exec_seq, market_seq = (
                head
            )
            if version != _STATE_VERSION:
                raise SnapshotError(f"cell state of version {version}; use the build that wrote it")
            if cell_id not in (None, its_id):
                raise SnapshotError(f"the snapshot is of cell {its_id}, not of cell {cell_id}")
            config = config or own
            cell._start(config, its_id, Engine.from_state(config.engine, inner))
            cell._channels.restore(parts["cell.sources"], parts["cell.applied"])
            cell._gate.import_state(parts.items())
        except (KeyError, ValueError, struct.error, ConfigError) as error:
            raise SnapshotError(f"not the state of a cell: {error}") from None
        cell._gate.exec_seq, cell._gate.market_seq = exec_seq, market_seq
        cell.next_offset = next_offset
        cell._last = (behind_last - 1, ts_ns, print32) if behind_last else None
        return cell
