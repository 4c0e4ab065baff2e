"""Read, verify and replay a journal that lies in memory: bytes or a mapped file.

A journal is a sequence of segments (`Segment`), each with its records; a record is what one commit
made durable. Everything here goes over all segments and refuses what does not continue: a missing
segment, a damaged record, a tail worse than the caller accepts. Files are opened in
`tradecore.journal_file`; this module never touches one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec

from tradecore.envelope import FRAME_BYTES, Envelope
from tradecore.errors import JournalError
from tradecore.journal_format import Position, Record
from tradecore.journal_segment import Accept, Segment, Tail
from tradecore_ext.framing import command_offset, count_commands

__all__ = [
    "Accept",
    "Replayed",
    "Segment",
    "Summary",
    "Tail",
    "digest_config",
    "records",
    "replay",
    "verify",
]


# Fields of EngineConfig by which two engines may differ and still answer every command alike.
_WITHOUT_EFFECT: Final = frozenset(("id_seed", "prefault", "prefetch"))


def digest_config(config: msgspec.Struct) -> bytes:
    """Return the 32 bytes by which a journal or snapshot recognises the engine's configuration.

    Parameters
    ----------
    config : msgspec.Struct
        `EngineConfig`, or any Struct that msgspec can encode. Settings that change speed but no
        result (the seed of the id table, prefetching) are left out, so they may change between two
        runs; capacities count, because a full arena refuses commands.

    Notes
    -----
    BLAKE2b-256 of the msgpack encoding of the fields as a map in name order.
    """
    fields = msgspec.structs.asdict(config)
    counted = {name: fields[name] for name in sorted(fields) if name not in _WITHOUT_EFFECT}
    encoded = msgspec.msgpack.encode(counted, order="deterministic")
    return hashlib.blake2b(encoded, digest_size=32).digest()


def _continue(segments: Iterable[Segment]) -> Iterator[tuple[Segment, bool]]:
    """Yield segments with a flag "is the last"; each must continue the one before.

    One segment is looked ahead, because a torn tail is acceptable in the last one only.
    """
    before: Segment | None = None
    for segment in segments:
        if before is not None:
            yield before, False
            head, last = segment.head, before.head
            same = (head.source, head.kind) == (last.source, last.kind)
            if head.index != last.index + 1 or head.start != before.end or not same:
                raise JournalError(
                    f"segment {head.index} starts at record {head.start.record}, sequence "
                    f"{head.start.seq}; after {before.file or 'the segment before'} segment "
                    f"{last.index + 1} with record {before.end.record}, sequence {before.end.seq} "
                    "is due: a segment is missing, or belongs to another journal",
                    segment.file,
                    0,
                )
        before = segment
    if before is not None:
        yield before, True


def _walk(segments: Iterable[Segment], accept: str) -> Iterator[tuple[Segment, Record]]:
    for segment, is_last in _continue(segments):
        for record in segment:
            yield segment, record
        tail = segment.tail
        if tail.kind == "clean" or (is_last and accept == "corrupt"):
            continue
        if tail.kind == "corrupt" or not is_last or accept == "clean":
            raise tail.as_error(segment.file, is_last=is_last)


def records(segments: Iterable[Segment], *, accept: Accept = "torn") -> Iterator[Record]:
    """Yield the records of a journal over all its segments.

    Parameters
    ----------
    segments : iterable of Segment
        In order of their index; looked at one ahead, so it may be lazy.
    accept : {'clean', 'torn', 'corrupt'}
        The worst tail of the last segment that is not an error. A damaged tail is never yielded,
        only tolerated.

    Raises
    ------
    JournalError
        Damage in the middle, a gap between segments, a damaged tail of a segment that is not the
        last, or a tail that is not acceptable.
    """
    return (record for _, record in _walk(segments, accept))


class Summary(msgspec.Struct, frozen=True):
    """What a journal, or a part of it, holds.

    Parameters
    ----------
    segments, records, envelopes, frames : int
        Counts. Frames include continuation frames. Of a log: payloads, and no frames.
    first_seq, last_seq : int
        Sequence numbers of the first and last command; ``last_seq == first_seq - 1`` when empty.
    end : Position
        Behind the last record.
    tail : Tail
        Of the last segment.
    """

    segments: int
    records: int
    envelopes: int
    frames: int
    first_seq: int
    last_seq: int
    end: Position
    tail: Tail


def verify(segments: Iterable[Segment], *, accept: Accept = "clean") -> Summary:
    """Check every bit of a journal, including what replay may skip, and count what it holds.

    Beyond the checksums that every reader verifies: each envelope's own, that its source is the
    journal's, and that it counts its commands right.

    Parameters
    ----------
    segments, accept
        As in `records`.

    Raises
    ------
    JournalError
        See `records`; or an envelope contradicts itself or its journal; or there is no segment.
    """
    seen: list[Segment] = []
    n_records = n_envelopes = n_frames = 0
    for segment, record in _walk(_noted(segments, seen), accept):
        n_records += 1
        if segment.head.kind == "log":
            n_envelopes += sum(1 for _ in record.payloads())
            continue
        for envelope in record.envelopes(check_crc=True):
            _check_envelope(envelope, segment, record)
            n_envelopes += 1
            n_frames += envelope.frames.nbytes // FRAME_BYTES
    if not seen:
        raise JournalError("no segment: there is no journal here")
    first, last = seen[0], seen[-1]
    return Summary(
        *(len(seen), n_records, n_envelopes, n_frames),
        *(first.head.start.seq, last.end.seq - 1, last.end, last.tail),
    )


def _noted(segments: Iterable[Segment], seen: list[Segment]) -> Iterator[Segment]:
    for segment in segments:
        seen.append(segment)
        yield segment


def _check_envelope(envelope: Envelope, segment: Segment, record: Record) -> None:
    head = segment.head
    is_commands = head.kind == "commands"
    frames = envelope.frames
    count = count_commands(frames) if is_commands else frames.nbytes // FRAME_BYTES
    if envelope.count != count or envelope.source != head.source:
        raise JournalError(
            f"an envelope of source {envelope.source} says it holds {envelope.count} {head.kind}, "
            f"it holds {count}; the journal's source is {head.source}",
            segment.file,
            record.offset,
        )


class Replayed(msgspec.Struct, frozen=True):
    """What a replay applied: first and last sequence number, commands, frames, calls of `apply`."""

    first_seq: int
    last_seq: int
    commands: int
    frames: int
    batches: int


def replay(
    segments: Iterable[Segment],
    apply: Callable[[memoryview], object],
    *,
    from_seq: int = 1,
    to_seq: int | None = None,
    start: Position | None = None,
    accept: Accept = "torn",
) -> Replayed:
    """Feed the frames of a journal to an engine, in order, each envelope one call.

    Parameters
    ----------
    segments, accept
        As in `records`.
    apply : callable
        Called with a read-only view of whole frames, valid during the call: ``engine.apply``.
    from_seq : int
        First command to apply: one more than what a restored snapshot contains. Records before it
        are verified but not applied.
    to_seq : int, optional
        Last command to apply.
    start : Position, optional
        Where the journal stood when the snapshot was taken (``SnapshotInfo.journal``), instead of
        `from_seq`: the journal must have stood there, with the same bytes before.

    Returns
    -------
    Replayed
        ``last_seq == from_seq - 1`` when there was nothing to apply.

    Raises
    ------
    JournalError
        See `records`. Also when the journal begins after `from_seq`, ends before ``from_seq - 1``
        or has another history before `start`: then what the snapshot was made of has been lost,
        and going on would rewrite it.

    Notes
    -----
    O(bytes); the checksum runs at more than 10 GB/s, an envelope costs about 2 us.
    """
    from_seq = from_seq if start is None else start.seq
    done = from_seq - 1
    commands = frames = batches = 0
    seen: list[Segment] = []
    for segment, record in _walk(_noted(segments, seen), accept):
        if start is not None:
            _must_agree(segment.head.start, start, segment)
            _must_agree(record.after, start, segment)
        if segment.head.kind != "commands":
            what = "a log" if segment.head.kind == "log" else "a journal of events"
            raise JournalError(f"{what} cannot be replayed", segment.file, 0)
        if to_seq is not None and record.first_seq > to_seq:
            break
        if record.first_seq > done + 1:
            raise JournalError(
                f"the journal begins at sequence {record.first_seq}, {from_seq} is needed; an "
                "older segment is missing",
                segment.file,
                record.offset,
            )
        if record.after.seq <= from_seq:
            continue
        for envelope in record.envelopes():
            view, last = _part(envelope, from_seq, to_seq)
            if view:
                apply(view)
                batches += 1
                frames += view.nbytes // FRAME_BYTES
                commands += last - done
                done = last
    else:
        if start is not None and seen:
            _must_agree(seen[-1].end, start, seen[-1])
        end = seen[-1].end.seq - 1 if seen else 0
        if end < from_seq - 1:
            raise JournalError(
                f"the journal ends at sequence {end}, but {from_seq - 1} commands are known to "
                "have been durable: acknowledged commands are lost; restore the journal from a "
                "replica",
                seen[-1].file if seen else "",
            )
    return Replayed(from_seq, done, commands, frames, batches)


def _must_agree(found: Position, start: Position, segment: Segment) -> None:
    """Raise if both name the same record, or the same command, and differ."""
    same_place = found.record == start.record or found.seq == start.seq
    if same_place and found != start:
        raise JournalError(
            f"before record {start.record}, sequence {start.seq} the snapshot saw a journal with "
            f"chain {start.chain:08x}; here it is record {found.record}, sequence {found.seq}, "
            f"chain {found.chain:08x}: they do not belong together",
            segment.file,
        )


def _part(envelope: Envelope, from_seq: int, to_seq: int | None) -> tuple[memoryview, int]:
    """Return the frames of the commands from_seq..to_seq of an envelope, and the last number."""
    view, first = envelope.frames, envelope.first_seq
    last = first + envelope.count - 1
    if last < from_seq or (to_seq is not None and first > to_seq):
        return view[:0], last
    if to_seq is not None and last > to_seq:
        view, last = view[: command_offset(view, to_seq - first + 1)], to_seq
    if first < from_seq:
        view = view[command_offset(view, from_seq - first) :]
    return view, last
