"""Give up the old part of a journal: whole segments, oldest first."""

from __future__ import annotations

import itertools
from pathlib import Path

from tradecore.storage.fileops import FileOps
from tradecore.storage.journal_reader import list_segments

__all__ = ["drop_before"]


def drop_before(folder: Path | str, seq: int, *, ops: FileOps | None = None) -> int:
    """Remove the segments that end before a sequence number; the one that holds it stays.

    May be called while the journal is written and read: the newest segment always stays, and who
    has mapped a removed one keeps it. A crash in between leaves a journal that begins later.

    Parameters
    ----------
    folder : Path or str
        The journal.
    seq : int
        First sequence number that must stay readable.

    Returns
    -------
    int
        How many segments were removed.

    Raises
    ------
    JournalError
        The folder cannot be read, or a segment in the middle is missing.
    OSError
        The system refuses to remove a file; older ones are gone.
    """
    folder, ops = Path(folder), ops or FileOps()
    dropped = 0
    for file, following in itertools.pairwise(list_segments(folder)):
        if following.first_seq > seq:
            break
        ops.remove(file.path)
        dropped += 1
    if dropped:
        ops.sync_folder(folder)
    return dropped
