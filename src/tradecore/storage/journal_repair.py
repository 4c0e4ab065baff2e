"""Cut the damaged end of a journal, and never throw a byte away."""

from __future__ import annotations

from pathlib import Path

from tradecore.errors import JournalError
from tradecore.journal_segment import Segment, Tail
from tradecore.storage.fileops import FileOps, FolderLock
from tradecore.storage.journal_reader import list_segments, map_segment

__all__ = ["cut_tail", "save_and_cut"]


def save_and_cut(path: Path, segment: Segment, ops: FileOps) -> Path:
    """Save the damaged tail beside the segment, durably, and cut it off; return the copy's path."""
    tail = segment.tail
    saved = path.with_name(f"{path.name}.torn-{tail.offset}")
    number = 1
    while saved.exists():
        number += 1
        saved = path.with_name(f"{path.name}.torn-{tail.offset}-{number}")
    copy = ops.create(saved)
    try:
        ops.write(copy, segment.data[tail.offset :], 0)
        ops.sync_data(copy)
        ops.sync_folder(path.parent)
    finally:
        ops.close(copy)
    fd = ops.open(path)
    try:
        ops.truncate(fd, tail.offset)
        ops.sync_data(fd)
    finally:
        ops.close(fd)
    return saved


def cut_tail(
    folder: Path | str, *, force: bool = False, ops: FileOps | None = None
) -> tuple[Tail, Path | None]:
    """Cut the damaged end of a journal, keeping a copy of what is cut.

    Opening a journal for appending cuts a torn tail by itself; this is for a person who wants it
    done, or who has decided to give up a corrupt one.

    Parameters
    ----------
    folder : Path or str
        The journal. It must not be open for writing.
    force : bool
        Also cut a *corrupt* tail: one whole record that may have been acknowledged.

    Returns
    -------
    tail : Tail
        What was found; ``kind == "clean"`` when there was nothing to cut.
    saved : Path or None
        Where the cut bytes are.

    Raises
    ------
    JournalError
        There is no journal, it is open elsewhere, damaged in the middle, or the tail is corrupt
        and `force` is not set. Nothing was changed.
    """
    folder, ops = Path(folder), ops or FileOps()
    files = list_segments(folder)
    if not files:
        raise JournalError("no journal segment (*.tcj) in this folder", str(folder))
    lock = FolderLock(folder, "journal")
    try:
        segment = map_segment(files[-1].path, ops)
        tail = segment.tail
        if tail.kind == "clean":
            return tail, None
        if tail.kind == "corrupt" and not force:
            raise tail.as_error(segment.file)
        return tail, save_and_cut(files[-1].path, segment, ops)
    except OSError as error:
        raise JournalError(f"cannot be cut: {error.strerror}", str(files[-1].path)) from error
    finally:
        lock.release()
