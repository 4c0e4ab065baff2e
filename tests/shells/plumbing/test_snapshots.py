"""Snapshots beside a running process: of the moment of the capture, named only when told to."""

import asyncio

import pytest

from tradecore import Engine, EngineConfig
from tradecore.errors import SnapshotError
from tradecore.snapshot import engine_parts
from tradecore.storage import SnapshotStore
from tradecore_shells.plumbing.snapshots import DirectSnapshots, ForkedSnapshots

CONFIG = EngineConfig(max_instruments=8, max_orders=1024, max_accounts=16)


class Cell:
    """The least that can be captured."""

    def __init__(self):
        self.engine = Engine(CONFIG)
        self.engine.define_instrument(1)

    def order(self, order_id):
        self.engine.limit(1, 1, "buy", 100, 1, order_id=order_id)

    def snapshot_parts(self):
        return engine_parts(self.engine, source=7)


@pytest.fixture
def store(tmp_path):
    return SnapshotStore(tmp_path / "snapshots", source=7)


@pytest.fixture(params=[DirectSnapshots, ForkedSnapshots])
def snapshots(request, store):
    return request.param(store)


def test_holds_the_state_of_the_capture(snapshots, store):
    cell = Cell()
    cell.order(5)
    then = cell.engine.state_hash()
    capture = snapshots.capture(cell)
    cell.order(6)
    state_hash = asyncio.run(capture.publish())
    assert state_hash.hex() == then != cell.engine.state_hash()
    assert store.load_newest().snapshot.info.state_hash == state_hash


def test_dropped_capture_leaves_nothing(snapshots, store):
    snapshots.capture(Cell()).drop()
    assert store.list() == []


def test_disk_that_refuses_is_one_error(snapshots, store, tmp_path):
    (tmp_path / "snapshots").write_text("a file where the folder should be")
    capture = snapshots.capture(Cell())
    with pytest.raises(SnapshotError, match="cannot be written"):
        asyncio.run(capture.publish())
