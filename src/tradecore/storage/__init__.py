"""Journals and snapshots in files: the part of the library that touches a disk.

The formats live in `tradecore.journal_format` and `tradecore.snapshot`, which are pure; here are
folders, locks, durability and what to do when the disk says no.

`FileJournal` appends; `read_segments`, `map_segment`, `Follower` and `LogReader` read; `cut_tail`
repairs and `drop_before` gives up what is no longer needed;
`SnapshotStore` keeps the newest snapshots; `recover` is the restart. Every operation on the disk
goes through `FileOps`, so that a test can make each of them fail.
"""

from __future__ import annotations

from tradecore.storage.fileops import FileOps, FolderLock
from tradecore.storage.journal_file import FileJournal
from tradecore.storage.journal_reader import Follower, list_segments, map_segment, read_segments
from tradecore.storage.journal_repair import cut_tail
from tradecore.storage.log_reader import LogEntry, LogReader
from tradecore.storage.recovery import Recovered, recover, save_snapshot
from tradecore.storage.retention import drop_before
from tradecore.storage.snapshot_store import SnapshotStore

__all__ = [
    "FileJournal",
    "FileOps",
    "FolderLock",
    "Follower",
    "LogEntry",
    "LogReader",
    "Recovered",
    "SnapshotStore",
    "cut_tail",
    "drop_before",
    "list_segments",
    "map_segment",
    "read_segments",
    "recover",
    "save_snapshot",
]
