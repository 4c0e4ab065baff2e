"""The disk of the simulator forgets exactly what no program may rely on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tradecore.errors import SnapshotError
from tradecore.snapshot import SnapshotInfo
from tradecore.storage import SnapshotStore
from tradecore_shells.sim.disk import Disk, SimFiles
from tradecore_shells.sim.faults import Faults
from tradecore_shells.sim.loop import Killed, Process, SimLoop

FOLDER = Path("/data")


def machine(seed: int, **rates: float) -> Disk:
    faults = Faults(seed)
    faults.active, faults.rates = True, dict.fromkeys(faults.rates, 0.0) | rates
    disk = Disk(SimLoop(seed), faults, seed)
    SimFiles(disk).make_folder(FOLDER)
    return disk


def write(files: SimFiles, name: str, data: bytes, *, sync: bool) -> None:
    fd = files.create(FOLDER / name)
    files.write(fd, data, 0)
    if sync:
        files.sync_data(fd)
    files.close(fd)


def test_what_was_synced_survives_every_power_loss() -> None:
    for seed in range(50):
        disk = machine(seed)
        write(SimFiles(disk), "a", b"x" * 2000, sync=True)
        SimFiles(disk).sync_folder(FOLDER)
        disk.lose_power()
        assert SimFiles(disk).read(FOLDER / "a", 0, 9999) == b"x" * 2000


def test_what_was_not_synced_is_lost_torn_or_kept_by_chance() -> None:
    left = set()
    for seed in range(200):
        disk = machine(seed)
        write(SimFiles(disk), "a", b"x" * 1100, sync=False)
        SimFiles(disk).sync_folder(FOLDER)
        disk.lose_power()
        left.add(SimFiles(disk).read(FOLDER / "a", 0, 9999))
    assert b"" in left
    assert b"x" * 1100 in left
    assert any(b"\0" in data and b"x" in data for data in left)


def test_name_without_a_synced_folder_may_be_gone() -> None:
    found = set()
    for seed in range(50):
        disk = machine(seed)
        write(SimFiles(disk), "a", b"x", sync=True)
        disk.lose_power()
        found.add(SimFiles(disk).exists(FOLDER / "a"))
    assert found == {True, False}


def test_rename_that_was_not_synced_may_leave_the_old_file() -> None:
    found = set()
    for seed in range(100):
        disk = machine(seed)
        files = SimFiles(disk)
        write(files, "a", b"old", sync=True)
        write(files, "tmp", b"new", sync=True)
        files.sync_folder(FOLDER)
        files.rename(FOLDER / "tmp", FOLDER / "a")
        disk.lose_power()
        found.add(SimFiles(disk).read(FOLDER / "a", 0, 9))
    assert found == {b"old", b"new"}


def test_failed_sync_loses_the_pages_and_the_second_one_lies() -> None:
    disk = machine(1, sync_failed=1.0)
    files = SimFiles(disk)
    fd = files.create(FOLDER / "a")
    files.write(fd, b"x" * 600, 0)
    with pytest.raises(OSError, match="Input/output"):
        files.sync_data(fd)
    disk.faults.rates["sync_failed"] = 0.0
    files.sync_data(fd)
    assert disk.inode(FOLDER / "a").synced == b""


def test_full_disk_leaves_half_a_write() -> None:
    disk = machine(1, disk_full=1.0)
    files = SimFiles(disk)
    fd = files.create(FOLDER / "a")
    with pytest.raises(OSError, match="No space"):
        files.write(fd, b"12345678", 0)
    assert files.read(FOLDER / "a", 0, 99) == b"1234"


def test_process_that_dies_in_its_work_on_files_cleans_nothing_up() -> None:
    disk = machine(1)
    process = Process("p")
    store = SnapshotStore(FOLDER, source=1, ops=SimFiles(disk, process))
    disk.faults.rates["kill_in_disk"] = 0.4

    def save_for_ever() -> None:
        for number in range(100):
            store.save(SnapshotInfo(source=1, in_seq=number), [("state", b"s" * 100)])

    with pytest.raises(Killed):
        save_for_ever()
    assert not process.alive
    with pytest.raises(Killed):
        store.list()


@pytest.mark.parametrize("seed", range(30))
def test_snapshot_store_on_a_disk_that_loses_power_keeps_what_it_promised(seed: int) -> None:
    disk = machine(seed, sync_failed=0.1, disk_full=0.1)
    store = SnapshotStore(FOLDER, source=1, ops=SimFiles(disk))
    promised = 0
    for number in range(1, 20):
        try:
            store.save(SnapshotInfo(source=1, in_seq=number), [("state", bytes([number]) * 1500)])
            promised = number
        except SnapshotError:
            pass
        if number % 4 == 0:
            disk.lose_power()
    disk.faults.active = False
    found = store.load_newest()
    assert found.snapshot is not None
    assert found.snapshot.info.in_seq >= promised
