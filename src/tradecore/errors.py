"""Exceptions of the library: the one place that names what can go wrong outside the business rules.

A refused order is an event with a status, never an exception. What is raised here is a misuse of
the library, an engine that latched a fault, or bytes from outside that cannot be what they claim
to be. Everything derives from `TradecoreError`, so a caller can guard a whole pipeline with one
clause.

Errors about stored bytes carry where they happened (`file`, `offset`) as attributes as well as in
the text, because the person who reads the message needs both and the program that handles it
should not have to parse it.
"""

from __future__ import annotations

__all__ = [
    "CapacityError",
    "ConfigError",
    "DataError",
    "EngineFault",
    "FrameError",
    "JournalError",
    "LocatedError",
    "SnapshotError",
    "TradecoreError",
]


class TradecoreError(Exception):
    """Base of every exception that this library raises on purpose."""


class ConfigError(TradecoreError):
    """A configuration, instrument or builder argument is invalid; nothing was constructed."""


class CapacityError(TradecoreError):
    """A fixed capacity chosen at construction is too small for the request; nothing changed."""


class EngineFault(TradecoreError):
    """An invariant of the engine failed and the engine stopped itself.

    Every later call on the same engine raises this again: the state is suspect, and the way back
    is the newest snapshot and a replay of the log.
    """


class LocatedError(TradecoreError):
    """An error about bytes that can be pointed at.

    Parameters
    ----------
    reason : str
        What is wrong, in a sentence without the file name.
    file : str, optional
        The file as the user named it; a member of an archive is written ``archive.zip!member``.
        Empty when the bytes came from memory.
    offset : int, optional
        Byte offset, from 0, of the first byte that cannot be accepted. Within a compressed file or
        an archive member it counts *decompressed* bytes, which is what a decoder sees. None when
        no byte can be blamed (a file that does not exist).
    """

    def __init__(self, reason: str, file: str = "", offset: int | None = None) -> None:
        # All three are positional so that the default copy and transport of exceptions (args)
        # keeps them.
        super().__init__(reason, file, offset)
        self.reason = reason
        self.file = file
        self.offset = offset

    def __str__(self) -> str:
        """Return ``file: offset N: reason``, leaving out what is not known."""
        parts = []
        if self.file:
            parts.append(self.file)
        if self.offset is not None:
            parts.append(f"offset {self.offset}")
        parts.append(self.reason)
        return ": ".join(parts)


class FrameError(LocatedError):
    """A command, event or envelope is malformed: length, kind, checksum or reserved bytes."""


class DataError(LocatedError):
    """A data file is truncated, corrupt, of another format or inconsistent with itself."""


class JournalError(LocatedError):
    """A journal is damaged beyond its torn tail, or of another version; nothing was replayed."""


class SnapshotError(LocatedError):
    """A snapshot is damaged or of another version; the state before the restore is untouched."""
