"""The snapshot container: named sections of raw bytes, and proof that they are the right ones.

A snapshot is the whole state of an engine behind one command of the journal, so that a restart
replays minutes instead of months. This module knows the container only; what the sections mean is
the engine's affair, and files are `tradecore.storage`'s. No pickle anywhere: sections are
little-endian arrays whose layout the engine owns.

Every bit is checked before a reader sees a section: the head by its CRC32C, head and table by the
file hash in the footer, each section by its CRC32C, the whole state by the state hash, padding by
being zero. Two processes at the same command have equal state hashes.
docs/reference/snapshot.md shows the layout.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from tradecore.buffers import BytesLike, byte_view
from tradecore.errors import ConfigError, SnapshotError
from tradecore.journal import digest_config
from tradecore.journal_format import Position
from tradecore_ext import _abi
from tradecore_ext.crc import crc32c

if TYPE_CHECKING:
    from tradecore.engine import Engine, EngineConfig

EngineT = TypeVar("EngineT", bound="Engine")

__all__ = [
    "FORMAT_VERSION",
    "Snapshot",
    "SnapshotInfo",
    "UnsupportedSnapshotError",
    "decode",
    "decode_engine",
    "encode",
    "encode_engine",
    "encode_parts",
    "engine_parts",
    "restore_engine",
    "state_hash",
]

FORMAT_VERSION: Final = 1
_MAGIC: Final = b"TCSN"
_END_MAGIC: Final = b"TCSN-END"
_ENDIAN_MARK: Final = 0x01020304
_HEAD_BYTES: Final = 256
_ENTRY_BYTES: Final = 64
_FOOTER_BYTES: Final = 64
_ALIGN: Final = 64
_MAX_SECTIONS: Final = 4096
_MAX_SCHEMA: Final = _abi.CONSTANTS["TC_SCHEMA"]

# magic, version, head bytes, endian mark, schema, source, epoch, in_seq, now_ns, out_seq,
# journal record, journal chain, sections, file bytes, state hash, config digest, build
_HEAD: Final = struct.Struct("<4sHHIIIIQQQQIIQ32s32s64s")
# name, offset, length, crc, flags
_ENTRY: Final = struct.Struct("<40sQQII")
# file hash, file bytes, zeros, magic
_FOOTER: Final = struct.Struct("<32sQ16s8s")
_CRC: Final = struct.Struct("<I")

_NAME: Final = re.compile(r"[a-z][a-z0-9_.]{0,39}", re.ASCII)
_CONFIG: Final = "config"
_IS_STATE: Final = 1
_NO_JOURNAL: Final = (1 << 64) - 1


class UnsupportedSnapshotError(SnapshotError):
    """The snapshot is intact as far as one can tell, but of a version this build cannot read."""


class SnapshotInfo(msgspec.Struct, frozen=True):
    """What a snapshot says about itself.

    Parameters
    ----------
    source : int
        Whose state it is: the ``source`` of the journal.
    in_seq : int
        Last command that the state contains; replay continues with ``in_seq + 1``.
    out_seq : int
        Last event the engine had emitted.
    now_ns : int
        Engine time, Unix ns.
    epoch : int
        Semantics in force.
    journal : Position or None
        Where the journal stood: behind the record that ends with `in_seq`. Its chain is the
        fingerprint by which a restart recognises the journal it belongs to. None for the state of
        an engine without a journal.
    schema : int
        Version of the frames and of the sections.
    config_digest : bytes
        `tradecore.journal.digest_config` of the engine's configuration, 32 bytes.
    build : str
        Version of the program; for people.
    state_hash : bytes
        32 bytes; computed by `encode`, whatever stands here before.
    """

    source: int
    in_seq: int
    out_seq: int = 0
    now_ns: int = 0
    epoch: int = 0
    journal: Position | None = None
    schema: int = _MAX_SCHEMA
    config_digest: bytes = bytes(32)
    build: str = ""
    state_hash: bytes = bytes(32)


class Snapshot(msgspec.Struct, frozen=True):
    """A snapshot that was read and found right.

    Parameters
    ----------
    info : SnapshotInfo
    sections : list of (str, memoryview)
        The state, in the order in which it was written: what ``engine.import_state`` takes. Views
        into the bytes that were read.
    config : bytes
        The engine's configuration as its author encoded it (msgspec); empty if there was none.
    """

    info: SnapshotInfo
    sections: list[tuple[str, memoryview]]
    config: bytes


def state_hash(sections: Iterable[tuple[str, BytesLike]]) -> bytes:
    """Return the canonical hash of a state: equal in every process that is in the same state.

    Parameters
    ----------
    sections : iterable of (str, bytes-like)
        What ``engine.export_state()`` returns; order does not matter.

    Returns
    -------
    bytes
        32 bytes; ``engine.state_hash()`` is their hex form.

    Notes
    -----
    BLAKE2b-256 over (name, section length as 8 bytes little-endian, section) in name order. About
    1 GB/s. The configuration is not part of the state: capacities and table seeds must not change
    the hash.
    """
    whole = hashlib.blake2b(digest_size=32)
    views = [(name, byte_view(data)) for name, data in sections]
    for name, view in sorted(views, key=lambda pair: pair[0]):
        whole.update(name.encode() + len(view).to_bytes(8, "little"))
        whole.update(view)
    return whole.digest()


def _padding(size: int) -> bytes:
    return bytes(-size % _ALIGN)


def encode_parts(
    info: SnapshotInfo, sections: Iterable[tuple[str, BytesLike]], config: bytes = b""
) -> tuple[SnapshotInfo, list[bytes | memoryview]]:
    """Return a snapshot as pieces to be written one after the other, without copying sections.

    Parameters
    ----------
    info : SnapshotInfo
        Everything but the state hash.
    sections : iterable of (str, bytes-like)
        Names of ``[a-z][a-z0-9_.]*``, at most 40 characters, each once, not ``config``.
    config : bytes
        The engine's configuration, kept beside the state.

    Returns
    -------
    info : SnapshotInfo
        With the state hash.
    parts : list of bytes-like
        Their concatenation is the file.

    Raises
    ------
    ConfigError
        A name or a number that does not fit.
    """
    views = [(name, byte_view(data), _IS_STATE) for name, data in sections]
    names = [name for name, _, _ in views]
    for name in names:
        if not _NAME.fullmatch(name) or name == _CONFIG or names.count(name) > 1:
            raise ConfigError(
                f"snapshot section {name!r}: names are [a-z][a-z0-9_.]*, at most 40 characters, "
                "each once, not 'config'"
            )
    if config:
        views.append((_CONFIG, byte_view(config), 0))
    if len(views) > _MAX_SECTIONS:
        raise ConfigError(f"{len(views)} snapshot sections, at most {_MAX_SECTIONS} fit")
    body: list[bytes | memoryview] = []
    table = bytearray()
    offset = _HEAD_BYTES + _ENTRY_BYTES * len(views)
    for name, view, flags in views:
        table += _ENTRY.pack(name.encode(), offset, len(view), crc32c(view), flags)
        body += [view, _padding(len(view))]
        offset += len(view) + len(_padding(len(view)))
    state = [(name, view) for name, view, flags in views if flags & _IS_STATE]
    info = msgspec.structs.replace(info, state_hash=state_hash(state))
    head = _encode_head(info, len(views), offset + _FOOTER_BYTES)
    file_hash = hashlib.blake2b(head + table, digest_size=32).digest()
    footer = _FOOTER.pack(file_hash, offset + _FOOTER_BYTES, bytes(16), _END_MAGIC)
    return info, [head, bytes(table), *body, footer]


def _encode_head(info: SnapshotInfo, n_sections: int, file_bytes: int) -> bytes:
    build = info.build.encode()
    if len(build) > 64 or "\0" in info.build:
        raise ConfigError("snapshot build: at most 64 bytes of text without NUL")
    if len(info.config_digest) != 32:
        raise ConfigError(f"config digest: {len(info.config_digest)} bytes, 32 wanted")
    journal = info.journal or Position(_NO_JOURNAL, info.in_seq + 1, 0)
    if journal.seq != info.in_seq + 1:
        raise ConfigError(
            f"a snapshot behind command {info.in_seq} must be taken where the journal continues "
            f"with {info.in_seq + 1}, not with {journal.seq}"
        )
    try:
        packed = _HEAD.pack(
            *(_MAGIC, FORMAT_VERSION, _HEAD_BYTES, _ENDIAN_MARK, info.schema, info.source),
            *(info.epoch, info.in_seq, info.now_ns, info.out_seq),
            *(journal.record, journal.chain, n_sections, file_bytes),
            *(info.state_hash, info.config_digest, build),
        )
    except struct.error as error:
        raise ConfigError(f"snapshot head: {error}") from None
    packed = packed.ljust(_HEAD_BYTES - 4, b"\0")
    return packed + _CRC.pack(crc32c(packed))


def encode(
    info: SnapshotInfo, sections: Iterable[tuple[str, BytesLike]], config: bytes = b""
) -> bytes:
    """Return a snapshot as one piece; see `encode_parts`."""
    return b"".join(encode_parts(info, sections, config)[1])


def decode(data: BytesLike, file: str = "") -> Snapshot:
    """Read a snapshot and verify every bit of it.

    Parameters
    ----------
    data : bytes-like
        The whole file. The sections of the result are views into it.
    file : str
        Its name, for errors.

    Raises
    ------
    UnsupportedSnapshotError
        Of another format version, schema or byte order.
    SnapshotError
        Empty, cut short, longer than it says, or damaged anywhere.

    Notes
    -----
    O(bytes), about 1 GB/s, nearly all of it BLAKE2b.
    """
    view = byte_view(data)
    info, n_sections = _decode_head(view, file)
    table_end = _HEAD_BYTES + _ENTRY_BYTES * n_sections
    _check_footer(view, table_end, file)
    sections: list[tuple[str, memoryview]] = []
    config = b""
    due = table_end
    for number in range(n_sections):
        at = _HEAD_BYTES + _ENTRY_BYTES * number
        raw, offset, length, crc, flags = _ENTRY.unpack_from(view, at)
        name = raw.rstrip(b"\0").decode("ascii", "replace")
        end = offset + length
        stop = end + -end % _ALIGN
        if offset != due or stop > len(view) - _FOOTER_BYTES or flags & ~_IS_STATE:
            raise SnapshotError(f"the table entry of section {name!r} is malformed", file, at)
        section = view[offset:end]
        if (found := crc32c(section)) != crc:
            raise SnapshotError(
                f"section {name!r} is damaged: checksum {found:08x}, stored {crc:08x}", file, offset
            )
        if any(view[end:stop]):
            raise SnapshotError(f"the padding behind section {name!r} is not zero", file, end)
        due = stop
        if flags & _IS_STATE:
            sections.append((name, section))
        else:
            config = bytes(section)
    if due != len(view) - _FOOTER_BYTES or state_hash(sections) != info.state_hash:
        raise SnapshotError("the sections do not add up to the state hash of the head", file, 0)
    return Snapshot(info, sections, config)


def _decode_head(view: memoryview, file: str) -> tuple[SnapshotInfo, int]:
    head = bytes(view[:_HEAD_BYTES])
    if not head:
        raise SnapshotError("the file is empty, not a snapshot", file, 0)
    if head[:4] != _MAGIC[: len(head)]:
        raise SnapshotError("not a snapshot: it does not start with the magic 'TCSN'", file, 0)
    if len(head) < _HEAD_BYTES:
        raise SnapshotError(
            f"cut short: {len(head)} of {_HEAD_BYTES} bytes of the head", file, len(head)
        )
    if head[8:12] == _ENDIAN_MARK.to_bytes(4, "big"):
        raise UnsupportedSnapshotError(
            "written in big-endian byte order; snapshots are little-endian on every machine",
            file,
            8,
        )
    crc_holds = _CRC.unpack_from(head, _HEAD_BYTES - 4)[0] == crc32c(head[:-4])
    version = int.from_bytes(head[4:6], "little")
    # With a wrong checksum the version number itself is suspect: that is damage, not a version.
    if not crc_holds:
        raise SnapshotError("the head is damaged: its checksum does not hold", file, 0)
    if version != FORMAT_VERSION:
        raise UnsupportedSnapshotError(
            f"snapshot format version {version}, this build reads version {FORMAT_VERSION}; "
            "use the build that wrote it",
            file,
            4,
        )
    fields = _HEAD.unpack_from(head)
    schema, source, epoch, in_seq, now_ns, out_seq, record, chain, n_sections, size = fields[4:14]
    hash_, digest, build = fields[14:]
    known = fields[2:4] == (_HEAD_BYTES, _ENDIAN_MARK) and n_sections <= _MAX_SECTIONS
    if not known or any(head[_HEAD.size : -4]) or not 1 <= schema <= _MAX_SCHEMA:
        raise UnsupportedSnapshotError(
            f"the head is intact but uses features this build does not know (schema {schema}); "
            "use the build that wrote it",
            file,
            6,
        )
    if size != len(view):
        what = "cut short" if len(view) < size else "longer than it was written"
        raise SnapshotError(
            f"{what}: {len(view)} bytes, {size} expected", file, min(len(view), size)
        )
    text = build.rstrip(b"\0").decode("utf-8", "replace")
    journal = None if record == _NO_JOURNAL else Position(record, in_seq + 1, chain)
    info = SnapshotInfo(
        source, in_seq, out_seq, now_ns, epoch, journal, schema, digest, text, hash_
    )
    return info, n_sections


def _check_footer(view: memoryview, table_end: int, file: str) -> None:
    at = len(view) - _FOOTER_BYTES
    if at < table_end:
        raise SnapshotError("too short for its table of sections", file, len(view))
    file_hash, size, reserved, magic = _FOOTER.unpack_from(view, at)
    if magic != _END_MAGIC or size != len(view) or reserved != bytes(16):
        raise SnapshotError("the footer is damaged", file, at)
    if hashlib.blake2b(view[:table_end], digest_size=32).digest() != file_hash:
        raise SnapshotError("the table of sections is damaged", file, _HEAD_BYTES)


# ------------------------------------------------------------------------------- whole engines
def engine_parts(
    engine: Engine, *, source: int = 0, journal: Position | None = None, build: str = ""
) -> tuple[SnapshotInfo, list[tuple[str, bytes]], bytes]:
    """Return what `SnapshotStore.save` takes for an engine: info, sections, configuration.

    Parameters
    ----------
    engine : Engine
        Between two calls of `apply`.
    source : int
        Whose state it is: the ``source`` of the journal.
    journal : Position, optional
        ``FileJournal.end``, after everything that the engine has applied was committed.
    build : str
        Version of the program; for people.
    """
    now = engine.counters()
    info = SnapshotInfo(
        source=source,
        in_seq=now["in_seq"],
        out_seq=now["out_seq"],
        now_ns=now["now"],
        epoch=now["epoch"],
        journal=journal,
        config_digest=digest_config(engine.config),
        build=build,
    )
    return info, engine.export_state(), msgspec.msgpack.encode(engine.config)


def encode_engine(engine: Engine) -> bytes:
    """Return the whole state of an engine as one snapshot; O(state)."""
    return encode(*engine_parts(engine))


def restore_engine(
    kind: type[EngineT],
    snapshot: Snapshot,
    config: EngineConfig | None = None,
    file: str = "",
) -> EngineT:
    """Build an engine from a snapshot that was read.

    Parameters
    ----------
    kind : type
        `Engine` or a class derived from it.
    snapshot : Snapshot
    config : EngineConfig, optional
        With settings of this process (id seed, prefetching); by default the snapshot's own.
    file : str
        Where it came from, for errors.

    Raises
    ------
    SnapshotError
        It holds no configuration of this build's engine, `config` is one that would have answered
        differently, or the state does not fit. Engines that exist are not touched: the state goes
        into a new one.
    """
    from tradecore.engine import EngineConfig

    try:
        own = msgspec.msgpack.decode(snapshot.config, type=EngineConfig)
    except (msgspec.DecodeError, ConfigError) as error:
        raise SnapshotError(f"no usable engine configuration: {error}", file) from None
    if config is not None and digest_config(config) != digest_config(own):
        raise SnapshotError("made with another engine configuration than the one given", file)
    state = [(name, bytes(data)) for name, data in snapshot.sections]
    return kind.from_state(config or own, state)


def decode_engine(kind: type[EngineT], data: BytesLike, file: str = "") -> EngineT:
    """Build an engine from the bytes of `encode_engine`; see `decode` and `restore_engine`."""
    return restore_engine(kind, decode(data, file), file=file)
