"""Restart: the newest snapshot that is right, and then the journal behind it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tradecore.engine import Engine, EngineConfig
from tradecore.errors import JournalError
from tradecore.journal import Replayed, digest_config, replay
from tradecore.snapshot import SnapshotInfo, engine_parts, restore_engine
from tradecore.storage.fileops import FileOps
from tradecore.storage.journal_file import FileJournal
from tradecore.storage.journal_reader import read_segments
from tradecore.storage.snapshot_store import Rejected, SnapshotStore

__all__ = ["Recovered", "recover", "save_snapshot"]


class Recovered(msgspec.Struct, frozen=True):
    """What a restart did.

    Parameters
    ----------
    engine : Engine
        In the state behind the last command of the journal.
    snapshot : SnapshotInfo or None
        What it started from; None: the journal alone, from its first command.
    rejected : list of Rejected
        Damaged snapshots that were set aside.
    replayed : Replayed
        What was applied behind the snapshot.
    """

    engine: Engine
    snapshot: SnapshotInfo | None
    rejected: list[Rejected]
    replayed: Replayed


def recover(
    config: EngineConfig,
    journal: Path | str,
    snapshots: SnapshotStore | None = None,
    *,
    to_seq: int | None = None,
    ops: FileOps | None = None,
) -> Recovered:
    """Build the engine that the journal describes.

    Parameters
    ----------
    config : EngineConfig
        The configuration that the journal and the snapshots were made with.
    journal : Path or str
        Its folder. Open it with `FileJournal.open` first where it is to be continued: that cuts a
        torn tail; here it is only passed over.
    snapshots : SnapshotStore, optional
        Without it everything is replayed.
    to_seq : int, optional
        Stop behind this command: the past as it was.

    Raises
    ------
    JournalError, SnapshotError
        The journal is damaged, does not reach what the snapshot was made of, or belongs to another
        configuration. Files are as they were, except for damaged snapshots, which were renamed.
    EngineFault
        The replay itself stopped the engine.
    """
    digest = digest_config(config)
    found = None
    rejected: list[Rejected] = []
    if snapshots is not None:
        loaded = snapshots.load_newest(up_to_seq=to_seq, config_digest=digest)
        found, rejected = loaded.snapshot, loaded.rejected
    engine = Engine(config) if found is None else restore_engine(Engine, found, config)
    first = engine.in_seq + 1
    start = None if found is None else found.info.journal
    segments = list(read_segments(journal, from_seq=first, ops=ops))
    for segment in segments:
        if segment.head.config_digest not in {digest, bytes(32)}:
            raise JournalError(
                f"written with configuration {segment.head.config_digest.hex()[:16]}, this engine "
                f"has {digest.hex()[:16]}; use the configuration it was written with",
                segment.file,
                0,
            )
    replayed = replay(segments, engine.apply, from_seq=first, to_seq=to_seq, start=start)
    if engine.in_seq != replayed.last_seq:
        raise JournalError(
            f"the engine counts {engine.in_seq} commands, the journal {replayed.last_seq}",
            str(journal),
        )
    return Recovered(engine, None if found is None else found.info, rejected, replayed)


def save_snapshot(
    engine: Engine, journal: FileJournal, snapshots: SnapshotStore, *, build: str = ""
) -> Path:
    """Write a snapshot of an engine that has applied exactly what its journal has made durable.

    Raises
    ------
    JournalError
        The engine is ahead of the journal's last commit, or behind it; nothing was written.
    SnapshotError
        The disk refused; older snapshots are untouched.
    """
    if journal.durable_seq != engine.in_seq:
        raise JournalError(
            f"the engine is behind command {engine.in_seq}, the journal is durable up to "
            f"{journal.durable_seq}; commit, and apply what was committed, first"
        )
    parts = engine_parts(engine, source=journal.source, journal=journal.end, build=build)
    return snapshots.save(*parts)
