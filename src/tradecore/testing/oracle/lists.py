"""Order lists: OCO, OTO, OTOCO, and what the end of one member means for the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tradecore.testing.oracle import checks, matching, stops
from tradecore.testing.oracle.checks import Refusal, refusal
from tradecore.testing.oracle.layout import LISTS, E, K, S
from tradecore.testing.oracle.records import Order

if TYPE_CHECKING:
    from tradecore.testing.oracle.engine import OracleEngine


def new_list(e: OracleEngine, head: Any, members: list[Order], frame: bytes) -> None:
    """Carry out NEW_ORDER_LIST."""
    why = _shape(head, members) or _members(e, head, members)
    if why:
        e.reject(frame, K.NEW_ORDER_LIST, why)
        return
    if head.contingency == LISTS.OCO:
        first, second = members
        first.sibling, second.sibling = second, first
        if e.accounts is not None:
            e.accounts.hold_pair(first, second)
        for o in members:
            e.admit(o, S.DORMANT if o.is_stop else S.OK)
        _act_both(e, first, second)
    else:
        working, *pending = members
        working.children = list(pending)
        if e.accounts is not None:
            e.accounts.hold(working)
        e.admit(working, S.DORMANT if working.is_stop else S.OK)
        for o in pending:
            o.parent = working
            o.status = "pending"
            e.admit(o, S.PENDING)
        if len(pending) == 2:
            pending[0].sibling, pending[1].sibling = pending[1], pending[0]
        start(e, working)
    e.drain()


def _legs(head: Any, members: list[Order]) -> list[Order]:
    return {LISTS.OCO: members, LISTS.OTO: [], LISTS.OTOCO: members[1:]}[head.contingency]


def _shape(head: Any, members: list[Order]) -> Refusal | None:
    """Check what a list must be before its members are looked at."""
    for o in members:
        if o.account != head.account_id or o.inst_id != head.instrument_id:
            return refusal(S.BAD_LIST)
    legs = _legs(head, members)
    if legs and (legs[0].side != legs[1].side or not (legs[0].can_wait or legs[1].can_wait)):
        return refusal(S.BAD_LIST)
    pending = members[1:] if head.contingency != LISTS.OCO else []
    if any(o.is_cash for o in pending):
        return refusal(S.BAD_LIST)
    if len({o.id for o in members}) < len(members):
        return refusal(S.DUPLICATE_ORDER_ID)
    return None


def _members(e: OracleEngine, head: Any, members: list[Order]) -> Refusal | None:
    for i, o in enumerate(members):
        why = checks.before_risk(e, o) or checks.capacity(e, o, members[:i])
        if why:
            return why
    if head.contingency == LISTS.OCO:
        return _pair(e, *members)
    return entry(e, members[0])


def entry(e: OracleEngine, o: Order) -> Refusal | None:
    """Make checks 9-11 of one order that is about to work."""
    return (
        (e.accounts.check(o) if e.accounts is not None else None)
        or checks.would_cross(o, o.px)
        or checks.would_trigger(o)
    )


def _pair(e: OracleEngine, first: Order, second: Order) -> Refusal | None:
    """Make checks 9-11 of two legs, each as if the other were not there."""
    return entry(e, first) or entry(e, second)


def start(e: OracleEngine, o: Order) -> None:
    """Let an accepted order execute, or wait for its trigger."""
    if o.is_stop:
        stops.wait(e, o)
    else:
        matching.execute(e, o)


def _act_both(e: OracleEngine, first: Order, second: Order) -> None:
    start(e, first)
    if second.status != "gone":
        start(e, second)


# ---- what one member's fate does to the others ------------------------------------------------


def executes(e: OracleEngine, o: Order) -> None:
    """Cancel the sibling of a leg that is about to fill or was triggered."""
    sibling = o.sibling
    if sibling is not None:
        o.sibling = sibling.sibling = None
        if e.accounts is not None:
            e.accounts.inherits(o, sibling)
        e.end(sibling, E.CANCELED, S.OCO_SIBLING)


def ended(e: OracleEngine, o: Order) -> None:
    """Cancel the sibling and the children of a member that was cancelled or expired."""
    if o.parent is not None:
        o.parent.children.remove(o)
        o.parent = None
    executes(e, o)
    children, o.children = o.children, []
    for child in children:
        child.parent = child.sibling = None
    for child in children:
        e.end(child, E.CANCELED, S.PARENT_GONE)


def completed(e: OracleEngine, o: Order) -> None:
    """Queue the children of a completely filled member until the current taker has finished."""
    if o.children:
        children, o.children = o.children, []
        for child in children:
            child.parent = None
        e.completed.append(children)


def activate(e: OracleEngine, children: list[Order]) -> None:
    """Let the children of one completed parent work."""
    children = [o for o in children if o.status != "gone"]
    for o in children:
        e.order_event(E.TRIGGERED, o, S.PENDING)
    if len(children) == 2:
        why = _pair_refusal(e, children[0], children[1])
        if why:
            index, status = why
            e.end(children[index], E.EXPIRED, status)
            return
        if e.accounts is not None:
            e.accounts.hold_pair(children[0], children[1])
        _act_both(e, children[0], children[1])
    elif children:
        why_one = entry(e, children[0])
        if why_one:
            e.end(children[0], E.EXPIRED, why_one[0])
            return
        if e.accounts is not None:
            e.accounts.hold(children[0])
        start(e, children[0])


def _pair_refusal(e: OracleEngine, first: Order, second: Order) -> tuple[int, int] | None:
    """Return (which leg, status) of the first leg that may not work, or None."""
    why = entry(e, first)
    if why:
        return 0, why[0]
    why = entry(e, second)
    return (1, why[0]) if why else None
