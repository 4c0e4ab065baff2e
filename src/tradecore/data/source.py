"""Bytes of a data file as one stream: plain, gzip, zstd or a member of a zip archive.

Owns opening, decompressing and the translation of every low-level failure (truncated gzip, bad
CRC, unreadable zip, input/output error) into one `DataError` that names file, offset and reason.
The readers of this package sit on top and never see ``zlib.error``. Compression is recognised by
the first bytes, never by the name.

Memory stays bounded whatever the file claims: nothing here reads more than it was asked for, and a
decompressor is never handed so much input that a hostile file could make it produce gigabytes in
one call.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import zipfile
import zlib
from collections.abc import Iterator
from types import TracebackType
from typing import IO, Any, Protocol

from tradecore.errors import DataError

__all__ = [
    "ByteSource",
    "PathLike",
    "compression_of",
    "load_zstandard",
    "open_member",
    "open_source",
    "open_zip",
]

PathLike = str | os.PathLike[str]

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
# A failing decompressor drops the bytes of that call, so small steps keep the reported offset
# close to the fault.
_STEP = 1 << 16
# One zstd block of 4 bytes can stand for 128 KiB. Feeding 1 KiB at a time bounds one step to 32
# MiB of output.
_ZSTD_STEP = 1024
_ZSTD_MAX_WINDOW = 1 << 27
_READ_FAULTS = (
    OSError,
    EOFError,
    zlib.error,
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
)


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class ByteSource:
    """A forward-only stream of decompressed bytes that knows its name and position.

    Use as a context manager; leaving it closes the file. Made by `open_source` and `open_member`.

    Attributes
    ----------
    name : str
        The file as the user named it (``archive.zip!member`` inside an archive); every error
        starts with it.
    offset : int
        Decompressed bytes handed out so far.
    """

    def __init__(self, name: str, stream: _Readable, closers: contextlib.ExitStack) -> None:
        self.name = name
        self.offset = 0
        self._stream = stream
        self._closers = closers
        self._ahead = b""

    def __enter__(self) -> ByteSource:
        """Return self."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the underlying file."""
        self.close()

    def close(self) -> None:
        """Close the underlying file; further reads are errors."""
        self._closers.close()

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes; fewer only at the end of the file.

        Raises
        ------
        DataError
            The compressed stream is truncated or corrupt, or the device failed.
        """
        parts = [self._ahead[:size]]
        have = len(parts[0])
        self._ahead = self._ahead[have:]
        while have < size:
            try:
                part = self._stream.read(min(size - have, _STEP))
            except _READ_FAULTS as error:
                raise DataError(_explain(error), self.name, self.offset + have) from error
            if not part:
                break
            parts.append(part)
            have += len(part)
        self.offset += have
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def read_exact(self, size: int, what: str) -> bytes:
        """Read exactly `size` bytes or fail, naming `what` was being read.

        Raises
        ------
        DataError
            The file ends first.
        """
        at = self.offset
        data = self.read(size)
        if len(data) != size:
            reason = f"truncated: {what} needs {size} bytes, {len(data)} left"
            raise DataError(reason, self.name, at)
        return data

    def peek(self, size: int) -> bytes:
        """Return up to `size` next bytes without consuming them."""
        data = self.read(size)
        self._ahead = data + self._ahead
        self.offset -= len(data)
        return data

    def chunks(self, size: int) -> Iterator[bytes]:
        """Yield the rest of the file in pieces of `size` bytes, the last one shorter."""
        while data := self.read(size):
            yield data

    def lines(self, chunk: int = 1 << 20, longest: int = 1 << 26) -> Iterator[tuple[int, bytes]]:
        """Yield ``(offset, line)`` for every line, without its line ending.

        Parameters
        ----------
        chunk : int
            Bytes read at a time.
        longest : int
            A line longer than this many bytes is refused, so that a file without line ends cannot
            fill the memory.

        Raises
        ------
        DataError
            A line is longer than `longest`.
        """
        at = self.offset
        rest = b""
        while data := self.read(chunk):
            pieces = (rest + data).split(b"\n")
            rest = pieces.pop()
            for line in pieces:
                yield at, line.removesuffix(b"\r")
                at += len(line) + 1
            if len(rest) > longest:
                raise DataError(
                    f"no line end within {longest} bytes: not a text file", self.name, at
                )
        if rest:
            yield at, rest.removesuffix(b"\r")


class _ZstdReader:
    """Bounded zstd decoding that notices truncation; the binding's own reader does not."""

    def __init__(self, raw: IO[bytes], name: str) -> None:
        self._raw = raw
        self._zstd = load_zstandard(name)
        self._frame: Any = None
        self._input = b""
        self._output = memoryview(b"")

    def read(self, size: int) -> bytes:
        while not self._output:
            if not self._input:
                self._input = self._raw.read(_ZSTD_STEP)
                if not self._input:
                    if self._frame is not None:
                        raise EOFError("the zstd stream ends inside a frame")
                    return b""
            if self._frame is None:
                window = self._zstd.ZstdDecompressor(max_window_size=_ZSTD_MAX_WINDOW)
                self._frame = window.decompressobj()
            try:
                output = self._frame.decompress(self._input)
            except self._zstd.ZstdError as error:
                raise OSError(f"zstd: {error}") from error
            self._input = b""
            if self._frame.eof:
                self._input = self._frame.unused_data
                self._frame = None
            self._output = memoryview(output)
        part = self._output[:size]
        self._output = self._output[len(part) :]
        return bytes(part)


def load_zstandard(name: str) -> Any:
    """Import the optional zstd binding, or say in one sentence how to get it."""
    try:
        import zstandard
    except ImportError:
        raise DataError(
            "zstd data needs the 'zstandard' package: pip install zstandard", name, 0
        ) from None
    return zstandard


def _explain(error: BaseException) -> str:
    """Turn a low-level failure into the words of a user."""
    if isinstance(error, EOFError):
        return "truncated: the compressed stream ends before its end marker"
    if isinstance(error, zlib.error):
        return f"corrupt compressed data ({error})"
    return f"cannot be read: {error}"


def compression_of(head: bytes) -> str:
    """Name the compression that the first bytes announce: ``"gzip"``, ``"zstd"`` or ``""``."""
    if head.startswith(_GZIP_MAGIC):
        return "gzip"
    if head.startswith(_ZSTD_MAGIC):
        return "zstd"
    return ""


def open_source(path: PathLike) -> ByteSource:
    """Open a plain, gzip or zstd file for streaming.

    Parameters
    ----------
    path : str or path-like
        The file. Its name plays no part in recognising the compression.

    Returns
    -------
    ByteSource
        Positioned at the first decompressed byte; the caller closes it.

    Raises
    ------
    DataError
        The file cannot be opened, or is zstd and the optional `zstandard` package is absent.
    """
    name = os.fspath(path)
    closers = contextlib.ExitStack()
    try:
        raw: IO[bytes] = closers.enter_context(open(path, "rb"))  # noqa: SIM115 - the stack closes it
        kind = compression_of(raw.read(4))
        raw.seek(0)
        stream: _Readable = raw
        if kind == "gzip":
            stream = closers.enter_context(gzip.GzipFile(fileobj=raw, mode="rb"))
        elif kind == "zstd":
            stream = _ZstdReader(raw, name)
    except OSError as error:
        closers.close()
        raise DataError(f"cannot be opened: {error.strerror or error}", name) from error
    except DataError:
        closers.close()
        raise
    return ByteSource(name, stream, closers)


def open_zip(path: PathLike) -> zipfile.ZipFile:
    """Open a zip archive.

    Raises
    ------
    DataError
        The file is absent or its directory is damaged (a truncated archive loses the directory at
        its end).
    """
    name = os.fspath(path)
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        size = os.path.getsize(path)
        reason = f"not a complete zip archive ({error}); a truncated download looks like this"
        raise DataError(reason, name, size) from error
    except (OSError, ValueError, NotImplementedError) as error:
        raise DataError(f"cannot be opened: {error}", name) from error


def open_member(archive: zipfile.ZipFile, member: str) -> ByteSource:
    """Open one member of an archive for streaming; its CRC is checked when the last byte is read.

    Raises
    ------
    DataError
        The member is absent, encrypted, or its header disagrees with the directory.
    """
    name = f"{archive.filename}!{member}"
    closers = contextlib.ExitStack()
    try:
        stream = closers.enter_context(archive.open(member))
    except (KeyError, *_READ_FAULTS) as error:
        raise DataError(_explain(error), name, 0) from error
    return ByteSource(name, stream, closers)
