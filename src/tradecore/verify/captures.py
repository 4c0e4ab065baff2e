"""Venue captures: the book rebuilt from depth updates against the quotes captured beside them.

A capture holds a snapshot, depth updates and best quotes of one symbol. Wherever a quote carries
the update id that the rebuilt book stands at, its prices and quantities must be the book's best
ones, and the venue's continuity rule must hold between all updates. What is judged is the reader
and the rebuild of `tradecore.data`, integers throughout.
"""

from __future__ import annotations

from typing import Final

from tradecore.data.binance import BookTicker, DepthSnapshot, DepthUpdate, iter_capture
from tradecore.data.depth import DepthGapError, DepthRebuild, Quote
from tradecore.verify.report import Failure, FileResult, Progress

__all__ = ["judge"]

_SHOWN: Final = 20
_EVERY: Final = 4096
_KEPT: Final = 65_536


def _show(quote: Quote) -> str:
    return f"{quote.bid_qty}@{quote.bid_px} / {quote.ask_qty}@{quote.ask_px}"


class _Comparison:
    """Quotes and rebuilt bests, each waiting for the other's update id."""

    def __init__(self) -> None:
        self._quotes: dict[int, Quote] = {}
        self._bests: dict[int, Quote] = {}
        self.compared = 0
        self.wrong = 0
        self.failures: list[Failure] = []

    def quote(self, update_id: int, quote: Quote) -> None:
        """Take a captured quote."""
        if update_id in self._bests:
            self._judge(update_id, quote, self._bests.pop(update_id))
        else:
            _keep(self._quotes, update_id, quote)

    def best(self, update_id: int, best: Quote) -> None:
        """Take the rebuilt book's best as of an update."""
        if update_id in self._quotes:
            self._judge(update_id, self._quotes.pop(update_id), best)
        else:
            _keep(self._bests, update_id, best)

    def _judge(self, update_id: int, quote: Quote, best: Quote) -> None:
        self.compared += 1
        if quote != best:
            self.wrong += 1
            if len(self.failures) < _SHOWN:
                name = f"quote at update {update_id}"
                self.failures.append(Failure(name, _show(quote), _show(best)))


def _keep(table: dict[int, Quote], update_id: int, quote: Quote) -> None:
    """Remember a quote; the oldest is dropped, since the two streams run side by side."""
    table[update_id] = quote
    if len(table) > _KEPT:
        del table[next(iter(table))]


def judge(path: str, progress: Progress | None = None) -> FileResult:
    """Judge one capture.

    Raises
    ------
    DataError
        The file is damaged.
    """
    rebuild = DepthRebuild()
    comparison = _Comparison()
    gaps: list[Failure] = []
    updates = 0
    for count, event in enumerate(iter_capture(path), start=1):
        if progress and count % _EVERY == 0:
            progress(path, count, 0)
        if isinstance(event, BookTicker):
            best = Quote(event.bid_px, event.bid_qty, event.ask_px, event.ask_qty)
            comparison.quote(event.update_id, best)
            continue
        try:
            if isinstance(event, DepthSnapshot):
                rebuild.snapshot(event)
                continue
            if not isinstance(event, DepthUpdate) or not rebuild.update(event):
                continue
        except DepthGapError as error:
            # Nothing after a gap can be compared: the venue's rule is to start from a new snapshot.
            gaps.append(Failure(f"event {count}", "no gap between updates", str(error)))
            break
        updates += 1
        comparison.best(event.last_id, rebuild.book.quote())
    if not comparison.compared and not gaps:
        gaps.append(Failure(path, "quotes to compare", "no quote has the id of an applied update"))
    equal = comparison.compared - comparison.wrong
    return FileResult(
        path=path,
        kind="captures",
        passed=equal,
        failed=comparison.wrong + len(gaps),
        lines=[f"captures: quotes {equal}/{comparison.compared}, {updates} updates without a gap"],
        failures=[*comparison.failures, *gaps],
    )
