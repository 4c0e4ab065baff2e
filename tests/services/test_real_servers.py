"""The servers themselves, through the clients that the services use."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError
from redis.asyncio import Redis
from services.kafka.broker import Broker, metadata_request, properties
from services.stack import Stack
from services.testing import Servers

LOG_APPEND_TIME = 1


async def _make_topic(url: str, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=url)
    await admin.start()
    try:
        answer = await admin.create_topics([NewTopic(name, 1, 1)])
        assert all(error[1] == 0 for error in answer.topic_errors), answer
    finally:
        await admin.close()


async def _drop_topic(url: str, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=url)
    await admin.start()
    try:
        await admin.delete_topics([name])
    finally:
        await admin.close()


async def _append(url: str, topic: str, values: list[bytes]) -> list[int]:
    producer = AIOKafkaProducer(bootstrap_servers=url, enable_idempotence=True, acks="all")
    await producer.start()
    try:
        sent = [await producer.send_and_wait(topic, value, partition=0) for value in values]
    finally:
        await producer.stop()
    return [record.offset for record in sent]


async def _read(url: str, topic: str) -> list[tuple[int, bytes, int]]:
    place = TopicPartition(topic, 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=url, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([place])
        consumer.seek(place, 0)
        end = (await consumer.end_offsets([place]))[place]
        records: list[tuple[int, bytes, int]] = []
        while len(records) < end:
            for batch in (await consumer.getmany(place, timeout_ms=1000)).values():
                records += [(one.offset, one.value, one.timestamp_type) for one in batch]
        return records
    finally:
        await consumer.stop()


@pytest.mark.slow
def test_kafka_stamps_records_itself_and_makes_no_topics_by_accident(
    real_servers: Servers,
) -> None:
    topic = f"test-services-{uuid.uuid4()}"

    async def run() -> None:
        await _make_topic(real_servers.kafka, topic)
        assert await _append(real_servers.kafka, topic, [b"a", b"b"]) == [0, 1]
        assert await _read(real_servers.kafka, topic) == [
            (0, b"a", LOG_APPEND_TIME),
            (1, b"b", LOG_APPEND_TIME),
        ]
        await _drop_topic(real_servers.kafka, topic)
        producer = AIOKafkaProducer(
            bootstrap_servers=real_servers.kafka, request_timeout_ms=500, acks="all"
        )
        await producer.start()
        try:
            with pytest.raises(KafkaError):
                await producer.send_and_wait("mis-spelt", b"x")
        finally:
            await producer.stop()

    asyncio.run(run())


@pytest.mark.slow
def test_postgres_is_durable_and_its_databases_are_empty(
    real_servers: Servers, real_database: str
) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(real_database)
        try:
            for name in ("fsync", "synchronous_commit", "full_page_writes"):
                assert await connection.fetchval(f"SHOW {name}") == "on", name
            tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
            assert await connection.fetchval(tables) == 0
            assert await connection.fetchval("SHOW listen_addresses") == "127.0.0.1"
        finally:
            await connection.close()
        user, _, rest = real_servers.postgres.rpartition("@")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(f"{user.rpartition(':')[0]}:wrong@{rest}")

    asyncio.run(run())


@pytest.mark.slow
def test_redis_answers_and_keeps_nothing_on_disk(real_servers: Servers) -> None:
    async def run() -> None:
        client = Redis.from_url(real_servers.redis)
        try:
            await client.set("test:services", b"1")
            assert await client.get("test:services") == b"1"
            assert (await client.config_get("save"))["save"] == ""
            assert (await client.config_get("appendonly"))["appendonly"] == "no"
            await client.delete("test:services")
        finally:
            await client.aclose()

    asyncio.run(run())


def _listening(pid: int) -> set[str]:
    """Local addresses (hexadecimal, as the kernel prints them) that a process listens on."""
    sockets = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            sockets.add(str(entry.readlink()))
        except OSError:
            continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text("ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                found.add(fields[1].rpartition(":")[0])
    return found


@pytest.mark.slow
def test_servers_listen_on_loopback_only(real_servers: Servers) -> None:
    loopback = {"0100007F", "0000000000000000FFFF00000100007F"}
    for name, (server, answers) in Stack().status().items():
        assert answers, name
        assert server.process is not None
        addresses = _listening(server.process.pid)
        assert addresses, name
        assert addresses <= loopback, f"{name} listens on {addresses}"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    made = Broker(tmp_path_factory.mktemp("kafka") / "broker", heap_mb=256)
    yield made
    made.wipe()


@pytest.mark.slow
def test_killed_broker_comes_back_with_everything_acknowledged(broker: Broker) -> None:
    broker.start()
    asyncio.run(_make_topic(broker.url, "kept"))
    values = [b"%d" % number for number in range(50)]
    asyncio.run(_append(broker.url, "kept", values))
    port = broker.port
    broker.kill()
    assert not broker.answers()
    broker.start()
    assert broker.port == port
    assert [value for _, value, _ in asyncio.run(_read(broker.url, "kept"))] == values
    # A second object on the same folder finds the running process instead of starting one.
    again = Broker(broker.folder)
    assert again.alive()
    assert (again.port, again.process) == (broker.port, broker.process)


# ------------------------------------------------------------------------- without any server
def _settings(durable: bool = False) -> dict[str, str]:
    text = properties(port=1111, controller_port=2222, data=Path("/d"), durable=durable)
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_settings_of_the_broker_keep_it_on_loopback() -> None:
    settings = _settings()
    assert settings["listeners"] == "PLAINTEXT://127.0.0.1:1111,CONTROLLER://127.0.0.1:2222"
    assert settings["advertised.listeners"] == "PLAINTEXT://127.0.0.1:1111"
    assert settings["controller.quorum.voters"] == "1@127.0.0.1:2222"
    assert settings["log.dirs"] == "/d"
    assert settings["log.message.timestamp.type"] == "LogAppendTime"
    assert settings["auto.create.topics.enable"] == "false"
    assert "log.flush.interval.messages" not in settings


def test_durable_broker_flushes_every_append() -> None:
    assert _settings(durable=True)["log.flush.interval.messages"] == "1"


def test_question_to_the_broker_follows_the_protocol_guide() -> None:
    # size 14, api key 3 (Metadata), version 1, correlation 1, no client id, no topics
    expected = "0000000e0003000100000001ffff00000000"
    assert metadata_request().hex() == expected


@pytest.mark.parametrize(("brokers", "ready"), [(None, False), (0, False), (1, True)])
def test_broker_answers_when_it_names_itself(
    tmp_path: Path, brokers: int | None, ready: bool
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(64)
                if brokers is not None:
                    connection.sendall(struct.pack(">iii", 8, 1, brokers))

        thread = threading.Thread(target=serve)
        thread.start()
        broker = Broker(tmp_path, port=server.getsockname()[1])
        assert broker.answers() is ready
        thread.join(10)
