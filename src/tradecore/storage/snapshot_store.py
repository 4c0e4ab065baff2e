"""Snapshots in a folder: written so that they are there completely or not at all, newest first.

A snapshot gets its name only when its bytes are on the disk, and the name carries what it holds
(source, last command, hash), so several processes may write into one folder: equal states give
equal names and equal contents. Nothing that was found damaged is ever deleted: it is renamed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from tradecore import snapshot as _snapshot
from tradecore.buffers import BytesLike
from tradecore.errors import ConfigError, SnapshotError
from tradecore.snapshot import Snapshot, SnapshotInfo, UnsupportedSnapshotError
from tradecore.storage.fileops import FileOps

__all__ = ["Loaded", "Rejected", "SnapshotStore"]

_NAME: Final = re.compile(r"([0-9a-f]{8})-(\d{20})-([0-9a-f]{8})\.tcsn")


class Rejected(msgspec.Struct, frozen=True):
    """A snapshot that was damaged: where it is now, and what is wrong with it."""

    path: Path
    reason: str


class Loaded(msgspec.Struct, frozen=True):
    """What `SnapshotStore.load_newest` found.

    Parameters
    ----------
    snapshot : Snapshot or None
        The newest one that is right; None if there is none.
    path : Path or None
        Its file.
    rejected : list of Rejected
        Newer ones that were not right, renamed to ``NAME.bad``. Report them: a disk that damages
        one file may damage others.
    """

    snapshot: Snapshot | None
    path: Path | None
    rejected: list[Rejected]


class SnapshotStore:
    """The snapshots of one source in one folder.

    Parameters
    ----------
    folder : Path or str
        Created if its parent exists.
    source : int
        Whose snapshots: the ``source`` of the journal. Others in the folder are left alone.
    keep : int
        How many to keep; older ones are removed when a newer one is durable. At least 2, so that
        there is something to fall back to.
    ops : FileOps, optional
        The disk; for tests.
    """

    def __init__(
        self, folder: Path | str, *, source: int, keep: int = 3, ops: FileOps | None = None
    ) -> None:
        if keep < 2:
            raise ConfigError(f"keep {keep}: at least 2 snapshots, so that one can be damaged")
        if not 0 <= source <= 0xFFFFFFFF:
            raise ConfigError(f"source {source}: it must fit 32 bits")
        self._folder = Path(folder)
        self._source = source
        self._keep = keep
        self._ops = ops or FileOps()
        self._writes = 0

    def save(
        self, info: SnapshotInfo, sections: Iterable[tuple[str, BytesLike]], config: bytes = b""
    ) -> Path:
        """Write a snapshot; when this returns it is durable, and only then older ones are removed.

        Parameters
        ----------
        info, sections, config
            See `tradecore.snapshot.encode_parts`.

        Returns
        -------
        Path
            Its file. Writing the same state twice gives the same file.

        Raises
        ------
        SnapshotError
            The disk refused; the older snapshots are untouched and the new one has no name.
        ConfigError
            `info` is of another source, or something does not fit.
        """
        if info.source != self._source:
            raise ConfigError(f"a snapshot of source {info.source} in a store of {self._source}")
        info, parts = _snapshot.encode_parts(info, sections, config)
        name = f"{info.source:08x}-{info.in_seq:020d}-{info.state_hash.hex()[:8]}.tcsn"
        path = self._folder / name
        try:
            self._ops.make_folder(self._folder)
            self._write(path, parts)
        except OSError as error:
            raise SnapshotError(
                f"cannot be written: {error.strerror}; older snapshots are untouched", str(path)
            ) from error
        self._prune()
        return path

    def _write(self, path: Path, parts: list[bytes | memoryview]) -> None:
        ops = self._ops
        fd, unfinished = self._create_unfinished()
        try:
            try:
                offset = 0
                for part in parts:
                    ops.write(fd, part, offset)
                    offset += len(part)
                # After an error here the file is thrown away: a second sync may lie.
                ops.sync_data(fd)
            finally:
                ops.close(fd)
            ops.rename(unfinished, path)
        except BaseException:
            ops.remove(unfinished)
            raise
        ops.sync_folder(self._folder)

    def _create_unfinished(self) -> tuple[int, Path]:
        """Create a file with a name of its own; a killed process may have left one behind."""
        while True:
            self._writes += 1
            path = self._folder / f"tmp.{os.getpid()}.{self._writes}"
            try:
                return self._ops.create(path), path
            except FileExistsError:
                continue

    def list(self) -> list[Path]:
        """Return the snapshots of this source, newest first, unread."""
        try:
            names = self._ops.names(self._folder)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SnapshotError(f"cannot be listed: {error.strerror}", str(self._folder)) from error
        matches = [match for match in map(_NAME.fullmatch, names) if match]
        mine = [match for match in matches if int(match[1], 16) == self._source]
        mine.sort(key=lambda match: (int(match[2]), match[3]), reverse=True)
        return [self._folder / match[0] for match in mine]

    def load(self, path: Path) -> Snapshot:
        """Read one snapshot and verify every bit of it.

        Raises
        ------
        SnapshotError
            It cannot be read or is not right; the file is not touched.
        """
        try:
            data = self._ops.map(path)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise SnapshotError(f"cannot be read: {reason}", str(path)) from error
        return _snapshot.decode(data, str(path))

    def load_newest(
        self, *, up_to_seq: int | None = None, config_digest: bytes | None = None
    ) -> Loaded:
        """Return the newest snapshot that is right, setting damaged ones aside.

        Parameters
        ----------
        up_to_seq : int, optional
            Leave out snapshots behind later commands: to restore the past, or because the journal
            ends there.
        config_digest : bytes, optional
            The digest that the engine's configuration has; a snapshot of another one is refused.

        Returns
        -------
        Loaded
            Without a snapshot if none is right; the caller decides whether genesis is acceptable
            (it is when the journal begins at sequence 1).

        Raises
        ------
        SnapshotError
            A snapshot of another configuration or of another build's format, which no fallback
            would cure; or the folder cannot be read.
        """
        rejected: list[Rejected] = []
        for path in self.list():
            if up_to_seq is not None and int(path.name[9:29]) > up_to_seq:
                continue
            try:
                found = self.load(path)
            except UnsupportedSnapshotError:
                raise
            except SnapshotError as error:
                rejected.append(Rejected(self._set_aside(path), str(error)))
                continue
            if config_digest is not None and found.info.config_digest != config_digest:
                raise SnapshotError(
                    f"made with configuration {found.info.config_digest.hex()[:16]}, this engine "
                    f"has {config_digest.hex()[:16]}; use the configuration it was made with",
                    str(path),
                )
            return Loaded(found, path, rejected)
        return Loaded(None, None, rejected)

    def _set_aside(self, path: Path) -> Path:
        bad = path.with_name(path.name + ".bad")
        number = 1
        while self._ops.exists(bad):
            number += 1
            bad = path.with_name(f"{path.name}.bad-{number}")
        try:
            self._ops.rename(path, bad)
        except OSError:
            # A folder that cannot be written to: the next start will look at the file again.
            return path
        return bad

    def _prune(self) -> None:
        """Remove all but the newest; a failure to remove is no failure of the snapshot."""
        for path in self.list()[self._keep :]:
            try:
                self._ops.remove(path)
            except OSError:
                return
