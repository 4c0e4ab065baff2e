"""The highest rate a system sustains with its p99.9 under a limit, found by itself.

Doubling until a rate fails, then halving the gap (in ratios) until the bracket is narrow, then
verification: the answer must pass again. A single run is judged by one stall of the machine, so
every rate is put to a vote of several runs; what passes has the majority.

The search knows nothing of clocks or targets: it calls `trial(rate)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tradecore.bench.load import Load
from tradecore.errors import ConfigError

__all__ = ["Search", "Trial", "find_saturation"]


_KEPT_UP: Final = 0.95


@dataclass(frozen=True)
class Trial:
    """One run at one rate and the verdict on it."""

    rate: int
    load: Load
    passed: bool


@dataclass
class Search:
    """The outcome of a search.

    Attributes
    ----------
    rate : int
        Highest verified rate, commands a second; 0 where even the lowest rate tried fails.
    trials : list of Trial
        Everything that was run, in order.
    limit_ns, percentile
        What was asked for.
    """

    limit_ns: int
    percentile: float
    rate: int = 0
    trials: list[Trial] = field(default_factory=list)

    def at(self, rate: int) -> list[Trial]:
        """Return the trials of one rate."""
        return [trial for trial in self.trials if trial.rate == rate]


def find_saturation(
    run: Callable[[int], Load],
    *,
    limit_ns: int,
    percentile: float = 99.9,
    start: int = 10_000,
    ceiling: int = 100_000_000,
    tolerance: float = 0.05,
    votes: int = 3,
) -> Search:
    """Search the highest rate that is kept up with, `percentile` staying within `limit_ns`.

    Parameters
    ----------
    run : callable
        Takes a rate, returns what an open-loop run at it saw.
    limit_ns : int
        Limit of the percentile, from the scheduled time.
    percentile : float
        Which, in per cent.
    start : int
        First rate; halved down to 1/64 of it while even that fails.
    ceiling : int
        Highest rate to try.
    tolerance : float
        The bracket is narrow enough when its ends differ by less than this share.
    votes : int
        Runs at a rate, at most; a majority decides, and no more are run than that takes.

    Raises
    ------
    ConfigError
        A limit, rate or tolerance that makes no sense.
    """
    if limit_ns <= 0 or start < 1 or ceiling < start:
        raise ConfigError("a saturation search needs limit_ns > 0 and 1 <= start <= ceiling")
    if not 0 < tolerance < 1 or votes < 1 or not 0 < percentile <= 100:
        raise ConfigError("a saturation search needs 0 < tolerance < 1, votes >= 1, 0 < p <= 100")
    search = Search(limit_ns, percentile)

    def passes(rate: int) -> bool:
        majority = votes // 2 + 1
        won = lost = 0
        while won < majority and lost < majority:
            load = run(rate)
            # A short run beyond capacity can end before its backlog is as long as the limit.
            kept_up = not load.gave_up and load.throughput >= _KEPT_UP * rate
            passed = kept_up and load.histogram.percentile(percentile) <= limit_ns
            search.trials.append(Trial(rate, load, passed))
            won, lost = won + passed, lost + (not passed)
        return won > lost

    low, high = _bracket(passes, start, ceiling)
    while low and high and high - low > max(low * tolerance, 1):
        # The middle in ratios: 1 to 4 is cut at 2, because a bracket is judged by its ratio.
        middle = min(max(round(math.sqrt(low * high)), low + 1), high - 1)
        if passes(middle):
            low = middle
        else:
            high = middle
    # What passed once may have been lucky: it has to pass again, else a step down does.
    while low and not passes(low):
        low = int(low * (1 - tolerance)) if low > start // 64 else 0
    search.rate = low
    return search


def _bracket(passes: Callable[[int], bool], start: int, ceiling: int) -> tuple[int, int]:
    """Return a rate that passes and one that fails, 0 for one that was not found."""
    rate = start
    if passes(rate):
        while rate < ceiling:
            above = min(rate * 2, ceiling)
            if not passes(above):
                # A machine that stands still for a moment fails any rate. A real limit also fails
                # at twice the rate, which costs little to see: runs beyond it are cut short.
                twice = min(above * 2, ceiling)
                if twice == above or not passes(twice):
                    return rate, above
                above = twice
            rate = above
        return rate, 0
    while rate > max(start // 64, 1):
        below = max(rate // 2, 1)
        if passes(below):
            return below, rate
        rate = below
    return 0, rate
