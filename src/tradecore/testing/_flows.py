"""Steady order flow over one or many instruments: a busy book, a Zipf venue, a whole platform.

No engine runs inside the generator. Orders come in three roles that keep a book in balance by
themselves, so that cancels and replaces mostly name orders that are still live:

- a *quote* rests away from the touch, is replaced around the moving mid, and is cancelled after an
  exponential lifetime; their number sets how many orders rest (Little's law);
- a *filler* rests at the touch and waits to be traded with; few of them send a cancel;
- a *taker* (immediate-or-cancel, market, or a crossing limit) brings a little more than the lots
  of the fillers, so that trades fall on fillers and leave most quotes alone.

Called by `tradecore.testing.workloads`, which names the specs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tradecore.testing._draws import I64, PPM, Draws, mix, zipf_weights
from tradecore.testing._regimes import Messages

_TICK = 16  # binary places of the mid inside the generator
_SLOT = 16  # binary places of time between two arrivals
_IOC, _MARKET = 1, 2


@dataclass(frozen=True)
class FlowSpec:
    """What makes one flow different from another. Shares are parts per million of arrivals.

    Parameters
    ----------
    instruments : int
        Number of instruments, their popularity Zipf with exponent `zipf`.
    resting : int
        Quotes alive in the steady state; the stream starts by placing that many.
    fillers, iocs, markets, crossers : int
        Shares of the other roles; quotes are the rest.
    replaces : int
        Mean number of replaces in the life of a quote (uniform on 0..2*mean).
    depth : int
        Quotes rest 2..depth ticks from the mid, nearer ones more often.
    drift : int
        Standard deviation of the mid's step per command, in 1/65,536 tick.
    patience : int
        Mean life, in arrivals over the whole stream, of the fillers that are cancelled.
    impatient : int
        Share of the fillers that are cancelled at the end of that life.
    accounts : int
        Number of accounts; 0 leaves the account 0 on every order.
    random_ids : bool
        Order ids are random words below 2**63 instead of 1..N.
    """

    instruments: int
    resting: int
    fillers: int
    iocs: int
    markets: int
    crossers: int
    replaces: int
    depth: int
    drift: int
    patience: int
    impatient: int = 250_000
    zipf: float = 1.0
    accounts: int = 0
    random_ids: bool = False


@dataclass(frozen=True)
class _Orders:
    """One row an order, in order of arrival; the first `resting` rows arrive at time 0."""

    time: I64
    quote: NDArray[np.bool_]
    filler: NDArray[np.bool_]
    ioc: NDArray[np.uint8]
    side: NDArray[np.uint8]
    qty: I64
    instrument_id: I64
    life: I64


def _arrivals(spec: FlowSpec, commands: int, draws: Draws) -> _Orders:
    """Draw the orders: enough of them that the commands they cause exceed `commands`."""
    quotes = PPM - spec.fillers - spec.iocs - spec.markets - spec.crossers
    per_arrival = (
        1.0 + quotes / PPM * (spec.replaces + 1) + spec.fillers / PPM * spec.impatient / PPM
    )
    arrivals = int(commands / per_arrival * 1.03) + 256
    n = spec.resting + arrivals
    role = draws.below(n, PPM)
    role[: spec.resting] = PPM - 1
    edges = np.cumsum([spec.fillers, spec.iocs, spec.markets, spec.crossers])
    filler, taker = role < edges[0], (role >= edges[0]) & (role < edges[3])
    quote = role >= edges[3]
    ioc = np.zeros(n, dtype=np.uint8)
    ioc[(role >= edges[0]) & (role < edges[1])] = _IOC
    ioc[(role >= edges[1]) & (role < edges[2])] = _MARKET

    time = np.maximum(np.arange(n) - spec.resting + 1, 0).astype(np.int64) << _SLOT
    mean_life = (spec.resting * PPM // quotes) << _SLOT
    life = np.where(quote, draws.lifetimes(n, mean_life), 0)
    life = np.where(filler, draws.lifetimes(n, spec.patience << _SLOT), life) + 1

    qty = draws.below(n, 100) + 1
    # Takers ask for 1/20 more than the fillers offer, whatever the ratio of their numbers.
    takers = int(edges[3] - edges[0])
    if takers:
        qty = np.where(taker, np.maximum(qty * (spec.fillers * 21) // (takers * 20), 1), qty)
    popularity = zipf_weights(spec.instruments, spec.zipf)
    return _Orders(
        time=time,
        quote=quote,
        filler=filler,
        ioc=ioc,
        side=(draws.bits(n) >> np.uint64(63)).astype(np.uint8),
        qty=qty,
        instrument_id=draws.pick(n, popularity),
        life=life,
    )


def _schedule(
    spec: FlowSpec, orders: _Orders, commands: int, draws: Draws
) -> tuple[NDArray[np.uint8], I64]:
    """Put all commands on one time line; return the kind and the order row of each."""
    n = len(orders.time)
    rows = np.arange(n)
    count = np.where(orders.quote, draws.below(n, 2 * spec.replaces + 1), 0)
    replaced = np.repeat(rows, count)
    share = (draws.bits(len(replaced)) >> np.uint64(44)).astype(np.int64)  # 20 bits
    # Two factors of at most 2**43 and 2**20: the product stays inside int64.
    replace_time = orders.time[replaced] + ((orders.life[replaced] * share) >> 20)
    impatient = orders.filler & draws.chance(n, spec.impatient)
    cancelled = rows[orders.quote | impatient]
    cancel_time = orders.time[cancelled] + orders.life[cancelled]

    time = np.concatenate([orders.time, replace_time, cancel_time])
    row = np.concatenate([rows, replaced, cancelled])
    kind = np.repeat(np.array([0, 2, 1], dtype=np.uint8), [n, len(replaced), len(cancelled)])
    # Stable, with news before replaces before cancels: no order is named before it was sent.
    wire = np.argsort(time, kind="stable")[:commands]
    return kind[wire], row[wire]


def _mids(instrument_id: I64, drift: int, instruments: int, draws: Draws) -> I64:
    """Return the mid of each command's instrument in ticks: one random walk an instrument."""
    steps = (draws.bell(len(instrument_id)) * drift) >> 16
    start = (draws.below(instruments, 40_000) + 10_000) << _TICK
    by_instrument = np.argsort(instrument_id, kind="stable")
    walk = np.cumsum(steps[by_instrument])
    of = instrument_id[by_instrument]
    first = np.flatnonzero(np.r_[True, of[1:] != of[:-1]])
    # Take away what the walk had gathered when this instrument's stretch began.
    before = np.repeat(walk[first] - steps[by_instrument][first], np.diff(np.r_[first, len(of)]))
    mids = np.empty_like(walk)
    mids[by_instrument] = (walk - before + start[of]) >> _TICK
    return mids


def generate(spec: FlowSpec, commands: int, seed: int) -> Messages:
    """Generate a flow.

    Parameters
    ----------
    spec : FlowSpec
    commands : int
        Exact number of commands, the opening quotes included, >= 1.
    seed : int
        Low 64 bits count.

    Returns
    -------
    Messages
        `px` of a cancel is 0; `px` of a market order is its protective price.

    Notes
    -----
    O(commands log commands); about 1.5 s and 600 MB for two million commands.
    """
    draws = Draws(seed)
    orders = _arrivals(spec, commands, draws)
    kind, row = _schedule(spec, orders, commands, draws)
    instrument_id = orders.instrument_id[row]
    mid = _mids(instrument_id, spec.drift, spec.instruments, draws)
    side = orders.side[row]

    # Distance from the mid, positive away from the touch. The smaller of two uniforms is a
    # triangle: twice as many quotes near the touch as on average, some at the far end.
    n = len(row)
    quoted = 2 + np.minimum(draws.below(n, spec.depth), draws.below(n, spec.depth))
    reach = -(2 + draws.below(n, 8))
    distance = np.where(orders.quote[row], quoted, reach)
    distance = np.where(orders.filler[row], 1, distance)
    distance = np.where(orders.ioc[row] == _MARKET, -spec.depth, distance)
    px = np.maximum(np.where(side == 0, mid - distance, mid + distance), 1)

    # Half of the replaces keep the size, a quarter shrink it, a quarter grow it.
    qty = orders.qty[row]
    resize = draws.below(n, 8)
    qty = np.where((kind == 2) & (resize >= 6), qty + 1 + resize, qty)
    qty = np.where((kind == 2) & (resize <= 1), np.maximum(qty - 1 - resize, 1), qty)

    ids = np.arange(1, len(orders.time) + 1, dtype=np.uint64)
    if spec.random_ids:
        # The engine owns the upper half of the id space. Dropping a bit of distinct 64-bit words
        # leaves a chance of about 1e-7 that two of a million collide; the seeds in use have none.
        start = np.array([(seed & 0x7FFFFFFF) << 32], dtype=np.uint64)
        ids = mix(ids + start) >> np.uint64(1)
    accounts = np.zeros(len(orders.time), dtype=np.int64)
    if spec.accounts:
        accounts = holders(spec, seed).draw(orders.instrument_id, draws)
    return Messages(
        kind=kind,
        side=side,
        ioc=np.where(kind == 0, orders.ioc[row], 0).astype(np.uint8),
        qty=qty,
        order_id=ids[row],
        px=np.where(kind == 1, 0, px),
        instrument_id=instrument_id,
        account_id=accounts[row],
    )


@dataclass(frozen=True)
class Holders:
    """Which account may trade which instrument: pairs sorted by instrument.

    `first[i] : first[i + 1]` are the rows of `account_id` that hold instrument `i`.
    """

    account_id: I64
    first: I64

    def draw(self, instrument_id: I64, draws: Draws) -> I64:
        """Draw an account for each order: half of the orders come from a sixteenth of holders."""
        size = np.diff(self.first)[instrument_id]
        n = len(instrument_id)
        few = np.maximum(size >> 4, 1)
        busy = draws.chance(n, 500_000)
        pool = np.where(busy, few, size)
        high = (draws.bits(n) >> np.uint64(32)).astype(np.int64)
        # pool < 2**26 and high < 2**32: the product stays inside int64.
        return self.account_id[self.first[instrument_id] + ((high * pool) >> np.int64(32))]


def holders(spec: FlowSpec, seed: int, each: int = 4) -> Holders:
    """Give every account `each` instruments by popularity, and every instrument a holder.

    Accounts are numbered 1..`spec.accounts`. O(accounts * each * log).
    """
    draws = Draws(seed ^ 0x5DEECE66D)
    account = np.repeat(np.arange(1, spec.accounts + 1), each)
    instrument = draws.pick(len(account), zipf_weights(spec.instruments, spec.zipf))
    # One account more an instrument, so that none is without; all distinct pairs, once each.
    every = np.arange(spec.instruments)
    pairs = np.unique(
        np.concatenate([instrument, every]) << 32
        | np.concatenate([account, every % spec.accounts + 1])
    )
    instrument, account = pairs >> 32, pairs & 0xFFFFFFFF
    # Accounts inside an instrument in shuffled order, so that the busy ones differ by instrument.
    order = np.lexsort((draws.bits(len(pairs)), instrument))
    first = np.searchsorted(instrument, np.arange(spec.instruments + 1))
    return Holders(account_id=account[order], first=first)
