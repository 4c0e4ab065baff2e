"""Forks: unchanged they are the original; changed they differ by what was changed and no more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tradecore as tc
from research.venue import CONFIG, batches, write_journal
from tradecore.dtypes import FILL_EVENT
from tradecore.errors import ConfigError, DataError
from tradecore.research import replay


@pytest.fixture(scope="module")
def parts() -> list[np.ndarray]:  # type: ignore[type-arg]
    return batches()


def test_unchanged_fork_reproduces_every_event_and_the_state(parts: list[np.ndarray]) -> None:  # type: ignore[type-arg]
    """The original is one engine and one digest that never saw a fork."""
    import hashlib

    engine = tc.Engine(CONFIG)
    digest = hashlib.blake2b(digest_size=32)
    for part in parts:
        digest.update(bytes(engine.apply(part)))
    market = replay(parts, CONFIG)
    for seq in (0, 1, 7, 33, 500, engine.in_seq - 1, engine.in_seq):
        outcome = market.fork(seq).run()
        assert outcome.state_hash == engine.state_hash(), seq
        assert outcome.event_hash == digest.hexdigest(), seq
    # Backwards too, behind the place that is remembered.
    assert market.fork(3).run().state_hash == engine.state_hash()


def test_fork_of_a_journal_in_files_is_the_same(tmp_path: Path, parts: list[np.ndarray]) -> None:  # type: ignore[type-arg]
    market = replay(write_journal(tmp_path / "log", parts))
    assert market.fork(900).run() == replay(parts, CONFIG).fork(900).run()


def test_submitted_order_is_filled_at_the_price_that_stood_there(parts: list[np.ndarray]) -> None:  # type: ignore[type-arg]
    market = replay(parts, CONFIG)
    fork = market.fork(600)
    ask = fork.engine.book(1).asks[0]
    fills = []
    fork.listen(lambda events: fills.extend(events[events["kind"] == 3].view(FILL_EVENT)))
    order = fork.submit(account_id=10, instrument_id=1, side=1, px=ask.px, order_qty=1)
    assert [(int(f["order_id"]), int(f["last_px"])) for f in fills] == [(order, ask.px)]
    after = fork.run()
    before = market.outcome()
    assert after.state_hash != before.state_hash
    assert (after.added, after.commands - before.commands) == (1, 1)


def test_order_that_is_cancelled_at_once_changes_no_later_fill(parts: list[np.ndarray]) -> None:  # type: ignore[type-arg]
    def fills_of(fork):  # type: ignore[no-untyped-def]
        seen = []
        fork.listen(lambda events: seen.append(events[events["kind"] == 3].view(FILL_EVENT)))
        fork.run()
        rows = np.concatenate(seen)
        return rows[["order_id", "maker_order_id", "last_px", "last_qty"]].tolist()

    market = replay(parts, CONFIG)
    plain = fills_of(market.fork(600))
    fork = market.fork(600)
    order = fork.submit(account_id=10, instrument_id=1, side=1, px=1, order_qty=1)
    fork.cancel(10, order)
    assert fills_of(fork) == plain


def test_leaving_out_an_account_leaves_none_of_its_orders(parts: list[np.ndarray]) -> None:  # type: ignore[type-arg]
    market = replay(parts, CONFIG)
    fork = market.fork(42).without(lambda f: (f["kind"] <= 3) & (f["account_id"] == 7))
    outcome = fork.run()
    expected = sum(int(((p["kind"] <= 3) & (p["account_id"] == 7)).sum()) for p in parts[1:])
    assert outcome.dropped == expected
    assert all(row.qty == 0 for row in fork.engine.account(7).positions)


def test_places_that_do_not_exist_and_wrong_frames_are_refused(parts: list[np.ndarray]) -> None:  # type: ignore[type-arg]
    market = replay(parts, CONFIG)
    total = market.outcome().commands
    with pytest.raises(ConfigError, match=f"there are {total} commands, no command {total + 1}"):
        market.fork(total + 1)
    with pytest.raises(ConfigError, match="no field 'price'"):
        market.fork(5).submit(price=3)
    with pytest.raises(DataError, match="64 bytes"):
        replay(np.zeros(3))
