"""The topics of an exchange on Apache Kafka: how they should be, made and compared."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from tradecore_shells.plumbing.ports import (
    AUDIT_LOGS,
    MARKET_DATA,
    TOPICS,
    TRADING_COMMANDS,
    FatalError,
    RetryableError,
    dead_letters,
)

__all__ = ["TopicFound", "TopicPlan", "create_topics", "plan_topics"]

_DAY_MS: Final = 86_400_000
_SETTINGS: Final = {
    # The engine's time comes from the log, so it must be the broker's clock and not a client's.
    "message.timestamp.type": "LogAppendTime",
    "cleanup.policy": "delete",
    # Compressing is the producer's choice; ours does not.
    "compression.type": "producer",
    "max.message.bytes": str(8 << 20),
    # Acknowledged records must not be lost to keep a partition available.
    "unclean.leader.election.enable": "false",
    "retention.bytes": "-1",
}
# Longer than the oldest snapshot that anybody may start from; market data is for now only, the
# audit's hashes are kept until they are archived.
_RETENTION_MS: Final = {MARKET_DATA: _DAY_MS, AUDIT_LOGS: -1}


class TopicPlan(msgspec.Struct, frozen=True):
    """How a topic should be.

    Parameters
    ----------
    name : str
    partitions, replicas : int
    settings : dict
        Names and values as Kafka writes them; what is not named is the broker's default.
    """

    name: str
    partitions: int = 1
    replicas: int = 1
    settings: dict[str, str] = {}


class TopicFound(msgspec.Struct, frozen=True):
    """What `create_topics` did about a topic.

    Parameters
    ----------
    name : str
    created : bool
        False: it existed.
    differences : list of str
        ``partitions: 1, 4 wanted``; empty when it is as planned.
    """

    name: str
    created: bool
    differences: list[str]


def plan_topics(
    partitions: int, *, replicas: int = 1, retention_days: int = 7, prefix: str = ""
) -> list[TopicPlan]:
    """Return all topics of an exchange.

    Parameters
    ----------
    partitions : int
        Of each: one for every cell.
    replicas : int
        Brokers that hold a record. From three on, two must have it before it is acknowledged.
    retention_days : int
        Of commands and executions: more than the age of the oldest snapshot in use.
    prefix : str
        Put before the names.
    """
    plans = []
    for topic in (*TOPICS, dead_letters(TRADING_COMMANDS)):
        retention = _RETENTION_MS.get(topic, retention_days * _DAY_MS)
        settings = {
            **_SETTINGS,
            "min.insync.replicas": "2" if replicas >= 3 else "1",
            "retention.ms": str(retention),
        }
        plans.append(TopicPlan(prefix + topic, partitions, replicas, settings))
    return plans


async def create_topics(
    bootstrap: str, plans: Sequence[TopicPlan], *, options: Mapping[str, Any] | None = None
) -> list[TopicFound]:
    """Make the topics that do not exist, and compare those that do.

    Parameters
    ----------
    bootstrap : str
        ``HOST:PORT`` of a broker.
    plans : sequence of TopicPlan
    options : mapping, optional
        Further settings of the client: TLS, SASL.

    Returns
    -------
    list of TopicFound
        In the order of `plans`. Nothing is changed on a topic that existed.

    Raises
    ------
    RetryableError
        No broker answers.
    FatalError
        The broker refuses.
    """
    from aiokafka.errors import KafkaError

    from tradecore_shells.plumbing.kafka_aio import start_admin

    client = await start_admin(bootstrap, options or {})
    try:
        existing = set(await client.list_topics())
        await _create(client, bootstrap, [plan for plan in plans if plan.name not in existing])
        return [
            TopicFound(plan.name, False, await _differences(client, plan))
            if plan.name in existing
            else TopicFound(plan.name, True, [])
            for plan in plans
        ]
    except KafkaError as error:
        raise FatalError(f"{bootstrap}: {error!r}") from error
    finally:
        await client.close()


async def _create(client: Any, bootstrap: str, plans: Sequence[TopicPlan]) -> None:
    from aiokafka.admin import NewTopic
    from aiokafka.errors import for_code

    if not plans:
        return
    new = [
        NewTopic(plan.name, plan.partitions, plan.replicas, topic_configs=dict(plan.settings))
        for plan in plans
    ]
    answer = await client.create_topics(new)
    for name, code, reason in answer.topic_errors:
        # Somebody else was faster: what they made is compared at the next call.
        if code and for_code(code).__name__ != "TopicAlreadyExistsError":
            raise FatalError(
                f"{bootstrap} does not make topic {name!r}: {reason or for_code(code).__name__}"
            )
    # The metadata follow a moment later; who was told "created" may use the topic at once.
    wanted = {plan.name: plan.partitions for plan in plans}
    for _ in range(100):
        found = await client.describe_topics(list(wanted))
        ready = {each["topic"]: _led(each["partitions"]) for each in found}
        if ready == wanted:
            return
        await asyncio.sleep(0.05)
    raise RetryableError(f"{bootstrap} has not given every new partition a leader yet")


def _led(partitions: Sequence[Mapping[str, Any]]) -> int:
    return sum(1 for each in partitions if each["leader"] >= 0 and not each["error_code"])


async def _differences(client: Any, plan: TopicPlan) -> list[str]:
    from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

    (topic,) = await client.describe_topics([plan.name])
    partitions = topic["partitions"]
    found = {"partitions": len(partitions), "replicas": len(partitions[0]["replicas"])}
    wanted = {"partitions": plan.partitions, "replicas": plan.replicas}
    differences = [
        f"{what}: {found[what]}, {wanted[what]} wanted"
        for what in wanted
        if found[what] != wanted[what]
    ]
    (answer,) = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, plan.name)])
    settings = {entry[0]: entry[1] for entry in answer.resources[0][4]}
    differences += [
        f"{name}: {settings.get(name)}, {value} wanted"
        for name, value in plan.settings.items()
        if settings.get(name) != value
    ]
    return differences
