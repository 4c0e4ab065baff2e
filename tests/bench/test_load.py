"""The load generator on a virtual clock: what a stall or an overload does is known in advance."""

from __future__ import annotations

import numpy as np
import pytest

from tradecore.bench.load import Load, drive
from tradecore.dtypes import COMMAND

MS = 1_000_000
FRAMES = np.zeros(400_000, COMMAND)


class Clock:
    def __init__(self, tick: int = 200) -> None:
        self.now, self.tick = 5_000, tick

    def __call__(self) -> int:
        self.now += self.tick
        return self.now


class Service:
    """Finishes a command `cost` ns after the one before, while the sender goes on sending."""

    def __init__(self, clock: Clock, cost: int, stall_at: int = -1, stall_ns: int = 0) -> None:
        self.clock, self.cost = clock, cost
        self.stall_at, self.stall_ns = stall_at, stall_ns
        self.free_at = 0
        self.finish: list[tuple[int, int]] = []
        self.sent = self.done = 0

    def send(self, frames: np.ndarray) -> None:
        begin = max(self.free_at, self.clock.now)
        if self.sent <= self.stall_at < self.sent + len(frames):
            begin += self.stall_ns
        self.free_at = begin + self.cost * len(frames)
        self.sent += len(frames)
        self.finish.append((self.free_at, self.sent))

    def poll(self) -> int:
        while self.finish and self.finish[0][0] <= self.clock.now:
            self.done = self.finish.pop(0)[1]
        return self.done


def run(rate: int, cost: int, count: int = 100_000, **more: int) -> Load:
    clock = Clock()
    stall = {key: more.pop(key) for key in ("stall_at", "stall_ns") if key in more}
    service = Service(clock, cost, **stall)
    return drive(service, FRAMES[:count], rate, clock=clock, **more)


def test_drive_below_capacity_sees_the_service_time() -> None:
    load = run(100_000, 2_000, 20_000)
    assert load.finished == load.sent == len(load.histogram) == 20_000
    # The work, and the two readings of the clock before and behind it.
    assert 2_000 <= load.histogram.percentile(50) <= 2_500
    assert load.achieved == pytest.approx(100_000, rel=0.001)
    assert load.throughput == pytest.approx(100_000, rel=0.001)
    assert not load.gave_up


def test_drive_injected_stall_of_100_ms_shows_as_a_ramp() -> None:
    rate, cost = 1_000_000, 200
    load = run(rate, cost, 400_000, stall_at=100_000, stall_ns=100 * MS)
    # A stall of S ns at utilisation u delays S * rate / (1 - u) commands, evenly from S down to 0.
    u = rate * cost / 1e9
    delayed = 100 * MS * rate / 1e9 / (1 - u)
    assert load.histogram.share_above(1 * MS) * 400_000 == pytest.approx(delayed * 0.99, rel=0.01)
    assert load.histogram.share_above(50 * MS) * 400_000 == pytest.approx(delayed / 2, rel=0.01)
    assert load.histogram.max == pytest.approx(100 * MS, rel=0.01)
    # Waiting for each answer before sending the next would have found 1 slow command of 400,000,
    # and a p99.9 of a microsecond.
    assert load.histogram.percentile(99) > 90 * MS


def test_drive_overload_gives_up_and_charges_what_is_unfinished() -> None:
    load = run(1_000_000, 4_000, 400_000, give_up_ns=10 * MS)
    assert load.gave_up
    assert load.finished < load.sent
    # 10 ms late after 13.3 ms: a quarter of the 13,333 due commands is done.
    assert load.elapsed_ns == pytest.approx(13.3 * MS, rel=0.05)
    assert len(load.histogram) == pytest.approx(13_333, rel=0.05)
    assert load.histogram.max == pytest.approx(10 * MS, rel=0.05)
    assert load.achieved == pytest.approx(250_000, rel=0.05)
    assert load.throughput == pytest.approx(250_000, rel=0.05)


def test_drive_service_that_never_answers_is_left_in_time() -> None:
    class Dead:
        def send(self, frames: np.ndarray) -> None:
            pass

        def poll(self) -> int:
            return 0

    load = drive(Dead(), FRAMES[:1_000], 1_000_000, give_up_ns=5 * MS, clock=Clock())
    assert (load.gave_up, load.finished, load.achieved) == (True, 0, 0)
    assert len(load.histogram) == 1_000


def test_drive_warm_up_is_sent_and_not_counted() -> None:
    cold = run(1_000_000, 200, 50_000, stall_at=10, stall_ns=2 * MS)
    warm = run(1_000_000, 200, 50_000, stall_at=10, stall_ns=2 * MS, warm_up=10_000)
    assert cold.histogram.max > 1 * MS
    assert warm.histogram.max < 10_000
    assert len(warm.histogram) == 40_000
    assert warm.sent == 50_000


def test_drive_hands_over_no_more_than_the_burst() -> None:
    sizes = []

    class Watched(Service):
        def send(self, frames: np.ndarray) -> None:
            sizes.append(len(frames))
            super().send(frames)
            self.clock.now += 100_000  # the call itself takes 100 us

    clock = Clock()
    drive(Watched(clock, 10), FRAMES[:5_000], 1_000_000, burst=64, clock=clock)
    assert max(sizes) == 64
    assert sum(sizes) == 5_000
