"""What risk is allowed to do and when: numbers only, in integers, checked once at the start.

Everything here is off (0) unless somebody decides otherwise, except marking. Amounts are in the
smallest unit of the reporting asset, rates in parts per million, times in milliseconds of log time.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

import msgspec

__all__ = [
    "BreakerPolicy",
    "FigurePolicy",
    "MarkPolicy",
    "NodePolicy",
    "RiskPolicy",
    "Rule",
    "Scenario",
]

Ppm = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
Ms = Annotated[int, msgspec.Meta(ge=1)]
Cash = Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class Rule(IntEnum):
    """Rules, by the code that stands in `status` of a finding; 6xx is theirs, codes stay."""

    PRICE_MOVE = 600
    """The price moved too far within the window."""
    VOLATILITY = 601
    """The mean square return of the window is too large."""
    REOPEN_AUCTION = 602
    """The halt is over: a call auction begins."""
    REOPEN = 603
    """The auction is over: trading goes on."""
    BREAKER_YIELDED = 604
    """Somebody else set the phase: the breaker lets go."""
    GROUP_DRAWDOWN = 610
    """A group lost too much since its best moment of the window."""
    FIRM_DRAWDOWN = 611
    """All accounts together lost too much."""
    ACCOUNT_GROSS = 620
    """Positions of an account are worth more than its soft limit."""
    GROUP_GROSS = 621
    """The same of a group."""
    FIRM_GROSS = 622
    """The same of all accounts."""
    GROSS_RELEASED = 623
    """Exposure fell below the release level: the limit is what it was."""
    MARK_STALE = 630
    """A linear instrument with open positions has not been marked for too long."""
    MARK = 631
    """A mark price from quotes (no finding: counted only)."""


class _Block(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the parts: keywords only, unknown keys refused."""


class MarkPolicy(_Block, frozen=True, kw_only=True):
    """How linear instruments are marked.

    Parameters
    ----------
    on : bool
        False where somebody else sends mark prices.
    interval_ms : int
        Least time between two marks of an instrument: at most ten a second.
    step_ppm : int
        Largest change of one mark, of the mark before.
    max_spread_ppm : int
        In a wider quote the last trade counts, brought inside the quote.
    refresh_ms : int
        An unchanged mark is repeated after this, so that it does not look stale.
    stale_ms : int
        No quotes are believed when market data has not been read to its end for so long; a finding
        when an instrument's mark is older.
    """

    on: bool = True
    interval_ms: Annotated[int, msgspec.Meta(ge=100)] = 100
    step_ppm: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 20_000
    max_spread_ppm: Ppm = 50_000
    refresh_ms: Ms = 1_000
    stale_ms: Ms = 5_000


class BreakerPolicy(_Block, frozen=True, kw_only=True):
    """When an instrument is halted, and for how long.

    Parameters
    ----------
    move_ppm : int
        Largest distance of the price from its oldest value in the window; 0 = off.
    volatility_ppm : int
        Largest root mean square of returns between evaluations in the window; 0 = off.
    window_ms : int
    halt_ms, auction_ms : int
        Time halted, then in a call auction, then trading goes on.
    """

    move_ppm: Ppm = 0
    volatility_ppm: Ppm = 0
    window_ms: Ms = 10_000
    halt_ms: Ms = 30_000
    auction_ms: Ms = 30_000


class NodePolicy(_Block, frozen=True, kw_only=True):
    """Soft limits of accounts, groups and the firm; 0 = off.

    Parameters
    ----------
    group_drawdown, firm_drawdown : int
        Loss since the best moment of the window at which the kill switch goes on.
    window_ms : int
        The best moment is forgotten at multiples of this (a day of log time, UTC).
    account_gross, group_gross, firm_gross : int
        Sum of ``|position| * price`` above which a node may only reduce.
    release_ppm : int
        Share of the limit below which it may open positions again.
    """

    group_drawdown: Cash = 0
    firm_drawdown: Cash = 0
    window_ms: Ms = 86_400_000
    account_gross: Cash = 0
    group_gross: Cash = 0
    firm_gross: Cash = 0
    release_ppm: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 900_000

    @property
    def any_gross(self) -> bool:
        """Whether some soft limit is on."""
        return bool(self.account_gross or self.group_gross or self.firm_gross)

    @property
    def any_drawdown(self) -> bool:
        """Whether some loss stops somebody."""
        return bool(self.group_drawdown or self.firm_drawdown)


class Scenario(_Block, frozen=True, kw_only=True):
    """A named shock of prices.

    Parameters
    ----------
    name : str
    all_ppm : int
        Relative change of every price, parts per million; -100_000 = 10 % down.
    by_symbol : dict of str to int
        Other changes for some instruments, by symbol.
    """

    name: str
    all_ppm: Annotated[int, msgspec.Meta(ge=-1_000_000, le=1_000_000_000)] = 0
    by_symbol: dict[str, Annotated[int, msgspec.Meta(ge=-1_000_000, le=1_000_000_000)]] = {}


class FigurePolicy(_Block, frozen=True, kw_only=True):
    """VaR, ES and stress.

    Parameters
    ----------
    levels : tuple of float
        Confidence levels.
    sample_ms : int
        Distance of recorded prices; the horizon of VaR is one sample times `periods`.
    samples : int
        Returns that are remembered.
    periods : int
        Horizon in samples; grows with its square root.
    draws : int
        Scenarios of the Monte Carlo simulation.
    stress : tuple of Scenario
    """

    levels: tuple[Annotated[float, msgspec.Meta(gt=0.5, lt=1)], ...] = (0.95, 0.99)
    sample_ms: Ms = 1_000
    samples: Annotated[int, msgspec.Meta(ge=2, le=100_000)] = 500
    periods: Count = 1
    draws: Count = 10_000
    stress: tuple[Scenario, ...] = (
        Scenario(name="down 10 %", all_ppm=-100_000),
        Scenario(name="up 10 %", all_ppm=100_000),
        Scenario(name="down 30 %", all_ppm=-300_000),
    )


class RiskPolicy(_Block, frozen=True, kw_only=True):
    """Everything that decides what risk does.

    Parameters
    ----------
    asset_id : int
        Reporting asset: every amount is in its smallest unit.
    evaluate_ms : int
        Rules are looked at when log time passes a multiple of this.
    marks, breakers, nodes, figures
        See the parts.
    """

    asset_id: int = 0
    evaluate_ms: Ms = 100
    marks: MarkPolicy = MarkPolicy()
    breakers: BreakerPolicy = BreakerPolicy()
    nodes: NodePolicy = NodePolicy()
    figures: FigurePolicy = FigurePolicy()
