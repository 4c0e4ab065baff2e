"""The stale rule through the client: an order that waited too long on its way is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

from shells.small_exchange import CATALOG, exchange
from tradecore.codes import EventKind
from tradecore.messages import SetLimits
from tradecore_shells.client import Client
from tradecore_shells.plumbing.clock import SystemClock

WINDOW_NS = 30_000_000_000
STALE = 106  # docs/reference/accounts.md


class Behind:
    """A clock as far behind the log's as it is told."""

    def __init__(self) -> None:
        self.behind_ns = 0
        self._clock = SystemClock()

    def now_ns(self) -> int:
        return self._clock.now_ns() - self.behind_ns


def test_order_that_is_too_old_is_refused_and_a_fresh_one_is_not(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        clock = Behind()
        terms = {"instrument": "BTC-USD", "px": "99.00", "order_qty": "1"}
        async with exchange(tmp_path) as log:
            client = Client(log, account_id=1, session_id=100, catalog=CATALOG, clock=clock)
            await client.start()
            assert (await client.ask(SetLimits(scope="firm", stale_ns=WINDOW_NS))).applied
            fresh = await (await client.place(side="buy", **terms)).answered()
            assert fresh.state == "accepted"

            clock.behind_ns = 2 * WINDOW_NS
            old = await (await client.place(side="buy", **terms)).ended()
            assert (old.state, int(old.status)) == ("rejected", STALE)
            # Taking an order out of the market is never too late.
            gone = await client.cancel(fresh.order_id)
            assert gone.events["kind"].tolist() == [EventKind.CANCELED]
            await client.close()

    asyncio.run(asyncio.wait_for(main(), 60))
