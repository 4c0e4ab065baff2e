"""The liquidation step: pools move through their states until nothing moves.

The step looks at every pool every time, in the one order that the contract fixes, and repeats
passes until one does nothing. That is slow and leaves no room for a wrong idea of what was touched.
"""

from __future__ import annotations

from functools import cmp_to_key
from typing import TYPE_CHECKING

from tradecore.testing.oracle import ledger, matching, orders, stops
from tradecore.testing.oracle.holders import Account, Position, is_linear, notional
from tradecore.testing.oracle.layout import (
    ACCOUNT_EVENT,
    FF,
    FILL_EVENT,
    MAX_PX,
    PH,
    STATE,
    TIF,
    E,
    F,
    K,
    S,
    T,
)
from tradecore.testing.oracle.margin import Pool, initial, pool_of, pools, sat, upnl
from tradecore.testing.oracle.records import BUY, SELL, Order

if TYPE_CHECKING:
    from tradecore.testing.oracle.accounts import Accounts

ROUNDS = 5
CAUSE = K.MARK_PRICE


def step(book: Accounts) -> bool:
    """Run passes over all pools until one changes nothing; return whether any did something."""
    acted = False
    while True:
        moved = False
        for pool in pools(book):
            if not at_rest(pool) and not exempt(book, pool):
                moved |= evaluate(book, pool)
        if not moved:
            return acted
        acted = True


def at_rest(pool: Pool) -> bool:
    """Return whether nothing can move the pool: no lots, no debt, no state."""
    carrier = pool.carrier
    if carrier.state or carrier.suspended or pool.cash() < 0:
        return False
    return not any(p.qty for p in pool.positions())


def exempt(book: Accounts, pool: Pool) -> bool:
    """Return whether some linear instrument names the pool's account as its insurance account."""
    named = {i.insurance_account for i in book.e.instruments.values() if is_linear(i)}
    return pool.account.id != 0 and pool.account.id in named


def evaluate(book: Accounts, pool: Pool) -> bool:
    """Apply the row of the present state until a row says stop; return whether anything changed."""
    before = book.e.seq
    carrier = pool.carrier
    was_suspended = carrier.suspended
    suspended = False
    while True:
        state = carrier.state
        answer = _ROWS[state](book, pool)
        if answer == SUSPEND:
            suspended = True
            if not was_suspended:
                say(book, pool, state, S.MARK_STALE)
        if answer != GO:
            break
    carrier.suspended = suspended
    return book.e.seq != before


STOP, GO, SUSPEND = range(3)


def say(book: Accounts, pool: Pool, state: int, status: int) -> None:
    """Move the pool to a state and emit ACCOUNT_STATE."""
    carrier, e = pool.carrier, book.e
    previous, carrier.state = carrier.state, state
    e.out.append(
        ACCOUNT_EVENT.pack(
            e.number(), 0, pool.account.id, pool.shown_instrument, E.ACCOUNT_STATE, 0, status,
            e.in_seq & 0xFFFFFFFF, pool.equity(), pool.im(), pool.mm(), state, previous, 0,
            pool.asset,
        )
    )  # fmt: skip
    if previous == STATE.LIQ_REDUCE and state != previous:
        carrier.marked = False


def _normal(book: Accounts, pool: Pool) -> int:
    if 5 * pool.equity() >= 6 * pool.mm():
        return STOP
    say(book, pool, STATE.WARN, S.STATE_EQUITY)
    return GO


def _calm(pool: Pool) -> bool:
    equity = pool.equity()
    return equity >= pool.im() and 5 * equity >= 6 * pool.mm()


def _warn(book: Accounts, pool: Pool) -> int:
    if _calm(pool):
        say(book, pool, STATE.NORMAL, S.STATE_EQUITY)
        return STOP
    if pool.equity() >= pool.im():
        return STOP
    say(book, pool, STATE.REDUCE_ONLY, S.STATE_EQUITY)
    return GO


def _reduce_only(book: Accounts, pool: Pool) -> int:
    if _calm(pool):
        say(book, pool, STATE.NORMAL, S.STATE_EQUITY)
        return STOP
    if pool.equity() >= pool.mm():
        return STOP
    if pool.stale(book.e.now):
        return SUSPEND
    say(book, pool, STATE.LIQ_CANCEL, S.STATE_EQUITY)
    pool.carrier.round = 0
    return GO


def _liq_cancel(book: Accounts, pool: Pool) -> int:
    chosen = pool.live_orders(list(book.e.live.values()))
    orders.mass_cancel(book.e, chosen, S.LIQUIDATION_CLOSE)
    for _, inst in sorted({o.inst.id: o.inst for o in chosen}.items()):
        stops.elect(book.e, inst)
    pool.carrier.marked = True
    say(book, pool, STATE.LIQ_REDUCE, S.STATE_DONE)
    return GO


def _liq_reduce(book: Accounts, pool: Pool) -> int:
    if pool.recovered():
        return _back_to_normal(book, pool, S.STATE_EQUITY)
    if not pool.carried():
        return _backstop_now(book, pool)
    carrier = pool.carrier
    if not carrier.marked:
        return STOP
    if pool.stale(book.e.now):
        return SUSPEND
    carrier.marked = False
    if not run_round(book, pool, carrier.round):
        return STOP
    carrier.round += 1
    if pool.recovered():
        return _back_to_normal(book, pool, S.STATE_EQUITY)
    if carrier.round == ROUNDS or not pool.carried():
        return _backstop_now(book, pool)
    return STOP


def _back_to_normal(book: Accounts, pool: Pool, status: int) -> int:
    say(book, pool, STATE.NORMAL, status)
    if pool.position is not None and not pool.position.qty:
        cash, pool.position.iso_margin = pool.position.iso_margin, 0
        book.wallet(pool.account, pool.asset).total += cash
    return STOP


def _backstop_now(book: Accounts, pool: Pool) -> int:
    say(book, pool, STATE.BACKSTOP, S.STATE_DONE)
    close_out(book, pool)
    if pool.recovered():
        return _back_to_normal(book, pool, S.STATE_DONE)
    return STOP


def _backstop(book: Accounts, pool: Pool) -> int:
    if pool.recovered():
        return _back_to_normal(book, pool, S.STATE_EQUITY)
    return STOP


_ROWS = {
    STATE.NORMAL: _normal,
    STATE.WARN: _warn,
    STATE.REDUCE_ONLY: _reduce_only,
    STATE.LIQ_CANCEL: _liq_cancel,
    STATE.LIQ_REDUCE: _liq_reduce,
    STATE.BACKSTOP: _backstop,
}


# ---- closing in the market --------------------------------------------------------------------


def run_round(book: Accounts, pool: Pool, k: int) -> bool:
    """Send one closing order per position; return whether any was sent."""
    sent = False
    for p in pool.carried():
        if p.inst.phase != PH.CONTINUOUS or not p.qty:
            continue
        if pool.recovered():
            break
        sent = True
        o = closing_order(book, pool, p, k)
        book.e.order_event(E.ACCEPTED, o)
        first = len(book.e.out)
        matching.execute(book.e, o)
        book.e.drain()
        charge(book, pool, p, _traded(book, o, first))
        stops.elect(book.e, p.inst)
    return sent


def _traded(book: Accounts, o: Order, first: int) -> int:
    """Add up the notional of an order's fills from its own events."""
    total = 0
    for frame in book.e.out[first:]:
        if frame[24] == E.FILL:
            fill = FILL_EVENT.unpack(frame)
            if fill[1] == o.id:
                total += notional(o.inst, fill[8], fill[9])
    return total


def closing_order(book: Accounts, pool: Pool, p: Position, k: int) -> Order:
    """Make the order that brings the pool back at the mark, inside the band of round k."""
    inst, size = p.inst, abs(p.qty)
    side = SELL if p.qty > 0 else BUY
    im, equity, whole = pool.im(), pool.equity(), initial(p.inst, p.qty)

    def enough(qty: int) -> bool:
        return 100 * equity >= 105 * (im - whole + initial(inst, size - qty))

    low, high = 1, size // inst.lot
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle * inst.lot) else (middle + 1, high)
    fits = high >= 1 and low * inst.lot <= size and enough(low * inst.lot)
    qty = low * inst.lot if fits else size
    room = inst.mark * (k + 1) * inst.liq_band_ppm // 1_000_000
    if side == SELL:
        px = -(-max(inst.mark - room, 1) // inst.tick) * inst.tick
    else:
        px = max((inst.mark + room) // inst.tick * inst.tick, inst.tick)
    px = min(px, MAX_PX // inst.tick * inst.tick)
    book.liquidations += 1
    flags = F.REDUCE_ONLY | F.LIQUIDATION
    number = (1 << 63) + book.liquidations
    o = Order(
        (0, 0, 0, side, T.LIMIT, TIF.IOC, 0, 0, pool.account.id, inst.id, number, px, qty, 0,
         flags, 0)
    )  # fmt: skip
    o.inst = inst
    return o


def charge(book: Accounts, pool: Pool, p: Position, traded: int) -> None:
    """Take the liquidation fee for the insurance account, never more than the pool has."""
    insurer = insurance(book, p)
    if insurer is None:
        return
    fee = min(traded * p.inst.liq_fee_ppm // 1_000_000, max(0, pool.equity()))
    if fee > 0:
        move(book, pool, insurer, fee, S.LIQUIDATION_FEE)


def move(book: Accounts, pool: Pool, to: Account, amount: int, status: int) -> None:
    """Pay from a pool to an account's wallet (or back, if negative): two BALANCE events."""
    where = pool.balance_instrument
    left = pool.pay(-amount)
    book.balance_event(pool.account.id, -amount, left, pool.asset, CAUSE, status, where)
    wallet = book.wallet(to, pool.asset)
    wallet.total += amount
    book.balance_event(to.id, amount, wallet.total, pool.asset, CAUSE, status, where)


def insurance(book: Accounts, p: Position) -> Account | None:
    """Return the insurance account of a position's instrument."""
    number = p.inst.insurance_account
    return book.accounts.get(number) if number else None


# ---- closing against the insurance account, or against winners -----------------------------------


def close_out(book: Accounts, pool: Pool) -> None:
    """Empty the pool: takeover by the insurance account if it can, else auto-deleverage."""
    insurers = [insurance(book, p) for p in pool.positions()]
    x = next((a for a in insurers if a is not None), None)
    if x is not None and can_take_over(book, pool, x):
        take_over(book, pool, x)
    else:
        deleverage(book, pool, x)


def can_take_over(book: Accounts, pool: Pool, x: Account) -> bool:
    """Return whether the insurance account can carry the pool's positions and its debt."""
    if x is pool.account:
        return False
    needed = [p.inst for p in pool.carried()]
    for inst in needed:
        theirs = x.positions.get(inst.id)
        if theirs is not None and theirs.isolated:
            return False
    new = [inst for inst in needed if inst.id not in x.positions]
    used = sum(len(a.positions) for a in book.accounts.values())
    if used + len(new) > book.e.config.max_positions:
        return False
    if pool.asset not in x.wallets and book.room_for_wallets(1):
        return False
    values = [p.qty * p.inst.mark * p.inst.multiplier for p in pool.carried()]
    if any(abs(value) > 1 << 62 for value in values):
        return False
    owed = pool.cash() + sum(values) - sum(p.cost for p in pool.carried())
    return bool(abs(owed) <= 1 << 62 and Pool(x, pool.asset).equity() + owed >= 0)


def forced_fill(
    book: Accounts, victim: Account, p: Position, other: Account, px: int, qty: int, status: int
) -> None:
    """Close lots of a position against another account outside the book."""
    e, inst = book.e, p.inst
    side = SELL if p.qty > 0 else BUY
    flag = FF.LIQUIDATION if status == S.BACKSTOP else FF.ADL
    e.out.append(
        FILL_EVENT.pack(
            e.number(), 0, victim.id, inst.id, E.FILL, side, status, e.in_seq & 0xFFFFFFFF, px, qty,
            0, other.id, flag,
        )
    )  # fmt: skip
    for a, own, mine, forced in (
        (victim, p, side, True),
        (other, book.position(other, inst), 3 - side, False),
    ):
        cash, realised = ledger.linear_side(book, a, own, mine, px, qty, 0, forced=forced)
        ledger.settled_event(book, 0, a.id, inst, mine, status, cash, 0, own.qty, realised)


def take_over(book: Accounts, pool: Pool, x: Account) -> None:
    """Give every position at the mark, and the pool's cash with it, to the insurance account."""
    for p in pool.carried():
        forced_fill(book, pool.account, p, x, p.inst.mark, abs(p.qty), S.BACKSTOP)
    equity = pool.equity()
    if equity:
        move(book, pool, x, equity, S.BACKSTOP)


def deleverage(book: Accounts, pool: Pool, x: Account | None) -> None:
    """Close every position at its bankruptcy price against the best-off opposite positions."""
    for p in pool.carried():
        px = bankruptcy_px(pool, p)
        left = abs(p.qty)
        for other in ranked(book, p):
            if not left:
                break
            qty = min(left, abs(other.qty(p.inst)))
            forced_fill(book, pool.account, p, other, px, qty, S.ADL)
            left -= qty
    rest = pool.equity()
    if rest <= 0:
        return
    if x is not None:
        move(book, pool, x, rest, S.ADL)
        return
    balance = pool.pay(-rest)
    book.fees[pool.asset] += rest
    where = pool.balance_instrument
    book.balance_event(pool.account.id, -rest, balance, pool.asset, CAUSE, S.ADL, where)


def bankruptcy_px(pool: Pool, p: Position) -> int:
    """Return the price at which closing the position leaves the pool with nothing."""
    rest = pool.equity() - upnl(p)
    lots = abs(p.qty) * p.inst.multiplier
    px = -(-(p.cost - rest) // lots) if p.qty > 0 else (rest - p.cost) // lots
    return int(max(0, min(MAX_PX, px)))


def ranked(book: Accounts, p: Position) -> list[Account]:
    """Return the accounts opposite to a position: profit ratio times leverage, then id."""
    inst = p.inst

    def score(a: Account) -> tuple[int, int]:
        theirs = a.positions[inst.id]
        equity = pool_of(a, theirs).equity()
        value = sat(abs(theirs.qty) * inst.mark * inst.multiplier)
        return upnl(theirs) * value, max(1, abs(theirs.cost)) * (equity if equity > 0 else 1)

    def compare(a: Account, b: Account) -> int:
        (an, ad), (bn, bd) = scores[a.id], scores[b.id]
        left, right = an * bd, bn * ad
        if left != right:
            return -1 if left > right else 1
        return -1 if a.id < b.id else 1

    found = [a for _, a in sorted(book.accounts.items()) if a.qty(inst) * p.qty < 0]
    scores = {a.id: score(a) for a in found}
    return sorted(found, key=cmp_to_key(compare))


__all__ = ["is_linear", "step"]
