"""A round waits while somebody else works in our cache, and not for ever."""

from __future__ import annotations

import pytest

from tradecore.bench.quiet import PATIENCE_S, QuietCache, cache_walk
from tradecore.bench.setting import Setting


class Clock:
    """Seconds that pass only where somebody pauses."""

    def __init__(self) -> None:
        self.now = 0.0

    def pause(self, seconds: float) -> None:
        self.now += seconds


def watching(*walks: float) -> tuple[QuietCache, Clock, list[float]]:
    """Watch walks of given durations; the last one goes on for ever."""
    clock, rest = Clock(), list(walks)

    def walk() -> float:
        return rest.pop(0) if len(rest) > 1 else rest[0]

    return QuietCache(walk, lambda: clock.now, clock.pause), clock, rest


def test_quiet_cache_is_not_waited_for() -> None:
    quiet, clock, _ = watching(11.0, 12.0, 17.5)
    for _ in range(3):
        quiet.wait()
    assert clock.now == quiet.waited_s == quiet.unquiet == 0


def test_neighbour_is_waited_for() -> None:
    quiet, clock, rest = watching(11.0, 28.0, 27.0, 12.0)
    quiet.wait()
    quiet.wait()
    assert rest == [12.0]
    assert quiet.waited_s == pytest.approx(clock.now)
    assert clock.now > 0
    assert quiet.unquiet == 0


def test_neighbour_who_stays_is_counted() -> None:
    quiet, clock, _ = watching(11.0, 28.0)
    for _ in range(3):
        quiet.wait()
    assert quiet.unquiet == 2
    assert 2 * PATIENCE_S <= clock.now < 2 * PATIENCE_S + 1


def test_first_walk_may_be_the_slow_one() -> None:
    quiet, _, rest = watching(28.0, 11.0, 28.0, 11.5)
    for _ in range(3):
        quiet.wait()
    assert rest == [11.5]


def test_setting_waits_and_its_results_say_what_stayed_unquiet() -> None:
    quiet, _, _ = watching(11.0, 28.0)
    setting = Setting(commit="test", quiet=quiet)
    setting.settle()
    setting.settle()
    assert setting.result("a", "ns", [1.0]).observed["unquiet_starts"] == 1
    plain = Setting(commit="test")
    plain.settle()
    assert "unquiet_starts" not in plain.result("a", "ns", [1.0]).observed


def test_walk_is_timed() -> None:
    pytest.importorskip("numba")
    assert cache_walk()() > 0
