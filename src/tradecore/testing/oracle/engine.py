"""The naive engine: one Python object that turns command bytes into event bytes.

Written from ``docs/reference/semantics.md`` and ``accounts.md`` alone, in dicts, lists and plain
recursion, so that an error has to be made twice, in two styles, to go unseen. This file owns the
counters, the order table, the timers and the sequence of one command; what happens inside a command
stands in the modules beside it.
"""

from __future__ import annotations

from bisect import insort
from typing import Any

from tradecore.errors import EngineFault, FrameError
from tradecore.testing.oracle import admin, audit, frames, lists, market, orders, stops
from tradecore.testing.oracle.config import OracleConfig
from tradecore.testing.oracle.layout import (
    FILL_EVENT,
    FRAME,
    MARKET_EVENT,
    ORDER_EVENT,
    REJECT_EVENT,
    E,
    K,
    S,
)
from tradecore.testing.oracle.records import Instrument, Order

EXPIRY, PHASE_TIMER = 0, 1


class OracleEngine:
    """A slow engine with the same input and output as the kernel.

    Parameters
    ----------
    config : OracleConfig or any object with its attributes
        Capacities and whether accounts are kept.

    Examples
    --------
    >>> engine = OracleEngine(OracleConfig())
    >>> engine.apply(b"")
    b''
    """

    def __init__(self, config: Any = None) -> None:
        self.config = OracleConfig.like(config)
        self.now = self.seq = self.in_seq = self.entry = 0
        self.epoch = 1
        self.fenced = self.refused = False
        self.instruments: dict[int, Instrument] = {}
        self.live: dict[int, Order] = {}
        self.timers: list[tuple[int, int, int]] = []
        self.touched: set[int] = set()
        self.completed: list[list[Order]] = []
        self.out: list[bytes] = []
        self.accounts: Any = None
        if self.config.accounts:
            from tradecore.testing.oracle.accounts import Accounts

            self.accounts = Accounts(self)

    # ---- the pump ---------------------------------------------------------------------------

    def apply(self, commands: Any) -> bytes:
        """Carry out whole commands in order.

        Parameters
        ----------
        commands : buffer
            COMMAND frames, 64 bytes each: bytes, memoryview or a numpy structured array.

        Returns
        -------
        bytes
            EVENT frames of all commands.

        Raises
        ------
        FrameError
            The buffer is not a whole number of frames; nothing was done.
        EngineFault
            The log asked for semantics newer than this engine (see EPOCH).
        """
        if self.fenced:
            raise EngineFault("the log's epoch is newer than this engine")
        buffer = bytes(commands)
        if len(buffer) % FRAME:
            raise FrameError(f"{len(buffer)} bytes are not a whole number of {FRAME}-byte frames")
        self.out = []
        at, end = 0, len(buffer)
        while at < end and not self.fenced:
            kind, used, status, command = frames.read(buffer, at, (end - at) // FRAME)
            self.in_seq += 1
            if status:
                self.reject(buffer[at : at + FRAME], kind, (status, 0, 0, 0))
            else:
                self._carry_out(kind, command, buffer[at : at + FRAME])
            at += used * FRAME
        return b"".join(self.out)

    def _carry_out(self, kind: int, command: Any, head: bytes) -> None:
        stamp = int.from_bytes(head[:8], "little")
        if stamp > self.now:
            self.now = stamp
            self._fire_timers()
        self.refused = False
        if kind == K.NEW_ORDER:
            orders.new(self, command, head)
        elif kind == K.CANCEL_ORDER:
            orders.cancel_request(self, command, head)
        elif kind == K.REPLACE_ORDER:
            orders.replace(self, command, head)
        elif kind == K.NEW_ORDER_LIST:
            lists.new_list(self, command[0], command[1], head)
        elif kind != K.TIME:
            admin.HANDLERS[kind](self, command, head)
        if self.refused:  # it changed nothing, so there is nothing to settle
            self.touched.clear()
        else:
            self.settle_down()

    def _fire_timers(self) -> None:
        while self.timers and self.timers[0][0] <= self.now:
            deadline, kind, number = self.timers[0]
            if kind == EXPIRY:
                self.end(self.live[number], E.EXPIRED, S.GTD)
            else:
                del self.timers[0]
                market.phase_timer(self, self.instruments[number], deadline)
            self.settle_down()

    def settle_down(self) -> None:
        """Step 5: elect stops to a fixed point, then let liquidation look at the accounts."""
        while True:
            while self.touched:
                number = min(self.touched)
                self.touched.discard(number)
                stops.elect(self, self.instruments[number])
            if self.accounts is None or not self.accounts.liquidate():
                return

    def drain(self) -> None:
        """Activate the children of completed parents, in the order the parents finished."""
        while self.completed:
            lists.activate(self, self.completed.pop(0))

    # ---- orders alive -----------------------------------------------------------------------

    def admit(self, o: Order, status: int) -> None:
        """Take an accepted order into the table and say so."""
        self.entry += 1
        o.entry = self.entry
        self.live[o.id] = o
        if o.expire:
            insort(self.timers, (o.expire, EXPIRY, o.id))
        self.order_event(E.ACCEPTED, o, status)

    def forget(self, o: Order) -> None:
        """Drop an order that is over from every table; no event."""
        self.unplace(o)
        o.status = "gone"
        o.leaves = 0
        if self.live.get(o.id) is o:
            del self.live[o.id]
            if o.expire:
                self.timers.remove((o.expire, EXPIRY, o.id))
        if self.accounts is not None:
            self.accounts.released(o)

    def unplace(self, o: Order) -> None:
        """Take an order out of its level or out of the stop book."""
        if o.status == "resting":
            side = o.inst.own(o.side)
            side[o.px].remove(o)
            if not side[o.px]:
                del side[o.px]
        elif o.status == "dormant":
            o.inst.dormant.remove(o)
        self.touched.add(o.inst.id)

    def end(self, o: Order, kind: int, status: int) -> None:
        """End an order by cancel or expiry, with what its list makes of that."""
        o.canceled += o.leaves
        self.forget(o)
        self.order_event(kind, o, status)
        lists.ended(self, o)

    def side_leaves(self, inst: Instrument, side: int) -> int:
        """Return the open lots that rest on one side of the book."""
        return sum(o.leaves for level in inst.own(side).values() for o in level)

    # ---- events -----------------------------------------------------------------------------

    def number(self) -> int:
        """Return the sequence number of the next event."""
        self.seq += 1
        return self.seq

    def order_event(self, kind: int, o: Order, status: int = 0) -> None:
        """Emit an event about one order, with its quantities as they are now."""
        qty = o.cum + o.canceled if o.is_cash else o.qty
        leaves = 0 if o.is_cash else o.leaves
        self.out.append(
            ORDER_EVENT.pack(
                self.number(), o.id, o.account, o.inst.id, kind, o.side, status,
                self.in_seq & 0xFFFFFFFF, o.px, qty, o.cum, leaves,
            )
        )  # fmt: skip

    def fill_event(self, taker: Order, maker: Order, px: int, qty: int, flags: int) -> None:
        """Emit one maker-taker pairing."""
        self.out.append(
            FILL_EVENT.pack(
                self.number(), taker.id, taker.account, taker.inst.id, E.FILL, taker.side, S.OK,
                self.in_seq & 0xFFFFFFFF, px, qty, maker.id, maker.account, flags,
            )
        )  # fmt: skip

    def reject(
        self, head: bytes, command: int, why: tuple[int, int, int, int], kind: int = E.REJECTED
    ) -> None:
        """Emit a refusal (or DONE) that echoes the ids of the command's first frame."""
        status, observed, limit, scope = why
        self.refused = kind != E.DONE
        order_id = int.from_bytes(head[24:32], "little") if K.NEW_ORDER <= command <= 4 else 0
        has_side = 1 <= command <= K.REPLACE_ORDER or command == K.MASS_CANCEL
        side = head[11] if has_side else 0
        self.out.append(
            REJECT_EVENT.pack(
                self.number(), order_id, int.from_bytes(head[16:20], "little"),
                int.from_bytes(head[20:24], "little"), kind, side, status,
                self.in_seq & 0xFFFFFFFF, observed, limit, command, scope, 0, 0, 0,
            )
        )  # fmt: skip

    def market_event(
        self, kind: int, inst: Instrument, status: int, px: int, volume: int, surplus: int
    ) -> None:
        """Emit a PHASE or AUCTION event with the phase from now on."""
        self.out.append(
            MARKET_EVENT.pack(
                self.number(), 0, 0, inst.id, kind, 0, status, self.in_seq & 0xFFFFFFFF,
                px, volume, surplus, inst.phase, 0, 0, 0,
            )
        )  # fmt: skip

    # ---- looking in -------------------------------------------------------------------------

    def book(self, instrument: int) -> dict[str, list[tuple[int, list[tuple[int, int, int]]]]]:
        """Return both sides as [(px, [(order_id, visible, leaves), ...]), ...], best first."""
        inst = self.instruments[instrument]
        return {
            name: [
                (px, [(o.id, o.tip, o.leaves) for o in inst.own(side)[px]])
                for px in inst.outward(side)
            ]
            for name, side in (("bids", 1), ("asks", 2))
        }

    def orders(self) -> dict[int, Order]:
        """Return the live orders by id."""
        return dict(self.live)

    def audit(self) -> None:
        """Recompute every identity; raise AssertionError at the first that does not hold."""
        audit.audit(self)

    def state(self) -> dict[str, Any]:
        """Return the canonical state: comparable, free of anything but semantics."""
        return audit.state(self)
