"""Restart with the real engine: any snapshot plus its tail is the engine that never stopped."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tradecore import Engine, EngineConfig
from tradecore.errors import JournalError, SnapshotError
from tradecore.journal import digest_config
from tradecore.snapshot import SnapshotInfo, decode_engine, encode, encode_engine
from tradecore.storage import (
    FileJournal,
    FileOps,
    SnapshotStore,
    list_segments,
    recover,
    save_snapshot,
)
from tradecore.testing.workloads import make

SOURCE = 5
CONFIG = EngineConfig(max_instruments=64, max_orders=16_384)
DIGEST = digest_config(CONFIG)


class FastDisk(FileOps):
    def sync_data(self, fd: int) -> None:
        pass

    def sync_folder(self, path: Path) -> None:
        pass


def batches(size: int = 100) -> list[bytes]:
    work = make("busy", 3_000, 1)
    frames = work.setup().tobytes() + work.commands().tobytes()
    # The setup's instrument definition is four frames: the first batch must not cut it.
    return [frames[at : at + 64 * size] for at in range(0, len(frames), 64 * size)]


BATCHES = batches()


def run(folder: Path, *, snapshot_every: int = 0, segment_bytes: int = 1 << 15) -> list[str]:
    """Run a small cell; return the state hash behind each batch."""
    hashes = []
    engine = Engine(CONFIG)
    store = SnapshotStore(folder / "s", source=SOURCE, ops=FastDisk())
    options = {"config_digest": DIGEST, "segment_bytes": segment_bytes, "ops": FastDisk()}
    with FileJournal.open(folder / "j", source=SOURCE, **options) as journal:  # type: ignore[arg-type]
        for number, frames in enumerate(BATCHES, 1):
            journal.append(frames)
            journal.commit()
            engine.apply(frames)
            hashes.append(engine.state_hash())
            if snapshot_every and number % snapshot_every == 0:
                save_snapshot(engine, journal, store)
    return hashes


def test_recovery_from_every_snapshot_gives_the_engine_that_never_stopped(tmp_path: Path) -> None:
    hashes = run(tmp_path, snapshot_every=7)
    store = SnapshotStore(tmp_path / "s", source=SOURCE)
    starts = []
    while store.list():
        done = recover(CONFIG, tmp_path / "j", store)
        assert done.engine.state_hash() == hashes[-1]
        assert done.snapshot is not None
        assert done.replayed.commands == done.engine.in_seq - done.snapshot.in_seq
        starts.append(done.snapshot.in_seq)
        store.list()[0].unlink()
    assert len(starts) == 3
    done = recover(CONFIG, tmp_path / "j", store)
    assert done.snapshot is None
    assert done.engine.state_hash() == hashes[-1]


def test_recovery_of_the_past(tmp_path: Path) -> None:
    hashes = run(tmp_path, snapshot_every=7)
    store = SnapshotStore(tmp_path / "s", source=SOURCE)
    engine = Engine(CONFIG)
    for number, frames in enumerate(BATCHES):
        engine.apply(frames)
        if number % 5 == 0:
            past = recover(CONFIG, tmp_path / "j", store, to_seq=engine.in_seq).engine
            assert past.state_hash() == hashes[number]


def test_recovery_with_damaged_snapshots_falls_back(tmp_path: Path) -> None:
    hashes = run(tmp_path, snapshot_every=7)
    store = SnapshotStore(tmp_path / "s", source=SOURCE)
    for path in store.list()[:2]:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    done = recover(CONFIG, tmp_path / "j", store)
    assert len(done.rejected) == 2
    assert done.engine.state_hash() == hashes[-1]


def test_recovery_after_a_torn_write_continues(tmp_path: Path) -> None:
    hashes = run(tmp_path, snapshot_every=7)
    newest = list_segments(tmp_path / "j")[-1].path
    newest.write_bytes(newest.read_bytes()[:-100])
    store = SnapshotStore(tmp_path / "s", source=SOURCE)
    with FileJournal.open(tmp_path / "j", source=SOURCE, config_digest=DIGEST) as journal:
        assert journal.cut is not None
        engine = recover(CONFIG, tmp_path / "j", store).engine
        assert engine.state_hash() == hashes[-2]
        journal.append(BATCHES[-1])
        journal.commit()
        engine.apply(BATCHES[-1])
        assert engine.state_hash() == hashes[-1]
        save_snapshot(engine, journal, store)
    done = recover(CONFIG, tmp_path / "j", store)
    assert done.replayed.commands == 0
    assert done.engine.state_hash() == hashes[-1]


def test_recovery_from_a_journal_that_lost_its_end_is_refused(tmp_path: Path) -> None:
    run(tmp_path, snapshot_every=len(BATCHES))
    newest = list_segments(tmp_path / "j")[-1].path
    newest.write_bytes(newest.read_bytes()[:-100])
    store = SnapshotStore(tmp_path / "s", source=SOURCE)
    with pytest.raises(JournalError, match="acknowledged commands are lost"):
        recover(CONFIG, tmp_path / "j", store)


def test_recovery_with_the_snapshot_of_another_history_is_refused(tmp_path: Path) -> None:
    run(tmp_path, snapshot_every=7)
    other = tmp_path / "other"
    other.mkdir()
    BATCHES.insert(3, BATCHES.pop(4))
    try:
        run(other, snapshot_every=7)
    finally:
        BATCHES.insert(3, BATCHES.pop(4))
    store = SnapshotStore(other / "s", source=SOURCE)
    with pytest.raises(JournalError, match="they do not belong together"):
        recover(CONFIG, tmp_path / "j", store)


def test_recovery_with_another_configuration_is_refused(tmp_path: Path) -> None:
    run(tmp_path, snapshot_every=7)
    other = msgspec.structs.replace(CONFIG, max_orders=32_768)
    with pytest.raises(SnapshotError, match="made with configuration"):
        recover(other, tmp_path / "j", SnapshotStore(tmp_path / "s", source=SOURCE))
    with pytest.raises(JournalError, match="written with configuration"):
        recover(other, tmp_path / "j")


def test_snapshot_of_an_engine_ahead_of_its_journal_is_refused(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path / "s", source=SOURCE)
    engine = Engine(CONFIG)
    with FileJournal.open(tmp_path / "j", source=SOURCE) as journal:
        journal.append(BATCHES[0])
        engine.apply(BATCHES[0])
        with pytest.raises(JournalError, match="commit, and apply what was committed, first"):
            save_snapshot(engine, journal, store)
        journal.commit()
        save_snapshot(engine, journal, store)
    assert len(store.list()) == 1


def test_engine_snapshot_in_memory_restores_and_every_part_of_it_counts() -> None:
    engine = Engine(CONFIG)
    for frames in BATCHES[:5]:
        engine.apply(frames)
    data = encode_engine(engine)
    twin = decode_engine(Engine, data)
    assert twin.state_hash() == engine.state_hash()
    assert bytes(twin.apply(BATCHES[5])) == bytes(engine.apply(BATCHES[5]))
    for at in range(0, len(data), 1009):
        wrong = bytearray(data)
        wrong[at] ^= 0x10
        with pytest.raises(SnapshotError):
            decode_engine(Engine, wrong)
    unusable = encode(SnapshotInfo(1, 0), engine.export_state(), b"\x80\x80")
    with pytest.raises(SnapshotError, match="no usable engine configuration"):
        decode_engine(Engine, unusable)


def test_recovery_may_change_what_has_no_effect_on_results(tmp_path: Path) -> None:
    hashes = run(tmp_path, snapshot_every=7)
    other = msgspec.structs.replace(CONFIG, id_seed=1, prefetch="on")
    done = recover(other, tmp_path / "j", SnapshotStore(tmp_path / "s", source=SOURCE))
    assert done.engine.config == other
    assert done.engine.state_hash() == hashes[-1]
