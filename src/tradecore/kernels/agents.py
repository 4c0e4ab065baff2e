"""A market of simulated traders on one book, compiled: wake up, look, decide, send.

Every trader wakes up at times of its own (exponential gaps, the Poisson arrivals of the
zero-intelligence literature), looks at the best prices, and sends at most two commands. Time is the
exchange's; the engine runs each command before the next trader wakes. Four kinds:

- *zero intelligence*: orders of a random side at a random distance from the other side (Gode and
  Sunder, 1993; Farmer, Patelli and Zovko, 2005), now and then one that trades at once;
- *makers*: a quote on each side of the middle price, shifted against their position;
- *momentum*: buy what has risen over its own moving average, sell what has fallen;
- *informed*: see the fair value, a random walk nobody else sees, with an error, and take what is
  mispriced against it.

Everything is integer arithmetic on one counter-based generator, so a seed gives the same bytes
everywhere. They need Numba, as `tradecore.kernels.native` does. `tradecore.research.agents_market`
prepares the arrays.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from tradecore.kernels import native
from tradecore.kernels._jit import jit

__all__ = [
    "AGENT",
    "EXTERNAL",
    "FAULT",
    "FULL",
    "INFORMED",
    "MAKER",
    "MOMENTUM",
    "REACHED",
    "WORLD",
    "ZERO",
    "heapify",
    "quote",
    "run",
    "take",
]

EXTERNAL, ZERO, MAKER, MOMENTUM, INFORMED = 0, 1, 2, 3, 4
REACHED, FULL, FAULT = 0, 1, 2
"""Why `run` came back: the time or number was reached, the buffer of frames is full, a fault."""

SCALE: Final = 16
"""Fair values and moving averages are kept in sixteenths of a tick."""

LEAVE: Final = -1
"""A quote that stays as it is."""

_QUANTILES: Final = 4_096
_BUY: Final = 1
_SELL: Final = 2
_NEW: Final = 1
_CANCEL: Final = 2
_REPLACE: Final = 3
_LIMIT: Final = 2
_GTC: Final = 1
_IOC: Final = 3
_FILL: Final = 3

AGENT: Final = np.dtype(
    [
        ("kind", "<i8"),
        ("mean_ns", "<i8"),  # mean gap between two wake-ups
        ("size", "<i8"),  # lots of an order
        ("width", "<i8"),  # ticks: reach, half spread, or threshold, by kind
        ("most", "<i8"),  # lots it holds at most, either way
        ("position", "<i8"),
        ("cash", "<i8"),  # ticks x lots
        ("bid_id", "<i8"),
        ("bid_px", "<i8"),
        ("bid_left", "<i8"),
        ("ask_id", "<i8"),
        ("ask_px", "<i8"),
        ("ask_left", "<i8"),
        ("memory", "<i8"),  # moving average of the middle price, sixteenths
        ("wakeups", "<i8"),
        ("traded", "<i8"),  # lots
    ]
)
"""One trader: what it is, what it has, and its one order on each side (`left` 0: none)."""

WORLD: Final = np.dtype(
    [
        ("rng", "<u8"),
        ("now_ns", "<i8"),
        ("fair", "<i8"),  # sixteenths of a tick
        ("fair_at_ns", "<i8"),  # when it moves next
        ("fair_step_ns", "<i8"),
        ("fair_step", "<i8"),  # most it moves in a step, sixteenths
        ("last_px", "<i8"),
        ("orders", "<i8"),  # ids handed out
        ("wakeups", "<i8"),
        ("commands", "<i8"),
        ("fills", "<i8"),
        ("volume", "<i8"),
        ("recorded", "<i8"),  # frames in the buffer
        ("floor_px", "<i8"),  # nobody asks for less
    ]
)
"""What is not anybody's own."""

Array = np.ndarray[Any, Any]


@jit
def _draw(world: Any) -> int:
    """Return 32 random bits: SplitMix64 (Steele, Lea and Flood, 2014), its upper half."""
    world.rng += np.uint64(0x9E3779B97F4A7C15)
    z = world.rng
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    bits: Any = np.int64((z ^ (z >> np.uint64(31))) >> np.uint64(32))
    return bits  # type: ignore[no-any-return]


@jit
def _below(world: Any, n: int) -> int:
    """Return a random number from 0 to n - 1."""
    return (_draw(world) * n) >> 32


@jit
def _before(agents_at: Array, heap: Array, a: int, b: int) -> bool:
    """Return whether place `a` of the heap wakes up before place `b`; ties by number."""
    x, y = heap[a], heap[b]
    earlier: bool = agents_at[x] < agents_at[y] or (agents_at[x] == agents_at[y] and x < y)
    return earlier


@jit
def _sift(at_ns: Array, heap: Array, place: int) -> None:
    """Let the trader at a place of the heap sink to where it belongs. O(log n)."""
    n = len(heap)
    while True:
        least = 2 * place + 1
        if least >= n:
            return
        if least + 1 < n and _before(at_ns, heap, least + 1, least):
            least += 1
        if not _before(at_ns, heap, least, place):
            return
        heap[place], heap[least] = heap[least], heap[place]
        place = least


@jit
def heapify(at_ns: Array, heap: Array) -> None:
    """Order a heap of trader numbers by the times at which they wake up. O(n)."""
    for place in range(len(heap) // 2 - 1, -1, -1):
        _sift(at_ns, heap, place)


@jit
def _send(handle: int, agents: Array, world: Any, frame: Array, frames: Array) -> None:
    """Run one command and book its fills on both sides."""
    command = frame[0]
    command.ts_ns = np.uint64(world.now_ns)
    if len(frames) > 0:
        frames[world.recorded] = command
        world.recorded += 1
    world.commands += 1
    if native.apply(handle, frame) <= 0:
        return
    for event in native.events_as_fills(handle):
        if event.kind != _FILL:
            continue
        px, qty = event.last_px, event.last_qty
        world.last_px = px
        world.fills += 1
        world.volume += qty
        signed = qty if event.side == _BUY else -qty
        _book(agents[event.account_id], np.int64(event.order_id), px, signed)
        _book(agents[event.maker_account_id], np.int64(event.maker_order_id), px, -signed)


@jit
def _book(agent: Any, order_id: Any, px: int, signed: int) -> None:
    agent.position += signed
    agent.cash -= px * signed
    agent.traded += abs(signed)
    if order_id == agent.bid_id:
        agent.bid_left -= abs(signed)
    elif order_id == agent.ask_id:
        agent.ask_left -= abs(signed)


@jit
def quote(
    handle: int,
    agents: Array,
    world: Any,
    frame: Array,
    frames: Array,
    who: int,
    side: int,
    px: int,
    qty: int,
) -> None:
    """Let a trader's one order of a side stand at a price: new, moved, or gone (`px` 0)."""
    agent, command = agents[who], frame[0]
    left = agent.bid_left if side == _BUY else agent.ask_left
    order_id = agent.bid_id if side == _BUY else agent.ask_id
    old = agent.bid_px if side == _BUY else agent.ask_px
    command.account_id = np.uint32(who)
    command.side, command.px = np.uint8(side), px
    command.order_qty = 0
    command.ord_type, command.tif = np.uint8(_LIMIT), np.uint8(_GTC)
    if left > 0:
        if px == old:
            return
        command.kind = np.uint16(_REPLACE if px > 0 else _CANCEL)
        command.side = command.ord_type = command.tif = np.uint8(0)
    elif px > 0:
        world.orders += 1
        order_id, left = world.orders, qty
        command.kind, command.order_qty = np.uint16(_NEW), qty
    else:
        return
    command.order_id = np.uint64(order_id)
    if px <= 0:
        left = 0
    if side == _BUY:
        agent.bid_id, agent.bid_px, agent.bid_left = order_id, px, left
    else:
        agent.ask_id, agent.ask_px, agent.ask_left = order_id, px, left
    _send(handle, agents, world, frame, frames)


@jit
def take(
    handle: int,
    agents: Array,
    world: Any,
    frame: Array,
    frames: Array,
    who: int,
    side: int,
    px: int,
    qty: int,
) -> None:
    """Let a trader take what stands up to a price; what is not there is not waited for."""
    command = frame[0]
    world.orders += 1
    command.kind, command.order_id = np.uint16(_NEW), np.uint64(world.orders)
    command.account_id, command.side = np.uint32(who), np.uint8(side)
    command.ord_type, command.tif = np.uint8(_LIMIT), np.uint8(_IOC)
    command.px, command.order_qty = px, qty
    _send(handle, agents, world, frame, frames)


@jit
def _act(
    handle: int, agents: Array, world: Any, frame: Array, frames: Array, who: int, instrument: int
) -> None:
    """One wake-up."""
    agent = agents[who]
    agent.wakeups += 1
    bid = native.best_px(handle, instrument, _BUY)
    ask = native.best_px(handle, instrument, _SELL)
    # An empty side is taken to stand a little outside of what traded last.
    low = bid if bid > 0 else max((ask if ask > 0 else world.last_px) - 4, world.floor_px)
    high = ask if ask > 0 else (bid if bid > 0 else world.last_px) + 4
    middle = (low + high) * (SCALE // 2)
    agent.memory += (middle - agent.memory) >> 4
    # What it wants: to take `qty` of a side up to `px`, and where its quotes shall stand.
    side, px, qty = 0, 0, 0
    buys = sells = LEAVE
    position, most = agent.position, agent.most
    kind = agent.kind
    if kind == ZERO:
        side = _BUY + (_draw(world) & 1)
        coin = _below(world, 100)
        if (position if side == _BUY else -position) >= most:
            side = 3 - side
        if coin < 12:
            px, qty = high if side == _BUY else low, agent.size
        else:
            away = 1 + _below(world, agent.width if coin < 75 else 4 * agent.width)
            left = agent.bid_left if side == _BUY else agent.ask_left
            gone = left > 0 and coin < 40
            if side == _BUY:
                buys = 0 if gone else max(high - away, world.floor_px)
            else:
                sells = 0 if gone else low + away
    elif kind == MAKER:
        # Half of the spread at the limit of its position: what it holds too much of gets cheaper.
        centre = middle - position * agent.width * SCALE // (2 * most)
        under = (centre - agent.width * SCALE // 2) // SCALE
        over = -((-centre - agent.width * SCALE // 2) // SCALE)
        # A quote never crosses: it is there to be hit.
        buys = max(min(under, high - 1), world.floor_px) if position < most else 0
        sells = max(over, low + 1) if position > -most else 0
    elif kind == MOMENTUM:
        trend = middle - agent.memory
        limit = agent.width * SCALE
        if trend > limit and position < most:
            side, qty = _BUY, agent.size
        elif trend < -limit and position > -most:
            side, qty = _SELL, agent.size
        elif position * trend < 0:
            side, qty = _SELL if position > 0 else _BUY, min(abs(position), agent.size)
        px = high if side == _BUY else low
    elif kind == INFORMED:
        worth = world.fair + _below(world, 2 * SCALE + 1) - SCALE
        edge = agent.width * SCALE
        dear, cheap = worth - ask * SCALE, bid * SCALE - worth
        if ask > 0 and dear >= edge and position < most:
            side, qty = _BUY, agent.size
        elif bid > 0 and cheap >= edge and position > -most:
            side, qty = _SELL, agent.size
        elif position != 0 and _below(world, 8) == 0:
            # Out again, unless that gives away more than the edge was.
            side = _SELL if position > 0 else _BUY
            if -(cheap if side == _SELL else dear) <= edge:
                qty = min(abs(position), agent.size)
        px = ask if side == _BUY else bid
    if qty > 0 and px > 0:
        take(handle, agents, world, frame, frames, who, side, px, qty)
    for way in range(_BUY, _SELL + 1):
        target = buys if way == _BUY else sells
        if target != LEAVE:
            quote(handle, agents, world, frame, frames, who, way, target, agent.size)


@jit
def run(
    handle: int,
    agents: Array,
    at_ns: Array,
    heap: Array,
    worlds: Array,
    gaps: Array,
    frame: Array,
    frames: Array,
    until_ns: int,
    wakeups: int,
    instrument: int,
) -> int:
    """Let traders wake up one after the other until a time, or a number of wake-ups.

    Parameters
    ----------
    handle : int
        `tradecore.Engine.handle`, without accounts.
    agents : ndarray of AGENT, shape (traders,)
        Account ids are positions in it.
    at_ns : ndarray of int64, shape (traders,)
        When each wakes up next.
    heap : ndarray of int64, shape (those that wake up by themselves,)
        Their numbers, ordered by `heapify`.
    worlds : ndarray of WORLD, shape (1,)
    gaps : ndarray of int64, shape (4096,)
        Quantiles of an exponential with mean 2**16.
    frame : ndarray of COMMAND, shape (1,)
        Scratch.
    frames : ndarray of COMMAND, shape (n,)
        Takes every command that is sent; shape (0,) to keep none.
    until_ns, wakeups : int
    instrument : int

    Returns
    -------
    int
        REACHED, FULL or FAULT.

    Notes
    -----
    O(wake-ups log traders).
    """
    world = worlds[0]
    frame[0].instrument_id = np.uint32(instrument)
    last = world.wakeups + wakeups
    while world.wakeups < last and len(heap) > 0:
        who = heap[0]
        now = at_ns[who]
        if now > until_ns:
            break
        if 0 < len(frames) < world.recorded + 2:
            return FULL
        world.now_ns = now
        while world.fair_at_ns <= now:
            move = _below(world, 2 * world.fair_step + 1) - world.fair_step
            world.fair = max(world.fair + move, world.floor_px * SCALE)
            world.fair_at_ns += world.fair_step_ns
        _act(handle, agents, world, frame, frames, who, instrument)
        world.wakeups += 1
        gap = (gaps[_below(world, _QUANTILES)] * (agents[who].mean_ns >> 8)) >> 8
        at_ns[who] = now + max(gap, 1)
        _sift(at_ns, heap, 0)
        if native.fault(handle) != 0:
            return FAULT
    if until_ns < (1 << 62) - 1 and (len(heap) == 0 or at_ns[heap[0]] > until_ns):
        world.now_ns = max(world.now_ns, until_ns)
    return REACHED
