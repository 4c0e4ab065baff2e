"""`tradecore snapshot`: look at snapshots and prove that they are what they say."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tradecore.cli.parser import Commands, new_command
from tradecore.cli.proof import audit_engine
from tradecore.cli.screen import Screen, size_text
from tradecore.cli.words import clock_text
from tradecore.engine import Engine
from tradecore.errors import SnapshotError, TradecoreError
from tradecore.snapshot import Snapshot, decode, restore_engine

__all__ = ["add"]

_DESCRIPTION = """\
A snapshot (*.tcsn) is the whole state of an engine behind one command of its journal. Every bit is
checked before anything is believed: head, table and sections by checksum, the state by its hash."""


def add(commands: Commands) -> None:
    """Add the command and its sub-commands to the parser."""
    parser = new_command(commands, "snapshot", "inspect or verify snapshots", _DESCRIPTION)
    parts = parser.add_subparsers(title="what to do", metavar="ACTION", required=True)
    for name, summary, description, run in (
        (
            "inspect",
            "show what a snapshot says",
            "Show head and sections of snapshots. All checksums are verified on the way.",
            _inspect,
        ),
        (
            "verify",
            "check, restore and audit",
            "Check every bit, restore the state into a new engine, audit it and compare its state "
            "hash with that of the file's sections. Exit code 1 if anything is wrong.",
            _verify,
        ),
    ):
        part = new_command(
            parts, name, summary, description, f"  tradecore snapshot {name} snapshots/"
        )
        part.add_argument("paths", nargs="+", metavar="PATH", help="files and folders of snapshots")
        part.set_defaults(run=run)


def _files(paths: list[str]) -> list[Path]:
    """Return the files named, and the snapshots of the folders named, newest first."""
    found: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(path.glob("*.tcsn"), reverse=True)
        if not inside:
            raise SnapshotError("no snapshot (*.tcsn) in this folder", str(path))
        found += inside
    return found


def _read(path: Path) -> tuple[Snapshot, int]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SnapshotError(f"cannot be read: {error.strerror}", str(path)) from error
    return decode(data, str(path)), len(data)


def _document(path: Path, snapshot: Snapshot, size: int) -> dict[str, Any]:
    info = snapshot.info
    return {
        "file": str(path),
        "bytes": size,
        "source": info.source,
        "in_seq": info.in_seq,
        "out_seq": info.out_seq,
        "now_ns": info.now_ns,
        "epoch": info.epoch,
        "schema": info.schema,
        "build": info.build,
        "config_digest": info.config_digest.hex(),
        "journal_record": None if info.journal is None else info.journal.record,
        "journal_chain": None if info.journal is None else f"{info.journal.chain:08x}",
        "section_hash": info.state_hash.hex(),
        "sections": {name: len(view) for name, view in snapshot.sections},
    }


def _inspect(args: argparse.Namespace, screen: Screen) -> int:
    documents = []
    for path in _files(args.paths):
        snapshot, size = _read(path)
        document = _document(path, snapshot, size)
        documents.append(document)
        screen.heading(f"{path}: {size_text(size)}")
        screen.pairs(
            [
                ("state behind command", f"{document['in_seq']:,} of source {document['source']}"),
                ("events so far", f"{document['out_seq']:,}"),
                ("log time", f"{clock_text(document['now_ns'])} (epoch {document['epoch']})"),
                ("journal", _place(document)),
                ("written by", document["build"] or "unknown"),
                ("config digest", document["config_digest"]),
                ("hash of sections", document["section_hash"]),
            ]
        )
        rows = [(name, f"{length:,}") for name, length in document["sections"].items()]
        screen.table(("section", "bytes"), rows)
    screen.result(documents)
    return 0


def _place(document: dict[str, Any]) -> str:
    if document["journal_record"] is None:
        return "no position noted"
    return f"before record {document['journal_record']:,}, chain {document['journal_chain']}"


def _verify(args: argparse.Namespace, screen: Screen) -> int:
    documents: list[dict[str, Any]] = []
    for path in _files(args.paths):
        try:
            snapshot, size = _read(path)
            document = _document(path, snapshot, size)
            engine = restore_engine(Engine, snapshot, file=str(path))
            again = engine.export_state()
            audit = audit_engine(engine)
        except TradecoreError as error:
            documents.append({"file": str(path), "ok": False, "error": str(error)})
            screen.line(f"FAIL {error}")
            continue
        same = sorted(again) == sorted((name, bytes(view)) for name, view in snapshot.sections)
        document |= {"ok": same and audit.ok, "audit": audit.words(), "restores_to_itself": same}
        document["state_hash"] = engine.state_hash()
        documents.append(document)
        screen.line(
            f"{'ok  ' if document['ok'] else 'FAIL'} {path}: command {document['in_seq']:,}, "
            f"{'restores to itself' if same else 'RESTORES TO ANOTHER STATE'}, {audit.words()}"
        )
    screen.result(documents)
    return 0 if all(document["ok"] for document in documents) else 1
