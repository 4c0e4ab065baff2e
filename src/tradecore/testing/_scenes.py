"""Scenes: order flow whose load changes over time, as a venue's does.

A steady flow (`_flows`) asks how fast an engine is; a scene asks whether it holds out: a day of
retail orders with its rush at both ends, news that multiply the load on one instrument, a robot
that stuffs a book with quotes it takes back, an auction that opens with everything at once. Each
message has a log time of its own, so an open-loop sender can play it at any multiple of real time.

Made of `_flows.generate` and integer arithmetic, hence the same bytes everywhere. Called by
`tradecore.testing.workloads`, which names the scenes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, Final

import numpy as np

from tradecore.codes import Phase
from tradecore.testing import _flows
from tradecore.testing._draws import I64, Draws, mix
from tradecore.testing._flows import FlowSpec
from tradecore.testing._regimes import Messages

__all__ = ["PHASE", "SCENES", "SPECS"]

PHASE: Final = 3
"""Kind of a message that sets the phase in `qty` of its instrument."""

_MINUTE_NS: Final = 60_000_000_000
_SESSION_MINUTES: Final = 390  # 09:30 to 16:00
_CALM_NS: Final = 10_000  # between two messages of a quiet venue: 100,000 a second
_RUSH_NS: Final = 500  # and of one in a rush: 2,000,000 a second
_JUMP_PERCENT: Final = 8
_BLOCKS: Final = 8
_STUFFER: Final = 1  # the account that stuffs

SPECS: dict[str, FlowSpec] = {
    # Few cancels, many market orders, nobody reprices: people, not robots.
    "retail-day": FlowSpec(
        instruments=500,
        resting=40_000,
        fillers=300_000,
        iocs=120_000,
        markets=180_000,
        crossers=40_000,
        replaces=0,
        depth=80,
        drift=2_000,
        patience=20_000,
        accounts=200_000,
        random_ids=True,
    ),
    "news-burst": FlowSpec(
        instruments=200,
        resting=20_000,
        fillers=120_000,
        iocs=90_000,
        markets=20_000,
        crossers=10_000,
        replaces=1,
        depth=60,
        drift=2_000,
        patience=20_000,
        accounts=20_000,
        random_ids=True,
    ),
    "quote-stuffing": FlowSpec(
        instruments=20,
        resting=5_000,
        fillers=120_000,
        iocs=90_000,
        markets=20_000,
        crossers=10_000,
        replaces=1,
        depth=60,
        drift=2_000,
        patience=2_000,
        accounts=1_000,
        random_ids=True,
    ),
    "auction-open": FlowSpec(
        instruments=50,
        resting=20_000,
        fillers=200_000,
        iocs=100_000,
        markets=50_000,
        crossers=20_000,
        replaces=1,
        depth=60,
        drift=2_000,
        patience=20_000,
        accounts=10_000,
        random_ids=True,
    ),
}

# What happens on the instrument of the news: takers and repricing, hardly a patient order.
_NEWS: Final = FlowSpec(
    instruments=1,
    resting=500,
    fillers=150_000,
    iocs=180_000,
    markets=120_000,
    crossers=60_000,
    replaces=4,
    depth=60,
    drift=12_000,
    patience=200,
    random_ids=True,
)


def _retail_day(spec: FlowSpec, commands: int, seed: int) -> Messages:
    """One session of people: a rush at the open, calm at noon, a rush at the close."""
    minutes = range(_SESSION_MINUTES)
    last = _SESSION_MINUTES - 1
    weight = [
        round(1_000 * (1 + 5 * math.exp(-m / 20) + 3 * math.exp((m - last) / 30))) for m in minutes
    ]
    until = np.cumsum(np.array(weight, dtype=np.int64))
    # Message k stands where the day's share of work before it is k / commands.
    share = np.arange(commands, dtype=np.int64) * until[-1] // commands
    minute = np.searchsorted(until, share, side="right")
    inside = share - (until[minute] - np.array(weight)[minute])
    # Several messages share a share; inside it they follow each other evenly.
    ns = minute * _MINUTE_NS + inside * _MINUTE_NS // np.array(weight)[minute]
    same = np.arange(commands) - np.searchsorted(share, share)
    return replace(_flows.generate(spec, commands, seed), offset_ns=ns + same * 100)


def _news_burst(spec: FlowSpec, commands: int, seed: int) -> Messages:
    """News on instrument 0 in the middle: its price jumps and 40 % of all messages come at once."""
    rush = commands * 2 // 5
    calm = commands - rush
    if not rush:
        return _timed(_flows.generate(spec, commands, seed), _CALM_NS)
    base = _flows.generate(spec, calm, seed)
    half = calm // 2
    news = _on_instrument(_NEWS, rush, seed, spec, 0)
    priced = np.flatnonzero((base.instrument_id[:half] == 0) & (base.px[:half] > 0))
    before = int(base.px[priced[-1]]) if len(priced) else 10_000
    jump = before * _JUMP_PERCENT // 100
    first = int(news.px[np.flatnonzero(news.px > 0)[0]])
    news = replace(
        news, px=np.where(news.px > 0, np.maximum(news.px - first + before + jump, 1), 0)
    )
    # Whoever trades instrument 0 afterwards has read the news too.
    late = (np.arange(calm) >= half) & (base.instrument_id == 0) & (base.px > 0)
    base = replace(base, px=np.where(late, base.px + jump, base.px))
    step = np.full(commands, _CALM_NS)
    step[half : half + rush] = _RUSH_NS
    return replace(
        _join([_cut(base, 0, half), news, _cut(base, half, calm)]), offset_ns=_from(step)
    )


def _quote_stuffing(spec: FlowSpec, commands: int, seed: int) -> Messages:
    """One account places and takes back orders that nobody can reach, in eight blocks."""
    pairs = commands * 3 // 10 // _BLOCKS  # of each block: 60 % of all messages in all blocks
    calm = commands - 2 * pairs * _BLOCKS
    base = _flows.generate(spec, calm, seed)
    if not pairs:
        return _timed(base, _CALM_NS)
    parts, steps = [], []
    edges = [calm * i // (_BLOCKS + 1) for i in range(_BLOCKS + 2)]
    for block in range(_BLOCKS):
        parts.append(_cut(base, edges[block], edges[block + 1]))
        parts.append(_stuffed(base, edges[block + 1], pairs, block, seed, spec))
        steps.append(np.full(edges[block + 1] - edges[block], _CALM_NS))
        steps.append(np.full(2 * pairs, _RUSH_NS))
    parts.append(_cut(base, edges[-2], calm))
    steps.append(np.full(calm - edges[-2], _CALM_NS))
    return replace(_join(parts), offset_ns=_from(np.concatenate(steps)))


def _stuffed(
    base: Messages, at: int, pairs: int, block: int, seed: int, spec: FlowSpec
) -> Messages:
    """Return `pairs` of new and cancel on one instrument, far below the price it has by then."""
    instrument = block % spec.instruments
    seen = np.flatnonzero((base.instrument_id[:at] == instrument) & (base.px[:at] > 0))
    near = int(base.px[seen[-1]]) if len(seen) else 10_000
    number = np.arange(pairs, dtype=np.int64)
    kind = np.tile(np.array([0, 1], dtype=np.uint8), pairs)
    zeros = np.zeros(2 * pairs, dtype=np.uint8)
    px = np.maximum(near - 2 * spec.depth - number % 30, 1)
    # Same source of ids as a flow's, another start: a flow numbers its orders from 1.
    ids = np.arange(1, pairs + 1, dtype=np.uint64) + np.uint64((block + 1) << 24)
    start = np.array([((seed + 7) & 0x7FFFFFFF) << 32], dtype=np.uint64)
    order_id = mix(ids + start) >> np.uint64(1)
    return Messages(
        kind=kind,
        side=zeros,
        ioc=zeros,
        qty=np.repeat(1 + number % 100, 2),
        order_id=np.repeat(order_id, 2),
        px=np.where(kind == 0, np.repeat(px, 2), 0),
        instrument_id=np.full(2 * pairs, instrument, dtype=np.int64),
        account_id=np.full(2 * pairs, _STUFFER, dtype=np.int64),
    )


def _auction_open(spec: FlowSpec, commands: int, seed: int) -> Messages:
    """Orders gather before the open, all instruments uncross, continuous trading goes on."""
    phases = spec.instruments if commands >= 4 * spec.instruments else 0
    base = _flows.generate(spec, commands - 2 * phases, seed)
    if not phases:
        return _timed(base, _CALM_NS)
    count = len(base.kind)
    cut = count * 2 // 5
    # Before the open nothing is executed at once: whoever wants to trade leaves a limit order.
    waiting = (np.arange(count) < cut) & (base.ioc > 0)
    base = replace(base, ioc=np.where(waiting, 0, base.ioc).astype(np.uint8))
    parts = [
        _phase_messages(phases, Phase.AUCTION),
        _cut(base, 0, cut),
        _phase_messages(phases, Phase.CONTINUOUS),
        _cut(base, cut, count),
    ]
    return _timed(_join(parts), _CALM_NS)


SCENES: dict[str, Callable[[FlowSpec, int, int], Messages]] = {
    "retail-day": _retail_day,
    "news-burst": _news_burst,
    "quote-stuffing": _quote_stuffing,
    "auction-open": _auction_open,
}


def _on_instrument(
    flow: FlowSpec, commands: int, seed: int, venue: FlowSpec, instrument: int
) -> Messages:
    """Generate a flow of one instrument for the accounts of a venue that hold it."""
    made = _flows.generate(flow, commands, seed + 1_000_003)
    _, order = np.unique(made.order_id, return_inverse=True)
    of_order = np.full(int(order.max()) + 1, instrument, dtype=np.int64)
    accounts = _flows.holders(venue, seed).draw(of_order, Draws(seed + 11))
    return replace(
        made,
        instrument_id=np.full(commands, instrument, dtype=np.int64),
        account_id=accounts[order],
    )


def _phase_messages(instruments: int, phase: Phase) -> Messages:
    zeros = np.zeros(instruments, dtype=np.int64)
    bytes_ = zeros.astype(np.uint8)
    return Messages(
        kind=np.full(instruments, PHASE, dtype=np.uint8),
        side=bytes_,
        ioc=bytes_,
        qty=np.full(instruments, int(phase), dtype=np.int64),
        order_id=zeros.astype(np.uint64),
        px=zeros,
        instrument_id=np.arange(instruments, dtype=np.int64),
        account_id=zeros,
    )


def _columns() -> list[str]:
    return [each.name for each in fields(Messages) if each.name != "offset_ns"]


def _cut(messages: Messages, first: int, last: int) -> Messages:
    """Return the messages from `first` to `last`."""
    return Messages(**{name: getattr(messages, name)[first:last] for name in _columns()})


def _join(parts: list[Messages]) -> Messages:
    """Return the messages of all parts, one after the other."""
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in _columns()
    }
    return Messages(**joined)


def _from(step_ns: I64) -> I64:
    """Return the time of each message, given the time between it and the one before."""
    time: I64 = np.cumsum(step_ns) - step_ns[0]
    return time


def _timed(messages: Messages, step_ns: int) -> Messages:
    """Return the messages at an even pace."""
    return replace(messages, offset_ns=np.arange(len(messages.kind), dtype=np.int64) * step_ns)
