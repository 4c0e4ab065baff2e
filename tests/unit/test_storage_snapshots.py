"""Snapshots in files: complete or absent, three kept, damaged ones set aside, a disk that fails."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tradecore.errors import ConfigError, SnapshotError
from tradecore.snapshot import SnapshotInfo, UnsupportedSnapshotError
from tradecore.storage import FileOps, SnapshotStore
from tradecore_ext.crc import crc32c

SOURCE = 0xAB


def info(in_seq: int, digest: bytes = bytes(32)) -> SnapshotInfo:
    return SnapshotInfo(source=SOURCE, in_seq=in_seq, config_digest=digest)


def state(in_seq: int) -> list[tuple[str, bytes]]:
    return [("orders", bytes([in_seq % 256]) * 300), ("meta", in_seq.to_bytes(8, "little"))]


def filled(folder: Path, *seqs: int) -> SnapshotStore:
    store = SnapshotStore(folder, source=SOURCE)
    for seq in seqs:
        store.save(info(seq), state(seq), b"conf")
    return store


def test_store_saves_and_loads_the_newest(tmp_path: Path) -> None:
    store = filled(tmp_path / "s", 10, 30, 20)
    found = store.load_newest()
    assert found.snapshot is not None
    assert found.snapshot.info.in_seq == 30
    assert [(n, bytes(d)) for n, d in found.snapshot.sections] == state(30)
    assert found.snapshot.config == b"conf"
    assert found.rejected == []
    hash8 = found.snapshot.info.state_hash.hex()[:8]
    assert found.path == tmp_path / "s" / f"000000ab-00000000000000000030-{hash8}.tcsn"


def test_store_empty_or_missing_folder_has_none(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        found = SnapshotStore(folder, source=SOURCE).load_newest()
        assert (found.snapshot, found.path, found.rejected) == (None, None, [])


def test_store_keeps_three_and_leaves_others_alone(tmp_path: Path) -> None:
    other = SnapshotStore(tmp_path, source=1)
    other.save(SnapshotInfo(source=1, in_seq=5), [])
    (tmp_path / "notes.txt").write_text("mine")
    store = filled(tmp_path, *range(1, 8))
    assert [int(path.name[9:29]) for path in store.list()] == [7, 6, 5]
    assert len(other.list()) == 1
    assert (tmp_path / "notes.txt").exists()
    assert not list(tmp_path.glob("tmp.*"))


def test_store_same_state_twice_is_one_file(tmp_path: Path) -> None:
    store = filled(tmp_path, 1)
    before = store.list()[0].read_bytes()
    assert store.save(info(1), state(1), b"conf") == store.list()[0]
    assert [path.read_bytes() for path in store.list()] == [before]


def test_store_falls_back_and_sets_damaged_ones_aside(tmp_path: Path) -> None:
    store = filled(tmp_path, 1, 2, 3)
    newest, second, _ = store.list()
    damaged = bytearray(newest.read_bytes())
    damaged[400] ^= 1
    newest.write_bytes(damaged)
    second.write_bytes(second.read_bytes()[:-1])
    found = store.load_newest()
    assert found.snapshot is not None
    assert found.snapshot.info.in_seq == 1
    assert [each.path.name for each in found.rejected] == [
        f"{p.name}.bad" for p in (newest, second)
    ]
    assert "damaged" in found.rejected[0].reason
    assert "cut short" in found.rejected[1].reason
    assert found.rejected[0].path.read_bytes() == damaged
    again = store.load_newest()
    assert again.rejected == []
    # Damaged once more under the same name: the first copy stays.
    path = store.save(info(3), state(3), b"conf")
    path.write_bytes(b"")
    assert store.load_newest().rejected[0].path.name == f"{newest.name}.bad-2"
    assert found.rejected[0].path.read_bytes() == damaged


def test_store_leftover_of_a_killed_process_does_not_disturb(tmp_path: Path) -> None:
    leftover = tmp_path / f"tmp.{os.getpid()}.1"
    leftover.write_bytes(b"half a snapshot")
    store = filled(tmp_path, 1)
    assert store.load_newest().snapshot is not None
    assert leftover.read_bytes() == b"half a snapshot"


def test_store_all_damaged_gives_none(tmp_path: Path) -> None:
    store = filled(tmp_path, 1, 2)
    for path in store.list():
        path.write_bytes(b"garbage")
    found = store.load_newest()
    assert found.snapshot is None
    assert len(found.rejected) == 2


def test_store_up_to_a_command(tmp_path: Path) -> None:
    found = filled(tmp_path, 10, 20, 30).load_newest(up_to_seq=29)
    assert found.snapshot is not None
    assert found.snapshot.info.in_seq == 20


def test_store_other_configuration_is_refused_not_set_aside(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path, source=SOURCE)
    store.save(info(1, b"a" * 32), state(1))
    with pytest.raises(SnapshotError, match="made with configuration 6161"):
        store.load_newest(config_digest=b"b" * 32)
    assert store.load_newest(config_digest=b"a" * 32).snapshot is not None


def test_store_snapshot_of_a_newer_build_is_refused_not_set_aside(tmp_path: Path) -> None:
    store = filled(tmp_path, 1, 2)
    newest = store.list()[0]
    data = bytearray(newest.read_bytes())
    data[4] = 9
    data[252:256] = crc32c(data[:252]).to_bytes(4, "little")
    newest.write_bytes(data)
    with pytest.raises(UnsupportedSnapshotError, match="format version 9"):
        store.load_newest()
    assert newest.exists()


@pytest.mark.parametrize("options", [{"keep": 1}, {"source": -1}])
def test_store_options_out_of_range_are_refused(tmp_path: Path, options: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        SnapshotStore(tmp_path, **({"source": SOURCE} | options))  # type: ignore[arg-type]


def test_store_snapshot_of_another_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a snapshot of source 1 in a store of 171"):
        SnapshotStore(tmp_path, source=SOURCE).save(SnapshotInfo(source=1, in_seq=1), [])


def test_store_loading_a_folder_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="cannot be read: Is a directory"):
        SnapshotStore(tmp_path, source=SOURCE).load(tmp_path)


class SickDisk(FileOps):
    """Fails at one named operation."""

    def __init__(self, operation: str) -> None:
        self.operation = operation

    def _maybe_fail(self, operation: str) -> None:
        if operation == self.operation:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def create(self, path: Path) -> int:
        self._maybe_fail("create")
        return super().create(path)

    def write(self, fd: int, data: memoryview | bytes, offset: int) -> None:
        if offset > 256:
            self._maybe_fail("write")
        super().write(fd, data, offset)

    def sync_data(self, fd: int) -> None:
        self._maybe_fail("sync_data")

    def sync_folder(self, path: Path) -> None:
        self._maybe_fail("sync_folder")

    def rename(self, source: Path, target: Path) -> None:
        self._maybe_fail("rename")
        super().rename(source, target)


@pytest.mark.parametrize("operation", ["create", "write", "sync_data", "rename"])
def test_store_failing_disk_leaves_the_older_ones_and_nothing_else(
    tmp_path: Path, operation: str
) -> None:
    filled(tmp_path, 1, 2, 3)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    sick = SnapshotStore(tmp_path, source=SOURCE, ops=SickDisk(operation))
    with pytest.raises(SnapshotError, match="No space left on device; older snapshots are unt"):
        sick.save(info(4), state(4))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_store_failing_folder_sync_reports_and_removes_nothing(tmp_path: Path) -> None:
    filled(tmp_path, 1, 2, 3)
    with pytest.raises(SnapshotError):
        SnapshotStore(tmp_path, source=SOURCE, ops=SickDisk("sync_folder")).save(info(4), state(4))
    found = SnapshotStore(tmp_path, source=SOURCE).load_newest()
    assert found.snapshot is not None
    # The new one is whole, whether or not its name survives; the three older are still there.
    assert found.snapshot.info.in_seq == 4
    assert len(list(tmp_path.glob("*.tcsn"))) == 4


def test_store_order_of_operations_is_write_sync_rename_sync_folder(tmp_path: Path) -> None:
    calls: list[str] = []

    class Watched(FileOps):
        def create(self, path: Path) -> int:
            calls.append("create")
            assert not path.name.endswith(".tcsn")
            return super().create(path)

        def write(self, fd: int, data: memoryview | bytes, offset: int) -> None:
            calls.append("write")
            super().write(fd, data, offset)

        def sync_data(self, fd: int) -> None:
            calls.append("sync")
            super().sync_data(fd)

        def rename(self, source: Path, target: Path) -> None:
            calls.append("rename")
            super().rename(source, target)

        def sync_folder(self, path: Path) -> None:
            calls.append("sync folder")
            super().sync_folder(path)

        def remove(self, path: Path) -> None:
            calls.append("remove")
            super().remove(path)

    store = SnapshotStore(tmp_path, source=SOURCE, keep=2, ops=Watched())
    for seq in (1, 2, 3):
        calls.clear()
        store.save(info(seq), state(seq))
    once = list(dict.fromkeys(calls))
    assert once == ["create", "write", "sync", "rename", "sync folder", "remove"]
