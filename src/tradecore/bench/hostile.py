"""Streams made to hurt: far prices, a level an order, ids that collide, millions of open orders.

Each is a pure function of a count, so tests judge the answers by rule and the benchmark times the
same commands. The hash of the kernel is repeated here on purpose, from its description (a keyed
fold-multiply, upper bits index the table): colliding ids must be made with knowledge of the key.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tradecore.bench.inputs import Frames
from tradecore.codes import CommandKind, OrdType, Side, Tif
from tradecore.data.flows import instrument_frames
from tradecore.dtypes import COMMAND
from tradecore.engine import Engine, EngineConfig

__all__ = ["NAMES", "Hostile", "cancels", "colliding_ids", "hostile", "orders"]

NAMES = ("far-prices", "many-levels", "patterned-ids", "open-orders")
MAX_PX = 1 << 56
_MASK = (1 << 64) - 1
U64 = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Hostile:
    """A venue's configuration, what brings it into its state, and the commands that are timed."""

    config: EngineConfig
    warm_up: Frames
    timed: Frames

    def engine(self) -> Engine:
        """Return an engine with instrument 0 defined."""
        engine = Engine(self.config)
        engine.apply(instrument_frames(1))
        return engine


def orders(
    order_id: npt.ArrayLike, side: npt.ArrayLike, px: npt.ArrayLike, qty: npt.ArrayLike = 1
) -> Frames:
    """Return GTC limit orders of account 0 in instrument 0; arguments broadcast."""
    ids, sides, prices, lots = np.broadcast_arrays(order_id, side, px, qty)
    frames = np.zeros(len(ids), COMMAND)
    frames["kind"] = CommandKind.NEW_ORDER
    frames["ord_type"], frames["tif"] = OrdType.LIMIT, Tif.GTC
    frames["order_id"], frames["side"] = ids, sides
    frames["px"], frames["order_qty"] = prices, lots
    return frames


def cancels(order_id: npt.ArrayLike) -> Frames:
    """Return cancels by id."""
    ids = np.asarray(order_id)
    frames = np.zeros(len(ids), COMMAND)
    frames["kind"], frames["order_id"] = CommandKind.CANCEL_ORDER, ids
    return frames


def _interleave(first: Frames, second: Frames) -> Frames:
    """Return a0, b0, a1, b1, ..."""
    both = np.empty(2 * len(first), COMMAND)
    both[0::2], both[1::2] = first, second
    return both


def _shuffled(count: int) -> npt.NDArray[np.int64]:
    """Return 0..count-1 in an order without pattern: a fixed odd multiplier modulo a prime walk."""
    key = (np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) & np.uint64(_MASK)
    return np.argsort(key, kind="stable")


def _far_prices(count: int) -> Hostile:
    """Best prices that jump between 1, 2**40 and 2**56: every cancel uncovers a far level."""
    lot = np.arange(count, dtype=np.int64)
    bids = np.array([1, 2, 63, 64, 65, 1 << 20, (1 << 40) - 1])
    asks = np.array([MAX_PX, MAX_PX - 1, MAX_PX - 64, 1 << 41, (1 << 40) + 1, 1 << 40])
    is_buy = lot % 2 == 0
    px = np.where(is_buy, bids[lot // 2 % len(bids)], asks[lot // 2 % len(asks)])
    placed = orders(lot + 1, np.where(is_buy, Side.BUY, Side.SELL), px)
    lag = 26  # an order lives for 26 others, so that levels come and go all the time
    timed = _interleave(placed[lag:], cancels(lot[: count - lag] + 1))
    return Hostile(_config(64), placed[:lag], timed)


def _many_levels(count: int) -> Hostile:
    """Rest each order on its own level, 64 ticks from the next, coming and going anywhere."""
    where = _shuffled(count)
    px = 1 + 64 * where
    middle = 64 * count // 2
    side = np.where(px < middle, Side.BUY, Side.SELL)
    placed = orders(np.arange(1, count + 1), side, px)
    some = _shuffled(count)[: count // 2]
    # Every cancel is followed by an order at the price it emptied, under a new id.
    again = placed[some].copy()
    again["order_id"] += count
    return Hostile(_config(count + 64), placed, _interleave(cancels(some + 1), again))


def _patterned_ids(count: int) -> Hostile:
    """Ids without entropy in their low bits, as somebody would choose who does not know the key."""
    lot = np.arange(1, count + 1, dtype=np.uint64)
    ids = np.empty(count, np.uint64)
    for i, shift in enumerate((0, 8, 20, 32, 40)):
        ids[i::5] = (lot[i::5] << np.uint64(shift)) | np.uint64(i + 1 << 60)
    placed = orders(ids, Side.BUY, 1 + (lot % 50).astype(np.int64))
    half = count // 2
    timed = _interleave(cancels(ids[: count - half]), placed[half:][: count - half])
    return Hostile(_config(count + 64), placed[:half], timed)


def _open_orders(count: int) -> Hostile:
    """Rest all of them on 200 levels, then cancel and place one after the other, anywhere."""
    lot = np.arange(count, dtype=np.int64)
    side = np.where(lot % 2 == 0, Side.BUY, Side.SELL)
    px = np.where(lot % 2 == 0, 1000 - lot // 2 % 100, 1001 + lot // 2 % 100)
    ids = (lot + 1) * 7_919
    placed = orders(ids, side, px)
    some = _shuffled(count)[: min(count // 2, 500_000)]
    again = placed[some].copy()
    again["order_id"] += np.uint64(1)
    return Hostile(_config(count + 64, levels=1024), placed, _interleave(cancels(ids[some]), again))


def _config(max_orders: int, levels: int = 0) -> EngineConfig:
    return EngineConfig(
        max_instruments=1,
        max_orders=max_orders,
        max_levels=levels,
        max_pages=(levels or max_orders) + 64,
        max_terms=64,
        prefault=True,
    )


def hostile(name: str, count: int) -> Hostile:
    """Return a stream of `NAMES` with about `count` orders (at least 100)."""
    makers = dict(
        zip(NAMES, (_far_prices, _many_levels, _patterned_ids, _open_orders), strict=True)
    )
    return makers[name](max(count, 100))


def _fold(a: U64, b: int) -> U64:
    """Return both halves of the 128-bit product of each `a` with `b`, folded by exclusive or."""
    low32 = np.uint64(0xFFFFFFFF)
    s32 = np.uint64(32)
    a0, a1 = a & low32, a >> s32
    b0, b1 = np.uint64(b & 0xFFFFFFFF), np.uint64(b >> 32)
    with np.errstate(over="ignore"):
        p00, p01, p10, p11 = a0 * b0, a0 * b1, a1 * b0, a1 * b1
        middle = (p00 >> s32) + (p01 & low32) + (p10 & low32)
        low = (p00 & low32) | (middle << s32)
        high = p11 + (p01 >> s32) + (p10 >> s32) + (middle >> s32)
    return np.asarray(low ^ high, np.uint64)


def _fold_one(a: int, b: int) -> int:
    product = a * b
    return (product ^ (product >> 64)) & _MASK


def colliding_ids(count: int, bits: int, seed: int, bucket: int = 0) -> U64:
    """Return ids that share one home bucket in a table of ``2**bits``, found with the known key.

    O(count * 2**bits) hashes: a table of 8,192 and 500 ids take half a second or so. The last
    bucket makes a cluster that wraps around the end of the table.
    """
    key0 = _fold_one(seed ^ 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93)
    key1 = _fold_one(seed ^ 0xC2B2AE3D27D4EB4F, 0x9FB21C651E98DF25) | 1
    found: list[U64] = []
    have, at, chunk = 0, 1, 1 << 20
    while have < count:
        ids = np.arange(at, at + chunk, dtype=np.uint64)
        tag = (_fold(ids ^ np.uint64(key0), key1) >> np.uint64(16)) & np.uint64(0xFFFFFFFF)
        hits = ids[tag >> np.uint64(32 - bits) == np.uint64(bucket)]
        found.append(hits)
        have += len(hits)
        at += chunk
    return np.concatenate(found)[:count]
