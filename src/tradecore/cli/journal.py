"""`tradecore journal`: look at journals, verify, repair and replay them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from tradecore import envelope
from tradecore.cli.journal_files import followed_segments, load_config, segment_head
from tradecore.cli.parser import Commands, int_in, new_command
from tradecore.cli.screen import Screen, rate_text, size_text
from tradecore.errors import FrameError, JournalError
from tradecore.journal import Segment, records, verify
from tradecore.storage import cut_tail, list_segments, read_segments

__all__ = ["add"]

_DESCRIPTION = """\
A journal is a folder of segments (*.tcj) that holds every command of an engine in order. It is the
authority: a state is nothing but a journal prefix, applied. Records are chained by checksums, so
every flipped bit is found. A tail torn by a crash is cut without loss (nothing acknowledged is in
it); damage with intact records behind it is corruption, and refused."""

_SEQ = int_in(1, (1 << 63) - 1)


def add(commands: Commands) -> None:
    """Add the command and its sub-commands to the parser."""
    parser = new_command(
        commands, "journal", "inspect, verify, cut or replay a journal", _DESCRIPTION
    )
    parts = parser.add_subparsers(title="what to do", metavar="ACTION", required=True)
    _part(
        parts,
        "inspect",
        "show segments and commands",
        "Show the segments of a journal and, with --commands, what stands in it.",
        "  tradecore journal inspect log --commands 20 --from 1000",
        _inspect,
        ("--commands", _option(int_in(0, 10**9), 0, "N", "also show so many commands")),
        ("--from", _option(_SEQ, 1, "SEQ", "first command to show") | {"dest": "first"}),
    )
    _part(
        parts,
        "verify",
        "check every bit",
        "Check every checksum, link and count of a journal. Exit code 1 if anything is wrong, a "
        "torn tail included.",
        "  tradecore journal verify log",
        _verify,
    )
    _part(
        parts,
        "cut",
        "remove a torn tail",
        "Cut the torn tail that a crash left. The bytes are kept beside the segment in a file "
        "whose name ends with .torn-OFFSET. Opening a journal for writing does the same by itself.",
        "  tradecore journal cut log\n"
        "  tradecore journal cut log --force     a corrupt last record too",
        _cut,
        ("--force", {"action": "store_true", "help": "cut a corrupt last record too"}),
    )
    _part(
        parts,
        "replay",
        "apply a journal and keep the state",
        "Apply the commands of a journal to a new engine, or to a snapshot's, and print the state "
        "hash. --snapshot keeps the state, so that the next restart is short.",
        "  tradecore journal replay log --to 500000 --snapshot snapshots\n"
        "  tradecore journal replay log --after snapshots",
        _replay,
        ("--to", {"type": _SEQ, "metavar": "SEQ", "dest": "last", "help": "last command"}),
        ("--after", {"metavar": "FOLDER", "help": "start from the newest snapshot there"}),
        ("--snapshot", {"metavar": "FOLDER", "help": "save the state there at the end"}),
        ("--config", {"metavar": "FILE", "help": "engine configuration (engine.json)"}),
    )


def _option(kind: Callable[[str], int], default: int, name: str, text: str) -> dict[str, Any]:
    return {"type": kind, "default": default, "metavar": name, "help": text}


def _part(
    parts: Commands,
    name: str,
    summary: str,
    description: str,
    examples: str,
    run: Callable[[argparse.Namespace, Screen], int],
    *options: tuple[str, dict[str, Any]],
) -> None:
    parser = new_command(parts, name, summary, description, examples)
    parser.add_argument("journal", metavar="JOURNAL", help="folder, or one segment file")
    for flag, settings in options:
        parser.add_argument(flag, **settings)
    parser.set_defaults(run=run)


# ------------------------------------------------------------------------------------ inspect
def _inspect(args: argparse.Namespace, screen: Screen) -> int:
    place = Path(args.journal)
    head = segment_head(place)
    with screen.progress("reading", 1) as bar:
        segments = [_segment(segment) for segment in followed_segments(place, bar)]
    commands = _commands(place, args.first, args.commands) if args.commands else []
    screen.result({"journal": args.journal, "segments": segments, "commands": commands})
    screen.heading(f"{args.journal}: {head.kind} of source {head.source}")
    screen.pairs(
        [
            ("schema", str(head.schema)),
            ("written by", head.build or "unknown"),
            ("config digest", head.config_digest.hex()),
        ]
    )
    screen.table(
        ("segment", "first seq", "last seq", "records", "size", "tail"),
        [
            (
                str(each["index"]),
                f"{each['first_seq']:,}",
                f"{each['last_seq']:,}",
                f"{each['records']:,}",
                size_text(each["bytes"]),
                each["tail"],
            )
            for each in segments
        ],
    )
    from tradecore.describe import to_line

    for seq, command in commands:
        screen.line(f"{seq:>10,}  {to_line(command)}")
    return 0


def _segment(segment: Segment) -> dict[str, Any]:
    count = sum(1 for _ in segment)
    return {
        "file": segment.file,
        "index": segment.head.index,
        "first_seq": segment.head.start.seq,
        "last_seq": segment.end.seq - 1,
        "records": count,
        "bytes": len(segment.data),
        "tail": segment.tail.kind,
    }


def _commands(place: Path, first: int, count: int) -> list[tuple[int, dict[str, Any]]]:
    """Return (sequence number, description) of some commands, or of some records of a log."""
    from tradecore.describe import describe_commands

    found: list[tuple[int, dict[str, Any]]] = []
    is_log = segment_head(place).kind == "log"
    for record in records(read_segments(place, from_seq=first)):
        if is_log:
            for seq, (ts_ns, payload) in enumerate(record.payloads(), record.first_seq):
                if seq >= first:
                    found.append((seq, _payload(seq, ts_ns, payload)))
                if len(found) == count:
                    return found
            continue
        for each in record.envelopes():
            if each.first_seq + each.count <= first:
                continue
            for seq, shown in enumerate(describe_commands(each.frames), each.first_seq):
                if seq >= first:
                    found.append((seq, shown))
                if len(found) == count:
                    return found
    return found


def _payload(seq: int, ts_ns: int, payload: memoryview) -> dict[str, Any]:
    """Return one record of a log: where, when, how large, and whose envelope it is."""
    shown: dict[str, Any] = {
        "kind": "record",
        "offset": seq - 1,
        "ts_ns": ts_ns,
        "bytes": len(payload),
    }
    try:
        found = envelope.decode(payload)
    except FrameError:
        return shown  # a log takes anything; what reads it judges it
    return shown | {
        "source": found.source,
        "first_seq": found.first_seq,
        "count": found.count,
        "frames": found.frames.nbytes // envelope.FRAME_BYTES,
    }


# ------------------------------------------------------------------------------------- verify
def _verify(args: argparse.Namespace, screen: Screen) -> int:
    place = Path(args.journal)
    try:
        with screen.progress("verifying", 1) as bar:
            summary = verify(followed_segments(place, bar), accept="clean")
    except JournalError as error:
        screen.result({"journal": args.journal, "ok": False, "error": str(error)})
        screen.line(f"FAIL {error}")
        return 1
    screen.result({"journal": args.journal, "ok": True, "summary": msgspec.to_builtins(summary)})
    if segment_head(place).kind == "log":
        held = f"payloads {summary.first_seq:,}..{summary.last_seq:,}"
    else:
        held = (
            f"{summary.envelopes:,} envelopes, commands {summary.first_seq:,}.."
            f"{summary.last_seq:,} ({summary.frames:,} frames)"
        )
    screen.line(
        f"ok   {args.journal}: {summary.segments} segments, {summary.records:,} records, {held}, "
        f"chain {summary.end.chain:08x}"
    )
    return 0


# ---------------------------------------------------------------------------------------- cut
def _cut(args: argparse.Namespace, screen: Screen) -> int:
    tail, saved = cut_tail(args.journal, force=args.force)
    document = {"tail": tail.kind, "offset": tail.offset, "saved": str(saved) if saved else None}
    screen.result(document)
    if saved is None:
        screen.line(f"{args.journal}: the tail is clean, nothing to cut")
    else:
        lost = tail.size - tail.offset
        screen.line(
            f"{args.journal}: cut {lost:,} bytes at offset {tail.offset:,} ({tail.kind}: "
            f"{tail.reason}); kept in {saved}"
        )
    return 0


# ------------------------------------------------------------------------------------- replay
def _replay(args: argparse.Namespace, screen: Screen) -> int:
    import time

    from tradecore import snapshot
    from tradecore.engine import Engine
    from tradecore.journal import replay
    from tradecore.storage import SnapshotStore

    place = Path(args.journal)
    config = load_config(place, args.config)
    source = segment_head(place).source
    engine, first, start = Engine(config), 1, None
    if args.after:
        loaded = SnapshotStore(args.after, source=source).load_newest(up_to_seq=args.last)
        for each in loaded.rejected:
            screen.warn(f"snapshot set aside: {each.reason}")
        if loaded.snapshot is None:
            raise JournalError(
                f"no usable snapshot of source {source} in {args.after}; leave --after out to "
                "replay from the beginning",
                args.journal,
            )
        engine = snapshot.restore_engine(Engine, loaded.snapshot, config, file=str(loaded.path))
        first = loaded.snapshot.info.in_seq + 1
        start = loaded.snapshot.info.journal
    frames = sum(each.path.stat().st_size for each in list_segments(place)) if place.is_dir() else 1
    begin = time.perf_counter()
    with screen.progress("replaying", frames) as bar:

        def apply(view: memoryview) -> None:
            engine.apply(view)
            bar.advance(len(view))

        segments = read_segments(place, from_seq=first)
        done = replay(segments, apply, from_seq=first, to_seq=args.last, start=start)
    elapsed = time.perf_counter() - begin
    saved = None
    if args.snapshot:
        saved = _save(engine, args, source, done.last_seq)
    state = engine.state_hash()
    document: dict[str, Any] = {
        "first_seq": done.first_seq,
        "last_seq": done.last_seq,
        "commands": done.commands,
        "elapsed_s": elapsed,
        "commands_per_s": done.commands / max(elapsed, 1e-9),
        "snapshot": saved,
        "state_hash": state,
    }
    screen.result(document)
    screen.line(
        f"{args.journal}: commands {done.first_seq:,}..{done.last_seq:,}, "
        f"{rate_text(document['commands_per_s'])} from disk"
    )
    if saved:
        screen.line(f"snapshot {saved}")
    screen.line(f"state hash {state}")
    return 0


def _save(engine: Any, args: argparse.Namespace, source: int, last: int) -> str:
    import tradecore
    from tradecore import snapshot
    from tradecore.journal_format import Position
    from tradecore.storage import SnapshotStore

    # A snapshot in the middle of a record has no place in the journal to point at.
    position: Position | None = None
    for record in records(read_segments(Path(args.journal))):
        if record.after.seq == last + 1:
            position = record.after
            break
    build = f"tradecore {tradecore.__version__}"
    parts = snapshot.engine_parts(engine, source=source, journal=position, build=build)
    return str(SnapshotStore(args.snapshot, source=source).save(*parts))
