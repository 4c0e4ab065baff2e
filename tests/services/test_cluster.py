"""The embedded Postgres: up from nothing, back from every end, its troubles in a sentence."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from services.install import postgres_folder
from services.server import quiet

from tradecore_shells.plumbing.cluster import ClusterError, EmbeddedPostgres
from tradecore_shells.plumbing.processes import ProcessRef, free_port

ROOT = Path(__file__).resolve().parents[2]


def _copy(source: Path, target: Path) -> None:
    """Copy a folder with owners and modes."""
    shutil.copytree(source, target, symlinks=True)
    for path in [source, *source.rglob("*")]:
        stat = path.lstat()
        os.chown(target / path.relative_to(source), stat.st_uid, stat.st_gid)


@pytest.fixture(scope="module")
def programs() -> Path:
    """Programs of Postgres; a machine where they cannot be had fails here."""
    return postgres_folder(quiet)


@pytest.fixture(scope="module")
def template(programs: Path) -> Iterator[Path]:
    """A folder that was made, started and stopped once; tests that harm it copy it."""
    with tempfile.TemporaryDirectory(prefix="tradecore-pg-") as name:
        folder = Path(name) / "pg"
        with EmbeddedPostgres(folder, bin_dir=programs) as cluster:
            _run(cluster.dsn, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
        yield folder


@pytest.fixture
def folder(template: Path) -> Iterator[Path]:
    """A copy of the template with owners and modes, outside pytest's own closed folders."""
    with tempfile.TemporaryDirectory(prefix="tradecore-pg-") as name:
        Path(name).chmod(0o755)
        copy = Path(name) / "pg"
        _copy(template, copy)
        yield copy
        EmbeddedPostgres(copy).kill()


def _run(dsn: str, sql: str) -> Any:
    async def run() -> Any:
        connection = await asyncpg.connect(dsn)
        try:
            ask = connection.fetchval if "SELECT" in sql else connection.execute
            return await ask(sql)
        finally:
            await connection.close()

    return asyncio.run(run())


def _kept(cluster: EmbeddedPostgres) -> int:
    value: int = _run(cluster.dsn, "SELECT sum(n) FROM kept")
    return value


def test_start_gives_a_durable_private_cluster(folder: Path, programs: Path) -> None:
    with EmbeddedPostgres(folder, bin_dir=programs) as cluster:
        for name, value in {
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "data_checksums": "on",
            "listen_addresses": "",
            "server_encoding": "UTF8",
        }.items():
            assert _run(cluster.dsn, f"SELECT current_setting('{name}')") == value, name
        assert (folder / "socket").stat().st_mode & 0o777 == 0o700
        assert (folder / "password").stat().st_mode & 0o777 == 0o600
        process = cluster.process
        with pytest.raises(ClusterError, match="listens on no port"):
            _ = cluster.tcp_dsn
    assert not process.alive()
    with pytest.raises(ClusterError, match="is not started"):
        _ = cluster.dsn


def test_loopback_port_asks_for_the_password(folder: Path, programs: Path) -> None:
    port = free_port()
    with EmbeddedPostgres(folder, port=port, bin_dir=programs) as cluster:
        assert _run(cluster.tcp_dsn, "SELECT sum(n) FROM kept") == 7
        with pytest.raises(asyncpg.InvalidPasswordError):
            _run(cluster.tcp_dsn.replace(cluster.password, "wrong"), "SELECT 1")
        assert _run(cluster.dsn, "SELECT current_setting('listen_addresses')") == "127.0.0.1"


def test_data_survives_a_kill_of_the_server(folder: Path, programs: Path) -> None:
    cluster = EmbeddedPostgres(folder, bin_dir=programs)
    cluster.start()
    _run(cluster.dsn, "INSERT INTO kept VALUES (35)")
    cluster.kill()
    cluster.start()
    assert not cluster.adopted
    assert _kept(cluster) == 42
    cluster.stop_immediately()
    cluster.start()
    assert _kept(cluster) == 42
    cluster.stop()


def test_server_of_a_killed_owner_is_adopted(folder: Path, programs: Path) -> None:
    owner = (
        "import os, signal, sys; from pathlib import Path;"
        "from tradecore_shells.plumbing.cluster import EmbeddedPostgres;"
        "EmbeddedPostgres(Path(sys.argv[1]), bin_dir=Path(sys.argv[2])).start();"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run(
        [sys.executable, "-c", owner, str(folder), str(programs)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "shells")},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    cluster = EmbeddedPostgres(folder, bin_dir=programs)
    cluster.start()
    assert cluster.adopted
    assert _kept(cluster) == 7
    # Another address is wanted now: the left-over server has to go.
    other = EmbeddedPostgres(folder, port=free_port(), bin_dir=programs)
    other.start()
    assert not other.adopted
    assert _run(other.tcp_dsn, "SELECT sum(n) FROM kept") == 7
    other.stop()


def test_pid_file_that_names_a_stranger_is_removed(folder: Path, programs: Path) -> None:
    """A container came up again and the number belongs to another program: here, to this one."""
    note = f"{os.getpid()}\n{folder / 'data'}\n1\n5432\n{folder / 'socket'}\n\n  1 1\nready   \n"
    (folder / "data" / "postmaster.pid").write_text(note)
    with EmbeddedPostgres(folder, bin_dir=programs) as cluster:
        assert not cluster.adopted
        assert cluster.process.pid != os.getpid()
        assert _kept(cluster) == 7
    me = ProcessRef.of(os.getpid())
    assert me is not None


def test_half_made_folder_is_made_again(folder: Path, programs: Path) -> None:
    (folder / "data").rename(folder / "data.new")
    (folder / "data.new" / "PG_VERSION").unlink()
    with EmbeddedPostgres(folder, bin_dir=programs) as cluster:
        assert _run(cluster.dsn, "SELECT current_database()") == "tradecore"
    assert not (folder / "data.new").exists()


def test_settings_of_another_cluster_in_the_environment_are_ignored(
    folder: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("PGPORT", "1")
    with EmbeddedPostgres(folder, bin_dir=programs) as cluster:
        assert _run(cluster.dsn, "SELECT current_setting('port')") == "5432"


def test_long_path_gets_a_short_socket(folder: Path, programs: Path) -> None:
    deep = folder.parent / ("deep" * 25)
    folder.rename(deep)
    with EmbeddedPostgres(deep, bin_dir=programs) as cluster:
        assert _kept(cluster) == 7
        (made,) = Path(tempfile.gettempdir()).glob(f"tradecore-{os.geteuid()}-*/.s.PGSQL.5432")
        assert made.parent.stat().st_mode & 0o777 == 0o700
    shutil.rmtree(made.parent)


def test_data_of_another_version_is_refused_in_one_sentence(folder: Path, programs: Path) -> None:
    (folder / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(ClusterError, match=r"written by PostgreSQL 9, and only .* is installed"):
        EmbeddedPostgres(folder, bin_dir=programs).start()


def test_folder_of_something_else_is_not_touched(tmp_path: Path, programs: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").write_text("mine")
    with pytest.raises(ClusterError, match="is not the data folder of a PostgreSQL cluster"):
        EmbeddedPostgres(tmp_path, bin_dir=programs).start()
    assert (tmp_path / "data" / "thesis.txt").read_text() == "mine"


def test_server_that_does_not_start_shows_its_log(folder: Path, programs: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        cluster = EmbeddedPostgres(folder, port=busy.getsockname()[1], bin_dir=programs)
        with pytest.raises(ClusterError, match=r"(?s)did not start.*could not bind"):
            cluster.start()
