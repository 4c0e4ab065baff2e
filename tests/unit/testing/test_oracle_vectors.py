"""The oracle alone against data that neither it nor the kernel had a hand in."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import pytest

import vector_adapter as va
from shared_data import shared
from tradecore import dtypes
from tradecore.codes import EventKind as V
from tradecore.testing import build
from tradecore.testing.oracle import OracleConfig, OracleEngine

pytestmark = pytest.mark.shared


def visible_book(engine: OracleEngine, scale: int = 1) -> dict[str, Any]:
    return {
        side: [[px // scale, [[i, tip] for i, tip, _ in level]] for px, level in levels]
        for side, levels in engine.book(0).items()
    }


def test_oracle_meets_every_matching_vector() -> None:
    failed = []
    cases = va.load(shared("vectors/matching.jsonl"))
    for case in cases:
        engine = OracleEngine(OracleConfig(accounts=False))
        run = va.Run(engine, case)
        engine.audit()
        failed += [f"{case['name']}: {w}" for w in va.differences(run, visible_book(engine))]
    assert not failed, "\n".join(failed)
    assert len(cases) >= 48


def report_lines(engine: OracleEngine, messages: list[dict[str, Any]]) -> str:
    """Carry out one case of the public conformance suite; return its canonical report stream."""
    engine.apply(build.instrument())
    sides: dict[int, int] = {}
    lines: list[tuple[int, int, str]] = []
    for m in messages:
        seq, number, side = m["seq"], m["id"], m["side"]
        if m["type"] == "new":
            frame = build.order(
                order_id=number + 1, side=side + 1, ord_type=2, tif=3 if m["ioc"] else 1,
                px=m["px"], order_qty=m["qty"],
            )  # fmt: skip
        elif m["type"] == "cancel":
            frame = build.cancel(order_id=number + 1)
        else:
            frame = build.replace(order_id=number + 1, px=m["px"], order_qty=m["qty"], flags=8 | 16)
        for e in np.frombuffer(engine.apply(frame), dtype=dtypes.EVENT):
            one, kind = e.reshape(1), int(e["kind"])
            order = one.view(dtypes.ORDER_EVENT)[0]
            if kind == V.ACCEPTED:
                sides[number] = side
                lines.append((seq, 0, f"0,{seq},{side},{number},{m['px']},{m['qty']}"))
            elif kind == V.FILL:
                f = one.view(dtypes.FILL_EVENT)[0]
                ids = f"{int(f['maker_order_id']) - 1},{int(f['order_id']) - 1}"
                lines.append((seq, 1, f"1,{seq},{f['last_px']},{f['last_qty']},{ids}"))
            elif kind in (V.CANCELED, V.EXPIRED):
                lines.append((seq, 2, f"2,{seq},{sides[number]},{number},{order['px']}"))
            elif kind == V.REPLACED:
                text = f"3,{seq},{sides[number]},{number},{order['px']},{order['leaves_qty']}"
                lines.append((seq, 3, text))
            elif kind == V.CANCEL_REJECTED:
                lines.append((seq, 4, f"4,{seq},{number}"))
            elif kind == V.REPLACE_REJECTED:
                lines.append((seq, 5, f"5,{seq},{number}"))
    return "\n".join(text for _, _, text in sorted(lines, key=lambda row: row[:2]))


def deep_sweep(count: int) -> list[dict[str, Any]]:
    """The one case that the file describes in words: `count` single-lot makers, one taker."""
    row = {"type": "new", "side": 1, "ioc": 0, "qty": 1, "px": 100}
    makers = [{**row, "seq": i, "id": i + 1} for i in range(count)]
    return [*makers, {**row, "side": 0, "ioc": 1, "qty": count, "seq": count, "id": count + 1}]


def test_oracle_meets_every_edge_case() -> None:
    path = shared("data/matching_workloads/edge_cases_34.jsonl")
    cases = [json.loads(line) for line in path.read_text().splitlines()]
    failed = []
    for case in cases:
        engine = OracleEngine(OracleConfig(accounts=False))
        told = case["messages"]
        text = report_lines(engine, deep_sweep(5000) if isinstance(told, str) else told)
        if hashlib.sha256(text.encode()).hexdigest() != case["reports_sha256"]:
            failed.append(
                f"{case['name']}\n  want {case.get('reports')}\n  have {text.splitlines()}"
            )
        engine.audit()
    assert not failed, "\n".join(failed)
    assert len(cases) == 34
