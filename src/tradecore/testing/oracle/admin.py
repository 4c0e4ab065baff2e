"""Commands that are not orders: mass cancel, phases, prices, instruments, epochs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from tradecore.testing.oracle import market, orders, stops
from tradecore.testing.oracle.checks import Refusal, refusal
from tradecore.testing.oracle.layout import ANY, PH, TRIGGER, E, K, S
from tradecore.testing.oracle.records import Instrument

if TYPE_CHECKING:
    from tradecore.testing.oracle.engine import OracleEngine

FIXED: Final = (
    "instrument_type", "base_asset", "quote_asset", "tick", "lot", "multiplier", "base_per_lot",
    "algo",
)  # fmt: skip


def done(e: OracleEngine, c: Any, head: bytes) -> None:
    """Emit DONE."""
    e.reject(head, c.kind, refusal(S.OK), E.DONE)


def refuse(e: OracleEngine, c: Any, head: bytes, why: Refusal) -> None:
    """Emit REJECTED."""
    e.reject(head, c.kind, why)


def mass_cancel(e: OracleEngine, c: Any, head: bytes) -> None:
    """MASS_CANCEL: every live order of account, instrument and side."""
    if c.instrument_id != ANY and c.instrument_id not in e.instruments:
        return refuse(e, c, head, refusal(S.UNKNOWN_INSTRUMENT))
    if c.account_id != ANY and e.accounts is not None and not e.accounts.known(c.account_id):
        return refuse(e, c, head, refusal(S.UNKNOWN_ACCOUNT))
    chosen = [
        o
        for o in e.live.values()
        if c.account_id in (ANY, o.account)
        and c.instrument_id in (ANY, o.inst.id)
        and c.side in (0, o.side)
    ]
    orders.mass_cancel(e, chosen, S.MASS_CANCEL)
    return done(e, c, head)


def with_instrument(
    act: Callable[[OracleEngine, Instrument, Any, bytes], None],
) -> Callable[[OracleEngine, Any, bytes], None]:
    """Look the instrument up first: unknown is refused."""

    def handler(e: OracleEngine, c: Any, head: bytes) -> None:
        inst = e.instruments.get(c.instrument_id)
        if inst is None:
            refuse(e, c, head, refusal(S.UNKNOWN_INSTRUMENT))
        else:
            e.touched.add(inst.id)
            act(e, inst, c, head)

    return handler


def _set_phase(e: OracleEngine, inst: Instrument, c: Any, _head: bytes) -> None:
    market.set_phase(e, inst, c.phase, c.ref_px)


def _uncross(e: OracleEngine, inst: Instrument, c: Any, head: bytes) -> None:
    if inst.phase != PH.AUCTION:
        return refuse(e, c, head, refusal(S.PHASE, inst.phase))
    market.set_timer(e, inst, None)
    return market.uncross(e, inst, c.ref_px, c.phase or PH.CONTINUOUS, S.PHASE_COMMAND)


def _last_price(_e: OracleEngine, inst: Instrument, c: Any, _head: bytes) -> None:
    inst.last = c.mark_px
    if inst.trigger == TRIGGER.LAST:
        stops.print_price(inst, c.mark_px)


def _mark_price(e: OracleEngine, inst: Instrument, c: Any, _head: bytes) -> None:
    inst.mark, inst.mark_ts = c.mark_px, e.now
    if inst.trigger == TRIGGER.MARK:
        stops.print_price(inst, c.mark_px)
    if e.accounts is not None:
        e.accounts.marked(inst)


def instrument(e: OracleEngine, c: Any, head: bytes) -> None:
    """INSTRUMENT: create, or change what may change."""
    if c.instrument_id >= e.config.max_instruments:
        return refuse(e, c, head, refusal(S.CAPACITY_INSTRUMENTS))
    if e.accounts is not None:
        why = e.accounts.may_define(c)
        if why:
            return refuse(e, c, head, why)
    inst = e.instruments.get(c.instrument_id)
    if inst is None:
        e.instruments[c.instrument_id] = Instrument(c, c.instrument_id)
        return done(e, c, head)
    if any(getattr(c, name) != getattr(inst, name) for name in FIXED) or (
        c.trigger != inst.trigger and inst.dormant
    ):
        return refuse(e, c, head, refusal(S.INSTRUMENT_CHANGE))
    if c.trigger != inst.trigger:
        inst.forget_prices()
    inst.define(c)
    e.touched.add(inst.id)
    return done(e, c, head)


def epoch(e: OracleEngine, c: Any, head: bytes) -> None:
    """EPOCH: switch semantics, or stop when they are newer than this engine."""
    if c.epoch > e.config.max_epoch:
        e.fenced = True
        return refuse(e, c, head, refusal(S.EPOCH_UNKNOWN, c.epoch, e.config.max_epoch))
    if c.epoch < e.epoch:
        return refuse(e, c, head, refusal(S.BAD_FIELD))
    e.epoch = c.epoch
    return done(e, c, head)


def money(e: OracleEngine, c: Any, head: bytes) -> None:
    """Commands of accounts.md; without accounts there is nobody to carry them out on."""
    if e.accounts is None:
        refuse(e, c, head, refusal(S.UNKNOWN_ACCOUNT))
    else:
        e.accounts.command(c, head)


HANDLERS: Final[dict[int, Callable[[Any, Any, bytes], None]]] = {
    K.MASS_CANCEL: mass_cancel,
    K.SET_PHASE: with_instrument(_set_phase),
    K.UNCROSS: with_instrument(_uncross),
    K.LAST_PRICE: with_instrument(_last_price),
    K.MARK_PRICE: with_instrument(_mark_price),
    K.INSTRUMENT: instrument,
    K.EPOCH: epoch,
    **dict.fromkeys(
        (
            K.ACCOUNT, K.LIMITS, K.DEPOSIT, K.WITHDRAW, K.TRANSFER, K.KILL_SWITCH, K.RESTRICT,
            K.FUNDING, K.RATE, K.MARGIN_MODE, K.MARGIN_TRANSFER,
        ),
        money,
    ),
}  # fmt: skip
