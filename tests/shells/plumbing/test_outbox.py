"""The outbox: in order, nothing skipped, bounded, durable marks that never run ahead."""

import asyncio

import pytest

from tradecore_shells.plumbing.outbox import Outbox
from tradecore_shells.plumbing.ports import FatalError, RetryableError


class Broker:
    """Takes appends when told to; the first `failures` of them fail."""

    def __init__(self, failures=0):
        self.failures = failures
        self.taken = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def append(self, topic, partition, payloads):
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise RetryableError("down")
        self.taken.append([bytes(one) for one in payloads])
        return 0


def flat(broker):
    return [one for batch in broker.taken for one in batch]


def run(main):
    return asyncio.run(main())


def test_order_and_marks_survive_retries():
    async def main():
        broker = Broker(failures=3)
        seen = []
        box = Outbox(broker, "t", 0, on_durable=lambda mark, *_: seen.append(mark))
        task = asyncio.create_task(box.run())
        for mark in range(1, 6):
            box.put([b"%d" % mark, b"%d'" % mark], mark)
        await box.drained()
        task.cancel()
        assert flat(broker) == [b"1", b"1'", b"2", b"2'", b"3", b"3'", b"4", b"4'", b"5", b"5'"]
        assert seen == sorted(seen)
        assert box.durable == 5
        assert box.queued_bytes == 0

    run(main)


def test_mark_of_a_half_sent_batch_is_not_durable():
    async def main():
        broker = Broker()
        marks = []
        box = Outbox(
            broker, "t", 0, max_append_bytes=4, on_durable=lambda mark, *_: marks.append(mark)
        )
        box.put([b"aaa", b"bbb"], 10)
        box.put([b"ccc"], 20)
        task = asyncio.create_task(box.run())
        await box.drained()
        task.cancel()
        assert marks == [9, 10, 20]

    run(main)


def test_an_empty_batch_moves_the_mark_only_behind_what_waits():
    async def main():
        broker = Broker()
        broker.gate.clear()
        box = Outbox(broker, "t", 0)
        box.put([], 5)
        assert box.durable == 5
        task = asyncio.create_task(box.run())
        box.put([b"x"], 6)
        box.put([], 7)
        await asyncio.sleep(0)
        assert box.durable == 5
        broker.gate.set()
        await box.drained()
        task.cancel()
        assert box.durable == 7

    run(main)


def test_room_is_given_back():
    async def main():
        broker = Broker()
        box = Outbox(broker, "t", 0, max_bytes=4)
        box.put([b"12345"], 1)
        assert not box.has_room
        task = asyncio.create_task(box.run())
        await box.room()
        task.cancel()
        assert box.has_room

    run(main)


def test_budget_used_up_is_fatal_and_says_what_to_do():
    async def main():
        box = Outbox(Broker(failures=10**9), "t", 3, budget_s=0.02)
        box.put([b"x"], 1)
        with pytest.raises(
            FatalError, match=r"t-3: not written for 0.02 s \(down\).*nothing is lost"
        ):
            await box.run()

    run(main)
