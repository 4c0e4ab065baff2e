"""The log of an exchange as a market: recorded, forked, and the same as what was published."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tradecore as tc
from research.venue import admin, batches, write_log
from tradecore.dtypes import FILL_EVENT, TERMS
from tradecore.engine import EngineConfig
from tradecore.errors import ConfigError, DataError
from tradecore.research import from_journal, record, replay
from tradecore.research.service_log import batches_of, entries


def order(number: int, side: int, px: int, qty: int, **more: int) -> Any:
    frame = np.zeros(1, tc.COMMAND)
    values = {"kind": 1, "ord_type": 2, "tif": 1, "account_id": 1, "instrument_id": 1}
    own = {"order_id": number, "side": side, "px": px, "order_qty": qty}
    for name, value in (values | own | more).items():
        frame[name] = value
    return frame


def stop(number: int, side: int, px: int, stop_px: int, qty: int) -> Any:
    terms = np.zeros(1, TERMS)
    terms["kind"], terms["stop_px"] = tc.CommandKind.TERMS, stop_px
    return np.concatenate(
        [order(number, side, px, qty, ord_type=4, cont=1), terms.view(tc.COMMAND)]
    )


def special() -> list[Any]:
    """What a recording must not take at its word."""
    high = 0x7000_0000 << 32  # a session beyond the ids that a recording has room for
    return [
        order(5_001, 1, 900, 5),
        order(5_001, 1, 900, 5),  # repeated: not done twice
        order(5_002, 1, 2_000, 10**9),  # nobody has so much: refused
        order(high | 1, 2, 1_500, 7),
        # Cancels many orders and names none.
        admin(tc.CommandKind.MASS_CANCEL, account_id=3, instrument_id=1),
        stop(5_003, 1, 1_500, 1_400, 3),  # waits, is triggered by the trade below, lifts the 1,500s
        order(5_004, 2, 1_400, 2, account_id=2),
        order(5_005, 1, 1_400, 50_000, account_id=4, tif=3),
        order(5_006, 1, 899, 4),
    ]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place: Path = write_log(tmp_path_factory.mktemp("venue"), batches() + special())
    return place


def test_recorded_book_is_the_book_of_the_exchange_without_its_accounts(log: Path) -> None:
    recording = record(from_journal(log))
    plain = tc.Engine(EngineConfig(max_instruments=4, max_orders=8_192))
    for number, about in recording.instruments.items():
        plain.define_instrument(number, tiers=(), **about.terms)
    for chunk in recording.chunks:
        plain.apply(chunk)
    theirs = replay(log).fork(len(list(entries(log)))).engine
    for number in (1, 2):
        for side in ("buy", "sell"):
            assert plain.depth(number, side, 50) == theirs.depth(number, side, 50), (number, side)
    assert theirs.depth(1, "buy", 50)
    # One trade for the stop of three lots, which has no command in the recording's order.
    assert sum(level[1] for level in plain.depth(1, "sell", 50) if level[0] == 1_500) == 4
    assert max(int(chunk["order_id"].max()) for chunk in recording.chunks) < 1 << 62


def test_log_without_executions_or_with_those_of_another_is_refused(
    log: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "a" / "trading-commands-0"
    shutil.copytree(log, alone)
    with pytest.raises(ConfigError, match="no executions beside it"):
        record(from_journal(alone))
    short = tmp_path / "b" / "log"
    other = write_log(tmp_path / "c", batches(3))
    shutil.copytree(log, short / "trading-commands-0")
    shutil.copytree(other.with_name("executions-0"), short / "executions-0")
    # Executions that end early: the rest was never answered.
    source = from_journal(short / "trading-commands-0")
    rows = sum(len(part.frames) for part in source.parts)
    assert 0 < rows < 200
    assert any("never answered" in note for note in source.notes)


def test_unchanged_fork_of_a_log_says_what_was_published(log: Path) -> None:
    digest = hashlib.blake2b(digest_size=32)
    for batch in batches_of(log.with_name("executions-0"), 0):
        digest.update(bytes(batch.events[batch.events["kind"] < 32]))
    market = replay(log)
    whole = market.outcome()
    assert whole.event_hash == digest.hexdigest()
    for seq in (0, 1, 20, 49, 20, 5):
        assert market.fork(seq).run() == whole
    with pytest.raises(ConfigError, match="no record 51"):
        market.fork(51)


def test_fork_of_a_log_with_an_order_more_and_an_account_less(log: Path) -> None:
    market = replay(log)
    fork = market.fork(30)
    ask = fork.engine.book(1).asks[0]
    fills: list[Any] = []
    fork.listen(lambda e: fills.extend(e[e["kind"] == 3].view(FILL_EVENT)))
    number = fork.submit(account_id=10, instrument_id=1, side=1, px=ask.px, order_qty=1)
    assert [(int(f["order_id"]), int(f["last_px"])) for f in fills] == [(number, ask.px)]
    after = fork.run()
    assert (after.added, after.commands - market.outcome().commands) == (1, 1)

    def orders_of_four(frames: Any) -> Any:
        return (frames["kind"] == 1) & (frames["account_id"] == 4)

    fork = market.fork(1).without(orders_of_four)
    outcome = fork.run()
    expected = sum(int(orders_of_four(part).sum()) for part in batches() + special())
    assert outcome.dropped == expected > 100
    assert all(row.qty == 0 for row in fork.engine.account(4).positions)


def test_engine_configuration_does_not_do_for_a_cell(log: Path) -> None:
    with pytest.raises(ConfigError, match="needs a CellConfig"):
        replay(log, EngineConfig())
    with pytest.raises((ConfigError, DataError)):
        replay(np.zeros(3, np.uint8))
