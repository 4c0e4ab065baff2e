"""Lot reports: the gains of a public tax program, row by row, against the lot kernels.

A file holds portfolios per asset (``input``: purchases and income IN, disposals OUT, transfers
INTRA) and the program's reports per accounting method (``golden``: fifo, lifo, hifo, lofo). A
purchase makes a lot whose cost includes its fee; a fee paid in the asset is a disposal of its own;
a transfer disposes of what got lost on the way; income is a lot and a row of its own. Lots are
ranked by spot price without fees. One group is one asset under one method: it holds when its rows
are equal, amounts to four decimals.

A report that closes a lot while its own method ranks another open one first contradicts itself;
such a group is not applicable.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple, get_args

import numpy as np

from tradecore.errors import DataError
from tradecore.kernels.lots import LotMethod, allocate_by_qty, match_lots
from tradecore.verify.jsonl import read_document
from tradecore.verify.report import CASE_FAULTS, Failure, FileResult, Progress, summary

__all__ = ["judge"]

_QTY: Final = 10**8
_PX: Final = 10**4
_MONEY: Final = 10**8
_METHODS: Final = get_args(LotMethod)

Row = tuple[str, datetime, float, float, float, float]
"""Type, time, quantity, proceeds, cost, gain."""


class _Event(NamedTuple):
    """One fill of a portfolio: signed quantity, unsigned money, in scaled integers."""

    when: datetime
    qty: int
    px: int
    money: int
    kind: str


@dataclass
class _Lot:
    """An open lot of a report."""

    when: datetime
    qty: int
    px: int
    left: int


# The lot with the smallest rank is closed first.
_RANKS: Final[dict[str, Callable[[_Lot], float]]] = {
    "fifo": lambda lot: lot.when.timestamp(),
    "lifo": lambda lot: -lot.when.timestamp(),
    "hifo": lambda lot: -lot.px,
    "lofo": lambda lot: lot.px,
}


def _number(row: dict[str, Any], name: str) -> Decimal:
    return Decimal(str(row.get(name) or 0))


def _event(row: dict[str, Any], qty: Decimal, money: Decimal, kind: str) -> _Event:
    spot = _number(row, "Spot Price")
    when = datetime.fromisoformat(row["Timestamp"])
    return _Event(when, int(qty * _QTY), int(spot * _PX), int(money * _MONEY), kind)


def _events(rows: list[dict[str, Any]]) -> list[_Event]:
    """Turn the rows of a portfolio into fills, by time."""
    found = []
    for row in rows:
        spot = _number(row, "Spot Price")
        if row["table"] == "IN":
            bought, fee = _number(row, "Crypto In"), _number(row, "Crypto Fee")
            cost = _number(row, "USD In (With Fee)") or (
                bought * spot + _number(row, "USD Fee") + fee * spot
            )
            found.append(_event(row, bought, cost, f"IN / {row['Transaction Type'].upper()}"))
            if fee:
                found.append(_event(row, -fee, fee * spot, "OUT / FEE"))
        elif row["table"] == "OUT":
            out, fee = _number(row, "Crypto Out"), _number(row, "Crypto Fee")
            kind = row["Transaction Type"].upper()
            sold = out + fee if kind == "FEE" else out
            found.append(_event(row, -(out + fee), sold * spot, f"OUT / {kind}"))
        else:
            lost = _number(row, "Crypto Sent") - _number(row, "Crypto Received")
            if lost > 0:
                found.append(_event(row, -lost, lost * spot, "INTRA / MOVE"))
    return sorted(found, key=lambda one: one.when)


def _reported(golden: list[dict[str, Any]]) -> Counter[Row]:
    return Counter(
        (
            str(row["type"]),
            datetime.fromisoformat(row["ts"]),
            round(float(row["qty"]), 8),
            round(float(row["proceeds"] or 0), 4),
            round(float(row["cost"] or 0), 4),
            round(float(row["gain"]), 4),
        )
        for row in golden
    )


def _computed(events: list[_Event], method: LotMethod) -> Counter[Row]:
    qty = [event.qty for event in events]
    money = [event.money for event in events]
    found = match_lots(qty, [event.px for event in events], method=method, oversell="error")
    cost = allocate_by_qty(found.open_fill, found.qty, qty, money)
    proceeds = allocate_by_qty(found.close_fill, found.qty, qty, money)
    result: Counter[Row] = Counter()
    for k, size in enumerate(found.qty.tolist()):
        closing = events[int(found.close_fill[k])]
        amounts = (proceeds[k], cost[k], proceeds[k] - cost[k])
        taken, paid, gained = (float(np.round(amount / _MONEY, 4)) for amount in amounts)
        row = (closing.kind, closing.when, round(size / _QTY, 8), taken, paid, gained)
        result[row] += 1
    for event in events:
        if event.qty > 0 and event.kind == "IN / INTEREST":
            value = round(event.money / _MONEY, 4)
            result[event.kind, event.when, round(event.qty / _QTY, 8), value, 0.0, value] += 1
    return result


def _breaks_its_method(
    events: list[_Event], golden: list[dict[str, Any]], method: LotMethod
) -> str:
    """Return where a report closes another lot than its method ranks first, or nothing.

    A report names the lot by the day it was acquired and its size.
    """
    open_lots = [
        _Lot(event.when, event.qty, event.px, event.qty) for event in events if event.qty > 0
    ]
    closings = [row for row in golden if row.get("acquired")]
    for row in sorted(closings, key=lambda row: datetime.fromisoformat(row["ts"])):
        when, qty = datetime.fromisoformat(row["ts"]), round(float(row["qty"]) * _QTY)
        size = round(float(str(row["lot"]).rpartition(" of ")[2].split()[0]) * _QTY)
        day = datetime.strptime(row["acquired"], "%m/%d/%Y").date()  # noqa: DTZ007 - a date only
        living = [lot for lot in open_lots if lot.when <= when and lot.left > 0]
        chosen = [lot for lot in living if lot.when.date() == day and lot.qty == size]
        if not chosen:
            return ""
        rank = _RANKS[method]
        best = min(map(rank, living))
        if all(rank(lot) != best for lot in chosen):
            return f"on {when.date()} it closes a lot of {day}, which is not the first by {method}"
        min(chosen, key=rank).left -= qty
    return ""


def _show(rows: Counter[Row]) -> str:
    shown = (
        f"{kind} {when.date()} qty {qty:g} proceeds {proceeds:g} cost {cost:g} gain {gain:g}"
        for kind, when, qty, proceeds, cost, gain in sorted(rows.elements())[:3]
    )
    return "; ".join(shown) or "no such row"


def judge(path: str, progress: Progress | None = None) -> FileResult:
    """Judge one file of lot reports.

    Raises
    ------
    DataError
        The file is damaged; a portfolio that is not understood fails its groups.
    """
    document = read_document(path)
    failures: list[Failure] = []
    skipped: list[Failure] = []
    total = rows = 0
    portfolios, reports = document.get("input"), document.get("golden")
    if not isinstance(portfolios, dict) or not isinstance(reports, dict):
        raise DataError("the objects 'input' and 'golden' are needed", path, 0)
    for done, (asset, portfolio) in enumerate(portfolios.items(), start=1):
        for method, report in reports.items():
            total += 1
            name = f"{asset} {method}"
            try:
                if method not in _METHODS:
                    raise ValueError(f"the method {method!r} is unknown")
                events = _events(portfolio)
                golden = [row for row in report if row["asset"] == asset]
                wanted, actual = _reported(golden), _computed(events, method)
                reason = "" if wanted == actual else _breaks_its_method(events, golden, method)
            except CASE_FAULTS as error:
                text = f"cannot be judged: {type(error).__name__}: {error}"
                failures.append(Failure(name, "a report that can be judged", text))
                continue
            rows += wanted.total()
            if reason:
                text = f"contradicts itself: {reason}"
                skipped.append(Failure(name, "a report that can be judged", text))
            elif wanted != actual:
                failures.append(Failure(name, _show(wanted - actual), _show(actual - wanted)))
        if progress:
            progress(path, done, len(portfolios))
    result = summary("lots", path, total, failures, skipped)
    result.lines[0] += f" ({rows} gains)"
    return result
