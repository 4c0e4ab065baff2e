"""The random streams themselves: reproducible, and they reach what they are meant to reach."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from property.engines import kernel, oracle
from tradecore.codes import CommandKind, EventKind, OrdType
from tradecore.status import Status
from tradecore.testing.compare import Coverage, compare
from tradecore.testing.strategies import command_streams, stream

S, V = Status, EventKind
COMMON = {
    (V.ACCEPTED, S.OK), (V.ACCEPTED, S.DORMANT), (V.ACCEPTED, S.PENDING), (V.FILL, S.OK),
    (V.REJECTED, S.BAD_KIND), (V.REJECTED, S.BAD_RESERVED), (V.REJECTED, S.BAD_CONTINUATION),
    (V.REJECTED, S.BAD_FIELD), (V.REJECTED, S.BAD_COMBINATION), (V.REJECTED, S.UNKNOWN_INSTRUMENT),
    (V.REJECTED, S.PHASE), (V.REJECTED, S.TICK), (V.REJECTED, S.LOT), (V.REJECTED, S.MIN_QTY),
    (V.REJECTED, S.MAX_QTY), (V.REJECTED, S.MIN_NOTIONAL), (V.REJECTED, S.PRICE_BAND),
    (V.REJECTED, S.ICEBERG_PARTS), (V.REJECTED, S.INSTRUMENT_CHANGE),
    (V.REJECTED, S.DUPLICATE_ORDER_ID), (V.REJECTED, S.WOULD_CROSS), (V.REJECTED, S.WOULD_TRIGGER),
    (V.REJECTED, S.EXPIRE_PAST), (V.REJECTED, S.BAD_LIST), (V.REJECTED, S.CAPACITY_TRAILING),
    (V.CANCELED, S.CANCEL_REQUEST), (V.CANCELED, S.MASS_CANCEL), (V.CANCELED, S.OCO_SIBLING),
    (V.CANCELED, S.PARENT_GONE), (V.CANCELED, S.BELOW_CUM), (V.EXPIRED, S.FOK),
    (V.EXPIRED, S.MIN_QTY_UNMET), (V.EXPIRED, S.IOC_REMAINDER), (V.EXPIRED, S.NO_LIQUIDITY),
    (V.EXPIRED, S.CASH_SPENT), (V.EXPIRED, S.STP), (V.EXPIRED, S.GTD), (V.EXPIRED, S.DAY),
    (V.EXPIRED, S.BREAKER), (V.REPLACED, S.OK), (V.REPLACED, S.NO_CHANGE), (V.TRIGGERED, S.OK),
    (V.TRIGGERED, S.PENDING), (V.RESTATED, S.STP), (V.RESTATED, S.ICEBERG_REFRESH),
    (V.PHASE, S.BREAKER_STATIC), (V.PHASE, S.BREAKER_DYNAMIC), (V.PHASE, S.PHASE_COMMAND),
    (V.PHASE, S.PHASE_TIMER), (V.AUCTION, S.OK), (V.CANCEL_REJECTED, S.UNKNOWN_ORDER),
    (V.REPLACE_REJECTED, S.PHASE), (V.REPLACE_REJECTED, S.UNKNOWN_ORDER),
    (V.REPLACE_REJECTED, S.LINKED_ORDER), (V.REPLACE_REJECTED, S.REPLACE_FIELD),
    (V.REPLACE_REJECTED, S.WOULD_CROSS), (V.DONE, S.OK),
}  # fmt: skip
MONEY = {
    (V.REJECTED, S.UNKNOWN_ACCOUNT), (V.REJECTED, S.STALE), (V.REJECTED, S.KILLED_FIRM),
    (V.REJECTED, S.KILLED_GROUP), (V.REJECTED, S.KILLED_ACCOUNT), (V.REJECTED, S.RESTRICTED),
    (V.REJECTED, S.LIMIT_ORDER_QTY), (V.REJECTED, S.LIMIT_ORDER_NOTIONAL), (V.REJECTED, S.COLLAR),
    (V.REJECTED, S.DUPLICATE_WINDOW), (V.REJECTED, S.MESSAGE_RATE),
    (V.REJECTED, S.LIMIT_OPEN_ORDERS), (V.REJECTED, S.LIMIT_POSITION),
    (V.REJECTED, S.LIMIT_GROSS_NOTIONAL), (V.REJECTED, S.INSUFFICIENT_FUNDS),
    (V.REJECTED, S.INSUFFICIENT_POSITION), (V.REJECTED, S.REDUCE_ONLY),
    (V.REJECTED, S.ACCOUNT_REDUCE_ONLY), (V.REJECTED, S.LIQUIDATION), (V.REJECTED, S.NEEDS_PRICE),
    (V.REJECTED, S.NOTIONAL_OVERFLOW), (V.REJECTED, S.BALANCE_OVERFLOW), (V.REJECTED, S.NO_MARK),
    (V.REJECTED, S.MARGIN_CHANGE), (V.FILL, S.BACKSTOP), (V.FILL, S.ADL),
    (V.CANCELED, S.KILL_SWITCH), (V.CANCELED, S.LIQUIDATION_CLOSE), (V.EXPIRED, S.REDUCE_ONLY),
    (V.SETTLED, S.OK), (V.SETTLED, S.BACKSTOP), (V.SETTLED, S.ADL), (V.BALANCE, S.OK),
    (V.BALANCE, S.LIQUIDATION_FEE), (V.BALANCE, S.BACKSTOP), (V.BALANCE, S.ADL),
    (V.BALANCE, S.FUNDING), (V.ACCOUNT_STATE, S.STATE_EQUITY), (V.ACCOUNT_STATE, S.STATE_DONE),
    (V.ACCOUNT_STATE, S.MARK_STALE), (V.REPLACE_REJECTED, S.INSUFFICIENT_FUNDS),
}  # fmt: skip


def reached(seeds: range, accounts: bool) -> tuple[set[tuple[int, int]], Counter[tuple[int, int]]]:
    """Run streams through the oracle; return event classes and accepted (ord_type, tif)."""
    coverage: Coverage = Coverage()
    combos: Counter[tuple[int, int]] = Counter()
    for seed in seeds:
        engine = oracle(accounts)
        for command in stream(seed, 1_000, accounts):
            events = engine.apply(command)
            coverage.add(events)
            if command[8] == CommandKind.NEW_ORDER and events and events[24] == V.ACCEPTED:
                combos[command[12], command[13]] += 1
            if engine.fenced:
                break
        engine.audit()
    return set(coverage.hits), combos


def names(missing: set[tuple[int, int]]) -> list[str]:
    return sorted(f"{V(k).name}/{S(s).name}" for k, s in missing)


def test_streams_reach_every_class_of_matching_events() -> None:
    hits, combos = reached(range(200), accounts=False)
    assert not COMMON - hits, f"never happened: {names(COMMON - hits)}"
    for kind in OrdType:
        tifs = {3, 4} if kind == OrdType.MARKET else {0, 1, 6}
        tifs = tifs | {3, 4} if kind == OrdType.LIMIT else tifs
        assert {(kind, tif) for tif in tifs} <= set(combos), f"{kind.name}: {combos}"


def test_streams_reach_every_class_of_account_events() -> None:
    hits, _ = reached(range(160), accounts=True)
    assert not MONEY - hits, f"never happened: {names(MONEY - hits)}"


def test_a_seed_always_gives_the_same_bytes() -> None:
    for accounts in (False, True):
        assert stream(5, 300, accounts) == stream(5, 300, accounts)
        assert stream(5, 300, accounts) != stream(6, 300, accounts)


@settings(max_examples=60)
@given(commands=command_streams(40))
def test_kernel_and_oracle_agree_on_shrinking_streams(commands: list[bytes]) -> None:
    found = compare(commands, kernel(False), oracle(False))
    assert found is None, str(found)


@settings(max_examples=60)
@given(commands=command_streams(40, accounts=True))
def test_kernel_and_oracle_agree_on_shrinking_account_streams(commands: list[bytes]) -> None:
    found = compare(commands, kernel(True), oracle(True))
    assert found is None, str(found)


@given(data=st.binary(max_size=640))
def test_any_bytes_are_refused_or_carried_out_alike(data: bytes) -> None:
    whole = data[: len(data) // 64 * 64]
    one, other = kernel(False), oracle(False)
    assert bytes(one.apply(whole)) == other.apply(whole)
    one.check()
    other.audit()
