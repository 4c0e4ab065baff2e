"""The cell says what a naive cell says, byte for byte, over random logs; so does a restored one."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cell_logs import LogSource, Record
from tradecore import dtypes, snapshot
from tradecore.cell import Cell, CellConfig
from tradecore.codes import CellKind
from tradecore.dtypes import BATCH_EVENT
from tradecore.engine import EngineConfig
from tradecore.status import Status
from tradecore.testing.cell_oracle import NaiveCell


def config_of(rng: random.Random, accounts: bool) -> CellConfig:
    """Small sizes, so that ids are forgotten, sources do not fit and pictures come often."""
    return CellConfig(
        engine=EngineConfig(
            accounts=accounts, max_orders=4096, max_instruments=8, max_accounts=64, max_groups=8,
            max_assets=8, prefetch="on",
        ),
        recent_orders=rng.choice((1, 3, 20, 5000)),
        max_sources=rng.choice((1, 2, 3, 3)),
        sessions=rng.random() < 0.8,
        depth_levels=rng.choice((1, 2, 10)),
        depth_ns=rng.choice((0, 1, 1000, 10**9)),
    )  # fmt: skip


def applied(cell: Cell, records: list[Record]) -> list[tuple[bytes, bytes]]:
    found = []
    for record in records:
        output = cell.apply(*record)
        found.append((bytes(output.frames), bytes(output.market_frames)))
        if output.fenced:
            break
    return found


def check_against_naive(rng: random.Random, accounts: bool, count: int) -> Counter[str]:
    config = config_of(rng, accounts)
    records = LogSource(rng, accounts).records(count)
    cell, naive = Cell(config), NaiveCell(config)
    hits: Counter[str] = Counter()
    for record in records:
        output = cell.apply(*record)
        executions, market = naive.apply(*record)
        assert bytes(output.frames) == executions, record
        assert bytes(output.market_frames) == market, record
        events = np.frombuffer(executions + market, dtypes.EVENT)
        for kind in CellKind:
            hits[kind.name] += int((events["kind"] == kind).sum())
        for status in np.unique(np.frombuffer(executions, BATCH_EVENT)["status"]):
            hits[Status(status).name] += 1
        if output.fenced:
            hits["fenced"] += 1
            break
    else:
        assert cell.exec_seq == naive.exec_seq
        assert cell.market_seq == naive.market_seq
    return hits


@pytest.mark.parametrize("accounts", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_cell_equals_naive_cell(seed: int, accounts: bool) -> None:
    check_against_naive(random.Random(seed), accounts, 60)


@settings(max_examples=40, deadline=None)
@given(rng=st.randoms(use_true_random=False), accounts=st.booleans())
def test_cell_equals_naive_cell_on_drawn_logs(rng: random.Random, accounts: bool) -> None:
    check_against_naive(rng, accounts, 12)


def test_random_logs_reach_every_outcome() -> None:
    hits: Counter[str] = Counter()
    for seed in range(100, 140):
        hits += check_against_naive(random.Random(seed), seed % 2 == 0, 40)
    wanted = {
        *("REPETITION", "GAP", "DIVERGED", "UNREADABLE", "BAD_CHECKSUM", "SCHEMA_UNKNOWN"),
        *("BAD_COUNT", "CAPACITY_SOURCES", "REPEATED_OTHER_TERMS", "WRONG_SESSION"),
        *("REPEATED", "TRADE", "QUOTE", "LEVEL"),
    }
    assert wanted <= {name for name, n in hits.items() if n}, wanted - set(hits)


@pytest.mark.parametrize("seed", range(200, 212))
def test_snapshot_at_any_point_and_tail_equal_the_whole_replay(seed: int) -> None:
    rng = random.Random(seed)
    accounts = seed % 2 == 0
    config = config_of(rng, accounts)
    records = LogSource(rng, accounts).records(40)
    whole = Cell(config, cell_id=3)
    said = applied(whole, records)
    records = records[: len(said)]
    other_seed = CellConfig(
        **{name: getattr(config, name) for name in ("recent_orders", "max_sources", "sessions")},
        **{name: getattr(config, name) for name in ("depth_levels", "depth_ns")},
        engine=EngineConfig(
            **{f: getattr(config.engine, f) for f in ("accounts", "max_orders", "max_accounts")},
            max_instruments=8, max_groups=8, max_assets=8, id_seed=seed, prefetch="off",
        ),
    )  # fmt: skip
    for cut in sorted(rng.sample(range(len(records)), min(6, len(records)))):
        first = Cell(config, cell_id=3)
        applied(first, records[:cut])
        data = snapshot.encode(*first.snapshot_parts())
        second = Cell.from_snapshot(other_seed, snapshot.decode(data), cell_id=3)
        assert second.state_hash() == first.state_hash()
        if cut:
            assert second.recognises(records[cut - 1])
        assert applied(second, records[cut:]) == said[cut:]
        assert second.state_hash() == whole.state_hash()


@pytest.mark.parametrize("seed", range(300, 308))
def test_records_applied_together_say_what_they_say_apart(seed: int) -> None:
    rng = random.Random(seed)
    config = config_of(rng, seed % 2 == 0)
    records = LogSource(rng, seed % 2 == 0).records(50)
    alone, together = Cell(config), Cell(config)
    said = applied(alone, records)
    records = records[: len(said)]
    executions = market = b""
    while records:
        size = rng.randrange(1, 12)
        output = together.apply_many(records[:size])
        records = records[size:]
        executions += bytes(output.frames)
        market += bytes(output.market_frames)
    assert executions == b"".join(one for one, _ in said)
    assert market == b"".join(one for _, one in said)
    assert together.state_hash() == alone.state_hash()
