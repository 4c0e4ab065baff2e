"""The market as it stands, for programs that come by: read from the end of market data."""

from __future__ import annotations

from typing import NamedTuple

from tradecore.cell import FrameReader, Position, StreamError, source_of
from tradecore.codes import CellKind
from tradecore.dtypes import QUOTE_EVENT
from tradecore_shells.plumbing.ports import MARKET_DATA, Log

__all__ = ["Quote", "last_quote", "last_quotes"]

_BACK = (20, 200, 5_000, 1 << 62)  # records from the end, tried in turn


class Quote(NamedTuple):
    """Best prices (ticks) and quantities (lots); quantity 0 = nobody there."""

    bid_px: int
    bid_qty: int
    ask_px: int
    ask_qty: int


async def last_quotes(log: Log, partition: int, wanted: set[int]) -> dict[int, Quote]:
    """Return the newest quote of each wanted instrument that has one.

    Reads market data backwards in growing steps until all are found; raises as `Log.fetch`.
    """
    bounds = await log.bounds(MARKET_DATA, partition)
    found: dict[int, Quote] = {}
    for back in _BACK:
        start = max(bounds.start, bounds.end - back)
        found = await _read(log, partition, start, bounds.end)
        if wanted <= found.keys() or start == bounds.start:
            break
    return {key: found[key] for key in wanted & found.keys()}


async def last_quote(log: Log, partition: int, instrument_id: int) -> Quote | None:
    """Return the newest quote of one instrument, None where there never was one."""
    return (await last_quotes(log, partition, {instrument_id})).get(instrument_id)


async def _read(log: Log, partition: int, offset: int, end: int) -> dict[int, Quote]:
    found: dict[int, Quote] = {}
    reader = FrameReader(source_of(partition), Position(offset, 0))
    while offset < end:
        records = await log.fetch(MARKET_DATA, partition, offset, max_bytes=1 << 22, wait_s=0.5)
        if not records:
            break
        for record in records:
            offset = record.offset + 1
            try:
                batches = reader.read(record.offset, record.payload)
            except StreamError:
                reader = FrameReader(source_of(partition), Position(offset, 0))
                continue
            for batch in batches:
                events = batch.events
                for one in events[events["kind"] == CellKind.QUOTE].view(QUOTE_EVENT):
                    found[int(one["instrument_id"])] = Quote(
                        *(int(one[name]) for name in ("bid_px", "bid_qty", "ask_px", "ask_qty"))
                    )
    return found
