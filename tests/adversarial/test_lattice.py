"""Quantities and prices at every edge of 64 bits: refused by rule, or computed without overflow.

The expectation is the naive engine's, whose integers have no edge, and for the ranges the rule
itself: a price and a quantity are 1 to 2**56.
"""

from __future__ import annotations

import itertools

import pytest

from tradecore import CommandKind, Engine, EngineConfig, EventKind, OrderFlag, Status
from tradecore.testing import build
from tradecore.testing.oracle import OracleConfig, OracleEngine

TOP = 1 << 56
EDGES = [
    *(0, 1, 2, 3, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 53) - 1, (1 << 53) + 1, 1 << 55),
    *(TOP - 1, TOP, TOP + 1, 1 << 62, (1 << 63) - 1, -1, -(1 << 63)),
]
MULTIPLIERS = [1, (1 << 31) + 1, 1 << 55, 1 << 62]
CASH = 1 << 61


def pair(config: EngineConfig) -> tuple[Engine, OracleEngine]:
    return Engine(config), OracleEngine(OracleConfig.like(config))


def agree(engine: Engine, oracle: OracleEngine, *commands: bytes) -> None:
    for command in commands:
        have, want = bytes(engine.apply(command)), bytes(oracle.apply(command))
        assert have == want, f"at command {engine.in_seq}"


@pytest.mark.parametrize("side", [1, 2])
def test_order_at_every_edge_is_accepted_or_refused_by_the_rule(side: int) -> None:
    engine, oracle = pair(EngineConfig(max_instruments=1, max_orders=512))
    agree(engine, oracle, build.instrument(instrument_id=0))
    for order_id, (px, qty) in enumerate(itertools.product(EDGES, EDGES), 1):
        command = build.order(order_id=order_id, side=side, px=px, order_qty=qty, ord_type=2, tif=1)
        events = engine.events(command)
        assert events.tobytes() == bytes(oracle.apply(command))
        if not 0 <= px <= TOP or not 1 <= qty <= TOP:
            assert (events["kind"][0], events["status"][0]) == (
                EventKind.REJECTED,
                Status.BAD_FIELD,
            )
        elif px == 0:
            assert events["status"][0] == Status.BAD_COMBINATION
        else:
            assert events["kind"][0] == EventKind.ACCEPTED
    engine.check()
    agree(
        engine,
        oracle,
        build.admin(CommandKind.MASS_CANCEL, account_id=0xFFFFFFFF, instrument_id=0xFFFFFFFF),
    )


def test_trades_at_every_edge_are_those_of_exact_integers() -> None:
    engine, oracle = pair(EngineConfig(max_instruments=1, max_orders=512))
    agree(engine, oracle, build.instrument(instrument_id=0))
    good = [edge for edge in EDGES if 1 <= edge <= TOP]
    for number, (px, made, taken) in enumerate(itertools.product(good, good, good)):
        maker, taker = 2 * number + 1, 2 * number + 2
        agree(
            engine,
            oracle,
            build.order(order_id=maker, side=2, px=px, order_qty=made, ord_type=2, tif=1),
            build.order(order_id=taker, side=1, px=px, order_qty=taken, ord_type=2, tif=3),
            build.cancel(order_id=maker),
        )
    assert engine.counters()["live_orders"] == 0
    engine.check()


@pytest.mark.slow
@pytest.mark.parametrize("multiplier", MULTIPLIERS)
def test_money_at_every_edge_is_that_of_exact_integers(multiplier: int) -> None:
    config = EngineConfig(
        accounts=True, max_instruments=1, max_orders=512, max_accounts=4, max_groups=1, max_assets=2
    )
    engine, oracle = pair(config)
    setup = [
        build.instrument(
            instrument_id=0,
            base_asset=1,
            quote_asset=0,
            multiplier=multiplier,
            base_per_lot=multiplier,
            maker_fee_ppm=-100,
            taker_fee_ppm=999_999,
        )
    ]
    for account in (1, 2):
        setup.append(build.admin(CommandKind.ACCOUNT, account_id=account))
        setup += [
            build.admin(CommandKind.DEPOSIT, account_id=account, asset_id=a, amount=CASH)
            for a in (0, 1)
        ]
    agree(engine, oracle, *setup)
    good = [edge for edge in EDGES if 1 <= edge <= TOP]
    statuses = set()
    for number, (px, qty) in enumerate(itertools.product(good, good)):
        maker, taker = 2 * number + 1, 2 * number + 2
        sell = build.order(
            order_id=maker, side=2, px=px, order_qty=qty, ord_type=2, tif=1, account_id=1
        )
        buy = build.order(
            order_id=taker, side=1, px=px, order_qty=qty, ord_type=2, tif=3, account_id=2
        )
        back = build.order(
            order_id=taker, side=2, px=px, order_qty=qty, ord_type=2, tif=3, account_id=2
        )
        for command in (sell, buy, build.cancel(order_id=maker, account_id=1), back):
            events = engine.events(command)
            assert events.tobytes() == bytes(oracle.apply(command))
            statuses |= set(events["status"].tolist())
    engine.check()
    # The lattice reaches both outcomes, not only refusals.
    if multiplier == 1:
        assert Status.OK in statuses
    assert statuses & {Status.INSUFFICIENT_FUNDS, Status.INSUFFICIENT_POSITION, 319}


def test_replace_and_cash_order_at_every_edge() -> None:
    engine, oracle = pair(EngineConfig(max_instruments=1, max_orders=64))
    agree(engine, oracle, build.instrument(instrument_id=0, multiplier=(1 << 31) + 1))
    for number, (px, qty) in enumerate(itertools.product(EDGES, EDGES)):
        order_id = 10 * number + 1
        agree(
            engine,
            oracle,
            build.order(order_id=order_id, side=1, px=7, order_qty=9, ord_type=2, tif=1),
            build.replace(order_id=order_id, px=px, order_qty=qty),
            build.replace(order_id=order_id, px=px, order_qty=qty, flags=OrderFlag.LEAVES),
            build.order(
                order_id=order_id + 1, side=2, ord_type=1, tif=3, cash_order_qty=qty, px=px
            ),
            build.cancel(order_id=order_id),
        )
    engine.check()
