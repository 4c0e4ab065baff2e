"""The risk service through kills, lost answers, twins and broken logs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from portfolio_worlds import PERP, Services
from risk_worlds import QUIET, SOURCE, Metered, RiskWorld, Running, TimedLog
from tradecore.codes import CommandKind, EventKind, Phase
from tradecore.dtypes import MARKET_EVENT
from tradecore.envelope import decode
from tradecore.risk import Rule
from tradecore.risk.policy import BreakerPolicy, FigurePolicy, MarkPolicy
from tradecore.testing import build
from tradecore_shells.plumbing.ports import (
    EXECUTIONS,
    RISK_EVENTS,
    TRADING_COMMANDS,
    Bounds,
    FatalError,
    Payload,
    Record,
    RetryableError,
)
from tradecore_shells.risk.config import LimitSettings, RiskSettings
from tradecore_shells.risk.service import RiskService

BUSY = msgspec.structs.replace(
    QUIET,
    marks=MarkPolicy(step_ppm=20_000),
    breakers=BreakerPolicy(move_ppm=80_000, window_ms=1_000, halt_ms=300, auction_ms=200),
    limits=LimitSettings(group_drawdown="2", account_gross="20"),
    figures=FigurePolicy(sample_ms=200),
    report_s=0.01,
)


class Faulty:
    """A view of a log that loses answers and requests of appends, by a seed."""

    def __init__(self, log: TimedLog, seed: int) -> None:
        self._log = log
        self._draw = random.Random(seed)

    async def append(self, topic: str, partition: int, payloads: Sequence[Payload]) -> int:
        fate = self._draw.random()
        if fate < 0.2:
            raise RetryableError("request lost")
        await asyncio.sleep(0)
        first = await self._log.append(topic, partition, payloads)
        if fate < 0.4:
            raise RetryableError("answer lost")
        return first

    async def fetch(
        self, topic: str, partition: int, offset: int, *, max_bytes: int, wait_s: float
    ) -> list[Record]:
        found = await self._log.fetch(
            topic, partition, offset, max_bytes=max_bytes, wait_s=min(wait_s, 0.001)
        )
        return found[: self._draw.randint(1, 4)]

    async def bounds(self, topic: str, partition: int) -> Bounds:
        return await self._log.bounds(topic, partition)

    async def close(self) -> None:
        """Nothing to close."""


def story(world: RiskWorld, draw: random.Random) -> None:
    """Let something happen in the market."""
    world.log.now_ns += 20_000_000
    what = draw.random()
    px = 10_000 + draw.randint(-900, 900)
    if what < 0.5:
        world.order(draw.randint(1, 4), draw.randint(1, 2), draw.randint(1, 60), px)
    elif what < 0.6:
        world.mark(px)
    elif what < 0.65:
        world.send(build.admin(CommandKind.KILL_SWITCH, scope=2, group_id=2, state=0))
    else:
        world.tick(60)


def opened() -> RiskWorld:
    world = RiskWorld()
    world.open({1: 1, 2: 2, 3: 2, 4: 0})
    world.mark(10_000)
    return world


async def read_again(world: RiskWorld, settings: RiskSettings) -> list[bytes]:
    """Return what one process that was never disturbed would have told about this log."""
    other = RiskWorld()
    other.log.topics = {
        key: list(kept) for key, kept in world.log.topics.items() if key[0] != RISK_EVENTS
    }
    other.cell = world.cell
    silent = msgspec.structs.replace(settings, resend_s=1e9)
    risk = other.make(silent)
    risk._sender._payload, risk._sender._first = b"-", 1 << 62
    risk._sender._sent_at = float("inf")
    async with Running(risk):
        await other.settle(risk)
    return [batch.events.tobytes() for batch in other.read(RISK_EVENTS, SOURCE)]


def numbers_are_dense(world: RiskWorld) -> int:
    """Return the newest number applied of risk; all before it were applied, each once."""
    expected = 1
    for first, count in world.applied():
        assert first == expected
        expected += count
    return expected - 1


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_lost_or_doubled_when_risk_is_killed_anywhere(seed: int, tmp_path: Path) -> None:
    """Kills at random awaits, with snapshots or without, one process or two, a log that lies."""
    draw = random.Random(seed)
    folder = tmp_path if seed % 2 else None
    settings = msgspec.structs.replace(BUSY, snapshot_every_s=0.02)

    async def body() -> RiskWorld:
        world = opened()
        twins = 1 + seed % 3 // 2

        def start() -> tuple[RiskService, asyncio.Task[None]]:
            log = Faulty(world.log, draw.randint(0, 1 << 30))
            service = world.make(settings, log=log, folder=folder)
            return service, asyncio.create_task(service.run())

        lives = [start() for _ in range(twins)]
        for _ in range(150):
            story(world, draw)
            for _ in range(draw.choice((0, 1, 3, 10))):
                await asyncio.sleep(0)
            if draw.random() < 0.2:
                await asyncio.sleep(0.003)
            world.pump()
            at = draw.randrange(twins)
            _, task = lives[at]
            if task.done():
                task.result()
            if draw.random() < 0.08:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                lives[at] = start()
        for _, task in lives:
            task.cancel()
        await asyncio.gather(*(task for _, task in lives), return_exceptions=True)
        last = world.make(settings, folder=folder)
        async with Running(last):
            await world.settle(last)
        return world

    async def main() -> None:
        async with asyncio.timeout(60):
            world = await body()
            assert numbers_are_dense(world) == world.cell.applied_to(SOURCE) > 0
            assert world.cell.engine.audit()[0] == 0
            told = [batch.events.tobytes() for batch in world.read(RISK_EVENTS, SOURCE)]
            assert told == await read_again(world, settings)
            assert told

    asyncio.run(main())


def test_second_process_sends_nothing_that_counts_twice() -> None:
    async def main() -> None:
        world = opened()
        one, two = world.make(BUSY), world.make(BUSY)
        async with Running(one, two), asyncio.timeout(30):
            world.trade(1, 2, 100, 10_000)
            await world.settle_after([one, two], 100, times=2)
            world.mark(12_500)
            await world.settle_after([one, two], 100, times=12)
        switches = [one for one in world.own_commands() if one["kind"] == CommandKind.KILL_SWITCH]
        numbers_are_dense(world)
        assert switches
        assert phases(world) == [Phase.HALTED, Phase.AUCTION, Phase.CONTINUOUS]
        kills = [one for one in world.findings() if one[0] == Rule.GROUP_DRAWDOWN]
        assert len(kills) == 1
        # Both wrote what they found; readers get it once.
        assert len(world.log.of(RISK_EVENTS)) > len(world.read(RISK_EVENTS, SOURCE))

    asyncio.run(main())


def phases(world: RiskWorld) -> list[int]:
    return [
        int(row["phase"])
        for batch in world.read(EXECUTIONS, world.cell.source)
        for row in batch.events.view(MARKET_EVENT)
        if row["kind"] == EventKind.PHASE
    ]


def test_saved_state_is_the_state() -> None:
    async def main() -> None:
        world = opened()
        draw = random.Random(5)
        risk = world.make(BUSY)
        async with Running(risk), asyncio.timeout(30):
            for _ in range(80):
                story(world, draw)
                await world.settle(risk)
        other = world.state(BUSY)
        other.restore(risk.state.sections())
        assert other.sections() == risk.state.sections()
        assert other.figures() == risk.state.figures()
        assert (other.offset, other.seq) == (risk.state.offset, risk.state.seq)

    asyncio.run(main())


def test_other_settings_go_on_behind_what_was_told(tmp_path: Path) -> None:
    """Readers of risk-events see one stream, although another limit would have told otherwise."""

    async def main() -> None:
        world = opened()
        async with asyncio.timeout(30):
            first = world.make(BUSY)
            async with Running(first):
                world.trade(1, 2, 100, 10_000)
                await world.settle_after([first], 100, times=2)
                world.mark(10_400)
                await world.settle_after([first], 100, times=2)
            assert world.findings() == []
            stricter = msgspec.structs.replace(BUSY, limits=LimitSettings(group_drawdown="0.1"))
            second = world.make(stricter)
            async with Running(second):
                await world.settle_after([second], 100, times=3)
        # What the stricter rules find in the past is acted upon, and told from now on only.
        assert second.state.facts.killed
        world.read(RISK_EVENTS, SOURCE)

    asyncio.run(main())


# ------------------------------------------------------------------------------------ broken logs
async def ends_with(world: RiskWorld, risk: RiskService) -> str:
    with pytest.raises(FatalError) as error:
        async with asyncio.timeout(10):
            await risk.run()
    return str(error.value)


def test_gap_in_executions_is_fatal() -> None:
    async def main() -> None:
        world = opened()
        del world.log.of(EXECUTIONS)[2]
        assert "missing" in await ends_with(world, world.make())

    asyncio.run(main())


def test_command_that_the_log_lost_is_fatal() -> None:
    async def main() -> None:
        world = opened()
        del world.log.of(TRADING_COMMANDS)[-2:]
        text = await ends_with(world, world.make(msgspec.structs.replace(QUIET, retry_s=0.1)))
        assert "lost acknowledged commands" in text

    asyncio.run(main())


def test_expired_executions_without_a_state_are_fatal() -> None:
    async def main() -> None:
        world = opened()
        world.log.starts[EXECUTIONS, 0] = 3
        assert "without a saved state" in await ends_with(world, world.make())

    asyncio.run(main())


def test_state_newer_than_the_log_is_fatal(tmp_path: Path) -> None:
    async def main() -> None:
        world = opened()
        risk = world.make(folder=tmp_path)
        async with Running(risk), asyncio.timeout(10):
            await world.settle_after([risk], 100, times=3)
        del world.log.of(EXECUTIONS)[-3:]
        assert "lost records" in await ends_with(world, world.make(folder=tmp_path))

    asyncio.run(main())


def test_damaged_state_falls_back(tmp_path: Path) -> None:
    world = opened()

    async def live() -> RiskService:
        risk = world.make(folder=tmp_path)
        async with Running(risk), asyncio.timeout(10):
            await world.settle_after([risk], 100, times=3)
        return risk

    for _ in range(2):
        asyncio.run(live())
    newest = max(tmp_path.glob("*.tcsn"))
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    risk = asyncio.run(live())
    assert risk.state.offset == len(world.log.of(EXECUTIONS))
    assert list(tmp_path.glob("*.bad"))


# ---------------------------------------------------------------------------------------- figures
def test_metrics_name_the_groups_and_levels() -> None:
    async def main() -> None:
        world = opened()
        metrics = Metered()
        settings = msgspec.structs.replace(
            QUIET, figures=FigurePolicy(sample_ms=100), report_s=0.005
        )
        risk = world.make(settings, metrics=metrics)

        async def reported() -> bool:
            return risk.figures is not None and risk.figures.returns >= 3

        async with Running(risk), asyncio.timeout(20):
            world.trade(1, 2, 100, 10_000)
            for px in (10_100, 9_900, 10_050, 10_000):
                world.mark(px)
                await world.settle_after([risk], 100)
            await Services.until(reported, [Running.tasks[risk]])
        gauges = metrics.gauges
        assert gauges["risk_gross", (("group", "firm"),)] == pytest.approx(20.0)
        assert gauges["risk_net", (("group", "1"),)] == pytest.approx(10.0)
        ones = gauges["risk_var", (("group", "1"), ("level", "0.95"))]
        twos = gauges["risk_var", (("group", "2"), ("level", "0.95"))]
        # The worst of four recorded returns for whoever is long and for whoever is short:
        # 10,100 -> 9,900 and 9,900 -> 10,050.
        assert ones == pytest.approx(10.0 * 200 / 10_100)
        assert twos == pytest.approx(10.0 * 150 / 9_900)

    asyncio.run(main())


def test_commands_are_numbered_envelopes_of_risk() -> None:
    async def main() -> None:
        world = opened()
        risk = world.make(BUSY)
        async with Running(risk), asyncio.timeout(20):
            world.trade(1, 2, 100, 10_000)
            await world.settle_after([risk], 100, times=2)
            world.mark(12_500)
            await world.settle_after([risk], 100, times=3)
        ours = [
            decode(payload)
            for _, payload in world.log.of(TRADING_COMMANDS)
            if decode(payload).source
        ]
        assert {one.source for one in ours} == {2 << 28}
        assert ours[0].first_seq == 1
        assert PERP.instrument_id in {int(one["instrument_id"]) for one in world.own_commands()}

    asyncio.run(main())
