"""Parts of the service alone: the sender's echo, the reader of commands, old market data."""

from __future__ import annotations

import asyncio

import msgspec
import numpy as np
import pytest

from portfolio_worlds import ListLog
from risk_worlds import QUIET, SOURCE, RiskWorld, Running, TimedLog
from shells.risk.test_service import Faulty
from tradecore.cell import Batch
from tradecore.codes import CommandKind, EventKind
from tradecore.dtypes import EVENT
from tradecore.envelope import decode
from tradecore.risk import Rule, Wish
from tradecore.risk.frames import kill_switch
from tradecore.risk.nodes import FIRM
from tradecore.risk.policy import MarkPolicy
from tradecore.testing import build
from tradecore_shells.plumbing.observe import NoMetrics
from tradecore_shells.plumbing.ports import (
    MARKET_DATA,
    TRADING_COMMANDS,
    FatalError,
    Record,
    RetryableError,
)
from tradecore_shells.risk.commands import CommandRecords
from tradecore_shells.risk.config import LimitSettings
from tradecore_shells.risk.sender import Sender

STOP = kill_switch(FIRM, True, Rule.FIRM_DRAWDOWN)


def sender(log: ListLog, resend_s: float = 1e9) -> Sender:
    return Sender(
        log,
        partition=0,
        source=SOURCE,
        metrics=NoMetrics(),
        resend_s=resend_s,
        refused_ns=1_000,
    )


def sent(log: ListLog) -> list[bytes]:
    return [payload for _, payload in log.of(TRADING_COMMANDS)]


# ------------------------------------------------------------------------------------------ sender
def test_one_envelope_is_under_way_until_its_echo() -> None:
    async def main() -> None:
        log = ListLog()
        one = sender(log)
        for _ in range(5):
            await one.act(7, 0, lambda: [STOP])
        assert [decode(payload).first_seq for payload in sent(log)] == [8]
        await one.act(8, 0, lambda: [STOP])
        assert [decode(payload).first_seq for payload in sent(log)] == [8, 9]
        await one.act(9, 0, list)
        assert len(sent(log)) == 2

    asyncio.run(main())


def test_without_an_echo_the_same_bytes_go_out_again() -> None:
    async def main() -> None:
        log = ListLog()
        one = sender(log, resend_s=0.0)
        other = kill_switch(FIRM, False, Rule.FIRM_DRAWDOWN)
        for wish in (STOP, other, other):
            await one.act(0, 0, lambda wish=wish: [wish])
        assert len(sent(log)) == 3
        assert len(set(sent(log))) == 1

    asyncio.run(main())


def test_refused_command_waits_for_log_time() -> None:
    def refused(ts_ns: int) -> Batch:
        row = build.frame(
            "tc_reject_event", kind=EventKind.REJECTED, status=509,
            command_kind=CommandKind.KILL_SWITCH,
        )  # fmt: skip
        return Batch(1, ts_ns, 0, SOURCE, 1, 0, np.frombuffer(row, EVENT))

    async def main() -> None:
        log = ListLog()
        one = sender(log)
        asked = 0

        def wishes() -> list[Wish]:
            nonlocal asked
            asked += 1
            return [STOP]

        await one.act(0, 5_000, wishes)
        one.hear([refused(5_000)])
        await one.act(1, 5_000, wishes)
        await one.act(1, 5_999, wishes)
        assert (len(sent(log)), asked) == (1, 3)
        await one.act(1, 6_000, wishes)
        assert len(sent(log)) == 2

    asyncio.run(main())


# ------------------------------------------------------------------------------- commands' records
class Holes(ListLog):
    """A log that has lost a record in the middle, as a compacted topic has."""

    async def fetch(
        self, topic: str, partition: int, offset: int, *, max_bytes: int, wait_s: float
    ) -> list[Record]:
        found = await super().fetch(topic, partition, offset, max_bytes=max_bytes, wait_s=wait_s)
        return [one for one in found if one.offset != 2]


def batches(*offsets: int) -> list[Batch]:
    return [Batch(1, 0, offset, 0, 1, 0, np.empty(0, EVENT)) for offset in offsets]


def test_records_are_found_by_offset_and_a_hole_is_fatal() -> None:
    async def main() -> None:
        log = Holes()
        await log.append(TRADING_COMMANDS, 0, [b"a", b"b", b"c", b"d", b"e"])
        records = CommandRecords(log, 0, 0.1)
        refused = batches(3)[0]._replace(status=100)
        found = await records.of([*batches(0, 1, 1), refused, *batches(4)])
        assert [bytes(one) for one in found] == [b"a", b"b", b"b", b"", b"e"]
        with pytest.raises(FatalError, match="no record 2"):
            await CommandRecords(log, 0, 0.1).of(batches(1, 2))

    asyncio.run(main())


# ------------------------------------------------------------------------------------- the service
def test_nothing_is_sent_for_what_was_over_before_the_start() -> None:
    """On the way through the past a rule wants what somebody has long undone."""

    async def main() -> None:
        world = RiskWorld()
        world.log = _OneByOne()
        world.open({1: 1, 2: 2})
        world.mark(10_000)
        world.trade(1, 2, 100, 10_000)
        world.tick(200)
        world.mark(12_500)
        world.tick(200)  # here group 2 has lost 2.5
        world.send(build.admin(CommandKind.KILL_SWITCH, scope=2, group_id=2, state=1))
        world.tick(200)
        world.send(build.admin(CommandKind.KILL_SWITCH, scope=2, group_id=2, state=0))
        world.tick(200)
        settings = msgspec.structs.replace(QUIET, limits=LimitSettings(group_drawdown="2"))
        risk = world.make(settings)
        async with Running(risk):
            await world.settle(risk)
        assert [one[0] for one in world.findings()] == [Rule.GROUP_DRAWDOWN]
        assert world.own_commands() == []

    asyncio.run(main())


class _OneByOne(TimedLog):
    """A log that hands out one record at a time."""

    async def fetch(
        self, topic: str, partition: int, offset: int, *, max_bytes: int, wait_s: float
    ) -> list[Record]:
        return await super().fetch(topic, partition, offset, max_bytes=1, wait_s=wait_s)


def test_quotes_of_an_interrupted_market_are_not_believed() -> None:
    class Interrupted(Faulty):
        broken = False

        async def fetch(
            self, topic: str, partition: int, offset: int, *, max_bytes: int, wait_s: float
        ) -> list[Record]:
            if self.broken and topic == MARKET_DATA:
                raise RetryableError("gone")
            return await super().fetch(topic, partition, offset, max_bytes=max_bytes, wait_s=wait_s)

    async def main() -> None:
        world = RiskWorld()
        world.open({1: 0, 2: 0})
        world.mark(10_000)
        world.order(1, 1, 5, 10_100)
        world.order(2, 2, 5, 10_200)
        log = Interrupted(world.log, 3)
        marks = MarkPolicy(stale_ms=40, refresh_ms=100, step_ppm=1_000_000)
        risk = world.make(msgspec.structs.replace(QUIET, marks=marks), log=log)
        async with Running(risk), asyncio.timeout(20):
            while not world.own_commands():
                await world.settle_after([risk], 100)
            log.broken = True
            while risk._market.is_fresh(risk.state.facts.now_ns, 0.04):
                await world.settle_after([risk], 100)
            # What was wished while they were fresh may still be on its way.
            await world.settle_after([risk], 100, times=5)
            before = len(world.own_commands())
            await world.settle_after([risk], 100, times=10)
        assert len(world.own_commands()) == before

    asyncio.run(main())
