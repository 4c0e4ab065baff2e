"""Design bugs of the cell: numbers, repetitions, time, semantics, and what a snapshot keeps."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Any, Final

from tradecore.cell import Cell, Channels, Output
from tradecore.codes import EventKind
from tradecore.envelope import decode, encode, seal_events
from tradecore.status import Status
from tradecore_shells.sim.builds import with_orders_changed
from tradecore_shells.sim.clock import EPOCH_NS
from tradecore_shells.sim.facts import BATCH
from tradecore_shells.sim.loop import SimLoop, current_process
from tradecore_shells.sim.patches import Patches

__all__ = ["BUGS"]

_FRAME = 64


def _after_loading(patches: Patches, spoil: Callable[[Cell], None]) -> None:
    """Let every cell that comes from a snapshot be spoilt."""
    original = Cell.from_snapshot.__func__  # type: ignore[attr-defined]

    def load(cls: Any, *args: Any, **named: Any) -> Cell:
        cell: Cell = original(cls, *args, **named)
        spoil(cell)
        return cell

    patches.set(Cell, "from_snapshot", classmethod(load))


def output_number_not_in_snapshot(patches: Patches) -> None:
    """Plant: after a restart the numbers of outputs begin again with 1."""

    def spoil(cell: Cell) -> None:
        cell._gate.exec_seq = 1

    _after_loading(patches, spoil)


def snapshot_offset_one_too_high(patches: Patches) -> None:
    """Plant: a restart skips the first record behind the snapshot."""

    def spoil(cell: Cell) -> None:
        cell.next_offset += 1

    _after_loading(patches, spoil)


def snapshot_offset_one_too_low(patches: Patches) -> None:
    """Plant: a restart applies the last record of the snapshot again."""

    def spoil(cell: Cell) -> None:
        cell.next_offset -= 1

    _after_loading(patches, spoil)


def high_water_marks_not_in_snapshot(patches: Patches) -> None:
    """Plant: a restart forgets how far the numbered sources have come."""

    def spoil(cell: Cell) -> None:
        cell._channels = Channels(cell.config.max_sources)

    _after_loading(patches, spoil)


def order_ids_not_in_snapshot(patches: Patches) -> None:
    """Plant: a restart forgets which orders it has seen."""

    def spoil(cell: Cell) -> None:
        place = cell.next_offset, cell._last, cell._channels
        numbers = cell.exec_seq, cell.market_seq
        cell._start(cell.config, cell.cell_id, cell.engine)
        cell._gate.exec_seq, cell._gate.market_seq = numbers
        cell.next_offset, cell._last, cell._channels = place

    _after_loading(patches, spoil)


def no_client_id_dedupe(patches: Patches) -> None:
    """Plant: only the very last order id is remembered."""
    patches.settings["recent_orders"] = 1


def repetition_of_a_source_is_applied(patches: Patches) -> None:
    """Plant: an envelope of a numbered source that comes again is applied again."""
    _channels_say_ok_to(patches, Status.REPETITION)


def other_content_of_a_source_is_applied(patches: Patches) -> None:
    """Plant: an envelope under a number that was used before is applied."""
    _channels_say_ok_to(patches, Status.DIVERGED)


def gap_of_a_source_is_accepted(patches: Patches) -> None:
    """Plant: an envelope that leaves numbers out is applied."""
    _channels_say_ok_to(patches, Status.GAP)


def _channels_say_ok_to(patches: Patches, status: Status) -> None:
    original = Channels.judge

    def judge(self: Any, *args: Any) -> Status:
        found = original(self, *args)
        return Status.OK if found == status else found

    patches.set(Channels, "judge", judge)


def _before_applying(patches: Patches, change: Callable[[Any, int, Any], tuple[int, Any]]) -> None:
    """Let every record be changed before it is applied: (cell, time, payload) to both."""
    original = Cell._one

    def one(self: Any, offset: int, ts_ns: int, payload: Any, output: Any) -> None:
        original(self, offset, *change(self, ts_ns, payload), output)

    patches.set(Cell, "_one", one)


def wall_clock_in_the_engine(patches: Patches) -> None:
    """Plant: the engine's time is the machine's, not the log's."""

    def change(cell: Any, ts_ns: int, payload: Any) -> tuple[int, Any]:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return ts_ns, payload
        assert isinstance(loop, SimLoop)
        return EPOCH_NS + int(loop.now * 1e9), payload

    _before_applying(patches, change)


def semantics_by_binary(patches: Patches) -> None:
    """Plant: a newer build does something else from its start on: fill-or-kill became immediate."""

    def change(cell: Any, ts_ns: int, payload: Any) -> tuple[int, Any]:
        process = current_process()
        if process is None or not process.name.endswith(("2", "4", "6", "8", "0")):
            return ts_ns, payload
        return ts_ns, with_orders_changed(payload)

    _before_applying(patches, change)


def poison_record_raises(patches: Patches) -> None:
    """Plant: a record that nobody can read ends the process."""

    def drop(self: Any, status: Status, *_: Any) -> None:
        raise ValueError(f"cannot read the record: {status.name}")

    patches.set(Cell, "_drop", drop)


def _in_executions(patches: Patches, change: Callable[[Any, bytearray], None]) -> None:
    """Let every frame of the executions be changed: (output, frame)."""
    original = Output.executions

    def executions(self: Any, cell: Any, *args: Any) -> list[bytes]:
        made = []
        for payload in original(self, cell, *args):
            envelope = decode(payload)
            frames = bytearray(envelope.frames)
            for at in range(0, len(frames), _FRAME):
                frame = frames[at : at + _FRAME]
                change(self, frame)
                frames[at : at + _FRAME] = frame
            sealed = seal_events(
                bytes(frames), source=envelope.source, first_seq=envelope.first_seq
            )
            made.append(encode(sealed))
        return made

    patches.set(Output, "executions", executions)


def no_maximum_of_times(patches: Patches) -> None:
    """Plant: engine time is the record's time, also when the log's clock has stepped back."""
    times: dict[int, int] = {}
    original = Cell._one

    def one(self: Any, offset: int, ts_ns: int, payload: Any, output: Any) -> None:
        times[offset] = ts_ns
        original(self, offset, ts_ns, payload, output)

    def change(output: Any, frame: bytearray) -> None:
        if frame[24] == BATCH:
            offset = int.from_bytes(frame[40:48], "little")
            frame[32:40] = times[offset].to_bytes(8, "little")

    patches.set(Cell, "_one", one)
    _in_executions(patches, change)


def fee_rounded_up_at_every_fill(patches: Patches) -> None:
    """Plant: the fee of a fill is rounded by itself, not on the cumulative notional."""

    def change(output: Any, frame: bytearray) -> None:
        if frame[24] == EventKind.SETTLED:
            cash, fee = struct.unpack_from("<qq", frame, 32)
            if fee > 0:
                struct.pack_into("<qq", frame, 32, cash - 1, fee + 1)

    _in_executions(patches, change)


def hold_released_on_cancel_request(patches: Patches) -> None:
    """Plant: a cancel request is answered as done before the book is asked."""

    def change(output: Any, frame: bytearray) -> None:
        if frame[24] == EventKind.CANCEL_REJECTED:
            frame[24] = EventKind.CANCELED

    _in_executions(patches, change)


def old_build_ignores_the_epoch(patches: Patches) -> None:
    """Plant: a build that does not know an epoch goes on with its old semantics."""
    patches.settings["old_build_goes_on"] = True


BUGS: Final[dict[str, Callable[[Patches], None]]] = {
    plant.__name__: plant
    for plant in (
        output_number_not_in_snapshot,
        snapshot_offset_one_too_high,
        snapshot_offset_one_too_low,
        high_water_marks_not_in_snapshot,
        order_ids_not_in_snapshot,
        no_client_id_dedupe,
        repetition_of_a_source_is_applied,
        other_content_of_a_source_is_applied,
        gap_of_a_source_is_accepted,
        wall_clock_in_the_engine,
        no_maximum_of_times,
        semantics_by_binary,
        poison_record_raises,
        fee_rounded_up_at_every_fill,
        hold_released_on_cancel_request,
        old_build_ignores_the_epoch,
    )
}
