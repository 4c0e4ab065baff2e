"""Halting an instrument whose price runs away, and opening it again: by log time, in integers.

A breaker trips when the price at an evaluation lies too far from the oldest price of the window, or
the mean square return of the window is too large. Then it wants three phases, one after the other:
HALTED, AUCTION, CONTINUOUS. What it wants it wants until the log shows it; a phase that it did not
want means that somebody else has taken over, and it lets go.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import msgspec

from tradecore.codes import CommandKind, Phase
from tradecore.risk.frames import Finding, Wish, set_phase
from tradecore.risk.policy import BreakerPolicy, Rule

__all__ = ["Breaker", "Breakers"]

_MS: Final = 1_000_000
_MILLION: Final = 1_000_000


class Breaker(msgspec.Struct, array_like=True):
    """One instrument's breaker.

    Attributes
    ----------
    prices : list of (int, int)
        (log time, ticks) of the evaluations inside the window, oldest first.
    wanted : int
        The phase that it wants now; 0 = none.
    seen : int
        The phase it has reached on its way; 0 = still on the first step.
    since_ns : int
        When that was seen.
    rule : int
        Why it tripped.
    """

    prices: list[tuple[int, int]] = []
    wanted: int = 0
    seen: int = 0
    since_ns: int = 0
    rule: int = 0


class Breakers(msgspec.Struct):
    """The breakers of all instruments that have a price."""

    by_instrument: dict[int, Breaker] = {}

    def evaluate(
        self, policy: BreakerPolicy, now_ns: int, prices: dict[int, int], phases: dict[int, int]
    ) -> list[Finding]:
        """Look at all instruments at a moment of log time; return what was found.

        Parameters
        ----------
        policy : BreakerPolicy
        now_ns : int
        prices : dict of int to int
            Price by instrument, ticks.
        phases : dict of int to int
        """
        if not (policy.move_ppm or policy.volatility_ppm):
            return []
        found: list[Finding] = []
        for instrument in sorted(prices):
            breaker = self.by_instrument.setdefault(instrument, Breaker())
            phase = phases.get(instrument, 0)
            if breaker.wanted:
                found += _follow(breaker, policy, now_ns, instrument, phase)
            elif phase == Phase.CONTINUOUS:
                found += _watch(breaker, policy, now_ns, instrument, prices[instrument])
        return found

    def wishes(self, phases: dict[int, int]) -> list[Wish]:
        """Return the phases that are wanted and not there, by instrument."""
        return [
            set_phase(instrument, one.wanted, Rule(one.rule))
            for instrument, one in sorted(self.by_instrument.items())
            # The log may show it before the next evaluation looks.
            if one.wanted not in (0, one.seen, phases.get(instrument))
        ]


def _watch(
    breaker: Breaker, policy: BreakerPolicy, now_ns: int, instrument: int, px: int
) -> list[Finding]:
    window = breaker.prices
    window.append((now_ns, px))
    # One price from before the window stays: it is the one that was valid when the window began.
    while len(window) > 1 and window[1][0] <= now_ns - policy.window_ms * _MS:
        window.pop(0)
    rule, observed, limit = _judge(policy, [px for _, px in window])
    if not rule:
        return []
    breaker.wanted, breaker.seen, breaker.rule = int(Phase.HALTED), 0, int(rule)
    breaker.since_ns = now_ns
    window.clear()
    return [Finding(rule, observed, limit, CommandKind.SET_PHASE, instrument_id=instrument)]


def _judge(policy: BreakerPolicy, prices: list[int]) -> tuple[Rule | None, int, int]:
    oldest, newest = prices[0], prices[-1]
    moved = abs(newest - oldest) * _MILLION // oldest
    if policy.move_ppm and moved > policy.move_ppm:
        return Rule.PRICE_MOVE, moved, policy.move_ppm
    if policy.volatility_ppm and len(prices) > 1:
        returns = [(b - a) * _MILLION // a for a, b in pairwise(prices)]
        square = sum(one * one for one in returns) // len(returns)
        if square > policy.volatility_ppm**2:
            return Rule.VOLATILITY, square, policy.volatility_ppm**2
    return None, 0, 0


def _follow(
    breaker: Breaker, policy: BreakerPolicy, now_ns: int, instrument: int, phase: int
) -> list[Finding]:
    """Go on with a tripped breaker; return what changed."""
    if phase == breaker.wanted and breaker.seen != breaker.wanted:
        breaker.seen, breaker.since_ns = phase, now_ns
        if phase == Phase.CONTINUOUS:
            breaker.wanted = breaker.seen = 0
            return []
    expected = breaker.seen or int(Phase.CONTINUOUS)
    if phase != expected:
        breaker.wanted = breaker.seen = 0
        return [Finding(Rule.BREAKER_YIELDED, phase, expected, instrument_id=instrument)]
    waited_ns = now_ns - breaker.since_ns
    if breaker.seen == Phase.HALTED:
        return _step(breaker, waited_ns, policy.halt_ms, Phase.AUCTION, Rule.REOPEN_AUCTION,
                     instrument)  # fmt: skip
    if breaker.seen == Phase.AUCTION:
        return _step(breaker, waited_ns, policy.auction_ms, Phase.CONTINUOUS, Rule.REOPEN,
                     instrument)  # fmt: skip
    return []


def _step(
    breaker: Breaker, waited_ns: int, wait_ms: int, then: Phase, rule: Rule, instrument: int
) -> list[Finding]:
    if waited_ns < wait_ms * _MS or breaker.wanted == then:
        return []
    breaker.wanted, breaker.rule = int(then), int(rule)
    observed = waited_ns // _MS
    return [Finding(rule, observed, wait_ms, CommandKind.SET_PHASE, instrument_id=instrument)]
