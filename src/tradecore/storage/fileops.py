"""The few operations on a disk that durability is made of, in one place and replaceable.

Rules that every caller relies on: a write is complete or raises; data is durable when `sync_data`
returned, a name when `sync_folder` did; after an error of either nothing more is promised about the
file, so the caller stops using it and never syncs it again (the kernel may have dropped the pages
and would answer "fine").
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import stat
from pathlib import Path

from tradecore.errors import JournalError

__all__ = ["FileOps", "FolderLock"]


class FileOps:
    """Operations on real files. Tests derive from it to count calls, to fail and to tear.

    All raise OSError as the system reports it; callers add what they were doing.
    """

    def create(self, path: Path) -> int:
        """Create a file that must not exist and open it for writing; return the descriptor."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    def open(self, path: Path) -> int:
        """Open an existing file for reading and writing; return the descriptor."""
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def close(self, fd: int) -> None:
        """Close a descriptor."""
        os.close(fd)

    def write(self, fd: int, data: memoryview | bytes, offset: int) -> None:
        """Write all bytes at an offset, however many calls that takes."""
        view = memoryview(data)
        while view:
            written = os.pwrite(fd, view, offset)
            view = view[written:]
            offset += written

    def preallocate(self, fd: int, size: int) -> None:
        """Reserve blocks up to a size; the file reads as zeros there."""
        os.posix_fallocate(fd, 0, size)

    def truncate(self, fd: int, size: int) -> None:
        """Cut a file to a size."""
        os.ftruncate(fd, size)

    def sync_data(self, fd: int) -> None:
        """Return when the written data, and the size it needs, are on the disk."""
        # fdatasync leaves out the time stamps, which saves a journal commit per call.
        getattr(os, "fdatasync", os.fsync)(fd)

    def sync_folder(self, path: Path) -> None:
        """Return when names created, renamed or removed in a folder are on the disk."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file its final name, at once; an existing file of that name is replaced."""
        os.rename(source, target)

    def remove(self, path: Path) -> None:
        """Remove a file."""
        os.unlink(path)

    def make_folder(self, path: Path) -> None:
        """Create a folder below one that exists; an existing one is fine."""
        path.mkdir(exist_ok=True)

    def names(self, path: Path) -> list[str]:
        """Return the names in a folder, sorted."""
        return sorted(os.listdir(path))

    def exists(self, path: Path) -> bool:
        """Tell whether there is a file of that name."""
        return path.exists()

    def read(self, path: Path, offset: int, size: int) -> bytes:
        """Return up to `size` bytes at an offset; fewer where the file ends."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            parts = []
            while size > 0 and (part := os.pread(fd, size, offset)):
                parts.append(part)
                offset += len(part)
                size -= len(part)
            return b"".join(parts)
        finally:
            os.close(fd)

    def map(self, path: Path) -> memoryview:
        """Return a read-only view of a whole file; it lives as long as somebody looks at it."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            status = os.fstat(fd)
            if stat.S_ISDIR(status.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            if status.st_size == 0:
                return memoryview(b"")
            return memoryview(mmap.mmap(fd, 0, access=mmap.ACCESS_READ))
        finally:
            os.close(fd)


class FolderLock:
    """One writer per folder: an advisory lock that the system drops when the process dies.

    Parameters
    ----------
    folder : Path
        Holds the file ``lock``, which stays empty and is never removed.
    what : str
        What is locked, for the error.

    Raises
    ------
    JournalError
        Somebody else holds the lock.
    """

    def __init__(self, folder: Path, what: str) -> None:
        path = folder / "lock"
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._fd)
            raise JournalError(
                f"another process, or another object of this one, has the {what} open for writing; "
                "stop it first",
                str(path),
            ) from None

    def release(self) -> None:
        """Let the next writer in; may be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
