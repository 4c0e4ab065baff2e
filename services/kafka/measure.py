"""Measure a broker of our own with aiokafka: what one record of frames costs on loopback.

    PYTHONPATH=shells:. python -m services.kafka.measure [--megabytes 96] [--durable]

One process, one partition, idempotent producer, acks=all, linger 0; client and broker share the
machine. For each size of record: MB/s of producing with many sends under way, MB/s of reading it
all back, the time of one acknowledged append on its own, and from append to being read by a second
connection that waits for it. Prints a Markdown table; takes a quarter of a minute.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from services.kafka.broker import Broker

SIZES = (4 << 10, 64 << 10, 256 << 10)
# Sent without waiting for each other; bounds what the producer holds.
UNDER_WAY = 64
WARM_UP = 50


class Row(NamedTuple):
    """Figures of one size: MB/s (10^6 bytes), and milliseconds."""

    size: int
    produce_mb_s: float
    consume_mb_s: float
    ack_ms: tuple[float, float]
    through_ms: tuple[float, float]


def percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    """Return the 50th and 99th of the sample in milliseconds, each a value that occurred."""
    ordered = sorted(seconds)
    last = len(ordered) - 1
    return ordered[last // 2] * 1e3, ordered[round(last * 0.99)] * 1e3


def _consumer(url: str) -> Any:
    from aiokafka import AIOKafkaConsumer

    return AIOKafkaConsumer(
        bootstrap_servers=url,
        enable_auto_commit=False,
        auto_offset_reset="none",
        max_partition_fetch_bytes=8 << 20,
        fetch_max_bytes=32 << 20,
        check_crcs=True,
    )


async def _produce(producer: Any, topic: str, record: bytes, count: int) -> float:
    """Send `count` records, `UNDER_WAY` at a time; return seconds to the last acknowledgement."""
    begin = time.perf_counter()
    waiting: list[Any] = []
    for _ in range(count):
        waiting.append(await producer.send(topic, record, partition=0))
        if len(waiting) >= UNDER_WAY:
            await waiting.pop(0)
    await asyncio.gather(*waiting)
    return time.perf_counter() - begin


async def _consume(consumer: Any, place: Any, count: int) -> float:
    """Read `count` records from offset 0; return the seconds."""
    consumer.seek(place, 0)
    begin = time.perf_counter()
    seen = 0
    while seen < count:
        for records in (await consumer.getmany(place, timeout_ms=1000)).values():
            seen += len(records)
    return time.perf_counter() - begin


async def measure(url: str, size: int, total: int, samples: int) -> Row:
    """Measure one size of record on a topic of its own."""
    from aiokafka import AIOKafkaProducer, TopicPartition
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic

    topic, record, count = f"measure-{size}", b"\x5a" * size, total // size
    admin = AIOKafkaAdminClient(bootstrap_servers=url)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()
    producer = AIOKafkaProducer(
        bootstrap_servers=url,
        enable_idempotence=True,
        acks="all",
        linger_ms=0,
        max_batch_size=1 << 20,
        max_request_size=8 << 20,
    )
    consumer = _consumer(url)
    place = TopicPartition(topic, 0)
    await producer.start()
    await consumer.start()
    consumer.assign([place])
    try:
        await _produce(producer, topic, record, WARM_UP)
        produce_s = await _produce(producer, topic, record, count)
        consume_s = await _consume(consumer, place, count)
        consumer.seek(place, (await consumer.end_offsets([place]))[place])
        ack, through = [], []
        for index in range(samples + WARM_UP):
            waiting = asyncio.create_task(consumer.getone(place))
            begin = time.perf_counter()
            await producer.send_and_wait(topic, record, partition=0)
            acked = time.perf_counter()
            await waiting
            if index >= WARM_UP:
                ack.append(acked - begin)
                through.append(time.perf_counter() - begin)
    finally:
        await consumer.stop()
        await producer.stop()
    megabytes = count * size / 1e6
    return Row(
        size, megabytes / produce_s, megabytes / consume_s, percentiles(ack), percentiles(through)
    )


async def _all(url: str, total: int, samples: int) -> list[Row]:
    return [await measure(url, size, total, samples) for size in SIZES]


def table(rows: Sequence[Row]) -> str:
    """Return the figures as a Markdown table."""
    head = (
        "| record | produce MB/s | consume MB/s | ack p50 / p99 ms | append to read p50 / p99 ms |"
    )
    lines = [head, "|---:|---:|---:|---:|---:|"]
    for row in rows:
        ack, through = (f"{low:.2f} / {high:.2f}" for low, high in (row.ack_ms, row.through_ms))
        kib = f"{row.size >> 10} KiB"
        lines.append(
            f"| {kib} | {row.produce_mb_s:.0f} | {row.consume_mb_s:.0f} | {ack} | {through} |"
        )
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Start a broker of our own in a temporary folder, measure, remove it."""
    parser = argparse.ArgumentParser(prog="python -m services.kafka.measure")
    parser.add_argument("--megabytes", type=int, default=96, help="for each size")
    parser.add_argument("--samples", type=int, default=500, help="single appends for each size")
    parser.add_argument("--durable", action="store_true", help="flush every append to the disk")
    arguments = parser.parse_args(argv)
    try:
        import uvloop
    except ImportError:
        run = asyncio.run
    else:
        run = uvloop.run
    with TemporaryDirectory(prefix="tradecore-kafka-") as folder:
        broker = Broker(Path(folder) / "kafka", durable=arguments.durable)
        broker.start()
        try:
            rows = run(_all(broker.url, arguments.megabytes * 10**6, arguments.samples))
        finally:
            broker.kill()
    print(table(rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
