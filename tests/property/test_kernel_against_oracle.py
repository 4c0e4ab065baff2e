"""The compiled engine and the naive one, command by command, on random streams.

TRADECORE_COMMANDS sets the number of commands (1,000,000; nightly 10,000,000), TRADECORE_SEED the
first seed, TRADECORE_AUDIT=1 calls the kernel's audit after every batch (for the audit build).
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter

import pytest

from property.engines import AUDIT_EACH, kernel, oracle, report, same_state
from tradecore.codes import CommandKind, EventKind
from tradecore.status import Status
from tradecore.testing import build
from tradecore.testing.compare import Coverage, compare
from tradecore.testing.strategies import stream

TOTAL = int(os.environ.get("TRADECORE_COMMANDS", "1000000"))
FIRST_SEED = int(os.environ.get("TRADECORE_SEED", "1"))
PER_STREAM = 1_000
SHARDS = 20
STREAMS_PER_SHARD = max(1, -(-TOTAL // (SHARDS * PER_STREAM)))


def name_of(kind: int, status: int) -> str:
    return f"{EventKind(kind).name}/{Status(status).name}"


@pytest.mark.slow
@pytest.mark.parametrize("shard", range(SHARDS))
def test_kernel_and_oracle_agree(shard: int, record_property: pytest.RecordProperty) -> None:
    coverage = Coverage()
    start = FIRST_SEED + shard * STREAMS_PER_SHARD
    print(f"seeds {start}..{start + STREAMS_PER_SHARD - 1}, {PER_STREAM} commands each")
    for seed in range(start, start + STREAMS_PER_SHARD):
        accounts = seed % 2 == 1
        commands = stream(seed, PER_STREAM, accounts)
        pair = kernel(accounts), oracle(accounts)
        found = compare(
            commands,
            *pair,
            batches=random.Random(seed),
            state_every=200,
            states=same_state,
            audit_each=AUDIT_EACH,
            coverage=coverage,
        )
        if found is None:
            pair[0].check()
            pair[1].audit()
            continue
        line = f"TRADECORE_SEED={seed} TRADECORE_COMMANDS=20000 (stream of seed {seed})"
        told = report(commands[: found.index + 64], accounts, f"seed_{seed}", line)
        pytest.fail(f"{told}\n{found}")
    hits = Counter({name_of(k, s): n for (k, s), n in coverage.hits.items()})
    record_property("coverage", json.dumps(hits))


@pytest.mark.parametrize("accounts", [False, True], ids=["matching", "accounts"])
def test_batch_sizes_do_not_show(accounts: bool) -> None:
    """Batches of 1, 7, 64 and all at once: what a batch fetches ahead never shows.

    Damaged commands may swallow the next ones, so the oracle gets the same cuts.
    """
    for seed in range(9_000, 9_012):
        commands = stream(seed, 600, accounts)
        for size in (1, 7, 64, len(commands)):
            one, other = kernel(accounts), oracle(accounts)
            for at in range(0, len(commands), size):
                chunk = b"".join(commands[at : at + size])
                assert bytes(one.apply(chunk)) == other.apply(chunk), f"seed {seed}, {size} at {at}"
                if other.fenced:
                    break


def test_a_bad_frame_that_skips_far_does_not_blind_the_next_command() -> None:
    """Ids are looked up ahead in a batch; a skip beyond that window must not lose one."""
    live = build.instrument() + build.order(
        order_id=2, account_id=6, side=2, ord_type=2, tif=1, px=1024, order_qty=2
    )
    again = build.order(order_id=2, account_id=2, side=2, ord_type=2, tif=1, px=977, order_qty=5)
    filler = build.cancel(order_id=99, account_id=1)
    for cont in range(1, 40):
        engine, naive = kernel(False), oracle(False)
        bad = build.admin(CommandKind.LAST_PRICE, mark_px=5, cont=cont) + filler * cont
        batch = live + filler * 20 + bad + again + filler * 10
        assert bytes(engine.apply(batch)) == naive.apply(batch), f"cont {cont}"
