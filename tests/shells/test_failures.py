"""What can be wrong with the world when a service starts, case by case.

Each is one sentence with what to do, an exit code that is not 0 (within the budget where there is
one), and nothing is written: what the log, the snapshots and the executions held, they hold.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from cell_logs import sealed_as
from cli.command import Command
from shells.trading.small_cell import command, everything, run_once, settings, toml
from tradecore.cell import Batch, FrameReader, read_dead_letter, source_of, time_command
from tradecore.codes import CommandKind
from tradecore.instruments import AssetSpec, InstrumentSpec
from tradecore.status import Status
from tradecore.testing import build
from tradecore_shells.plumbing.catalogs import save_catalog
from tradecore_shells.plumbing.clock import SystemClock
from tradecore_shells.plumbing.cluster import EmbeddedPostgres
from tradecore_shells.plumbing.filelog import FileLog
from tradecore_shells.plumbing.ports import EXECUTIONS, TRADING_COMMANDS, dead_letters
from tradecore_shells.plumbing.postgres import Migration, Postgres
from tradecore_shells.sim.builds import EPOCH_KNOWN

HANGS_AFTER_S = 30.0
HALT, FENCED, USAGE = 70, 75, 2


class Serve(NamedTuple):
    """`tradecore serve`, in this process; it is drained if it does not end by itself."""

    command: Command

    def __call__(self, service: str, config: Path) -> tuple[int, str, float]:
        guard = threading.Timer(HANGS_AFTER_S, os.kill, (os.getpid(), signal.SIGTERM))
        guard.start()
        begin = time.monotonic()
        try:
            done = self.command("serve", service, "--config", config)
        finally:
            guard.cancel()
        took_s = time.monotonic() - begin
        assert "Traceback" not in done.err
        words = [line for line in done.err.splitlines() if not line.startswith("{")]
        told = [json.loads(line) for line in done.err.splitlines() if line.startswith("{")]
        errors = [line["event"] for line in told if line["level"] == "error"]
        assert len(words) + len(errors) == 1, done.err
        return done.code, (words + errors)[0], took_s


@pytest.fixture
def serve(capsys: pytest.CaptureFixture[str]) -> Iterator[Serve]:
    """The program sets up logs for its whole process: put them back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield Serve(Command(capsys))
    root.handlers[:], root.level = handlers, level


def held(folder: Path) -> dict[str, bytes]:
    """Return every file that holds something."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".lock" and path.stat().st_size
    }


# ------------------------------------------------------------------------ the log and the snapshots
class World(NamedTuple):
    folder: Path

    @property
    def commands(self) -> Path:
        return self.folder / "log" / f"{TRADING_COMMANDS}-0"

    def older_commands(self, count: int) -> None:
        """Give the log back as it was when it held `count` records."""
        shutil.rmtree(self.commands)
        shutil.copytree(self.folder / f"after-{count}", self.commands)


def lost_tail(world: World) -> None:
    world.older_commands(2)


def lost_tail_without_snapshot(world: World) -> None:
    lost_tail(world)
    shutil.rmtree(world.folder / "snapshots")


def lost_all(world: World) -> None:
    shutil.rmtree(world.commands)


def another_log(world: World) -> None:
    shutil.rmtree(world.commands)
    other = World(world.folder.parent / "other")
    run_once(settings(other.folder), [command(time_command() * 2)] * 5)
    shutil.copytree(other.commands, world.commands)


def wrong_partition(world: World) -> None:
    """Somebody moved the folders of cell 0 to partition 1, whose cell starts now."""
    for topic in (TRADING_COMMANDS, EXECUTIONS):
        (world.folder / "log" / f"{topic}-0").rename(world.folder / "log" / f"{topic}-1")
    config = toml(settings(world.folder, partition=1))
    (world.folder / "tradecore.toml").write_text(config)


def no_such_partition(world: World) -> None:
    config = world.folder / "tradecore.toml"
    config.write_text(config.read_text().replace("partition = 0", "partition = 10000"))


def epoch_of_tomorrow(world: World) -> None:
    payload = command(build.admin(CommandKind.EPOCH, epoch=EPOCH_KNOWN + 1))

    async def append() -> None:
        log = FileLog(world.folder / "log", SystemClock())
        await log.append(TRADING_COMMANDS, 0, [payload])
        await log.close()

    asyncio.run(append())


LOGS: dict[str, tuple[Callable[[World], None], tuple[str, ...]]] = {
    "a log that lost its tail": (
        lost_tail,
        ("ends at offset 2", "has seen offset 3", "lost acknowledged commands", "restore it"),
    ),
    "a snapshot newer than the log": (
        lost_all,
        ("ends at offset 0", "has seen offset 3", "do not delete the snapshot"),
    ),
    "a log that lost its tail, and no snapshot": (
        lost_tail_without_snapshot,
        ("ends at offset 2", "answers offset 3", "lost acknowledged commands", "restore it"),
    ),
    "another log": (
        another_log,
        ("another record at offset 3", "do not belong together", "[log] url"),
    ),
    "the partition of another cell": (
        wrong_partition,
        (f"source {source_of(0):#x}", "partition of another cell", "[log] partition"),
    ),
    "semantics of a newer build": (
        epoch_of_tomorrow,
        (f"epoch {EPOCH_KNOWN + 1} at offset 4", "start a newer build"),
    ),
    "no such partition": (no_such_partition, ("partition 10000 is no place in a log",)),
}


@pytest.mark.parametrize("case", LOGS)
def test_trading_halts_and_leaves_everything_as_it_was(
    case: str, tmp_path: Path, serve: Serve
) -> None:
    damage, words = LOGS[case]
    folder = tmp_path / "x"
    config = settings(folder)
    run_once(config, [command()] * 2)
    shutil.copytree(World(folder).commands, folder / "after-2")
    run_once(config, [command()] * 2)
    (folder / "tradecore.toml").write_text(toml(config))
    damage(World(folder))
    before = held(folder)
    code, sentence, _ = serve("trading", folder / "tradecore.toml")
    assert code == (FENCED if damage is epoch_of_tomorrow else HALT)
    for word in words:
        assert word in sentence
    after = held(folder)
    assert {name: after.get(name) for name in before} == before


# ------------------------------------------------------------------------- records nobody can read
def unknown_schema() -> bytes:
    frames = time_command()
    return sealed_as(99, 0, 1, 1, frames)


def bad_crc() -> bytes:
    payload = bytearray(command())
    payload[-1] ^= 1
    return bytes(payload)


RECORDS = {
    "unknown schema": (unknown_schema, Status.SCHEMA_UNKNOWN),
    "bad crc": (bad_crc, Status.BAD_CHECKSUM),
    "no envelope": (lambda: b"hello", Status.UNREADABLE),
    "nothing": (lambda: b"", Status.UNREADABLE),
}


@pytest.mark.parametrize("case", RECORDS)
def test_unreadable_record_is_answered_kept_and_left_behind(case: str, tmp_path: Path) -> None:
    make, status = RECORDS[case]
    config = settings(tmp_path)
    poison = make()
    run_once(config, [command(), poison, command()])
    run_once(config, [])  # a restart answers nothing twice
    reader = FrameReader(source_of(0))
    batches: list[Batch] = []
    for record in everything(config, EXECUTIONS):
        batches += reader.read(record.offset, record.payload)
    assert [(one.in_offset, one.status) for one in batches] == [
        (0, Status.OK),
        (1, status),
        (2, Status.OK),
    ]
    (letter,) = everything(config, dead_letters(TRADING_COMMANDS))
    partition, found = read_dead_letter(letter.payload)
    assert (partition, found.offset, found.status, bytes(found.payload)) == (0, 1, status, poison)


# ------------------------------------------------------------------------------ servers and ports
def nobody() -> int:
    """Return a loopback port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.fixture
def catalog(tmp_path: Path) -> str:
    spec = InstrumentSpec("BTC-USD", 0, AssetSpec("BTC", 1), AssetSpec("USD", 0))
    save_catalog(tmp_path / "catalog.json", [spec])
    return f"[catalog]\nfile = '{tmp_path / 'catalog.json'}'\n"


@pytest.mark.parametrize("service", ["trading", "risk"])
def test_broker_that_is_down_at_the_start_is_waited_for_as_long_as_stated(
    service: str, tmp_path: Path, serve: Serve, catalog: str
) -> None:
    pytest.importorskip("aiokafka")
    address = f"127.0.0.1:{nobody()}"
    file = tmp_path / "tradecore.toml"
    file.write_text(
        f"[log]\nurl = 'kafka://{address}'\n{catalog}[trading]\nretry_s = 0.5\n"
        f"snapshots = '{tmp_path / 's'}'\n[risk]\nretry_s = 0.5\nsnapshots = '{tmp_path / 'r'}'\n"
        "[cell]\nrecent_orders = 1024\n[cell.engine]\naccounts = true\nmax_orders = 1024\n"
    )
    code, sentence, took_s = serve(service, file)
    assert code == HALT
    assert address in sentence
    assert 0.3 < took_s < 20


def test_database_that_is_down_at_the_start(tmp_path: Path, serve: Serve, catalog: str) -> None:
    pytest.importorskip("asyncpg")
    port = nobody()
    file = tmp_path / "tradecore.toml"
    file.write_text(
        f"[log]\nurl = 'file:{tmp_path / 'log'}'\n{catalog}"
        f"[store]\ndsn = 'postgresql://someone:secret@127.0.0.1:{port}/tradecore'\n"
        "[portfolio]\nretry_s = 0.5\n"
    )
    code, sentence, _ = serve("portfolio", file)
    assert code != 0
    assert f"127.0.0.1:{port}" in sentence or str(port) in sentence
    assert "secret" not in sentence


@pytest.mark.slow
def test_database_at_another_migration(tmp_path: Path, serve: Serve, catalog: str) -> None:
    pytest.importorskip("asyncpg")
    cluster = EmbeddedPostgres(tmp_path / "postgres")
    cluster.start()
    try:
        file = tmp_path / "tradecore.toml"
        file.write_text(
            f"[log]\nurl = 'file:{tmp_path / 'log'}'\n{catalog}[store]\ndsn = '{cluster.dsn}'\n"
        )

        async def tomorrow() -> None:
            db = Postgres(cluster.dsn)
            await db.migrate([Migration(99, "099_tomorrow", "SELECT 1")])
            await db.close()

        asyncio.run(tomorrow())
        code, sentence, _ = serve("portfolio", file)
        assert code == USAGE
        assert "is at migration 99 (099_tomorrow)" in sentence
    finally:
        cluster.stop()


def test_port_in_use(tmp_path: Path, serve: Serve) -> None:
    config = settings(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        file = tmp_path / "tradecore.toml"
        file.write_text(toml(config, observe_port=port))
        code, sentence, _ = serve("trading", file)
        assert code == USAGE
        assert f"port {port} of 127.0.0.1 cannot be used" in sentence
        assert "[observe] port" in sentence
        served = toml(config).replace('serve = ""', f'serve = "tcp://127.0.0.1:{port}"')
        file.write_text(served)
        code, sentence, _ = serve("trading", file)
        assert code in {USAGE, HALT}
        assert str(port) in sentence


def test_log_of_another_process(tmp_path: Path, serve: Serve) -> None:
    config = settings(tmp_path)
    file = tmp_path / "tradecore.toml"
    file.write_text(toml(config))
    log = FileLog(tmp_path / "log", SystemClock())
    code, sentence, _ = serve("trading", file)
    assert code == HALT
    assert "another process" in sentence
    assert str(tmp_path / "log") in sentence
    log._lock.release()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[trading]\nqueue_byte = 1\n", ("queue_byte",)),
        ("[log]\nurl = 'zookeeper:2181'\n", ("[log] url", "kafka://HOST:PORT")),
        ("[log]\npartition = -1\n", ("partition",)),
        ("[cell]\nrecent_orders = 0\n", ("recent_orders",)),
        ("[trading\n", ("tradecore.toml",)),
    ],
)
def test_wrong_settings(text: str, words: tuple[str, ...], tmp_path: Path, serve: Serve) -> None:
    file = tmp_path / "tradecore.toml"
    file.write_text(text)
    code, sentence, _ = serve("trading", file)
    assert code == USAGE
    for word in words:
        assert word in sentence


def test_admin_topics_takes_the_broker_from_the_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the manifests of compose and Kubernetes call it; nobody listens here."""
    pytest.importorskip("aiokafka")
    address = f"127.0.0.1:{nobody()}"
    file = tmp_path / "tradecore.toml"
    run = Command(capsys)
    file.write_text(f"[log]\nurl = 'kafka://{address}'\n[trading]\ntakeover_s = 2.0\n")
    done = run("admin", "topics", "--config", file)
    assert done.code != 0
    assert address in done.err
    file.write_text("[log]\nurl = 'file:data/log'\n")
    done = run("admin", "topics", "--config", file)
    assert done.code == USAGE
    assert "only topics on Kafka have to be made" in done.complaint
