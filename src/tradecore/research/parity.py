"""The parity certificate: whether the library says what the service said.

A journal or log is replayed through the library, and everything that can be compared is: events
byte for byte, states at every audit and snapshot, balances, positions and profit rebuilt from what
was *published* against the state that the replay ends in, and the working quantities that risk
limits look at. One line for each, equal or not; nothing is averaged away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from tradecore.cell import Batch, Cell, FrameReader, source_of
from tradecore.cli.journal_files import load_config, segment_head
from tradecore.codes import CellKind
from tradecore.dtypes import EVENT
from tradecore.engine import Engine
from tradecore.envelope import decode
from tradecore.errors import ConfigError, JournalError
from tradecore.journal import records
from tradecore.research.parity_books import Line, Published, compare_books
from tradecore.research.service_log import (
    batches_of,
    cell_config,
    entries,
    is_log,
    partition_of,
    sibling,
    snapshot_folder,
    snapshots,
)
from tradecore.snapshot import Snapshot
from tradecore.storage import read_segments
from tradecore_ext.framing import command_offset, count_commands

__all__ = ["Certificate", "Line", "certify"]

Table = npt.NDArray[np.void]

_OTHER_BATCH: Final = 7


class Certificate(msgspec.Struct, frozen=True):
    """What a parity run found.

    Attributes
    ----------
    journal : str
    kind : str
        ``commands`` or ``log``.
    records, commands, events : int
    lines : list of Line
    notes : list of str
        What could not be compared, and why.
    """

    journal: str
    kind: str
    records: int
    commands: int
    events: int
    lines: list[Line]
    notes: list[str]

    @property
    def equal(self) -> bool:
        """Whether everything that was compared is equal."""
        return all(line.equal for line in self.lines)


def certify(
    journal: str | Path,
    *,
    config: str | Path | None = None,
    published: str | Path | None = None,
    audits: str | Path | None = None,
    snapshots: str | Path | None = None,
) -> Certificate:
    """Replay a journal in the library and compare it with what else is known about it.

    Parameters
    ----------
    journal : path
        A journal of commands, or a partition of `trading-commands` (a log).
    config : path, optional
        Engine or cell configuration as JSON. By default ``engine.json`` beside a journal, and the
        one inside the newest snapshot for a log.
    published : path, optional
        What was published: the `executions` partition of a log, or a journal of events. By default
        the sibling folder ``executions-N`` of ``trading-commands-N``. Without it the replay's own
        events take its place, which still proves that they and the state agree.
    audits : path, optional
        The `audit-logs` partition; by default the sibling folder.
    snapshots : path, optional
        Folder of snapshots; by default ``snapshots`` beside the journal or beside the log.

    Raises
    ------
    JournalError, ConfigError
        The journal is damaged, or its configuration is not here.
    """
    place = Path(journal)
    if not place.exists():
        raise ConfigError(f"{place}: there is no journal")
    found = Path(snapshots) if snapshots is not None else snapshot_folder(place)
    if is_log(place):
        return _certify_log(place, config, published, audits, found)
    return _certify_commands(place, config, published, found)


# ---- a journal of commands -----------------------------------------------------------------------


def _batches(place: Path) -> Iterator[memoryview]:
    for record in records(read_segments(place)):
        for envelope in record.envelopes():
            yield envelope.frames


def _certify_commands(
    place: Path, config: str | Path | None, published: str | Path | None, folder: Path | None
) -> Certificate:
    settings = load_config(place, str(config) if config is not None else None)
    engine, other = Engine(settings), Engine(settings)
    ours = Published()
    theirs = hashlib.blake2b(digest_size=32)
    states = {snapshot.info.in_seq: snapshot for snapshot in snapshots(folder)}
    lines, notes, n_records = [], [], 0
    for view in _batches(place):
        n_records += 1
        ours.define(view)
        for part in _until(view, engine.in_seq, states):
            ours.feed(np.frombuffer(bytes(engine.apply(part)), EVENT))
            if engine.in_seq in states:
                known = states[engine.in_seq].info.state_hash.hex()
                state = engine.state_hash()
                what = f"state at the snapshot of command {engine.in_seq}"
                lines.append(Line(what, state == known, state, known))
        for piece in _sevens(view):
            theirs.update(bytes(other.apply(piece)))
    if published is None:
        what, said = "event hash, another replay in other batches", theirs.hexdigest()
    else:
        what, said = "event hash, as published", _event_hash(Path(published))
    event_hash = ours.digest.hexdigest()
    lines.insert(0, Line(what, event_hash == said, event_hash, said))
    final, again = engine.state_hash(), other.state_hash()
    lines.insert(1, Line("state hash, another replay", final == again, final, again))
    lines += compare_books(engine, ours)
    if not settings.accounts:
        notes.append("accounts are off: there is no ledger, no position and no PnL")
    if not states:
        notes.append("no snapshot was found to compare states with")
    return Certificate(
        str(place), "commands", n_records, engine.in_seq, engine.out_seq, lines, notes
    )


def _until(view: memoryview, done: int, states: dict[int, Snapshot]) -> Iterator[memoryview]:
    """Cut a batch behind the commands at which a state is known."""
    total = count_commands(view)
    cuts = sorted(seq - done for seq in states if 0 < seq - done < total)
    for low, high in zip([0, *cuts], [*cuts, total], strict=True):
        yield view[command_offset(view, low) : command_offset(view, high)]


def _sevens(view: memoryview) -> Iterator[memoryview]:
    total = count_commands(view)
    for low in range(0, total, _OTHER_BATCH):
        high = min(low + _OTHER_BATCH, total)
        yield view[command_offset(view, low) : command_offset(view, high)]


def _event_hash(place: Path) -> str:
    if segment_head(place).kind != "events":
        raise JournalError("not a journal of events", str(place))
    digest = hashlib.blake2b(digest_size=32)
    for view in _batches(place):
        digest.update(view)
    return digest.hexdigest()


# ---- the log of a service ------------------------------------------------------------------------


def _certify_log(
    place: Path,
    config: str | Path | None,
    published: str | Path | None,
    audits: str | Path | None,
    folder: Path | None,
) -> Certificate:
    cell_id = partition_of(place)
    known = [s for s in snapshots(folder) if s.info.source == source_of(cell_id)]
    cell = Cell(cell_config(config, place, known), cell_id=cell_id)
    said = Path(published) if published is not None else sibling(place, "executions")
    audited = Path(audits) if audits is not None else sibling(place, "audit-logs")
    states = {snapshot.info.in_seq: snapshot.info.state_hash.hex() for snapshot in known}
    states |= _audited(audited) if audited is not None else {}
    ours, theirs = Published(), Published()
    if said is None:
        theirs = ours
    lines: list[Line] = []
    notes: list[str] = []
    reader = FrameReader(cell.source)
    n_records = 0
    answers = batches_of(said, cell_id) if said is not None else iter(())
    for offset, ts_ns, payload in entries(place):
        answer = next(answers, None)
        if said is not None and answer is None:
            # A cell that is running is always a little behind its log.
            notes.append(f"records from {offset} on were not answered (yet): nothing to compare")
            break
        n_records += 1
        output = cell.apply(offset, ts_ns, payload)
        for made in output.executions(cell):
            for batch in reader.read(offset, made):
                if batch.applied:
                    _define(ours, payload)
                    if theirs is not ours:
                        _define(theirs, payload)
                _take(ours, batch)
        if answer is not None:
            _take(theirs, answer)
        if cell.next_offset in states:
            state, other = cell.state_hash(), states[cell.next_offset]
            what = f"state behind record {offset}"
            lines.append(Line(what, state == other, state, other))
    if said is not None:
        a, b = ours.digest.hexdigest(), theirs.digest.hexdigest()
        differences = [] if a == b else [f"{ours.events} events here, {theirs.events} published"]
        lines.insert(0, Line("event hash, as published", a == b, a, b, differences))
    else:
        notes.append("no `executions` were found: books are made of the replay's own events")
    if not states:
        notes.append("no audit and no snapshot was found to compare states with")
    lines += compare_books(cell.engine, theirs)
    return Certificate(str(place), "log", n_records, cell.in_seq, cell.engine.out_seq, lines, notes)


def _define(fold_: Published, payload: memoryview) -> None:
    # The cell has checked the sum of what it applied.
    fold_.define(decode(payload, check_crc=False).frames)


def _take(fold_: Published, batch: Batch) -> None:
    if len(batch.events):
        fold_.feed(_engine_events(batch.events))


def _engine_events(events: Table) -> Table:
    """Return the engine's own events of a batch; answers of the gate are no events."""
    return events[events["kind"] < CellKind.BATCH]


def _audited(place: Path) -> dict[int, str]:
    """Return the state hash of every audit record, by the offset of the next record of the log."""
    found: dict[int, str] = {}
    for _, _, payload in entries(place):
        frames = decode(payload).frames
        for at in range(0, len(frames), 64):
            frame = bytes(frames[at : at + 64])
            if frame[24] == CellKind.AUDIT:
                found[int.from_bytes(frame[:8], "little") - 1] = frame[32:64].hex()
    return found
