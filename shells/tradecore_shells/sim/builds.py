"""An older build: one that does not know the epoch that everybody else has.

The kernel knows one epoch only, so the older build is made by what it reads: where the log says
epoch 1 its connection says epoch 2, which the real code meets as an epoch from the future.
"""

from __future__ import annotations

from typing import Any, Final

from tradecore.codes import CommandKind
from tradecore.envelope import decode, encode, seal
from tradecore.errors import FrameError
from tradecore_shells.plumbing.ports import TRADING_COMMANDS, Record
from tradecore_shells.sim.log import SimLog

__all__ = ["EPOCH_KNOWN", "OldBuildLog", "with_orders_changed"]

EPOCH_KNOWN: Final = 1
_FRAME: Final = 64
_EPOCH_AT: Final = 56  # tc_admin.epoch
_NEW_ORDER, _FOK, _IOC = 1, 4, 3
_TIF_AT: Final = 13  # tc_command.tif


class OldBuildLog(SimLog):
    """The log as a process of the older build understands it.

    Parameters
    ----------
    goes_on : bool
        The design bug: it knows nothing of epochs and keeps to its old rules, in which
        fill-or-kill orders were immediate ones.
    *args, **named
        As for `SimLog`.
    """

    def __init__(self, *args: Any, goes_on: bool = False, **named: Any) -> None:
        super().__init__(*args, **named)
        self._goes_on = goes_on
        self._behind = False

    async def fetch(
        self, topic: str, partition: int, offset: int, *, max_bytes: int, wait_s: float
    ) -> list[Record]:
        """Return records as the older build reads them."""
        found = await super().fetch(topic, partition, offset, max_bytes=max_bytes, wait_s=wait_s)
        if topic != TRADING_COMMANDS:
            return found
        return [record._replace(payload=self._read(record.payload)) for record in found]

    def _read(self, payload: memoryview) -> memoryview:
        try:
            envelope = decode(payload)
        except FrameError:
            return payload
        frames = bytearray(envelope.frames)
        epochs = [
            at
            for at in range(0, len(frames), _FRAME)
            if int.from_bytes(frames[at + 8 : at + 10], "little") == CommandKind.EPOCH
        ]
        if epochs and not self._goes_on:
            for at in epochs:
                frames[at + _EPOCH_AT] = EPOCH_KNOWN + 1
            sealed = seal(bytes(frames), source=envelope.source, first_seq=envelope.first_seq)
            return memoryview(encode(sealed))
        self._behind = self._behind or bool(epochs)
        return memoryview(with_orders_changed(payload)) if self._behind else payload


def with_orders_changed(payload: memoryview | bytes) -> bytes:
    """Return a record of commands in which every fill-or-kill order is an immediate one."""
    try:
        envelope = decode(payload)
    except FrameError:
        return bytes(payload)
    frames = bytearray(envelope.frames)
    for at in range(0, len(frames), _FRAME):
        kind = int.from_bytes(frames[at + 8 : at + 10], "little")
        if kind == _NEW_ORDER and frames[at + _TIF_AT] == _FOK:
            frames[at + _TIF_AT] = _IOC
    sealed = seal(bytes(frames), source=envelope.source, first_seq=envelope.first_seq)
    return encode(sealed)
