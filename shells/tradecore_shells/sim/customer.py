"""A person with the real client: places, waits, cancels, and believes what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Any

from tradecore_shells.client import Client
from tradecore_shells.orders import Order
from tradecore_shells.plumbing.ports import Clock
from tradecore_shells.sim.clients import MIDDLE, Journal
from tradecore_shells.sim.facts import Facts
from tradecore_shells.sim.log import SimLog
from tradecore_shells.sim.venue import CATALOG

__all__ = ["Customer"]

_SESSION = 900
_PATIENCE_S = 2.0


class Customer:
    """One account behind `tradecore_shells.client.Client`.

    Parameters
    ----------
    account : int
    log : SimLog
    clock : Clock
    journal : Journal
    rng : random.Random

    Attributes
    ----------
    quiet : Event
        Nothing more will be sent.
    """

    def __init__(
        self, account: int, *, log: SimLog, clock: Clock, journal: Journal, rng: random.Random
    ) -> None:
        self.account = account
        self.orders: list[Order] = []
        self.stopping = False
        self.wrong: list[str] = []
        self._log = log
        self._clock = clock
        self._journal = journal
        self._rng = rng
        self._client: Client | None = None
        self.quiet = asyncio.Event()
        self._finish = asyncio.Event()

    async def run(self) -> None:
        """Trade until told to stop, then listen until told to finish."""
        client = Client(
            self._log, account_id=self.account, session_id=_SESSION, catalog=CATALOG,
            clock=self._clock,
        )  # fmt: skip
        self._client = client
        await client.start()
        await client.open_session("customer")
        self._journal.sessions.append(_SESSION)
        while not self.stopping:
            await asyncio.sleep(self._rng.uniform(0.02, 0.2))
            await self._act(client)
        self.quiet.set()
        await self._finish.wait()
        await client.close()

    def finish(self) -> None:
        """Stop listening."""
        self._finish.set()

    async def _act(self, client: Client) -> None:
        rng = self._rng
        live = [order for order in self.orders if not order._ended.done()]
        if live and rng.random() < 0.3:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE_S):
                    await client.cancel(rng.choice(live).order_id)
            return
        qty = rng.randint(1, 8)
        due = _SESSION << 32 | len(self.orders) + 1
        self._journal.offered[due] = qty
        order = await client.place(
            instrument="INDEX-CASH",
            side=rng.choice(("buy", "sell")),
            px=str(MIDDLE + rng.randint(-10, 10)),
            order_qty=str(qty),
            tif=rng.choice(("gtc", "gtc", "ioc")),
        )
        self.orders.append(order)
        self._journal.heard(order.offset)
        self._journal.orders[order.order_id] = qty
        if rng.random() < 0.5:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE_S):
                    await order.answered()

    def behind(self) -> list[str]:
        """Return what the customer still waits for."""
        waiting = [order for order in self.orders if order.state == "received"]
        return [f"customer: {len(waiting)} wait for answers, {waiting[0]}"] if waiting else []

    def believes_wrongly(self, facts: Facts) -> list[str]:
        """Judge that what the customer was told is what happened."""
        wrong: list[str] = []
        client: Any = self._client
        if client is not None and "closed" not in str(client._failure):
            wrong.append(f"customer: {client._failure!r}")
        for order in self.orders:
            if order.state == "repeated":
                continue  # what its first answer led to may have been said before it listened
            filled = facts.filled[order.order_id]
            if order.cum_qty != filled:
                wrong.append(f"customer: {order} filled {filled}")
        return wrong[:3]
