"""The client against a real cell: what it hears, when, and what a lost answer does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shells.small_exchange import CATALOG, OPERATOR, exchange
from tradecore import dtypes
from tradecore.buffers import BytesLike
from tradecore.cell import Position
from tradecore.codes import EventKind, OrdType, Side, Tif
from tradecore.errors import ConfigError, FrameError
from tradecore.messages import Deposit
from tradecore.portfolio.sessions import SessionClosed, SessionOpened, decode_user_event
from tradecore.status import Status
from tradecore.testing import build
from tradecore_shells.client import Client, connect, follow
from tradecore_shells.orders import Order
from tradecore_shells.plumbing.filelog import FileLog
from tradecore_shells.plumbing.logserver import LogServer
from tradecore_shells.plumbing.ports import (
    TRADING_COMMANDS,
    USER_EVENTS,
    Bounds,
    FatalError,
    Record,
    RetryableError,
)


def play(folder: Path, body: Callable[[FileLog], Awaitable[None]]) -> None:
    async def main() -> None:
        async with exchange(folder) as log:
            async with asyncio.timeout(60):
                await body(log)

    asyncio.run(main())


def new_client(log: Any, account: int, session: int, **settings: Any) -> Client:
    return Client(log, account_id=account, session_id=session, catalog=CATALOG, **settings)


async def buy(client: Client, px: str = "100.00", qty: str = "1", **terms: Any) -> Order:
    return await client.place(instrument="BTC-USD", side="buy", px=px, order_qty=qty, **terms)


async def sell(client: Client, px: str = "100.00", qty: str = "1", **terms: Any) -> Order:
    return await client.place(instrument="BTC-USD", side="sell", px=px, order_qty=qty, **terms)


def test_client_order_is_received_accepted_worked_and_filled(tmp_path: Path) -> None:
    async def body(log: FileLog) -> None:
        maker, taker = new_client(log, 1, 100), new_client(log, 2, 200)
        await maker.start()
        await taker.start()
        offer = await sell(maker, qty="1")
        assert (offer.state, offer.order_id) == ("received", 100 << 32 | 1)
        assert (await offer.answered()).state == "accepted"
        assert (offer.px, offer.order_qty, offer.leaves_qty) == (10_000, 10_000, 10_000)

        first = await (await buy(taker, px="101.00", qty="0.4")).ended()
        assert (first.state, first.cum_qty, first.leaves_qty) == ("filled", 4_000, 0)
        assert [fill[:2] for fill in first.fills] == [(10_000, 4_000)]
        assert not first.fills[0].is_maker
        await maker.cancel(12345)  # whatever is answered now was said behind the fill
        assert (offer.state, offer.cum_qty, offer.leaves_qty) == ("working", 4_000, 6_000)

        second = await (await buy(taker, qty="1", tif="ioc")).ended()
        assert (second.state, second.cum_qty) == ("expired", 6_000)
        await offer.ended()
        assert (offer.state, offer.cum_qty, offer.leaves_qty) == ("filled", 10_000, 0)
        assert [fill.last_qty for fill in offer.fills] == [4_000, 6_000]
        assert all(fill.is_maker for fill in offer.fills)
        assert len(maker.orders) == len(taker.orders) == 0
        await maker.close()
        await taker.close()

    play(tmp_path, body)


def test_client_cancel_and_replace_change_the_order(tmp_path: Path) -> None:
    async def body(log: FileLog) -> None:
        client = new_client(log, 1, 100)
        await client.start()
        order = await (await buy(client, px="99.00", qty="1")).answered()
        changed = await client.replace(
            order.order_id, instrument="BTC-USD", px="98.00", order_qty="0.5"
        )
        assert changed.events["kind"].tolist() == [EventKind.REPLACED]
        assert (order.px, order.order_qty, order.leaves_qty) == (9_800, 5_000, 5_000)
        gone = await client.cancel(order.order_id)
        assert gone.events["kind"].tolist() == [EventKind.CANCELED]
        assert (await order.ended()).state == "canceled"
        again = await client.cancel(order.order_id)
        assert again.events["kind"].tolist() == [EventKind.CANCEL_REJECTED]
        await client.close()

    play(tmp_path, body)


def test_client_refused_order_names_the_reason(tmp_path: Path) -> None:
    async def body(log: FileLog) -> None:
        client = new_client(log, 1, 100)
        await client.start()
        poor = await (await buy(client, qty="100000")).ended()
        assert poor.state == "rejected"
        assert poor.status == Status.INSUFFICIENT_FUNDS
        with pytest.raises(FrameError, match="ETH-USD"):
            await client.place(instrument="ETH-USD", side="buy", px="1", order_qty="1")
        assert len(client.orders) == 0
        await client.close()

    play(tmp_path, body)


def test_client_that_starts_again_with_its_session_hears_what_happened_first(
    tmp_path: Path,
) -> None:
    async def body(log: FileLog) -> None:
        before = new_client(log, 1, 100)
        await before.start()
        await (await buy(before, px="99.00")).answered()
        await before.close()
        after = new_client(log, 1, 100)
        await after.start()
        same = await (await buy(after, px="99.00")).answered()
        assert (same.state, same.status) == ("repeated", Status.OK)
        other = after.orders.new(same.order_id)
        await after.submit(
            build.order(
                order_id=same.order_id, account_id=1, session_id=100, instrument_id=0,
                side=Side.BUY, ord_type=OrdType.LIMIT, tif=Tif.GTC, px=9_900, order_qty=7,
            )
        )  # fmt: skip
        assert (await other.answered()).status == Status.REPEATED_OTHER_TERMS
        await after.close()

    play(tmp_path, body)


class Unreliable:
    """A log in front of a log: loses the acknowledgement of appends, as often as told."""

    def __init__(self, log: FileLog, lost: int) -> None:
        self._log = log
        self.lost = lost
        self.appended = 0

    async def append(self, topic: str, partition: int, payloads: Sequence[BytesLike]) -> int:
        offset = await self._log.append(topic, partition, payloads)
        self.appended += 1
        if self.lost:
            self.lost -= 1
            raise RetryableError("the answer was lost")
        return offset

    async def fetch(
        self, topic: str, partition: int, offset: int, *, max_bytes: int, wait_s: float
    ) -> list[Record]:
        return await self._log.fetch(topic, partition, offset, max_bytes=max_bytes, wait_s=wait_s)

    async def bounds(self, topic: str, partition: int) -> Bounds:
        return await self._log.bounds(topic, partition)

    async def close(self) -> None:
        await self._log.close()


def test_client_repeats_an_order_whose_acknowledgement_was_lost_and_it_is_done_once(
    tmp_path: Path,
) -> None:
    async def body(log: FileLog) -> None:
        weak = Unreliable(log, lost=2)
        client, watcher = new_client(weak, 1, 100), new_client(log, 2, 200)
        await client.start()
        order = await (await buy(client, px="99.00", qty="1")).answered()
        assert weak.appended == 3
        assert order.state == "accepted"
        await watcher.start()
        hit = await (await sell(watcher, px="99.00", qty="3", tif="ioc")).ended()
        assert hit.cum_qty == 10_000
        await client.close()
        await watcher.close()

    play(tmp_path, body)


class LateAnswers(Unreliable):
    """Answers an append only when it is told to, long after the cell has read the record."""

    def __init__(self, log: FileLog) -> None:
        super().__init__(log, lost=0)
        self.go = asyncio.Event()

    async def append(self, topic: str, partition: int, payloads: Sequence[BytesLike]) -> int:
        offset = await super().append(topic, partition, payloads)
        await self.go.wait()
        return offset


def test_client_keeps_what_it_heard_before_the_acknowledgement(tmp_path: Path) -> None:
    async def body(log: FileLog) -> None:
        late = LateAnswers(log)
        heard = asyncio.Event()
        client = new_client(late, 1, 100, on_batches=lambda batches: heard.set())
        await client.start()
        asking = asyncio.create_task(client.ask(Deposit(account_id=1, asset="USD", amount="1")))
        await heard.wait()
        late.go.set()
        assert (await asking).applied
        await client.close()

    play(tmp_path, body)


def test_client_that_always_has_appends_under_way_forgets_what_is_not_its_own(
    tmp_path: Path,
) -> None:
    async def body(log: FileLog) -> None:
        late, other = LateAnswers(log), new_client(log, 2, 200)
        client = new_client(late, 1, 100)
        await client.start()
        await other.start()
        deposit = Deposit(account_id=1, asset="USD", amount="1")
        for _ in range(20):
            late.go.clear()
            asking = asyncio.create_task(client.ask(deposit))
            for _ in range(5):
                await other.ask(deposit)
            late.go.set()
            following = asyncio.create_task(client.ask(deposit))
            await asyncio.gather(asking, following)
            assert len(client._early) <= 12
        await client.close()
        await other.close()

    play(tmp_path, body)


def test_client_does_not_repeat_a_deposit_unless_it_numbers_its_envelopes(tmp_path: Path) -> None:
    async def body(log: FileLog) -> None:
        deposit = Deposit(account_id=1, asset="USD", amount="5")
        plain = new_client(Unreliable(log, lost=1), 1, 100)
        await plain.start()
        with pytest.raises(RetryableError, match="lost"):
            await plain.ask(deposit)
        weak = Unreliable(log, lost=2)
        numbered = new_client(weak, 1, 101, source=OPERATOR + 1)
        await numbered.start()
        first, second = await numbered.ask(deposit), await numbered.ask(deposit)
        assert weak.appended == 4
        assert (first.in_first_seq, second.in_first_seq) == (1, 2)
        assert first.applied
        assert second.applied
        # Account 1 had 100,000 USD; the unnumbered deposit was done although nobody was told.
        (event,) = second.events.view(dtypes.BALANCE_EVENT)
        assert event["balance"] == (100_000 + 5 + 5 + 5) * 10**8
        await plain.close()
        await numbered.close()

    play(tmp_path, body)


def test_client_numbers_envelopes_in_the_order_in_which_they_reach_the_log(tmp_path: Path) -> None:
    async def body(log: FileLog) -> None:
        client = new_client(log, 1, 100, source=OPERATOR + 1)
        await client.start()
        deposit = Deposit(account_id=1, asset="USD", amount="1")
        batches = await asyncio.gather(*(client.ask(deposit) for _ in range(50)))
        assert all(batch.applied for batch in batches)
        assert sorted(batch.in_first_seq for batch in batches) == list(range(1, 51))
        await client.close()

    play(tmp_path, body)


def test_client_sends_arrays_of_orders_and_every_one_is_answered(tmp_path: Path) -> None:
    async def body(log: FileLog) -> None:
        accepted: list[int] = []

        def count(batches: list[Any]) -> None:
            for batch in batches:
                events = batch.events
                accepted.extend(events["order_id"][events["kind"] == EventKind.ACCEPTED].tolist())

        client = new_client(log, 1, 100, on_batches=count)
        await client.start()
        orders = np.zeros(1000, dtypes.COMMAND)
        orders["kind"], orders["side"], orders["ord_type"], orders["tif"] = 1, 1, 2, 1
        orders["px"], orders["order_qty"] = 5_000, 1
        batches = []
        for at in range(0, 1000, 100):
            part = orders[at : at + 100]
            client.stamp(part)
            offset = await client.submit(part)
            batches.append(await client.outcome(offset))
        assert accepted == [100 << 32 | n for n in range(1, 1001)]
        assert sum(len(batch.events) for batch in batches) == 1000
        with pytest.raises(ConfigError, match="none of the last"):
            await client.outcome(10**6)
        await client.close()

    play(tmp_path, body)


def test_client_through_a_socket_survives_a_server_that_starts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path must be short

    async def body(log: FileLog) -> None:
        address = "unix:socket"
        server = LogServer(log, address)
        await server.start()
        async with connect(
            address, account_id=1, session_id=100, catalog=CATALOG, label="test"
        ) as client:
            order = await (await buy(client, px="99.00")).answered()
            await server.close()
            waiting = asyncio.create_task(buy(client, px="98.00"))
            await asyncio.sleep(0)
            server = LogServer(log, address)
            await server.start()
            assert (await (await waiting).answered()).state == "accepted"
            await client.cancel(order.order_id)
            assert (await order.ended()).state == "canceled"
        told = await log.fetch(USER_EVENTS, 0, 0, max_bytes=10_000, wait_s=0)
        opened, closed = (decode_user_event(record.payload) for record in told)
        assert isinstance(opened, SessionOpened)
        assert (opened.session_id, opened.account_id, opened.label) == (100, 1, "test")
        assert isinstance(closed, SessionClosed)
        await server.close()

    play(tmp_path, body)


def test_client_closed_fails_who_waits(tmp_path: Path) -> None:
    async def body(log: FileLog) -> None:
        client = new_client(log, 1, 100)
        await client.start()
        order = await (await buy(client, px="99.00")).answered()
        ended = asyncio.create_task(order.ended())
        await asyncio.sleep(0)
        await client.close()
        with pytest.raises(FatalError, match="closed"):
            await ended

    play(tmp_path, body)


def test_follow_from_the_first_record_counts_every_command(tmp_path: Path) -> None:
    async def body(log: FileLog) -> None:
        end = (await log.bounds(TRADING_COMMANDS, 0)).end
        seen: list[int] = []
        async for batches in follow(log):
            seen += [batch.in_offset for batch in batches]
            if len(seen) == end:
                break
        assert seen == list(range(end))
        async for batches in follow(log, position=Position(1, 0)):
            assert batches[0].in_offset > 0
            break

    play(tmp_path, body)


@pytest.mark.parametrize("session", [0, -1, 1 << 31])
def test_client_session_out_of_range_is_refused(session: int) -> None:
    with pytest.raises(ConfigError, match="session_id"):
        Client(None, account_id=1, session_id=session)  # type: ignore[arg-type]
