"""Edge cases of the public conformance suite: messages, their reports, the best prices after each.

A case is ``name``, ``messages`` and one or more of ``reports`` (canonical lines),
``reports_sha256`` and ``bbo_after_each`` (best bid and ask after every message, null for an empty
side). Messages are those of the binary workloads, as objects; a case too long to write out gives a
sentence instead (``"5000 x new(i,sell,1@100) i=1..5000, then new(5001,buy,5000@100,ioc)"``). The
reports are made by the same code as a workload's.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

import numpy as np

from tradecore.data.flows import workload_flow
from tradecore.data.workload import WORKLOAD_RECORD, Records
from tradecore.engine import Engine
from tradecore.verify.jsonl import read_cases
from tradecore.verify.report import CASE_FAULTS, Failure, FileResult, Progress, summary
from tradecore.verify.workload import reports

__all__ = ["judge"]

_TYPES: Final = {"new": 0, "cancel": 1, "modify": 2}
_SIDES: Final = {"buy": 0, "b": 0, "bid": 0, "sell": 1, "s": 1, "ask": 1}
_REPEAT: Final = re.compile(r"(\d+)\s*x\s+(.*?)\s+(\w+)\s*=\s*(\d+)\s*\.\.\s*(\d+)$")
_CALL: Final = re.compile(r"(new|cancel|modify)\(([^)]*)\)")


class _CaseError(Exception):
    """The case cannot be understood; the text says why."""


def _number(message: dict[str, Any], name: str, low: int, high: int) -> int:
    value = message.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _CaseError(f"{name!r} is {value!r}, an integer from {low} to {high} is needed")
    return value


def _coded(message: dict[str, Any], name: str, codes: dict[str, int]) -> int:
    value = message.get(name, 0)
    if isinstance(value, str) and value.lower() in codes:
        return codes[value.lower()]
    if isinstance(value, int) and value in codes.values():
        return int(value)
    raise _CaseError(f"{name!r} is {value!r}, one of {', '.join(sorted(codes))} is needed")


def _record(message: Any, index: int) -> tuple[int, ...]:
    if not isinstance(message, dict):
        raise _CaseError(f"message {index} is not an object")
    return (
        _coded(message, "type", _TYPES),
        _coded(message, "side", _SIDES),
        int(bool(message.get("ioc", 0))),
        0,
        _number(message, "qty", 0, (1 << 32) - 1),
        _number(message | {"seq": message.get("seq", index)}, "seq", 0, (1 << 64) - 1),
        _number(message, "id", 0, (1 << 64) - 1),
        _number(message, "px", -(1 << 56), 1 << 56),
        0,
    )


def _call(text: str, variable: str, value: int) -> dict[str, Any]:
    """Read ``new(id,side,qty@px[,ioc])``, ``modify(id,side,qty@px)`` or ``cancel(id)``."""
    match = _CALL.fullmatch(text.strip())
    if match is None:
        raise _CaseError(f"{text.strip()!r} is not a message")
    fields = [field.strip() for field in match[2].split(",")]
    message: dict[str, Any] = {"type": match[1], "side": 0, "ioc": 0, "qty": 0, "px": 0}
    try:
        message["id"] = value if fields[0] == variable else int(fields[0])
        for field in fields[1:]:
            if field == "ioc":
                message["ioc"] = 1
            elif "@" in field:
                qty, px = field.split("@")
                message["qty"], message["px"] = int(qty), int(px)
            else:
                message["side"] = _coded({"side": field}, "side", _SIDES)
    except ValueError as error:
        raise _CaseError(f"{text.strip()!r} is not a message: {error}") from error
    return message


def _written_out(sentence: str) -> list[dict[str, Any]]:
    """Return the messages that a sentence stands for; parts are separated by ``then``."""
    messages: list[dict[str, Any]] = []
    for part in re.split(r",?\s*\bthen\b\s*", sentence):
        repeat = _REPEAT.fullmatch(part.strip())
        if repeat is None:
            messages.append(_call(part, "", 0))
            continue
        times, text, variable, first, last = repeat.groups()
        values = range(int(first), int(last) + 1)
        if len(values) != int(times) or int(times) > 1_000_000:
            raise _CaseError(f"{times} times is not {first}..{last}")
        messages.extend(_call(text, variable, value) for value in values)
    for seq, message in enumerate(messages):
        message["seq"] = seq
    return messages


def _records(messages: Any) -> Records:
    if isinstance(messages, str):
        messages = _written_out(messages)
    if not isinstance(messages, list):
        raise _CaseError("'messages' must be a list or a sentence")
    rows = [_record(message, index) for index, message in enumerate(messages)]
    return np.array(rows, WORKLOAD_RECORD)


def _bests(records: Records) -> list[list[int | None]]:
    """Return best bid and ask after every message, one engine call per message."""
    flow = workload_flow(records)
    engine = Engine(max_instruments=1, max_orders=flow.max_orders)
    engine.apply(flow.definitions())
    found = []
    for index in range(len(records)):
        engine.apply(flow.commands(index, index + 1))
        pair = engine.best(0)
        found.append([None if px is None else px - flow.px_shift for px in pair])
    return found


def _differs(case: dict[str, Any]) -> tuple[str, str] | None:
    """Return what was expected and what came out, or None where all expectations hold."""
    records = _records(case.get("messages"))
    lines = [line for piece in reports(records) for line in piece]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    checks = 0
    if (wanted := case.get("reports")) is not None:
        checks += 1
        if not isinstance(wanted, list):
            raise _CaseError("'reports' must be a list")
        for index in range(max(len(wanted), len(lines))):
            left = str(wanted[index]) if index < len(wanted) else "no further report"
            right = lines[index] if index < len(lines) else "no further report"
            if left != right:
                return f"report {index}: {left}", f"report {index}: {right}"
    if (wanted := case.get("reports_sha256")) is not None:
        checks += 1
        if str(wanted).lower() != digest:
            return f"sha256 of the reports {wanted}", f"{digest} ({len(lines)} reports)"
    if (wanted := case.get("bbo_after_each")) is not None:
        checks += 1
        for index, (pair, best) in enumerate(zip(wanted, _bests(records), strict=True)):
            if list(pair) != best:
                return f"best bid and ask after message {index}: {list(pair)}", str(best)
    if not checks:
        raise _CaseError("none of reports, reports_sha256, bbo_after_each is given")
    return None


def judge(path: str, progress: Progress | None = None) -> FileResult:
    """Judge a file of edge cases.

    Raises
    ------
    DataError
        The file is damaged; a case that is not understood is a failure of that case.
    """
    failures: list[Failure] = []
    total = 0
    for case in read_cases(path):
        total += 1
        try:
            found = _differs(case.value)
        except (_CaseError, *CASE_FAULTS) as error:
            found = ("a case that can be judged", f"cannot be judged: {error}")
        if found:
            failures.append(Failure(case.name, *found))
        if progress:
            progress(path, total, 0)
    return summary("edge", path, total, failures)
