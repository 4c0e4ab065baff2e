"""Margins out of published positions: by hand, and against the engine on a log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tradecore as tc
from research.venue import admin, write_log
from tradecore.dtypes import INSTRUMENT
from tradecore.research import certify
from tradecore.research import parity_books as module
from tradecore.research.margins import MarginTerms

TIERS = ((320_000, 50_000, 25_000), (0, 100_000, 50_000))


def order(number: int, account: int, side: int, px: int, qty: int) -> Any:
    frame = np.zeros(1, tc.COMMAND)
    values = {"kind": 1, "ord_type": 2, "tif": 1, "account_id": account, "instrument_id": 1}
    own = {"order_id": number, "side": side, "px": px, "order_qty": qty}
    for name, value in (values | own).items():
        frame[name] = value
    return frame


def venue() -> list[Any]:
    """Thirty lots change hands at 1,000, five more are bid for, the mark goes to 1,010."""
    contract = np.zeros(1, INSTRUMENT)
    terms = {"kind": tc.CommandKind.INSTRUMENT, "cont": 3, "instrument_id": 1, "tick": 1, "lot": 1}
    more = {"multiplier": 10, "instrument_type": 1, "phase": int(tc.Phase.CONTINUOUS)}
    for name, value in (terms | more).items():
        contract[name] = value
    for number, tier in enumerate(TIERS):
        contract["tiers"][0][number] = tier
    setup = [contract.view(tc.COMMAND)]
    for account in (1, 2):
        setup.append(admin(tc.CommandKind.ACCOUNT, account_id=account))
        setup.append(admin(tc.CommandKind.DEPOSIT, account_id=account, asset_id=0, amount=10**6))
    return [
        np.concatenate(setup),
        admin(tc.CommandKind.MARK_PRICE, instrument_id=1, mark_px=1_000),
        order(1, 1, 1, 1_000, 30),
        order(2, 2, 2, 1_000, 30),
        order(3, 1, 1, 990, 5),
        admin(tc.CommandKind.MARK_PRICE, instrument_id=1, mark_px=1_010),
    ]


def test_margin_of_a_notional_goes_through_the_tiers_and_is_rounded_up_once() -> None:
    terms = MarginTerms(10, TIERS)
    assert terms.required(303_000, 1) == 15_150  # 5 %
    assert terms.required(353_500, 1) == 16_000 + 3_350  # 5 % of 320,000, 10 % of the rest
    assert terms.required(353_500, 2) == 8_000 + 1_675
    assert terms.required(1, 2) == 1
    assert terms.required(0, 1) == 0
    # Beyond the bound of the last tier its rates go on.
    assert MarginTerms(1, ((100, 500_000, 0),)).required(300, 1) == 150


def test_certificate_compares_margins_of_every_position(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[tuple[int, ...], int]] = []
    real = module.margin_numbers

    def spy(*args: Any) -> Any:
        seen.append(real(*args))
        return seen[-1]

    monkeypatch.setattr(module, "margin_numbers", spy)
    found = certify(write_log(tmp_path, [*venue(), *pauses()]))
    assert found.equal, found
    (line,) = [line for line in found.lines if line.what.startswith("risk: margins")]
    assert line.ours == line.theirs == "6 values"
    # Open profit 30 * 10 * 10; initial of 35 lots at 1,010; maintenance of 30.
    expected = {(1, 1, 0): 3_000, (1, 1, 1): 19_350, (1, 1, 2): 7_575}
    expected |= {(2, 1, 0): -3_000, (2, 1, 1): 15_150, (2, 1, 2): 7_575}
    assert seen[-1] == expected


def test_margin_that_the_engine_saw_otherwise_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module.margin_numbers

    def more(*args: Any) -> Any:
        return {key: value + (key == (1, 1, 1)) for key, value in real(*args).items()}

    monkeypatch.setattr(module, "margin_numbers", more)
    found = certify(write_log(tmp_path, [*venue(), *pauses()]))
    (line,) = [line for line in found.lines if not line.equal]
    assert line.differences == ["(1, 1, 1): 19350 in the replay, 19351 published"]


def pauses() -> list[Any]:
    """Records without effect, so that there is a snapshot, which knows the configuration."""
    return [admin(tc.CommandKind.TIME) for _ in range(20)]
