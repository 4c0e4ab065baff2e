"""Open-loop latency on a virtual clock: what a stall does is known in advance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tradecore.bench.openloop import PERCENTILES, control, open_loop, percentiles
from tradecore.dtypes import COMMAND

MS = 1_000_000


class VirtualClock:
    """Every reading costs `tick` ns; whoever works moves it by hand."""

    def __init__(self, tick: int = 10) -> None:
        self.now = 1_000
        self.tick = tick

    def __call__(self) -> int:
        self.now += self.tick
        return self.now


class Server:
    """Takes `cost` ns a command, and once `stall` ns more, at command `at`."""

    def __init__(self, clock: VirtualClock, cost: int, at: int = -1, stall: int = 0) -> None:
        self.clock, self.cost, self.at, self.stall = clock, cost, at, stall
        self.done = 0

    def __call__(self, frames: Any) -> None:
        first, self.done = self.done, self.done + len(frames)
        self.clock.now += self.cost * len(frames)
        if first <= self.at < self.done:
            self.clock.now += self.stall


def test_open_loop_without_stall_gives_the_service_time() -> None:
    clock = VirtualClock()
    run = open_loop(Server(clock, 200), np.zeros(10_000, COMMAND), 1_000_000, clock=clock)
    assert run.calls == 10_000
    # 200 ns of work, and the readings of the clock before and after.
    assert 200 <= int(run.latency_ns.min()) <= int(run.latency_ns.max()) <= 240
    assert len(run.stalls_ns) == 0


def test_open_loop_injected_stall_shows_as_a_ramp() -> None:
    clock = VirtualClock()
    server = Server(clock, 200, at=20_000, stall=100 * MS)
    run = open_loop(server, np.zeros(200_000, COMMAND), 1_000_000, clock=clock, burst=64)
    slow = run.latency_ns > 1 * MS
    # 100,000 commands fell due during the stall; the backlog drains at 5 commands while 4 wait.
    assert int(slow.sum()) > 100_000
    assert int(run.latency_ns.max()) == pytest.approx(100 * MS, rel=0.001)
    assert int(run.latency_ns[19_999]) < 1_000
    behind = run.latency_ns[20_001 : 20_001 + int(slow.sum()) - 1]
    assert int(behind[0]) == pytest.approx(100 * MS, rel=0.001)
    # A command scheduled later waits less: the ramp falls all the way down.
    thousandth = behind[::1_000]
    assert (np.diff(thousandth) < 0).all()
    # A loop that waits for the answer before it sends again would have one slow command of 200,000.
    found = percentiles(run.latency_ns)
    assert found[50.0] > 10 * MS
    assert found[99.0] > 90 * MS


def test_open_loop_stall_while_idle_is_the_machines() -> None:
    clock = VirtualClock()

    class Hiccup(VirtualClock):
        readings = 0

        def __call__(self) -> int:
            self.readings += 1
            if self.readings == 5_000:
                self.now += 3 * MS
            return super().__call__()

    clock = Hiccup()
    run = open_loop(Server(clock, 50), np.zeros(10_000, COMMAND), 1_000_000, clock=clock)
    assert run.stalls_ns.tolist() == [3 * MS + 10]
    assert int((run.latency_ns > MS).sum()) > 2_000


def test_open_loop_hands_over_whatever_is_due_up_to_the_burst() -> None:
    clock = VirtualClock()
    sizes: list[int] = []

    def slow(frames: Any) -> None:
        sizes.append(len(frames))
        clock.now += 100_000

    run = open_loop(slow, np.zeros(1_000, COMMAND), 1_000_000, clock=clock, burst=64)
    assert max(sizes) == 64
    assert sum(sizes) == len(run.latency_ns) == 1_000


def test_control_reports_gaps_of_the_clock() -> None:
    gaps = control(10_000, VirtualClock(tick=20))
    assert set(gaps.tolist()) == {20}
    assert int(gaps.sum()) >= 9_900


def test_percentiles_are_the_smallest_values_that_enough_do_not_exceed() -> None:
    values = np.arange(1, 100_001)[::-1].copy()
    found = percentiles(values)
    assert found[50.0] == 50_000
    assert found[99.99] == 99_990
    assert found[99.999] == 99_999
    assert found[100.0] == 100_000
    few = percentiles(np.array([5, 1, 9]))
    assert (few[50.0], few[75.0], few[99.999]) == (5, 9, 9)
    assert percentiles(np.array([], np.int64)) == dict.fromkeys(PERCENTILES, 0)
