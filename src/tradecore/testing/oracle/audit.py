"""What the naive engine promises about itself, recomputed from scratch; and its state as data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tradecore.testing.oracle.layout import PH
from tradecore.testing.oracle.records import BUY, Instrument, Order

if TYPE_CHECKING:
    from tradecore.testing.oracle.engine import OracleEngine


def audit(e: OracleEngine) -> None:
    """Raise AssertionError at the first identity that does not hold; O(everything)."""
    found: set[int] = set()
    for inst in e.instruments.values():
        for side in (1, 2):
            for px, level in inst.own(side).items():
                assert level, f"empty level {px}"
                for o in level:
                    _resting(o, side, px)
                    found.add(o.id)
        for o in inst.dormant:
            assert o.status == "dormant"
            found.add(o.id)
    for o in e.live.values():
        assert o.status in ("resting", "dormant", "pending"), f"{o.id} is {o.status}"
        assert o.id in found or o.status == "pending", f"{o.id} stands nowhere"
        assert o.qty == o.cum + o.leaves + o.canceled, f"{o.id} does not add up"
        _links(e, o)
    assert found <= set(e.live)
    assert e.timers == sorted(_timers(e)), "timers"
    assert not e.completed
    if e.accounts is not None:
        e.accounts.audit()


def _resting(o: Order, side: int, px: int) -> None:
    assert o.status == "resting"
    assert o.side == side
    assert o.px == px
    assert 0 < o.tip <= o.leaves
    assert o.tip == o.leaves or o.display
    assert o.can_rest


def _links(e: OracleEngine, o: Order) -> None:
    if o.sibling is not None:
        assert o.sibling.sibling is o
        assert e.live[o.sibling.id] is o.sibling
    if o.parent is not None:
        assert o.status == "pending"
        assert o in o.parent.children
        assert e.live[o.parent.id] is o.parent
    for child in o.children:
        assert child.parent is o


def _timers(e: OracleEngine) -> list[tuple[int, int, int]]:
    due = [(o.expire, 0, o.id) for o in e.live.values() if o.expire]
    for inst in e.instruments.values():
        if inst.timer is not None:
            assert inst.phase in (PH.HALTED, PH.AUCTION)
            due.append((inst.timer, 1, inst.id))
    return due


def order_state(o: Order) -> tuple[int, ...]:
    """Return everything that matters about one live order."""
    return (
        o.id, o.account, o.inst.id, o.side, o.ord_type, o.tif, o.stp, o.flags, o.session,
        o.px, o.qty, o.cum, o.leaves, o.tip if o.status == "resting" else 0, o.stop_px, o.trail,
        o.display, o.expire,
        int(o.new_best and o.status == "resting" and o.inst.alloc_top == 2),
        int(o.active), o.extreme if o.active else 0, int(o.hit),
        o.sibling.id if o.sibling else 0, o.parent.id if o.parent else 0,
    )  # fmt: skip


def instrument_state(inst: Instrument) -> dict[str, Any]:
    """Return one instrument with its queues in priority order."""
    return {
        "phase": inst.phase,
        "last": inst.last or 0,
        "mark": inst.mark or 0,
        "static_ref": inst.static_ref,
        "auction_ref": inst.auction_ref,
        "timer": inst.timer or 0,
        "bids": [order_state(o) for px in inst.outward(BUY) for o in inst.bids[px]],
        "asks": [order_state(o) for px in inst.outward(2) for o in inst.asks[px]],
        "dormant": [order_state(o) for o in sorted(inst.dormant, key=lambda o: o.entry)],
    }


def state(e: OracleEngine) -> dict[str, Any]:
    """Return the canonical state: equal for equal histories, whatever engine made it."""
    pending = [o for o in e.live.values() if o.status == "pending"]
    return {
        "now": e.now,
        "seq": e.seq,
        "in_seq": e.in_seq,
        "epoch": e.epoch,
        "instruments": {n: instrument_state(i) for n, i in sorted(e.instruments.items())},
        "pending": [order_state(o) for o in sorted(pending, key=lambda o: o.entry)],
        "accounts": e.accounts.state() if e.accounts is not None else {},
    }
