"""Lot-level gains of a public tax program's reports, under FIFO, LIFO, HIFO and LOFO.

The files hold the portfolios (``input``) and the program's own reports (``golden``). A purchase
makes a lot whose cost includes its fee; a fee paid in the asset is a disposal of its own; a
transfer disposes of what got lost on the way; income is a lot and a row of its own. Lots are ranked
by spot price without fees.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared_data import shared
from tradecore.kernels.lots import LotMethod, allocate_by_qty, match_lots

QTY, PX, MONEY = 10**8, 10**4, 10**8
# The report closes a lot bought at 12,000 while 0.99 of a lot bought at 11,000 is still open: that
# is not lowest price first.
NOT_ITS_OWN_METHOD = {("test_data.json", "B3", "lofo")}
EXPECTED_ROWS = {
    "test_data.json": 122,
    "test_data2.json": 171,
    "test_data3.json": 65,
    "test_data4.json": 66,
}


@dataclass(frozen=True)
class Event:
    when: datetime
    qty: int
    px: int
    money: int
    kind: str


def event(row: dict[str, Any], qty: Decimal, money: Decimal, kind: str) -> Event:
    spot = Decimal(str(row.get("Spot Price") or 0))
    return Event(
        datetime.fromisoformat(row["Timestamp"]),
        int(qty * QTY),
        int(spot * PX),
        int(money * MONEY),
        kind,
    )


def events(rows: list[dict[str, Any]]) -> list[Event]:
    """Turn the rows of a portfolio into fills with signed quantity and unsigned money, by time."""
    found = []
    for row in rows:

        def number(name: str, row: dict[str, Any] = row) -> Decimal:
            return Decimal(str(row.get(name) or 0))

        spot = number("Spot Price")
        if row["table"] == "IN":
            fee = number("Crypto Fee")
            whole = number("Crypto In") * spot + number("USD Fee") + fee * spot
            cost = number("USD In (With Fee)") or whole
            kind = row["Transaction Type"].upper()
            found.append(event(row, number("Crypto In"), cost, f"IN / {kind}"))
            if fee:
                found.append(event(row, -fee, fee * spot, "OUT / FEE"))
        elif row["table"] == "OUT":
            out, fee = number("Crypto Out"), number("Crypto Fee")
            kind = row["Transaction Type"].upper()
            sold = out + fee if kind == "FEE" else out
            found.append(event(row, -(out + fee), sold * spot, f"OUT / {kind}"))
        else:
            lost = number("Crypto Sent") - number("Crypto Received")
            if lost > 0:
                found.append(event(row, -lost, lost * spot, "INTRA / MOVE"))
    return sorted(found, key=lambda one: one.when)


def reported(golden: list[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
    return Counter(
        (
            row["type"],
            datetime.fromisoformat(row["ts"]),
            round(float(row["qty"]), 8),
            round(float(row["proceeds"] or 0), 4),
            round(float(row["cost"] or 0), 4),
            round(float(row["gain"]), 4),
        )
        for row in golden
    )


def computed(rows: list[Event], method: LotMethod) -> Counter[tuple[Any, ...]]:
    qty = [row.qty for row in rows]
    money = [row.money for row in rows]
    found = match_lots(qty, [row.px for row in rows], method=method, oversell="error")
    assert found.refused.size == 0
    cost = allocate_by_qty(found.open_fill, found.qty, qty, money)
    proceeds = allocate_by_qty(found.close_fill, found.qty, qty, money)
    result: Counter[tuple[Any, ...]] = Counter()
    for k, size in enumerate(found.qty):
        closing = rows[found.close_fill[k]]
        amounts = (proceeds[k], cost[k], proceeds[k] - cost[k])
        result[
            (
                closing.kind,
                closing.when,
                round(size / QTY, 8),
                *(float(np.round(amount / MONEY, 4)) for amount in amounts),
            )
        ] += 1
    for row in rows:
        if row.kind == "IN / INTEREST":
            value = round(row.money / MONEY, 4)
            result[(row.kind, row.when, round(row.qty / QTY, 8), value, 0.0, value)] += 1
    return result


@pytest.mark.shared
@pytest.mark.parametrize("name", sorted(EXPECTED_ROWS))
def test_lot_level_gains_equal_the_reports(name: str) -> None:
    data = json.loads(Path(shared(f"data/lots/{name}")).read_text(encoding="utf-8"))
    differing = set()
    rows = 0
    for asset, portfolio in data["input"].items():
        fills = events(portfolio)
        for method, report in data["golden"].items():
            golden = reported([row for row in report if row["asset"] == asset])
            rows += golden.total()
            if computed(fills, method) != golden:
                differing.add((name, asset, method))
    assert rows == EXPECTED_ROWS[name]
    assert differing == {group for group in NOT_ITS_OWN_METHOD if group[0] == name}
