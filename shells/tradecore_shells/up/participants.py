"""Simulated participants on a running exchange: the agents of the demo as an ordinary client.

They hear executions, send one batch of commands a step, and know nothing that another client could
not know. One trading session is one run of them all; who starts anew cancels first what an earlier
run has left in the books.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Final

import numpy as np
import numpy.typing as npt

from tradecore.agents import Market, MarketSpec
from tradecore.agents.slots import SLOT_BITS
from tradecore.cell import Batch
from tradecore.codes import ANY, CommandKind, EventKind
from tradecore.dtypes import ADMIN, COMMAND, FILL_EVENT
from tradecore_shells.client import Client
from tradecore_shells.plumbing.observe import event
from tradecore_shells.plumbing.ports import Clock, FatalError, Log

__all__ = ["Participants"]

_log = logging.getLogger("tradecore.participants")
_REMEMBERED: Final = 1 << 22  # order ids of this run that events can still be traced back to
_ORDERS: Final = (CommandKind.NEW_ORDER, CommandKind.CANCEL_ORDER, CommandKind.REPLACE_ORDER)
_ENGINE_IDS: Final = np.uint64(1 << 63)
_MOST_WAITING: Final = 8  # steps on their way; a slow exchange slows its participants

Frames = npt.NDArray[np.void]


class Participants:
    """A market of agents as a service of the runtime.

    Parameters
    ----------
    spec : MarketSpec
    seed : int
    log : Log
        A view of the log of their own: nobody else may read `executions` through it.
    clock : Clock
    session_id : int
        Of this run.
    account_id : int
        In whose name the session is opened.
    step_s : float
        Time between two steps.
    marks : bool
        Whether they also say what their perpetuals are worth; False where risk does.
    """

    name = "participants"

    def __init__(
        self,
        spec: MarketSpec,
        seed: int,
        *,
        log: Log,
        clock: Clock,
        session_id: int,
        account_id: int,
        step_s: float = 0.2,
        marks: bool = True,
    ) -> None:
        self.market = Market(spec, np.random.Generator(np.random.PCG64(seed)))
        self._clock = clock
        self._step_s = step_s
        self._marks = marks
        self._client = Client(
            log,
            account_id=account_id,
            session_id=session_id,
            clock=clock,
            on_batches=self._hear,
        )
        self._high = np.uint64(session_id << 32)
        self._count = 0
        self._local = np.zeros(_REMEMBERED, np.int64)  # by the low half of the wire's id
        self._wire: dict[int, int] = {}  # by slot: the wire's id of the order that is in it
        self._quotes: dict[int, tuple[int | None, int | None]] = {}
        self._stopping = asyncio.Event()
        self._shock: str | None = None
        self.sent = 0

    # ------------------------------------------------------------------------------ from outside
    def stop(self) -> None:
        """Send nothing new, cancel what is left, return from `run`."""
        self._stopping.set()

    def trouble(self) -> str:
        """Participants are never in the way of serving."""
        return ""

    def shock(self) -> None:
        """Let bad news about the first coin come out before the next step."""
        self._shock = "now"

    def begin_at(self, last_px: dict[int, int]) -> None:
        """Take the last prices of a market that has traded before as what coins are worth."""
        for at, plan in enumerate(self.market.plans):
            px = last_px.get(plan.instrument_id, 0)
            if px and not plan.is_linear:
                self.market.fair.start_at(at, px)

    def quote(self, instrument_id: int, bid: int | None, ask: int | None) -> None:
        """Note the best prices, as market data tells them."""
        self._quotes[instrument_id] = (bid, ask)

    async def run(self) -> None:
        """Trade until stopped."""
        await self._client.start()
        await self._client.open_session("simulated participants")
        await self._submit(self._leaving())
        event(_log, "trading", session=self._client.session_id, accounts=self.market.spec.accounts)
        waiting: deque[asyncio.Task[None]] = deque()
        try:
            while not self._stopping.is_set():
                while len(waiting) >= _MOST_WAITING:
                    await waiting.popleft()
                self.market.view.now_ns = self._clock.now_ns()
                frames = self._step()
                waiting.append(asyncio.create_task(self._submit(frames)))
                self.sent += len(frames)
                await self._pause()
            for task in waiting:
                await task
            await self._submit(self._leaving())
            await self._client.close_session()
        except FatalError as error:
            event(_log, "participants leave", level=logging.WARNING, reason=str(error))
            raise
        finally:
            for task in waiting:
                task.cancel()
            await self._client.close()

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), self._step_s)
        except TimeoutError:
            return

    # --------------------------------------------------------------------------------- sending
    def _step(self) -> Frames:
        if self._shock:
            self._shock = None
            self.market.fair.shock(0)
        nothing = (None, None)
        ids = self.market.spec.ids
        frames = self.market.batch([self._quotes.get(one, nothing) for one in ids])
        if not self._marks:
            frames = frames[frames["kind"] != CommandKind.MARK_PRICE]
        return self._outward(frames)

    async def _submit(self, frames: Frames) -> None:
        if len(frames):
            await self._client.submit(np.ascontiguousarray(frames))

    def _leaving(self) -> Frames:
        """Return what cancels every order of every participant, and of nobody else."""
        frames = np.zeros(self.market.spec.accounts + 1, ADMIN)
        frames["kind"] = CommandKind.MASS_CANCEL
        frames["account_id"] = np.arange(len(frames))
        frames["instrument_id"] = ANY
        return frames.view(COMMAND)

    def _outward(self, frames: Frames) -> Frames:
        """Give orders the ids of this session; the agents' own ids lead back to their slots."""
        kinds = frames["kind"]
        orders = np.flatnonzero(np.isin(kinds, _ORDERS))
        frames["session_id"][orders] = self._client.session_id
        now = self._clock.now_ns()
        wire = self._wire
        mask = (1 << SLOT_BITS) - 1
        for at in orders.tolist():
            local = int(frames["order_id"][at])
            if kinds[at] == CommandKind.NEW_ORDER:
                self._count += 1
                self._local[self._count % _REMEMBERED] = local
                wire[local & mask] = self._count
                low = self._count
                frames["sent_ts_ns"][at] = now
            else:
                low = wire.get(local & mask, 0)
            frames["order_id"][at] = int(self._high) | low
        return frames

    # --------------------------------------------------------------------------------- hearing
    def _hear(self, batches: list[Batch]) -> None:
        parts = [batch.events for batch in batches if len(batch.events)]
        if not parts:
            return
        events = np.concatenate(parts)
        events = events[events["kind"] <= max(EventKind)]
        self._inward(events["order_id"])
        fills = events["kind"] == EventKind.FILL
        makers = events.view(FILL_EVENT)["maker_order_id"]
        inward = makers[fills]
        self._inward(inward)
        makers[fills] = inward
        self.market.observe(events)

    def _inward(self, ids: npt.NDArray[np.uint64]) -> None:
        """Turn this session's ids into the agents' own, and all others into none, in place."""
        mine = (ids >> np.uint64(32)) == (self._high >> np.uint64(32))
        low = (ids & np.uint64(0xFFFFFFFF)).astype(np.int64) % _REMEMBERED
        ids[...] = np.where(mine & (ids < _ENGINE_IDS), self._local[low].astype(np.uint64), 0)
