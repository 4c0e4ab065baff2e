"""Rules of risk through a real cell: what is found, which command follows, how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import msgspec

from portfolio_worlds import PERP, USD
from risk_worlds import QUIET, Metered, RiskWorld, Running
from tradecore.codes import CommandKind, EventKind, Phase
from tradecore.dtypes import MARKET_EVENT
from tradecore.risk import Rule
from tradecore.risk.frames import kill_switch
from tradecore.risk.nodes import account_node, group_node
from tradecore.risk.policy import BreakerPolicy, MarkPolicy
from tradecore.status import Status
from tradecore.testing import build
from tradecore_shells.risk.config import LimitSettings, RiskSettings

UNITS = 10**USD.decimals
# One lot of the perpetual is 0.001 BTC and one tick 0.01 USD: 1,000 units of 10**-8 USD.
LOT_TICK = 1_000


def settings(**fields: Any) -> RiskSettings:
    return msgspec.structs.replace(QUIET, **fields)


def run(body: Awaitable[None]) -> None:
    async def main() -> None:
        async with asyncio.timeout(30):
            await body

    asyncio.run(main())


def rejections(world: RiskWorld) -> list[int]:
    return [
        int(row["status"])
        for batch in world.read("executions", world.cell.source)
        for row in batch.events
        if row["kind"] == EventKind.REJECTED
    ]


def test_units_are_what_the_comment_says() -> None:
    assert PERP.multiplier == LOT_TICK


# -------------------------------------------------------------------------------------- drawdown
def drawdown(limit: str) -> RiskSettings:
    return settings(limits=LimitSettings(group_drawdown=limit))


def test_group_that_loses_too_much_is_stopped_once() -> None:
    async def body() -> None:
        world = RiskWorld()
        world.open({1: 1, 2: 2, 3: 2})
        world.mark(10_000)
        risk = world.make(drawdown("0.5"))
        async with Running(risk):
            await world.settle(risk)
            # 100 lots at 10,000: what it paid in fees is the first loss.
            world.trade(1, 2, 100, 10_000)
            await world.settle_after([risk], 100)
            fees = 100 * 10_000 * LOT_TICK * 300 // 1_000_000
            assert risk.state.figures().nodes[2].profit == 0  # group 2 is the maker, free of fees
            assert risk.state.figures().nodes[1].profit == -fees
            # 10,000 -> 10,400: the short side loses 400 ticks on 100 lots = 0.4 USD, no breach.
            world.mark(10_400)
            await world.settle_after([risk], 100)
            assert world.findings() == []
            world.mark(10_600)
            await world.settle_after([risk], 100, times=3)
        assert world.findings() == [(Rule.GROUP_DRAWDOWN, 60_000_000, 50_000_000)]
        assert [row["kind"] for row in world.own_commands()] == [CommandKind.KILL_SWITCH]
        (sent,) = world.own_commands()
        assert (sent["scope"], sent["group_id"], sent["state"]) == (2, 2, 1)
        world.order(3, 1, 1, 9_000)
        assert rejections(world)[-1] == Status.KILLED_GROUP

    run(body())


def test_operator_forgives_a_loss_and_the_next_one_counts_again() -> None:
    async def body() -> None:
        world = RiskWorld()
        world.open({1: 1, 2: 2})
        world.mark(10_000)
        risk = world.make(drawdown("0.5"))
        async with Running(risk):
            world.trade(1, 2, 100, 10_000)
            await world.settle_after([risk], 100)
            world.mark(10_600)
            await world.settle_after([risk], 100, times=2)
            assert risk.state.facts.killed[group_node(2)]
            world.send(build.admin(CommandKind.KILL_SWITCH, scope=2, group_id=2, state=0))
            await world.settle_after([risk], 100, times=3)
            assert not risk.state.facts.killed[group_node(2)]
            world.mark(11_000)  # 0.4 more
            await world.settle_after([risk], 100, times=2)
            assert len(world.findings()) == 1
            world.mark(11_101)  # 0.501 since the release
            await world.settle_after([risk], 100, times=2)
        assert [one[0] for one in world.findings()] == [Rule.GROUP_DRAWDOWN] * 2
        assert world.findings()[1][1] == 501 * 100 * LOT_TICK
        assert len(world.own_commands()) == 2

    run(body())


# -------------------------------------------------------------------------------------- exposure
def test_account_over_its_soft_limit_may_only_reduce_until_it_has() -> None:
    async def body() -> None:
        world = RiskWorld()
        world.open({1: 0, 2: 0})
        world.mark(10_000)
        world.send(
            build.frame(
                "tc_limits", kind=CommandKind.LIMITS, cont=1, scope=1, account_id=1, mask=4,
                max_position_qty=500,
            )
        )  # fmt: skip
        # 10 USD: 100 lots at 10,000 ticks are worth exactly 10 USD.
        risk = world.make(settings(limits=LimitSettings(account_gross="10", release_ppm=500_000)))
        node = account_node(1)
        async with Running(risk):
            world.trade(1, 2, 100, 10_000)
            await world.settle_after([risk], 100)
            assert world.findings() == []
            world.trade(1, 2, 1, 10_000)
            await world.settle_after([risk], 100, times=2)
            assert [one[0] for one in world.findings()] == [Rule.ACCOUNT_GROSS] * 2
            assert world.findings()[0][1:] == (101 * 10_000 * LOT_TICK, 10 * UNITS)
            assert risk.state.facts.position_limits[node] == 1
            before = len(rejections(world))
            world.order(1, 1, 1, 10_000)
            assert rejections(world)[before:] == [Status.LIMIT_POSITION]
            world.trade(2, 1, 50, 10_000)  # reducing is allowed
            assert len(rejections(world)) == before + 1
            await world.settle_after([risk], 100, times=2)
            assert risk.state.facts.position_limits[node] == 1  # 5.1 USD: above the release level
            world.trade(2, 1, 2, 10_000)
            await world.settle_after([risk], 100, times=3)
            assert risk.state.facts.position_limits[node] == 500
        released = [one for one in world.findings() if one[0] == Rule.GROSS_RELEASED]
        assert released[0] == (Rule.GROSS_RELEASED, 49 * 10_000 * LOT_TICK, 5 * UNITS)

    run(body())


# --------------------------------------------------------------------------------------- breakers
BREAKER = BreakerPolicy(move_ppm=50_000, window_ms=1_000, halt_ms=500, auction_ms=300)


def phases(world: RiskWorld) -> list[int]:
    return [
        int(row["phase"])
        for batch in world.read("executions", world.cell.source)
        for row in batch.events.view(MARKET_EVENT)
        if row["kind"] == EventKind.PHASE
    ]


def test_price_that_runs_away_halts_auctions_and_reopens() -> None:
    async def body() -> None:
        world = RiskWorld()
        world.open({1: 0, 2: 0})
        world.mark(10_000)
        risk = world.make(settings(breakers=BREAKER))
        async with Running(risk):
            await world.settle_after([risk], 100, times=2)
            world.mark(10_500)
            await world.settle_after([risk], 100, times=2)
            assert phases(world) == []  # 5 % is the limit, not beyond it
            world.mark(10_501)
            await world.settle_after([risk], 100)
            assert phases(world) == [Phase.HALTED]
            await world.settle_after([risk], 100, times=5)
            assert phases(world)[-1] == Phase.HALTED
            await world.settle_after([risk], 100, times=2)
            assert phases(world)[-1] == Phase.AUCTION
            await world.settle_after([risk], 100, times=5)
            assert phases(world) == [Phase.HALTED, Phase.AUCTION, Phase.CONTINUOUS]
            await world.settle_after([risk], 100, times=20)
        assert phases(world) == [Phase.HALTED, Phase.AUCTION, Phase.CONTINUOUS]
        rules = [one[0] for one in world.findings()]
        assert rules[:1] == [Rule.PRICE_MOVE]
        assert world.findings()[0][1:] == (50_100, 50_000)
        assert [one for one in rules if one in (Rule.REOPEN_AUCTION, Rule.REOPEN)] == [
            Rule.REOPEN_AUCTION, Rule.REOPEN,
        ]  # fmt: skip
        assert len(world.own_commands()) == 3

    run(body())


def test_slow_movement_trips_nothing() -> None:
    async def body() -> None:
        world = RiskWorld()
        world.open({1: 0, 2: 0})
        risk = world.make(settings(breakers=BREAKER))
        async with Running(risk):
            px = 10_000
            for _ in range(30):
                world.mark(px)
                await world.settle_after([risk], 200)
                px += px // 200  # 0.5 % each 200 ms: 2.5 % in the window
        assert world.own_commands() == []

    run(body())


def test_breaker_yields_to_an_operator() -> None:
    async def body() -> None:
        world = RiskWorld()
        world.open({1: 0, 2: 0})
        world.mark(10_000)
        risk = world.make(settings(breakers=BREAKER))
        async with Running(risk):
            await world.settle_after([risk], 100, times=2)
            world.mark(12_000)
            await world.settle_after([risk], 100, times=2)
            assert phases(world) == [Phase.HALTED]
            closed = build.admin(
                CommandKind.SET_PHASE, instrument_id=PERP.instrument_id, phase=Phase.CLOSED
            )
            world.send(closed)
            await world.settle_after([risk], 100, times=20)
        assert phases(world) == [Phase.HALTED, Phase.CLOSED]
        assert Rule.BREAKER_YIELDED in [one[0] for one in world.findings()]

    run(body())


# ------------------------------------------------------------------------------------------ marks
MARKING = settings(marks=MarkPolicy(step_ppm=10_000, refresh_ms=1_000, stale_ms=3_000))


def marks(world: RiskWorld) -> list[int]:
    return [
        int(one["mark_px"]) for one in world.own_commands() if one["kind"] == CommandKind.MARK_PRICE
    ]


def test_marks_follow_the_middle_of_quotes_in_bounded_steps() -> None:
    async def body() -> None:
        world = RiskWorld()
        world.open({1: 0, 2: 0})
        world.mark(10_000)
        metrics = Metered()
        risk = world.make(MARKING, metrics=metrics)
        async with Running(risk):
            world.order(1, 1, 5, 10_100)
            world.order(2, 2, 5, 10_205)
            await asyncio.sleep(0.02)  # the quotes are read beside the executions
            await world.settle_after([risk], 100, times=6)
            # floor((10,100 + 10,205) / 2) = 10,152: 1 % of 10,000, then the rest, then no change.
            assert marks(world) == [10_100, 10_152]
            await world.settle_after([risk], 100, times=9)
            assert marks(world) == [10_100, 10_152, 10_152]  # repeated after a second
        assert metrics.counters["risk_commands_total:mark_price"] == 3

    run(body())


def test_no_more_than_ten_marks_a_second() -> None:
    async def body() -> None:
        world = RiskWorld()
        world.open({1: 0, 2: 0})
        world.mark(10_000)
        risk = world.make(MARKING)
        async with Running(risk):
            world.order(1, 1, 5, 14_999)
            world.order(2, 2, 5, 15_001)
            await asyncio.sleep(0.02)
            await world.settle_after([risk], 10, times=50)  # half a second
        assert 4 <= len(marks(world)) <= 5

    run(body())


def test_nothing_is_marked_while_trading_is_halted() -> None:
    async def body() -> None:
        world = RiskWorld()
        world.open({1: 0, 2: 0})
        world.mark(10_000)
        risk = world.make(MARKING)
        async with Running(risk):
            world.order(1, 1, 5, 10_100)
            world.order(2, 2, 5, 10_205)
            halted = build.admin(
                CommandKind.SET_PHASE, instrument_id=PERP.instrument_id, phase=Phase.HALTED
            )
            world.send(halted)
            await asyncio.sleep(0.02)
            await world.settle_after([risk], 100, times=40)
            assert marks(world) == []
        assert [one[0] for one in world.findings()] == [Rule.MARK_STALE]

    run(body())


# ---------------------------------------------------------------------------------------- refusals
def test_refused_command_is_not_tried_again_at_once() -> None:
    async def body() -> None:
        world = RiskWorld()
        world.open({1: 1, 2: 2})
        world.mark(10_000)
        world.trade(1, 2, 100, 10_000)
        risk = world.make(settings(limits=LimitSettings(group_drawdown="0.5"), refused_s=1.0))
        # Somebody who calls himself risk asks for what cannot be: it is refused, and counted.
        async with Running(risk):
            await world.settle_after([risk], 100, times=2)
            impossible = [kill_switch(group_node(7777), True, Rule.GROUP_DRAWDOWN)]
            await risk._sender.act(0, risk.state.facts.now_ns, lambda: impossible)
            await world.settle_after([risk], 100, times=2)
            world.mark(11_000)
            await world.settle_after([risk], 100, times=3)
        kinds = [int(row["group_id"]) for row in world.own_commands()]
        assert kinds == [7777, 2]
        told = [row for row in world.told() if row["status"] == Status.CAPACITY_GROUPS]
        assert told == []  # 5xx are no news about risk
        assert world.applied() == [(1, 1), (2, 1)]

    run(body())


def test_refusals_of_risk_checks_are_told_with_their_values() -> None:
    async def body() -> None:
        world = RiskWorld()
        world.open({1: 0, 2: 0}, cash=1_000)
        world.mark(10_000)
        risk = world.make()
        async with Running(risk):
            world.order(1, 1, 100, 10_000)
            await world.settle_after([risk], 100)
        (row,) = [row for row in world.told() if row["kind"] == EventKind.REJECTED]
        assert row["status"] == Status.INSUFFICIENT_FUNDS
        assert row["account_id"] == 1
        assert row["limit"] == 1_000
        assert row["observed"] >= 100 * 10_000 * LOT_TICK // 10

    run(body())
