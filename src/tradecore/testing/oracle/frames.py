"""From bytes to commands: the frame check of one command, nothing that needs engine state.

`read` answers a status and what was decoded. The order of the tests is the contract's: kind,
structure of the whole command, fields not read or reserved, codes and ranges.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tradecore.testing.oracle.layout import (
    ADMIN,
    COMMAND,
    FRAME,
    INSTRUMENT,
    LIMITS,
    LIST,
    LISTS,
    MAX_CASH,
    MAX_PX,
    MAX_QTY,
    MAX_TIME,
    STP,
    TERMS,
    TIF,
    Admin,
    F,
    InstrumentFrame,
    K,
    LimitsFrame,
    ListHead,
    S,
    T,
)
from tradecore.testing.oracle.records import Order

Reading = tuple[int, Any]
MAX_ID: Final = (1 << 63) - 1
NEW_FLAGS: Final = F.POST_ONLY | F.REDUCE_ONLY | F.TOP
REPLACE_FLAGS: Final = F.LEAVES | F.REQUEUE
MILLION: Final = 1_000_000


def kind_of(buffer: bytes, at: int) -> int:
    """Return the kind of the frame at an offset."""
    return buffer[at + 8] | buffer[at + 9] << 8


def read(buffer: bytes, at: int, frames: int) -> tuple[int, int, int, Any]:
    """Decode the command at an offset.

    Parameters
    ----------
    buffer : bytes
    at : int
        Offset of the command's first frame, bytes.
    frames : int
        Whole frames from `at` to the end of the buffer.

    Returns
    -------
    kind, used, status, payload
        `used` frames belong to the command (to skip, if it is bad); `payload` is None unless status
        is OK: an `Order`, (head, members), or a namedtuple of the frame's fields.
    """
    kind = kind_of(buffer, at)
    cont = buffer[at + 10]
    reader = _READERS.get(kind)
    if reader is None:
        return kind, 1 + cont, S.BAD_KIND, None
    if cont >= frames:
        return kind, 1 + cont, S.BAD_CONTINUATION, None
    status, payload = reader(buffer, at, cont)
    return kind, 1 + cont, status, payload


def _terms(buffer: bytes, at: int) -> tuple[int, ...] | None:
    terms = TERMS.unpack_from(buffer, at)
    return terms if terms[1] == K.TERMS else None


def _order_codes(o: Order) -> bool:
    return (
        1 <= o.side <= 2
        and T.MARKET <= o.ord_type <= T.TAKE_PROFIT_LIMIT
        and o.tif in (TIF.DAY, TIF.GTC, TIF.IOC, TIF.FOK, TIF.GTD)
        and o.stp <= STP.DECREMENT
        and not o.flags & ~NEW_FLAGS
        and 1 <= o.id <= MAX_ID
        and 0 <= o.px <= MAX_PX
        and (0 if o.is_cash else 1) <= o.qty <= MAX_QTY
        and 0 <= o.stop_px <= MAX_PX
        and o.trail <= 9999
        and 0 <= o.display <= MAX_QTY
        and 0 <= o.min_qty <= MAX_QTY
        and o.expire <= MAX_TIME
        and 0 <= o.cash <= MAX_CASH
    )


def _new(buffer: bytes, at: int, cont: int, member: bool = False) -> Reading:
    if cont > 1:
        return S.BAD_CONTINUATION, None
    frame = COMMAND.unpack_from(buffer, at)
    terms = None
    if cont:
        terms = _terms(buffer, at + FRAME)
        if terms is None:
            return S.BAD_CONTINUATION, None
        if terms[3] or terms[8] or terms[9]:
            return S.BAD_RESERVED, None
    if frame[7]:
        return S.BAD_RESERVED, None
    order = Order(frame, terms)
    if not _order_codes(order) or (not member and frame[0] > MAX_TIME):
        return S.BAD_FIELD, None
    return S.OK, order


def _cancel(buffer: bytes, at: int, cont: int) -> Reading:
    if cont:
        return S.BAD_CONTINUATION, None
    frame = COMMAND.unpack_from(buffer, at)
    if any(frame[3:8]) or frame[9] or frame[11] or frame[12] or frame[14]:
        return S.BAD_RESERVED, None
    if frame[0] > MAX_TIME or not 1 <= frame[10] <= MAX_ID:
        return S.BAD_FIELD, None
    return S.OK, Order(frame)


def _replace(buffer: bytes, at: int, cont: int) -> Reading:
    if cont > 1:
        return S.BAD_CONTINUATION, None
    frame = COMMAND.unpack_from(buffer, at)
    terms = None
    if cont:
        terms = _terms(buffer, at + FRAME)
        if terms is None:
            return S.BAD_CONTINUATION, None
        if terms[2] or terms[3] or any(terms[5:]):
            return S.BAD_RESERVED, None
    if any(frame[3:8]):
        return S.BAD_RESERVED, None
    wish = Order(frame, terms)
    fine = (
        frame[0] <= MAX_TIME
        and 1 <= wish.id <= MAX_ID
        and not wish.flags & ~REPLACE_FLAGS
        and 0 <= wish.px <= MAX_PX
        and 0 <= wish.qty <= MAX_QTY
        and 0 <= wish.stop_px <= MAX_PX
        and 0 <= wish.display <= MAX_QTY
    )
    return (S.OK, wish) if fine else (S.BAD_FIELD, None)


def _list(buffer: bytes, at: int, cont: int) -> Reading:
    head = ListHead(*LIST.unpack_from(buffer, at))
    places: list[tuple[int, int]] = []
    walk = 1
    for _ in range(3 if head.contingency == LISTS.OTOCO else 2):
        if walk > cont or kind_of(buffer, at + walk * FRAME) != K.NEW_ORDER:
            return S.BAD_CONTINUATION, None
        own = buffer[at + walk * FRAME + 10]
        if own > 1 or walk + own > cont:
            return S.BAD_CONTINUATION, None
        if own and kind_of(buffer, at + (walk + 1) * FRAME) != K.TERMS:
            return S.BAD_CONTINUATION, None
        places.append((at + walk * FRAME, own))
        walk += 1 + own
    if walk != cont + 1:
        return S.BAD_CONTINUATION, None
    readings = [_new(buffer, place, own, member=True) for place, own in places]
    dirty = head.reserved0 or head.reserved1 or head.reserved2 or head.reserved3
    if dirty or any(status == S.BAD_RESERVED for status, _ in readings):
        return S.BAD_RESERVED, None
    if not LISTS.OCO <= head.contingency <= LISTS.OTOCO or head.ts_ns > MAX_TIME:
        return S.BAD_FIELD, None
    if any(status for status, _ in readings):
        return S.BAD_FIELD, None
    members: list[Order] = [order for _, order in readings]
    for order in members:
        order.sent = head.sent_ts_ns
    return S.OK, (head, members)


_HEAD: Final = frozenset(("ts_ns", "kind", "cont"))


def _admin(read: str, fine: Callable[[Any], bool] | None = None) -> Callable[..., Reading]:
    """Return a reader of one-frame admin kinds: every field outside `read` must be zero."""
    known = _HEAD | frozenset(read.split())
    blank = [i for i, name in enumerate(Admin._fields) if name not in known]

    def reader(buffer: bytes, at: int, cont: int) -> Reading:
        if cont:
            return S.BAD_CONTINUATION, None
        values = ADMIN.unpack_from(buffer, at)
        for i in blank:
            if values[i]:
                return S.BAD_RESERVED, None
        frame = Admin(*values)
        if frame.ts_ns > MAX_TIME or (fine is not None and not fine(frame)):
            return S.BAD_FIELD, None
        return S.OK, frame

    return reader


def _tiers(f: Any) -> bool:
    """Return whether margin tiers ascend, maintenance rates at most their initial ones."""
    before = None
    for i in range(4):
        bound, im, mm = (getattr(f, f"tiers{i}_{name}") for name in _TIER)
        if not mm <= im <= MILLION or bound < 0:
            return False
        if bound and before is not None and (before == 0 or bound <= before):
            return False
        before = bound
    return True


_TIER: Final = ("max_notional", "im_ppm", "mm_ppm")


def _instrument(buffer: bytes, at: int, cont: int) -> Reading:
    if cont != 3:
        return S.BAD_CONTINUATION, None
    f = InstrumentFrame(*INSTRUMENT.unpack_from(buffer, at))
    if (
        f.reserved0 or f.reserved1 or f.reserved2 or f.reserved3 or f.reserved4 or f.reserved5
    ):  # fmt: skip
        return S.BAD_RESERVED, None
    fine = (
        f.ts_ns <= MAX_TIME
        and 1 <= f.tick <= MAX_QTY
        and 1 <= f.lot <= MAX_QTY
        and 1 <= f.multiplier <= MAX_CASH
        and (0 if f.instrument_type else 1) <= f.base_per_lot <= MAX_CASH
        and 0 <= f.max_order_qty <= MAX_QTY
        and 0 <= f.band_ref_px <= MAX_PX
        and min(f.min_order_qty, f.min_alloc, f.min_notional) >= 0
        and f.band_down_ppm <= MILLION
        and _tiers(f)
        and f.halt_ns <= MAX_TIME
        and f.auction_ns <= MAX_TIME
        and -MILLION < f.maker_fee_ppm < MILLION
        and -MILLION < f.taker_fee_ppm < MILLION
        and f.algo <= 1
        and f.alloc_top <= 2
        and f.stop_election <= 1
        and f.stop_policy <= 1
        and f.trigger <= 2
        and f.phase <= 5
        and f.instrument_type <= 1
    )
    return (S.OK, f) if fine else (S.BAD_FIELD, None)


def _limits(buffer: bytes, at: int, cont: int) -> Reading:
    if cont != 1:
        return S.BAD_CONTINUATION, None
    f = LimitsFrame(*LIMITS.unpack_from(buffer, at))
    if any(
        getattr(f, name)
        for name in f._fields
        if name.startswith("reserved") or name == "instrument_id"
    ):
        return S.BAD_RESERVED, None
    if f.ts_ns > MAX_TIME:
        return S.BAD_FIELD, None
    return S.OK, f


def _price(f: Any) -> bool:
    return bool(1 <= f.mark_px <= MAX_PX)


_READERS: Final[dict[int, Callable[..., Reading]]] = {
    K.NEW_ORDER: _new,
    K.CANCEL_ORDER: _cancel,
    K.REPLACE_ORDER: _replace,
    K.NEW_ORDER_LIST: _list,
    K.TIME: _admin(""),
    K.MASS_CANCEL: _admin("side account_id instrument_id", lambda f: f.side <= 2),
    K.SET_PHASE: _admin(
        "phase instrument_id ref_px", lambda f: 1 <= f.phase <= 5 and 0 <= f.ref_px <= MAX_PX
    ),
    K.UNCROSS: _admin(
        "phase instrument_id ref_px", lambda f: f.phase <= 5 and 0 <= f.ref_px <= MAX_PX
    ),
    K.MARK_PRICE: _admin("instrument_id mark_px", _price),
    K.LAST_PRICE: _admin("instrument_id mark_px", _price),
    K.EPOCH: _admin("epoch"),
    K.ACCOUNT: _admin("account_id group_id contra_account_id"),
    K.DEPOSIT: _admin("account_id asset_id amount"),
    K.WITHDRAW: _admin("account_id asset_id amount"),
    K.TRANSFER: _admin("account_id asset_id amount contra_account_id"),
    K.KILL_SWITCH: _admin("scope state account_id group_id"),
    K.RESTRICT: _admin("account_id instrument_id state"),
    K.RATE: _admin("asset_id amount"),
    K.FUNDING: _admin("instrument_id amount"),
    K.MARGIN_MODE: _admin("account_id instrument_id state"),
    K.MARGIN_TRANSFER: _admin("account_id instrument_id amount"),
    K.INSTRUMENT: _instrument,
    K.LIMITS: _limits,
}
