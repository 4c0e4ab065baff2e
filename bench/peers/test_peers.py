"""The peers' flow is what it claims to be; the timing code itself runs on a tiny one."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
from bench.peers.flow import ReferenceBook, build
from bench.peers.run import DOES


def test_flow_adds_never_trade_and_takers_fill_completely() -> None:
    flow = build(adds=400, takers=100)
    assert len(flow.adds) == 400
    book = ReferenceBook()
    for order_id, side, px, qty in flow.adds:
        assert not book.crosses(side, px)
        book.rest(order_id, side, px, qty)
    fills = volume = 0
    for _, side, px, qty in flow.takers:
        assert book.crosses(side, px)
        done = book.take(side, qty)
        # The limit is the last price needed: a matcher that respects limits fills all of it.
        assert done[-1][0] == px
        assert sum(traded for _, traded, _ in done) == qty
        fills, volume = fills + len(done), volume + qty
    assert (fills, volume) == (flow.fills, flow.volume)
    assert sorted(book.open_qty) == sorted(flow.cancels)


def test_flow_levels_end_empty() -> None:
    flow = build(adds=400, takers=100)
    left: dict[tuple[int, int], int] = {}
    for side, px, total in [row for phase in flow.levels for row in phase]:
        assert total >= 0
        left[side, px] = total
    assert set(left.values()) == {0}


def test_reference_book_keeps_price_then_time_priority() -> None:
    book = ReferenceBook()
    for order_id, px in [(1, 101), (2, 100), (3, 100)]:
        book.rest(order_id, 1, px, 5)
    assert book.take(0, 12) == [(100, 5, 2), (100, 5, 3), (101, 2, 1)]
    assert book.open_qty == {1: 3}


@pytest.mark.parametrize("peer", ["empty-loop"])
def test_adapter_prints_one_json_object(tmp_path: Path, peer: str) -> None:
    path = tmp_path / "flow.json"
    path.write_text(json.dumps(dataclasses.asdict(build(adds=50, takers=10))))
    adapters = Path(__file__).with_name("adapters.py")
    done = subprocess.run(
        [sys.executable, adapters, peer, path], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["add"] > 0


def test_every_peer_is_described() -> None:
    from bench.peers.adapters import PEERS

    assert set(PEERS) == set(DOES)
