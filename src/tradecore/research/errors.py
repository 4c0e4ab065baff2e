"""What can go wrong in a run that is not the market's doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradecore.errors import TradecoreError

if TYPE_CHECKING:
    from tradecore.research.results import Result

__all__ = ["LookaheadError", "StrategyError"]


class StrategyError(TradecoreError):
    """The strategy raised, asked for nonsense, or did not return.

    Attributes
    ----------
    method : str
        The method that was being called.
    now_ns : int
        The strategy's time.
    frame : int
        Number, from 0, of the next recorded frame.
    result : Result
        The run so far, for inspection.
    """

    def __init__(
        self, reason: str, *, method: str, now_ns: int, frame: int, result: Result | None = None
    ) -> None:
        super().__init__(f"{method} at {now_ns} ns (recorded frame {frame}): {reason}")
        self.reason = reason
        self.method = method
        self.now_ns = now_ns
        self.frame = frame
        self.result = result


class LookaheadError(TradecoreError):
    """Data was asked for that the strategy cannot know yet."""
