"""What a feature costs that nobody uses: the busy book with one thing present and dormant.

The kernel has one code path for all; there is no build without stops or icebergs to compare with.
So each variant puts the feature where it must be looked at and never acts: a stop far from the
market in the same book, an iceberg behind all levels, limits that nobody reaches. Variants run
interleaved with the plain engine, and the ratio is taken round by round.
"""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Callable

import numpy as np

from tradecore.bench.inputs import BATCH, Input, generated
from tradecore.bench.run import feed, same
from tradecore.bench.setting import Setting
from tradecore.codes import CommandKind, EventKind, OrdType, Scope
from tradecore.dtypes import FILL_EVENT, LIMITS
from tradecore.engine import Engine
from tradecore.testing.results import Result

__all__ = ["MATCHING", "PIPELINE", "features"]

FAR = 1 << 40  # ticks: no order of a workload comes near
_ID = (1 << 63) - 100  # ids of the dormant orders; the workload's are below
_LATER_NS = 1 << 61


def _plain(engine: Engine) -> None:
    """Leave everything as it is."""


def _stop(engine: Engine) -> None:
    assert engine.stop(0, 0, "buy", FAR, 1, order_id=_ID).leaves_qty == 1


def _trailing(engine: Engine) -> None:
    """Wait for an activation price that never comes."""
    result = engine.new_order(
        0, 0, 1, 1, 0, OrdType.STOP, order_id=_ID, stop_px=FAR, trailing_bps=100
    )
    assert result.leaves_qty == 1


def _iceberg(engine: Engine) -> None:
    result = engine.limit(0, 0, "sell", FAR, 100, display_qty=10, order_id=_ID)
    assert result.leaves_qty == 100


def _timer(engine: Engine) -> None:
    result = engine.limit(0, 0, "sell", FAR, 1, tif=6, expire_ts_ns=_LATER_NS, order_id=_ID)
    assert result.leaves_qty == 1


def _band(engine: Engine) -> None:
    """Filter on price and quantity, breakers around the last trade: all far away."""
    engine.define_instrument(
        0,
        base_asset=1,
        min_order_qty=1,
        max_order_qty=1 << 50,
        min_notional=1,
        band_ref_px=1 << 30,
        band_up_ppm=1_000_000_000,
        dynamic_band_ppm=1_000_000_000,
    )


def _limits(engine: Engine) -> None:
    """Every limit of the firm that always passes."""
    frame = np.zeros(1, LIMITS)
    frame["kind"], frame["cont"], frame["scope"] = CommandKind.LIMITS, 1, Scope.FIRM
    frame["mask"] = 1 | 2 | 4 | 8 | 16
    frame["max_order_qty"] = 1 << 50
    for name in ("max_order_notional", "max_position_qty", "max_gross_notional"):
        frame[name] = 1 << 60
    frame["max_open_orders"] = 1 << 40
    events = engine.events(frame)
    assert events["kind"][0] != EventKind.REJECTED, int(events["status"][0])


Variant = Callable[[Engine], None]
MATCHING: dict[str, Variant] = {
    "plain": _plain,
    "stop": _stop,
    "trailing-stop": _trailing,
    "iceberg": _iceberg,
    "timer": _timer,
    "filters-and-breaker": _band,
}
PIPELINE: dict[str, Variant] = {"plain": _plain, "firm-limits": _limits}


def features(setting: Setting) -> list[Result]:
    """Cost of dormant features, as time over the time without."""
    return [
        *_compare(setting, "features", generated("busy", setting.commands), MATCHING),
        *_compare(setting, "features", generated("pipeline", setting.commands), PIPELINE),
    ]


def _engine(work: Input, variant: Variant) -> Engine:
    # Room for the dormant order and its level.
    engine = work.engine(max_orders=work.config.max_orders + 8)
    variant(engine)
    return engine


def _fills(work: Input, variant: Variant) -> str:
    """Hash who traded with whom, at which price and how much; everything else may differ."""
    engine = _engine(work, variant)
    digest = hashlib.sha256()
    for batch in work.batches():
        events = engine.events(batch)
        fills = events[events["kind"] == EventKind.FILL].view(FILL_EVENT)
        for name in ("order_id", "maker_order_id", "last_px", "last_qty"):
            digest.update(fills[name].tobytes())
    return digest.hexdigest()


def _compare(setting: Setting, row: str, work: Input, variants: dict[str, Variant]) -> list[Result]:
    plain = _fills(work, _plain)
    for name, variant in variants.items():
        same(f"{row}/{name}", plain, _fills(work, variant))
    batches = work.batches()
    times: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(setting.repeats):
        setting.say(f"{row} ({work.ref.name}): round {number + 1} of {setting.repeats}")
        for name, variant in variants.items():
            setting.settle()
            times[name].append(feed(_engine(work, variant), batches) / len(work))
    base = times["plain"]
    return [
        setting.result(
            f"{row}/{work.ref.name}-{name}",
            "time/time",
            [value / without for value, without in zip(values, base, strict=True)],
            conditions={"batch": BATCH, "accounts": work.config.accounts},
            observed={"ns_per_command": round(statistics.median(values), 1)},
            workload=work.ref,
            sha256=plain,
        )
        for name, values in times.items()
        if name != "plain"
    ]
