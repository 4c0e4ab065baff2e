"""What the log says about the venue besides money: groups, marks, phases, switches, limits.

Events name what took effect, but not all of its terms (DONE of an ACCOUNT command says nothing
about its group), so the commands of a record are read beside the events that it made. Every admin
command has exactly one answer, DONE or REJECTED, in order; that is how both are brought together.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from tradecore import dtypes, envelope
from tradecore.buffers import BytesLike
from tradecore.cell.follow import Batch
from tradecore.codes import MAX_PX, CommandKind, EventKind, LimitField, Phase, Scope
from tradecore.risk.nodes import FIRM, account_node, group_node
from tradecore.status import Status

__all__ = ["Facts", "Mark"]

_ANSWERED: Final = frozenset(
    (
        CommandKind.ACCOUNT,
        CommandKind.LIMITS,
        CommandKind.KILL_SWITCH,
        CommandKind.INSTRUMENT,
    )
)
_WANTED: Final = _ANSWERED | {CommandKind.MARK_PRICE}
# Of which kind the first bytes of a frame say: 32 half-words a frame, the fifth is the kind.
_KIND_AT, _STRIDE = 4, 32


class Mark(msgspec.Struct, array_like=True, frozen=True):
    """A mark price (ticks) and its log time."""

    px: int
    ts_ns: int


class Facts(msgspec.Struct, kw_only=True):
    """State of the venue as the records so far have left it.

    Attributes
    ----------
    now_ns : int
        Log time.
    applied : int
        High-water mark of our own source in the cell: our next command is one more.
    group_of : dict of int to int
        Risk group of each account that was opened; 0 = none.
    marks : dict of int to Mark
    phases : dict of int to int
        Phase of every instrument that was defined.
    killed : dict of int to bool
        Kill switches by node, as last set.
    position_limits : dict of int to int
        `max_position_qty` by node, as last set.
    """

    now_ns: int = 0
    applied: int = 0
    group_of: dict[int, int] = {}
    marks: dict[int, Mark] = {}
    phases: dict[int, int] = {}
    killed: dict[int, bool] = {}
    position_limits: dict[int, int] = {}
    accounts_version: int = 0
    """Counts up when an account is opened or moved."""

    def take(self, batch: Batch, payload: BytesLike, own_source: int) -> bool:
        """Take over what one applied record changed; True if the record had admin commands.

        Parameters
        ----------
        batch : Batch
            What the cell said about the record.
        payload : bytes-like
            The record, from `trading-commands`.
        own_source : int
        """
        self.now_ns = max(self.now_ns, batch.ts_ns)
        # The cell has checked the sum of what it applied.
        sealed = envelope.decode(payload, check_crc=False)
        if batch.in_source == own_source:
            self.applied = max(self.applied, sealed.first_seq + sealed.count - 1)
        kinds = np.frombuffer(sealed.frames, np.dtype("<u2"))[_KIND_AT::_STRIDE]
        if not (kinds > CommandKind.SET_PHASE).any():
            return False
        answers: dict[int, Iterator[npt.NDArray[np.void]]] = {}
        found = False
        for kind, frame in _admin_commands(sealed.frames, kinds):
            found = True
            if kind == CommandKind.MARK_PRICE:
                if frame is not None:
                    self._mark(frame, batch)
                continue
            if kind not in answers:
                answers[kind] = _answers(batch.events, kind)
            answer = next(answers[kind], None)
            if frame is not None and answer is not None and answer["kind"] == EventKind.DONE:
                self._done(kind, frame)
        return found

    def _mark(self, frame: Any, batch: Batch) -> None:
        instrument, px = int(frame["instrument_id"]), int(frame["mark_px"])
        refused = batch.events[batch.events["kind"] == EventKind.REJECTED].view(dtypes.REJECT_EVENT)
        unknown = (
            (refused["command_kind"] == CommandKind.MARK_PRICE)
            & (refused["instrument_id"] == instrument)
            & (refused["status"] == Status.UNKNOWN_INSTRUMENT)
        )
        if 1 <= px <= MAX_PX and not unknown.any():
            self.marks[instrument] = Mark(px, self.now_ns)

    def _done(self, kind: int, frame: Any) -> None:
        if kind == CommandKind.ACCOUNT:
            self.group_of[int(frame["account_id"])] = int(frame["group_id"])
            self.accounts_version += 1
        elif kind == CommandKind.KILL_SWITCH:
            self.killed[_node(frame)] = bool(frame["state"])
        elif kind == CommandKind.LIMITS:
            if int(frame["mask"]) & LimitField.POSITION:
                self.position_limits[_node(frame)] = int(frame["max_position_qty"])
        else:
            # An instrument that exists keeps its phase, whatever its new definition says.
            phase = int(frame["phase"]) or int(Phase.CONTINUOUS)
            self.phases.setdefault(int(frame["instrument_id"]), phase)

    def note_phases(self, events: npt.NDArray[np.void]) -> None:
        """Take over PHASE events, in order."""
        for row in events[events["kind"] == EventKind.PHASE].view(dtypes.MARKET_EVENT):
            self.phases[int(row["instrument_id"])] = int(row["phase"])


def _node(frame: Any) -> int:
    if frame["scope"] == Scope.ACCOUNT:
        return account_node(int(frame["account_id"]))
    if frame["scope"] == Scope.GROUP:
        return group_node(int(frame["group_id"]))
    return FIRM


def _answers(events: npt.NDArray[np.void], kind: int) -> Iterator[Any]:
    rows = events.view(dtypes.REJECT_EVENT)
    answered = (rows["kind"] == EventKind.DONE) | (rows["kind"] == EventKind.REJECTED)
    return iter(rows[answered & (rows["command_kind"] == kind)])


_LAYOUT: Final = {
    CommandKind.LIMITS: (dtypes.LIMITS, 1),
    CommandKind.INSTRUMENT: (dtypes.INSTRUMENT, 3),
}


def _admin_commands(frames: memoryview, kinds: npt.NDArray[np.uint16]) -> Iterator[tuple[int, Any]]:
    """Yield the commands that matter here, each as its own struct; O(frames).

    The first frame of a command says how many follow; what follows may look like anything.
    """
    conts = np.frombuffer(frames, dtypes.ADMIN)["cont"].tolist()
    kinds_list = kinds.tolist()
    at = 0
    while at < len(conts):
        kind, end = kinds_list[at], at + 1 + conts[at]
        if kind in _WANTED:
            dtype, more = _LAYOUT.get(kind, (dtypes.ADMIN, 0))
            whole = conts[at] == more and end <= len(conts)
            # One that is not whole was refused, and its refusal is counted like any answer.
            yield kind, np.frombuffer(frames[64 * at : 64 * end], dtype)[0] if whole else None
        at = end
