"""Matching scenarios: JSON lines of commands and what must come out of them.

A case is ``name``, ``config`` (settings of the instrument), ``commands`` and ``expect``. This
module owns the comparison; `tradecore.verify.scenario` owns the translation into frames. Nothing
depends on a case's name. A setting, command or field that is not understood makes the case fail: a
case that is only half understood has not passed.

Freedoms, each from the schema or from the case's own ``ambiguity`` note:

- Reasons are the author's words; `reasons` lists which statuses each may mean.
- The pairing of auction prints is not compared, what each order filled is.
- Where the note says that prints may be merged, split or ordered otherwise, fills are compared as
  sums per taker, maker and price.
- Where no ``stop_immediate`` is given, the case does not say what happens to a stop that is through
  at entry. It holds if it holds under one of the two settings.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tradecore.verify.jsonl import read_cases
from tradecore.verify.reasons import allowed_statuses
from tradecore.verify.report import CASE_FAULTS, Failure, FileResult, Progress, summary
from tradecore.verify.scenario import Scenario, policies
from tradecore.verify.session import Session, exact

__all__ = ["judge"]

Difference = tuple[str, str, str]
"""What differs, what was expected, what came out."""

_FREE_PRINTS: Final = re.compile(r"\b(prints?|merged?|split|as a set|pairing)\b", re.IGNORECASE)
_STATUSES: Final = {"CANCELED": "CANCELLED", "PARTIAL": "PARTIALLY_FILLED", "OPEN": "NEW"}
_KEYS: Final = frozenset(
    (
        "trades",
        "final",
        "book",
        "command_rejects",
        "dormant_stops",
        "prevented",
        "auction",
        "fills_per_order",
        "trigger_command_index",
        "trigger_px",
    )
)


def _trades(expect: Mapping[str, Any], session: Session, free: bool) -> Iterator[Difference]:
    wanted = [
        (str(t["taker"]), str(t["maker"]), exact(t["px"]), int(t["qty"])) for t in expect["trades"]
    ]
    actual = [(f.taker, f.maker, exact(f.px), f.qty) for f in session.fills]
    same = wanted == actual
    if not same and free:
        same = _sums(wanted) == _sums(actual)
    if not same:
        yield "trades", _show_trades(wanted), _show_trades(actual)


def _sums(trades: list[tuple[str, str, Any, int]]) -> Counter[tuple[str, str, Any]]:
    sums: Counter[tuple[str, str, Any]] = Counter()
    for taker, maker, px, qty in trades:
        sums[taker, maker, px] += qty
    return sums


def _show_trades(trades: list[tuple[str, str, Any, int]]) -> str:
    return (
        "; ".join(f"{t} takes {q} of {m} at {float(p):g}" for t, m, p, q in trades) or "no trades"
    )


def _finals(expect: Mapping[str, Any], session: Session) -> Iterator[Difference]:
    for name, want in expect["final"].items():
        order = session.orders.get(str(name))
        status = str(want["status"]).upper()
        status = _STATUSES.get(status, status)
        wanted = f"{status} cum {want['cum']}" if "cum" in want else status
        if order is None:
            yield f"order {name}", wanted, "never seen"
            continue
        actual = f"{order.status} cum {order.cum_qty}" if "cum" in want else order.status
        reason = want.get("reason")
        if wanted != actual or (
            reason is not None and order.reason not in allowed_statuses(reason)
        ):
            shown = "" if reason is None else f" {_words(reason)}"
            why = f" {order.reason.name}" if reason is not None or order.reason else ""
            yield f"order {name}", wanted + shown, actual + why


def _words(reason: Any) -> str:
    return " or ".join(map(str, reason)) if isinstance(reason, list) else str(reason)


def _book(expect: Mapping[str, Any], session: Session) -> Iterator[Difference]:
    actual = session.book()
    for side, levels in expect["book"].items():
        wanted = [[exact(px), [[str(i), q] for i, q in queue]] for px, queue in levels]
        have = [[exact(px), queue] for px, queue in actual.get(side, [])]
        if wanted != have:
            yield side, _show_levels(wanted), _show_levels(have)


def _show_levels(levels: list[Any]) -> str:
    shown = (
        f"{float(px):g}: " + ", ".join(f"{order} {qty}" for order, qty in queue)
        for px, queue in levels
    )
    return "; ".join(shown) or "empty"


def _rejects(expect: Mapping[str, Any], session: Session) -> Iterator[Difference]:
    for reject in expect["command_rejects"]:
        index, reason = reject["index"], reject.get("reason")
        found = [refusal.status for refusal in session.refusals if refusal.command == index]
        allowed = None if reason is None else allowed_statuses(reason)
        if not any(allowed is None or status in allowed for status in found):
            names = ", ".join(status.name for status in found) or "not refused"
            yield f"command {index}", f"refused {_words(reason or '')}".rstrip(), names


def _dormant(expect: Mapping[str, Any], session: Session) -> Iterator[Difference]:
    given = expect["dormant_stops"]
    names = [str(item[0] if isinstance(item, list) else item) for item in given]
    wanted = sorted(names)
    actual = sorted(name for name, order in session.orders.items() if order.dormant)
    if wanted != actual:
        yield "dormant stops", ", ".join(wanted) or "none", ", ".join(actual) or "none"


def _prevented(expect: Mapping[str, Any], session: Session) -> Iterator[Difference]:
    for name, qty in expect["prevented"].items():
        order = session.orders.get(str(name))
        actual = order.prevented_qty if order else 0
        if actual != qty:
            yield f"order {name}", f"prevented {qty}", f"prevented {actual}"


def _auction(expect: Mapping[str, Any], session: Session) -> Iterator[Difference]:
    wanted = expect["auction"]
    actual = session.auctions[-1]._asdict() if session.auctions else {}
    for key, value in wanted.items():
        have = actual.get(key)
        same = have == value if value is None or have is None else exact(have) == exact(value)
        if not same:
            yield f"auction {key}", str(value), str(have)


def _fills_per_order(expect: Mapping[str, Any], session: Session) -> Iterator[Difference]:
    sums: Counter[str] = Counter()
    for fill in session.fills:
        sums[fill.taker] += fill.qty
        sums[fill.maker] += fill.qty
    wanted = {str(name): qty for name, qty in expect["fills_per_order"].items() if qty}
    if wanted != dict(sums):
        yield "fills per order", str(wanted), str(dict(sums))


def _trigger(expect: Mapping[str, Any], scenario: Scenario) -> Iterator[Difference]:
    index, px = scenario.trigger()
    wanted = expect.get("trigger_command_index")
    if "trigger_command_index" in expect and wanted != index:
        yield "trigger", f"at command {wanted}", f"at command {index}"
    wanted = expect.get("trigger_px")
    if wanted is not None and (px is None or exact(px) != exact(wanted)):
        yield "trigger price", str(wanted), str(px)


def _differences(case: Mapping[str, Any], scenario: Scenario) -> list[Difference]:
    """Return everything in which a finished scenario differs from its expectation."""
    expect, session = case["expect"], scenario.session
    found: list[Difference] = []
    # An auction's prints pair by venue; its price, volume and fills per order are compared instead.
    if "trades" in expect and "auction" not in expect:
        free = bool(_FREE_PRINTS.search(str(case.get("ambiguity") or "")))
        found.extend(_trades(expect, session, free))
    for key, compare in (
        ("final", _finals),
        ("book", _book),
        ("command_rejects", _rejects),
        ("dormant_stops", _dormant),
        ("prevented", _prevented),
        ("auction", _auction),
        ("fills_per_order", _fills_per_order),
    ):
        if key in expect:
            found.extend(compare(expect, session))
    if "trigger_command_index" in expect or "trigger_px" in expect:
        found.extend(_trigger(expect, scenario))
    return found


def _judge_case(name: str, case: Mapping[str, Any]) -> Failure | None:
    expect = case.get("expect")
    if not isinstance(expect, dict) or not expect:
        return Failure(name, "a case that can be judged", "the object 'expect' is needed")
    if unknown := sorted(set(expect) - _KEYS):
        return Failure(name, "a case that can be judged", f"'{unknown[0]}' is not understood")
    first: Failure | None = None
    for policy in policies(case):
        try:
            scenario = Scenario(case, policy)
            scenario.run()
            differences = _differences(case, scenario)
        except CASE_FAULTS as error:
            text = f"cannot be judged: {type(error).__name__}: {error}"
            return Failure(name, "a case that can be judged", text)
        if not differences:
            return None
        if first is None:
            first = Failure(
                name,
                " | ".join(f"{what}: {wanted}" for what, wanted, _ in differences),
                " | ".join(f"{what}: {actual}" for what, _, actual in differences),
            )
    return first


def judge(path: str, progress: Progress | None = None) -> FileResult:
    """Judge a file of matching scenarios.

    Raises
    ------
    DataError
        The file is damaged; a case that is not understood is a failure of that case.
    """
    failures: list[Failure] = []
    total = 0
    for case in read_cases(path):
        total += 1
        failure = _judge_case(case.name, case.value)
        if failure:
            failures.append(failure)
        if progress:
            progress(path, total, 0)
    return summary("matching", path, total, failures)
