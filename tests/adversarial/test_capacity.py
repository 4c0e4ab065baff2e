"""Whatever can be full answers with its own status, and the refused command changes nothing."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from tradecore import ADMIN, EVENT, CommandKind, Engine, EngineConfig, EventKind, Side, Status
from tradecore.cell import Cell, CellConfig, time_command
from tradecore.codes import Scope
from tradecore.envelope import encode, seal
from tradecore.testing import build


def refused(engine: Engine, command: bytes) -> int:
    """Apply one command that must be refused; return the status. Only the counters may move."""
    before = dict(engine.export_state())
    counters = engine.counters()
    events = engine.events(command)
    after = dict(engine.export_state())
    assert len(events) == 1
    assert events["kind"][0] in (EventKind.REJECTED, EventKind.REPLACE_REJECTED)
    # Clock and sequence numbers stand in this section; everything else is as it was.
    assert {name for name in before if before[name] != after[name]} <= {"engine"}
    moved = {name for name, value in engine.counters().items() if value != counters[name]}
    assert moved <= {"in_seq", "out_seq", "now"}
    engine.check()
    return int(events["status"][0])


def accepted(engine: Engine, *commands: bytes) -> None:
    for command in commands:
        events = engine.events(command)
        assert not np.isin(events["kind"], (2,)).any(), int(events["status"][0])
    engine.check()


def matching(**sizes: int) -> Engine:
    given = {"max_instruments": 2, "max_orders": 64} | sizes
    engine = Engine(**given)
    engine.define_instrument(0)
    return engine


def venue(**sizes: Any) -> Engine:
    given = {
        "accounts": True,
        "max_instruments": 3,
        "max_orders": 64,
        "max_accounts": 4,
        "max_groups": 2,
        "max_assets": 3,
    } | sizes
    engine = Engine(**given)
    engine.define_instrument(0, base_asset=1, quote_asset=0)
    engine.define_instrument(1, base_asset=2, quote_asset=0)
    engine.open_account(1)
    engine.deposit(1, 0, 10**9)
    return engine


def limit(order_id: int, side: int = Side.BUY, px: int = 100, qty: int = 1, **more: int) -> bytes:
    given = {
        "order_id": order_id,
        "side": side,
        "px": px,
        "order_qty": qty,
        "ord_type": 2,
        "tif": 1,
    }
    return build.order(**(given | more))


def admin(kind: CommandKind, **fields: int) -> bytes:
    frame = np.zeros(1, ADMIN)
    frame["kind"] = kind
    for name, value in fields.items():
        frame[name] = value
    return frame.tobytes()


def test_orders_500() -> None:
    engine = matching(max_orders=5)
    accepted(engine, *(limit(i) for i in range(1, 6)))
    assert refused(engine, limit(6)) == Status.CAPACITY_ORDERS
    # A taker that would fill at once needs a slot as well: the check is conservative.
    assert refused(engine, limit(7, Side.SELL, tif=3)) == Status.CAPACITY_ORDERS
    accepted(engine, build.cancel(order_id=3), limit(6))


def test_orders_500_counts_the_members_of_a_list() -> None:
    engine = matching(max_orders=5)
    accepted(engine, *(limit(i) for i in range(1, 5)))
    legs = [limit(10, Side.SELL, 110), limit(11, Side.SELL, 120)]
    oco = build.order_list(legs, contingency=1, list_id=9)
    assert refused(engine, oco) == Status.CAPACITY_ORDERS


def test_levels_501() -> None:
    engine = matching(max_levels=4, max_pages=64)
    accepted(engine, *(limit(i, px=100 + i) for i in range(4)[1:]), limit(9, px=1 << 40))
    assert refused(engine, limit(10, px=50)) == Status.CAPACITY_LEVELS
    accepted(engine, limit(11, px=101))  # a level that is there takes more
    assert refused(engine, build.replace(order_id=11, px=50)) == Status.CAPACITY_LEVELS
    accepted(engine, build.cancel(order_id=9), limit(10, px=50))


def test_levels_501_when_the_pages_are_full() -> None:
    engine = matching(max_levels=64, max_pages=3)
    taken = 0
    while True:
        events = engine.events(limit(taken + 1, px=1 + 1_000_000 * taken))
        if events["kind"][0] == EventKind.REJECTED:
            assert events["status"][0] == Status.CAPACITY_LEVELS
            break
        taken += 1
    assert 1 <= taken <= 3
    assert refused(engine, limit(99, px=1 + 1_000_000 * taken)) == Status.CAPACITY_LEVELS


def test_levels_501_for_stops() -> None:
    engine = matching(max_levels=2, max_pages=64)
    accepted(engine, limit(1), limit(2, px=99))
    stop = build.order(order_id=3, side=1, ord_type=3, tif=1, order_qty=1, stop_px=500)
    assert refused(engine, stop) == Status.CAPACITY_LEVELS


def test_terms_502() -> None:
    engine = matching(max_terms=2)
    accepted(engine, *(limit(i, qty=10, display_qty=2) for i in (1, 2)))
    assert refused(engine, limit(3, qty=10, display_qty=2)) == Status.CAPACITY_TERMS
    accepted(engine, limit(3), build.cancel(order_id=1), limit(4, qty=10, display_qty=2))


def test_timers_503_cannot_be_reached_because_terms_run_out_first() -> None:
    # A timer belongs to an order with terms or to an instrument's phase, and there is one for each.
    engine = matching(max_terms=3)
    gtd = [limit(i, tif=6, expire_ts_ns=1_000 + i) for i in range(1, 5)]
    accepted(engine, *gtd[:3])
    assert refused(engine, gtd[3]) == Status.CAPACITY_TERMS
    assert engine.counters()["timers"] == 3
    assert [int(s) for s in engine.advance(2_000)["status"]] == [Status.GTD] * 3


def test_accounts_504() -> None:
    engine = venue(max_accounts=4)
    accepted(engine, admin(CommandKind.ACCOUNT, account_id=3))
    assert refused(engine, admin(CommandKind.ACCOUNT, account_id=4)) == Status.CAPACITY_ACCOUNTS
    # Any other command says that there is no such account.
    deposit = admin(CommandKind.DEPOSIT, account_id=4, asset_id=0, amount=1)
    assert refused(engine, deposit) == Status.UNKNOWN_ACCOUNT


def test_positions_505() -> None:
    engine = venue(max_positions=1, max_wallets=16)
    accepted(engine, limit(1, account_id=1, instrument_id=0))
    second = limit(2, account_id=1, instrument_id=1)
    assert refused(engine, second) == Status.CAPACITY_POSITIONS
    accepted(engine, limit(3, account_id=1, instrument_id=0))


def test_instruments_506() -> None:
    engine = venue()
    assert refused(engine, build.instrument(instrument_id=3)) == Status.CAPACITY_INSTRUMENTS
    # Any other command says that there is no such instrument.
    order = limit(1, account_id=1, instrument_id=3)
    assert refused(engine, order) == Status.UNKNOWN_INSTRUMENT


def test_quantity_507() -> None:
    """A side holds 2**62 lots at most: 64 orders of the largest size, and not a lot more."""
    engine = matching(max_orders=128)
    most = 1 << 56
    accepted(engine, *(limit(i, qty=most) for i in range(1, 65)))
    assert refused(engine, limit(65, qty=1)) == Status.CAPACITY_QTY
    accepted(engine, limit(66, Side.SELL, 200, most))  # the other side has its own sum
    accepted(engine, build.cancel(order_id=1), limit(67, qty=most - 1), limit(68, qty=1))
    assert refused(engine, limit(69, qty=1)) == Status.CAPACITY_QTY


def test_trailing_508() -> None:
    engine = matching()
    engine.define_instrument(0, max_trailing=2)
    accepted(engine, admin(CommandKind.LAST_PRICE, instrument_id=0, mark_px=1_000))
    stops = [
        build.order(order_id=i, side=2, ord_type=3, tif=1, order_qty=1, trailing_bps=100)
        for i in (1, 2, 3)
    ]
    accepted(engine, *stops[:2])
    assert refused(engine, stops[2]) == Status.CAPACITY_TRAILING
    accepted(engine, build.cancel(order_id=1), stops[2])


@pytest.mark.parametrize(
    "command",
    [
        admin(CommandKind.ACCOUNT, account_id=2, group_id=2),
        admin(CommandKind.KILL_SWITCH, scope=Scope.GROUP, group_id=2, state=1),
        build.limits(scope=Scope.GROUP, group_id=2, mask=1, max_order_qty=5),
    ],
    ids=["account", "kill-switch", "limits"],
)
def test_groups_509(command: bytes) -> None:
    assert refused(venue(), command) == Status.CAPACITY_GROUPS


def test_assets_510() -> None:
    engine = venue()
    deposit = admin(CommandKind.DEPOSIT, account_id=1, asset_id=3, amount=1)
    assert refused(engine, deposit) == Status.CAPACITY_ASSETS
    listing = build.instrument(instrument_id=2, base_asset=3, quote_asset=0)
    assert refused(engine, listing) == Status.CAPACITY_ASSETS


def test_wallets_511() -> None:
    engine = venue(max_wallets=2, max_positions=8)
    accepted(engine, limit(1, account_id=1, instrument_id=0))  # quote and base wallet: both taken
    deposit = admin(CommandKind.DEPOSIT, account_id=1, asset_id=2, amount=1)
    assert refused(engine, deposit) == Status.CAPACITY_WALLETS
    order = limit(2, account_id=1, instrument_id=1)
    assert refused(engine, order) == Status.CAPACITY_WALLETS


def test_sources_512_the_cell_drops_what_numbers_itself_and_has_no_slot() -> None:
    config = CellConfig(engine=EngineConfig(max_orders=16, max_instruments=1), max_sources=2)
    cell = Cell(config)

    def status(offset: int, source: int) -> int:
        payload = encode(seal(time_command(), source=source, first_seq=1))
        return int(np.frombuffer(bytes(cell.apply(offset, 1, payload).frames), EVENT)["status"][0])

    assert [status(n, source) for n, source in enumerate((7, 8, 9, 0))] == [
        Status.OK,
        Status.OK,
        Status.CAPACITY_SOURCES,
        Status.OK,
    ]


def test_every_capacity_status_has_a_test() -> None:
    """A new 5xx must be reached here, or said to be out of reach."""
    tested = {int(code) for code in re.findall(r"test_[a-z]+_(5[0-9][0-9])", " ".join(globals()))}
    assert tested == {int(s) for s in Status if 500 <= int(s) < 600}


@pytest.mark.parametrize("spread", [1, 64, 1_000_003], ids=["one-page", "pages", "far"])
def test_full_engine_comes_back_from_its_snapshot(spread: int) -> None:
    """Every slot, level and page taken: the same engine must hold what it held."""
    count = 24
    engine = matching(max_orders=2 * count, max_levels=count, max_pages=count, max_terms=4)
    for number in range(count):
        events = engine.events(limit(number + 1, px=1 + spread * number))
        if events["kind"][0] == EventKind.REJECTED:
            break
    levels = engine.depth(0, Side.BUY)
    more = 0
    while engine.counters()["live_orders"] < 2 * count:
        more += 1
        accepted(engine, limit(1_000 + more, px=levels[more % len(levels)][0], qty=2))
    restored = Engine.restore(engine.snapshot())
    restored.check()
    assert restored.depth(0, Side.BUY) == engine.depth(0, Side.BUY)
    assert restored.state_hash() == engine.state_hash()
    assert refused(restored, limit(5_000)) == Status.CAPACITY_ORDERS
