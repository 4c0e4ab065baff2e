"""The gate between a log and an engine."""

from collections.abc import Iterable
from typing import final

from typing_extensions import Buffer

from tradecore_ext.engine import Kernel

@final
class FrameBuffer:
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __bytes__(self) -> bytes: ...
    @property
    def nbytes(self) -> int: ...
    def cuts(self, most: int) -> list[tuple[int, int]]: ...

@final
class Gate:
    exec_seq: int
    market_seq: int
    @property
    def events(self) -> int: ...
    @property
    def repeated(self) -> int: ...
    @property
    def refused(self) -> int: ...
    @property
    def fenced(self) -> int: ...
    def __new__(
        cls,
        engine: Kernel,
        *,
        recent_orders: int,
        max_instruments: int,
        sessions: bool,
        id_seed: int,
        depth_levels: int,
        depth_ns: int,
    ) -> Gate: ...
    def run(
        self,
        frames: Buffer,
        ts_ns: int,
        offset: int,
        source: int,
        first_seq: int,
        executions: FrameBuffer,
        market: FrameBuffer,
    ) -> None: ...
    def skip(
        self, status: int, offset: int, source: int, first_seq: int, executions: FrameBuffer
    ) -> None: ...
    def export_state(self) -> list[tuple[str, bytes]]: ...
    def import_state(self, sections: Iterable[tuple[str, bytes]]) -> None: ...
