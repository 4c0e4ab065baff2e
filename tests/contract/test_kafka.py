"""Apache Kafka itself: topics, refusals, and a broker that is killed under appends."""

from __future__ import annotations

import asyncio
import itertools
import os
from pathlib import Path
from typing import Any

import pytest
from services.kafka.broker import Broker

from tradecore.cli import main as tradecore
from tradecore_shells.admin.topics import TopicPlan, create_topics, plan_topics
from tradecore_shells.plumbing.kafka import MAX_RECORD_BYTES, KafkaLog
from tradecore_shells.plumbing.ports import TOPICS, FatalError, RetryableError

_numbers = itertools.count()


@pytest.fixture
def prefix() -> str:
    return f"kafka-{os.getpid()}-{next(_numbers)}-"


def test_topics_are_made_once_and_compared_afterwards(
    real_servers: Any, prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    where = real_servers.kafka
    command = ["admin", "topics", "--kafka", where, "--partitions", "2", "--prefix", prefix]
    assert tradecore(command) == 0
    made = capsys.readouterr().out
    for topic in (*TOPICS, "trading-commands.dlq"):
        assert f"made     {prefix}{topic}: 2 partitions" in made
    assert tradecore(command) == 0
    assert capsys.readouterr().out.count("ok ") == len(TOPICS) + 1
    assert tradecore([*command, "--retention-days", "30"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert f"DIFFERS  {prefix}executions: retention.ms: 604800000, 2592000000 wanted" in lines
    assert f"ok       {prefix}market-data" in lines
    plans = plan_topics(3, prefix=prefix)
    found = asyncio.run(create_topics(where, plans))
    assert all("partitions: 2, 3 wanted" in each.differences for each in found)


def test_topic_that_the_broker_refuses_is_named(real_servers: Any, prefix: str) -> None:
    for plan in (
        TopicPlan(prefix + "many", replicas=3),
        TopicPlan(prefix + "odd", settings={"no.such.setting": "1"}),
        TopicPlan("not a name"),
    ):
        with pytest.raises(FatalError, match=f"does not make topic '{plan.name}'"):
            asyncio.run(create_topics(real_servers.kafka, [plan]))


def test_broker_that_is_down_is_named_with_its_address(tmp_path: Path) -> None:
    async def main() -> None:
        log = KafkaLog("127.0.0.1:1")
        for _ in range(2):
            with pytest.raises(RetryableError, match=r"no Kafka broker answers at 127\.0\.0\.1:1"):
                await log.append("t", 0, [b"x"])
        await log.close()
        with pytest.raises(RetryableError, match=r"127\.0\.0\.1:1"):
            await create_topics("127.0.0.1:1", plan_topics(1))

    asyncio.run(main())


def test_missing_topic_and_partition_are_named(real_servers: Any, prefix: str) -> None:
    async def main() -> None:
        log = KafkaLog(real_servers.kafka, topic_prefix=prefix)
        with pytest.raises(RetryableError, match=f"no topic '{prefix}executions'.*admin topics"):
            await log.append("executions", 0, [b"x"])
        await create_topics(real_servers.kafka, plan_topics(1, prefix=prefix))
        assert await log.append("executions", 0, [b"x"]) == 0
        with pytest.raises(FatalError, match="has 1 partitions, 4 is none of them"):
            await log.append("executions", 4, [b"x"])
        assert (await log.topics())["executions"] == 1
        await log.close()

    asyncio.run(main())


def test_largest_record_and_largest_append_go_through(real_servers: Any, prefix: str) -> None:
    async def main() -> None:
        await create_topics(real_servers.kafka, plan_topics(1, prefix=prefix))
        log = KafkaLog(real_servers.kafka, topic_prefix=prefix)
        large = os.urandom(MAX_RECORD_BYTES)
        assert await log.append("executions", 0, [large]) == 0
        assert await log.append("executions", 0, [b"x" * 1_000_000] * 20) == 1
        found = await log.fetch("executions", 0, 0, max_bytes=1, wait_s=30)
        assert [bytes(each.payload) for each in found] == [large]
        offset = 1
        while offset < 21:
            found = await log.fetch("executions", 0, offset, max_bytes=1 << 30, wait_s=30)
            assert all(bytes(each.payload) == b"x" * 1_000_000 for each in found)
            offset = found[-1].offset + 1
        await log.close()

    asyncio.run(main())


@pytest.mark.slow
def test_broker_killed_under_appends_loses_and_doubles_nothing_acknowledged(
    tmp_path: Path, prefix: str
) -> None:
    broker = Broker(tmp_path / "kafka")
    broker.start()
    acknowledged: dict[int, bytes] = {}

    async def write(log: KafkaLog) -> None:
        for n in itertools.count():
            payload = b"%d" % n
            try:
                acknowledged[await log.append("executions", 0, [payload])] = payload
            except FatalError:
                return  # the log ends here; a real process would start again
            if n == 200:
                under_load.set()
            if n >= 400 and came_back.is_set():
                return

    async def kill() -> None:
        await under_load.wait()
        await asyncio.to_thread(broker.kill)
        await asyncio.to_thread(broker.start)
        came_back.set()

    async def main() -> None:
        await create_topics(broker.url, plan_topics(1, prefix=prefix))
        log = KafkaLog(broker.url, topic_prefix=prefix)
        await asyncio.gather(write(log), kill())
        await log.close()
        log = KafkaLog(broker.url, topic_prefix=prefix)
        end = (await log.bounds("executions", 0)).end
        found: dict[int, bytes] = {}
        offset = 0
        while offset < end:
            for each in await log.fetch("executions", 0, offset, max_bytes=1 << 20, wait_s=30):
                found[each.offset] = bytes(each.payload)
                offset = each.offset + 1
        await log.close()
        assert found.items() >= acknowledged.items()
        texts = [int(text) for text in found.values()]
        assert texts == list(range(len(texts)))

    async def stall() -> None:
        """A broker that neither answers nor dies: the watchdog ends the process, not a retry."""
        log = KafkaLog(broker.url, topic_prefix=prefix, watchdog_s=0.5)
        await log.append("executions", 0, [b"x"])
        broker.pause()
        try:
            for _ in range(2):
                with pytest.raises(FatalError, match=r"has not acknowledged .* for 0\.5 s"):
                    await log.append("executions", 0, [b"y"])
        finally:
            broker.resume()
            await log.close()

    under_load, came_back = asyncio.Event(), asyncio.Event()
    try:
        asyncio.run(main())
        asyncio.run(stall())
    finally:
        broker.wipe()
    assert len(acknowledged) >= 400
