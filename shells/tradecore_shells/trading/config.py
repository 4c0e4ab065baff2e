"""Settings of the trading service."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from tradecore.cell import CellConfig
from tradecore_shells.plumbing.config import LogSettings, ObserveSettings, Positive, Settings

__all__ = ["TradingConfig", "TradingSettings"]

Count = Annotated[int, msgspec.Meta(ge=1)]


class TradingSettings(Settings, frozen=True, kw_only=True):
    """How a cell is run; nothing here changes what it answers.

    Parameters
    ----------
    role : str
        ``primary`` sends outputs; ``standby`` keeps them and takes over by itself.
    snapshots : str
        Folder of the snapshots; one for each process, or shared: names never collide.
    snapshot_every_s, snapshot_every_records
        A snapshot is taken when both this time and this many records have passed.
    fetch_bytes : int
        Most bytes of commands worked on between two looks at anything else.
    queue_bytes : int
        Outputs that may wait for the log; fetching stops beyond.
    tick_s : float
        How often log time is made to move.
    takeover_s : float
        A standby takes over when outputs have been missing for this long.
    retry_s : float
        How long the log may be unreachable before the process ends.
    """

    role: Literal["primary", "standby"] = "primary"
    snapshots: str = "data/snapshots"
    snapshot_every_s: Positive = 60.0
    snapshot_every_records: Count = 1
    fetch_bytes: Count = 4 << 20
    queue_bytes: Count = 8 << 20
    tick_s: Positive = 0.05
    takeover_s: Positive = 1.0
    retry_s: Positive = 30.0


class TradingConfig(Settings, frozen=True, kw_only=True):
    """All tables that the trading service reads.

    `cell` (with `cell.engine`) holds the sizes. Changing any of them makes another cell: it begins
    at the log's first record and refuses the snapshots of the old one.
    """

    log: LogSettings = LogSettings()
    cell: CellConfig = CellConfig()
    trading: TradingSettings = TradingSettings()
    observe: ObserveSettings = ObserveSettings()
