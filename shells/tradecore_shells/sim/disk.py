"""The disk of a simulated machine: what was not synced is at the mercy of the next power cut.

Files are inodes with two contents, the one that programs see and the one that is on the platter;
folders have two lists of names in the same way. `sync_data` and `sync_folder` make them equal. A
power loss keeps the platter, and of everything else whatever chance leaves: a sector new, old or
zero, a name there or not.
"""

from __future__ import annotations

import errno
import os
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tradecore.storage import FileOps
from tradecore_shells.sim.faults import Faults
from tradecore_shells.sim.loop import Killed, Process, SimLoop

__all__ = ["Disk", "SimFiles"]

_SECTOR: Final = 512


@dataclass
class _Inode:
    """One file: what programs see, and what is on the platter.

    `dirty` is what the system believes: False after a failed sync, although the platter is old.
    """

    data: bytearray = field(default_factory=bytearray)
    synced: bytes = b""
    dirty: bool = False


@dataclass
class _Folder:
    """One folder: names that programs see, and names on the platter."""

    names: dict[str, _Inode] = field(default_factory=dict)
    synced: dict[str, _Inode] = field(default_factory=dict)


class Disk:
    """One machine's files, which outlive its processes.

    Parameters
    ----------
    loop : SimLoop
    faults : Faults
    seed : int
        Of what a power loss leaves.

    Attributes
    ----------
    torn : int
        Files that a power loss has damaged.
    acknowledged : set of Path
        Snapshots of which a program was told that they are durable.
    """

    def __init__(self, loop: SimLoop, faults: Faults, seed: int) -> None:
        self.loop = loop
        self.faults = faults
        self.folders: dict[Path, _Folder] = {}
        self.torn = 0
        self.acknowledged: set[Path] = set()
        self._rng = random.Random(f"disk-{seed}")

    def folder(self, path: Path) -> _Folder:
        """Return a folder; FileNotFoundError when nobody has made it."""
        found = self.folders.get(path)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return found

    def inode(self, path: Path) -> _Inode:
        """Return a file; FileNotFoundError when there is none of that name."""
        found = self.folder(path.parent).names.get(path.name)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return found

    def lose_power(self) -> None:
        """Go back to the platter, and leave of the rest what chance leaves."""
        rng = self._rng
        for folder in self.folders.values():
            survived = dict(folder.synced)
            # Mostly the folder was not written at all since its last sync, sometimes in part.
            lucky = rng.choice((0.0, 0.0, 0.5))
            for name in sorted(set(folder.names) | set(folder.synced)):
                if folder.names.get(name) is not folder.synced.get(name) and rng.random() < lucky:
                    if name in folder.names:
                        survived[name] = folder.names[name]
                    else:
                        del survived[name]
            folder.names = survived
            folder.synced = dict(survived)
            for inode in survived.values():
                if inode.data != inode.synced:
                    self.torn += 1
                    inode.data = bytearray(self._left_of(inode))
                    inode.synced, inode.dirty = bytes(inode.data), False

    def _left_of(self, inode: _Inode) -> bytes:
        new, old, rng = bytes(inode.data), inode.synced, self._rng
        length = rng.choice((len(old), len(new), rng.randint(0, len(new))))
        left = bytearray(length)
        how = rng.choice(("old", "new", "zeros", "mixed"))
        whole = {"old": old, "new": new, "zeros": b""}
        for at in range(0, length, _SECTOR):
            source = rng.choice((old, new, b"")) if how == "mixed" else whole[how]
            sector = source[at : min(at + _SECTOR, length)]
            left[at : at + len(sector)] = sector
        return bytes(left)

    def files(self, suffix: str) -> list[Path]:
        """Return the files whose names end so, in order of their paths."""
        found = [
            folder / name
            for folder, content in self.folders.items()
            for name in content.names
            if name.endswith(suffix)
        ]
        return sorted(found)

    def flip_bit(self, path: Path) -> None:
        """Turn one bit of a file round, on the platter too."""
        inode = self.inode(path)
        if inode.data:
            at = self._rng.randrange(len(inode.data))
            inode.data[at] ^= 1 << self._rng.randrange(8)
            inode.synced = bytes(inode.data)


class SimFiles(FileOps):
    """A FileOps: what one process does on a `Disk`.

    Parameters
    ----------
    disk : Disk
    process : Process, optional
        Whose work it is. A dead one gets `Killed` from every call, also in its cleanup.
    """

    def __init__(self, disk: Disk, process: Process | None = None) -> None:
        self._disk = disk
        self._process = process
        self._open: dict[int, _Inode] = {}
        self._next = 3

    def _enter(self, changes: bool) -> None:
        process = self._process
        if process is None:
            return
        process.check()
        if changes and self._disk.faults.strikes("kill_in_disk"):
            self._disk.loop.kill(process)
            raise Killed(process.name)

    def _descriptor(self, inode: _Inode) -> int:
        self._next += 1
        self._open[self._next] = inode
        return self._next

    def create(self, path: Path) -> int:
        """Create a file that must not exist."""
        self._enter(changes=True)
        folder = self._disk.folder(path.parent)
        if path.name in folder.names:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        folder.names[path.name] = _Inode()
        return self._descriptor(folder.names[path.name])

    def open(self, path: Path) -> int:
        """Open an existing file."""
        self._enter(changes=False)
        return self._descriptor(self._disk.inode(path))

    def close(self, fd: int) -> None:
        """Close a descriptor."""
        self._enter(changes=False)
        del self._open[fd]

    def write(self, fd: int, data: memoryview | bytes, offset: int) -> None:
        """Write, perhaps only in part."""
        self._enter(changes=True)
        inode, view = self._open[fd], memoryview(data).cast("B")
        full = self._disk.faults.strikes("disk_full")
        if full:
            view = view[: len(view) // 2]
        inode.data[len(inode.data) : offset] = bytes(max(0, offset - len(inode.data)))
        inode.data[offset : offset + len(view)] = view
        inode.dirty = True
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def preallocate(self, fd: int, size: int) -> None:
        """Reserve zeros up to a size."""
        self._enter(changes=True)
        inode = self._open[fd]
        inode.data.extend(bytes(max(0, size - len(inode.data))))
        inode.dirty = True

    def truncate(self, fd: int, size: int) -> None:
        """Cut a file."""
        self._enter(changes=True)
        inode = self._open[fd]
        del inode.data[size:]
        inode.dirty = True

    def sync_data(self, fd: int) -> None:
        """Bring a file to the platter; after an error its pages may be gone and look clean."""
        self._enter(changes=True)
        inode = self._open[fd]
        if self._disk.faults.strikes("sync_failed"):
            inode.dirty = False
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if inode.dirty:
            inode.synced, inode.dirty = bytes(inode.data), False

    def sync_folder(self, path: Path) -> None:
        """Bring a folder's names to the platter."""
        self._enter(changes=True)
        folder = self._disk.folder(path)
        if self._disk.faults.strikes("sync_failed"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        folder.synced = dict(folder.names)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name, at once."""
        self._enter(changes=True)
        inode = self._disk.inode(source)
        self._disk.folder(target.parent).names[target.name] = inode
        del self._disk.folder(source.parent).names[source.name]

    def remove(self, path: Path) -> None:
        """Remove a name."""
        self._enter(changes=True)
        self._disk.inode(path)
        del self._disk.folder(path.parent).names[path.name]

    def read(self, path: Path, offset: int, size: int) -> bytes:
        """Return bytes of a file."""
        self._enter(changes=False)
        return bytes(self._disk.inode(path).data[offset : offset + size])

    def map(self, path: Path) -> memoryview:
        """Return a file's bytes as they are now."""
        self._enter(changes=False)
        return memoryview(bytes(self._disk.inode(path).data))

    def make_folder(self, path: Path) -> None:
        """Create a folder if there is none; its own name is durable at once."""
        self._enter(changes=True)
        self._disk.folders.setdefault(path, _Folder())

    def names(self, path: Path) -> list[str]:
        """Return the names in a folder, sorted."""
        self._enter(changes=False)
        return sorted(self._disk.folder(path).names)

    def exists(self, path: Path) -> bool:
        """Tell whether there is a file of that name."""
        self._enter(changes=False)
        folder = self._disk.folders.get(path.parent)
        return folder is not None and path.name in folder.names
