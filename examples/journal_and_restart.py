"""A cell that survives a power cut: journal first, engine second, snapshot now and then.

Run it with ``python examples/journal_and_restart.py [FOLDER]``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tradecore import Engine, EngineConfig
from tradecore.journal import digest_config
from tradecore.storage import FileJournal, SnapshotStore, recover, save_snapshot
from tradecore.testing.workloads import make

CONFIG = EngineConfig(max_instruments=64, max_orders=16_384)
SOURCE = 1
BATCH = 256


def run(folder: Path) -> str:
    """Write 20,000 commands with snapshots; return the state hash of the running engine."""
    work = make("busy", 20_000, 1)
    frames = work.setup().tobytes() + work.commands().tobytes()
    snapshots = SnapshotStore(folder / "snapshots", source=SOURCE)
    engine = Engine(CONFIG)
    digest = digest_config(CONFIG)
    with FileJournal.open(folder / "journal", source=SOURCE, config_digest=digest) as journal:
        for number, at in enumerate(range(0, len(frames), 64 * BATCH), 1):
            batch = frames[at : at + 64 * BATCH]
            journal.append(batch)
            journal.commit()  # durable ...
            engine.apply(batch)  # ... and only now applied: events may leave the process
            if number % 30 == 0:
                save_snapshot(engine, journal, snapshots)
    return engine.state_hash()


def main(folder: Path) -> None:
    """Run, tear the journal as a power cut would, restart, and compare."""
    before = run(folder)
    restarted = recover(CONFIG, folder / "journal", SnapshotStore(folder / "snapshots", source=1))
    assert restarted.snapshot is not None
    print(f"snapshot behind command {restarted.snapshot.in_seq:,}, replayed", end=" ")
    print(f"{restarted.replayed.commands:,} commands, hash equal:", end=" ")
    print(restarted.engine.state_hash() == before)

    newest = sorted((folder / "journal").glob("*.tcj"))[-1]
    newest.write_bytes(newest.read_bytes()[:-1000])
    with FileJournal.open(folder / "journal", source=SOURCE) as journal:
        assert journal.cut is not None
        print(f"after the power cut: {journal.cut.reason}; durable up to {journal.durable_seq:,}")
    again = recover(CONFIG, folder / "journal", SnapshotStore(folder / "snapshots", source=1))
    print(f"restarted behind command {again.engine.in_seq:,}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory(prefix="tradecore-") as name:
            main(Path(name))
