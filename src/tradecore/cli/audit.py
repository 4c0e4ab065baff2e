"""`tradecore audit`: everything that can be proven about a journal, in one go."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from tradecore.cli.journal_files import followed_segments, load_config
from tradecore.cli.parser import Commands, int_in, new_command
from tradecore.cli.proof import Audit, audit_engine
from tradecore.cli.screen import Screen
from tradecore.dtypes import COMMAND, EVENT
from tradecore.engine import Engine
from tradecore.errors import JournalError
from tradecore.journal import records, verify
from tradecore.storage import read_segments
from tradecore_ext.framing import command_offset, count_commands

__all__ = ["add", "run"]

_OTHER_BATCH: Final = 7

_DESCRIPTION = """\
Prove what can be proven about a journal:

  1. every bit: checksums, chain, counts of all segments
  2. replay into a new engine; every event carries the next sequence number
  3. the kernel's whole audit at checkpoints and at the end: books, links, sums, holds
  4. conservation: per asset, wallets + fees + clearing = deposits, recomputed from outside
  5. determinism: a second replay, seven commands at a time, ends in the same state hash

Exit code 0 only if all of it holds. A torn tail is left out and said; `tradecore journal cut`
removes it."""


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = new_command(
        commands,
        "audit",
        "prove what can be proven about a journal",
        _DESCRIPTION,
        "  tradecore audit log\n  tradecore audit log --checkpoints 100",
    )
    parser.add_argument("journal", metavar="JOURNAL", help="folder, or one segment file")
    parser.add_argument(
        "--checkpoints",
        type=int_in(0, 10**6),
        default=10,
        metavar="N",
        help="full audits on the way (default 10); each costs about as much as a state hash",
    )
    parser.add_argument("--config", metavar="FILE", help="engine configuration (engine.json)")
    parser.set_defaults(run=run)


def _batches(place: Path) -> Iterator[memoryview]:
    for record in records(read_segments(place)):
        for envelope in record.envelopes():
            yield envelope.frames


def _small(view: memoryview) -> Iterator[memoryview]:
    """Split frames into pieces of a few whole commands."""
    total = count_commands(view)
    cuts = [command_offset(view, at) for at in range(0, total, _OTHER_BATCH)]
    for begin, end in zip(cuts, [*cuts[1:], len(view)], strict=True):
        yield view[begin:end]


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Audit a journal."""
    place = Path(args.journal)
    config = load_config(place, args.config)
    with screen.progress("verifying every bit", 1) as bar:
        summary = verify(followed_segments(place, bar), accept="torn")
    if summary.first_seq != 1:
        raise JournalError(
            f"the journal begins at command {summary.first_seq}; an audit needs it from 1",
            args.journal,
        )
    every = max(1, summary.frames // (args.checkpoints + 1))
    engine = Engine(config)
    gaps, checked, failed = 0, 0, ""
    with screen.progress("auditing", 2 * summary.frames) as bar:
        due, done = every, 0
        for view in _batches(place):
            before = engine.out_seq
            events = np.frombuffer(memoryview(engine.apply(view)), EVENT)
            expected = np.arange(before + 1, before + 1 + len(events), dtype=np.uint64)
            gaps += int((events["seq"] != expected).sum())
            del events
            frames = len(view) // COMMAND.itemsize
            done += frames
            bar.advance(frames)
            if checked < args.checkpoints and done >= due and not failed:
                code, observed, wanted, where = engine.audit()
                checked += 1
                due += every
                if code:
                    failed = (
                        f"at command {engine.in_seq:,}: check {code} at {where}: {observed} where "
                        f"{wanted} was expected"
                    )
        final = audit_engine(engine)
        state = engine.state_hash()
        other = Engine(config)
        for view in _batches(place):
            for piece in _small(view):
                other.apply(piece)
            bar.advance(len(view) // COMMAND.itemsize)
    again = other.state_hash()
    ok = final.ok and not failed and gaps == 0 and state == again
    report: dict[str, Any] = {
        "journal": args.journal,
        "ok": ok,
        "tail": summary.tail.kind,
        "commands": summary.last_seq,
        "events": engine.out_seq,
        "sequence_gaps": gaps,
        "checkpoints": checked,
        "checkpoint_failure": failed or None,
        "audit": final.words(),
        "state_hash": state,
        "state_hash_by_sevens": again,
    }
    screen.result(report)
    _describe(report, final, screen)
    return 0 if ok else 1


def _describe(report: dict[str, Any], final: Audit, screen: Screen) -> None:
    same = report["state_hash"] == report["state_hash_by_sevens"]
    tail = "" if report["tail"] == "clean" else f" ({report['tail']} tail left out)"
    screen.line(f"{report['journal']}{tail}")
    checkpoints = f"{report['checkpoints']} full audits on the way: "
    events = f"{report['events']:,}, " + (
        "every sequence number in its place"
        if report["sequence_gaps"] == 0
        else f"{report['sequence_gaps']:,} OUT OF SEQUENCE"
    )
    screen.pairs(
        [
            ("bits", "every checksum, link and count holds"),
            ("commands", f"{report['commands']:,}"),
            ("events", events),
            ("checkpoints", checkpoints + (report["checkpoint_failure"] or "all hold")),
            ("at the end", final.words()),
            ("state hash", report["state_hash"]),
            ("seven at a time", "the same state hash" if same else "ANOTHER STATE HASH"),
        ]
    )
    screen.line("audit: ok" if report["ok"] else "audit: FAILED")
