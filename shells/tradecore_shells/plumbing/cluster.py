"""A Postgres of our own: a data folder that is started on demand and never meets another cluster.

`tradecore up` keeps its tables here, and the scripts for tests run the same code on a loopback
port. Everything lies in one folder: the data, the socket, the log, the password. The server listens
on a Unix socket that only its user (and root) may open, and on a loopback port only when asked to.

What may have happened since last time, and what `start` makes of it:

* the owner was killed, the server goes on: it is adopted, nothing is started;
* both were killed: Postgres recovers from its own log, as after any crash;
* the number in `postmaster.pid` now belongs to another program (a container that came up again):
  Postgres alone would refuse to start; the file is removed once no process works in the folder;
* it was killed while the folder was being made: the half-made folder is thrown away, because the
  data gets its name only when it is complete.

Standard library only, synchronous: called before a service's event loop, or in a thread.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from tradecore_shells.plumbing.pgbin import ClusterError, Programs, RunAs, find_programs, run_as
from tradecore_shells.plumbing.processes import ProcessRef, running_in, spawn, tail, wait_until

__all__ = ["USER", "ClusterError", "EmbeddedPostgres"]

USER = "tradecore"
# The port names the socket file even when nothing listens on TCP.
SOCKET_PORT = 5432
# A path of a Unix socket has 108 bytes with its end mark.
MAX_SOCKET_PATH = 107
# For one machine shared with the services. Durability stays at Postgres' defaults: fsync on,
# commits synchronous, full pages written.
SETTINGS: dict[str, str] = {
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "jit": "off",  # our statements are short; compiling them costs more than it saves
    "log_checkpoints": "off",
}


@dataclass(frozen=True)
class _Running:
    """What postmaster.pid says about a server that lives."""

    ref: ProcessRef
    port: int
    socket_dir: str
    listens: bool
    ready: bool


class EmbeddedPostgres:
    """A Postgres cluster in one folder, started and stopped by its owner.

    Parameters
    ----------
    data_dir : Path
        Everything is kept here; made when absent. One owner at a time.
    port : int, optional
        Also listen on this port of 127.0.0.1, with the password kept in the folder. By default
        there is only the socket.
    settings : mapping, optional
        More server settings, over those of this module.
    bin_dir : Path, optional
        Where to look for the programs first.

    Raises
    ------
    ClusterError
        From `start`: one sentence saying why it cannot be had.

    Notes
    -----
    First start (make the folder, start the server) takes about a second, later ones 0.2 s.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        bin_dir: Path | None = None,
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.port = port
        self.log = self.data_dir / "postgres.log"
        self.pgdata = self.data_dir / "data"
        self._settings = SETTINGS | dict(settings or {})
        self._bin_dir = bin_dir
        self._running: _Running | None = None
        self._started: ProcessRef | None = None
        self.adopted = False

    def __enter__(self) -> EmbeddedPostgres:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # ------------------------------------------------------------------------------ addresses
    @property
    def dsn(self) -> str:
        """Address of the database `tradecore` over the socket; for asyncpg and psql."""
        running = self._known()
        host = quote(running.socket_dir, safe="/")
        return f"postgresql://{USER}@/{USER}?host={host}&port={running.port}"

    @property
    def tcp_dsn(self) -> str:
        """The same over the loopback port, with the password."""
        running = self._known()
        if not running.listens:
            raise ClusterError(f"PostgreSQL in {self.data_dir} listens on no port: give one")
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{running.port}/{USER}"

    @property
    def password(self) -> str:
        """Password of the user on the loopback port; made with the folder."""
        return (self.data_dir / "password").read_text("ascii")

    @property
    def process(self) -> ProcessRef:
        """The server process."""
        return self._known().ref

    def _known(self) -> _Running:
        if self._running is None:
            raise ClusterError(f"PostgreSQL in {self.data_dir} is not started")
        return self._running

    # ------------------------------------------------------------------------------- the life
    def start(self, timeout_s: float = 60.0) -> None:
        """Make the folder when it is new, start the server unless it runs, wait until it answers.

        Parameters
        ----------
        timeout_s : float
            How long recovery after a crash may take.

        Raises
        ------
        ClusterError
            No programs, another version's data, not our folder, or the server would not start.
        """
        with self._locked():
            self._running = None
            programs = self._programs()
            who = run_as(self.data_dir, programs.folder)
            running = self._look()
            if running is not None and running.listens != bool(self.port):
                # Left over from an owner that wanted it otherwise.
                running.ref.stop(timeout_s, signal.SIGINT)
                running = None
            self.adopted = running is not None
            if running is None:
                if not self.pgdata.exists():
                    self._create(programs, who)
                self._clear_stale_pid()
                self._launch(programs, who)
            self._await_ready(timeout_s)

    def stop(self, timeout_s: float = 30.0) -> None:
        """End the server: roll back what is open, write a checkpoint. Harmless when it is gone."""
        self._end(signal.SIGINT, timeout_s)

    def stop_immediately(self, timeout_s: float = 30.0) -> None:
        """End the server without a checkpoint; the next start recovers. For tests of crashes."""
        self._end(signal.SIGQUIT, timeout_s)

    def kill(self) -> None:
        """Kill the server process; its workers notice and end. For tests of crashes."""
        running = self._running or self._look()
        if running is not None:
            running.ref.send(signal.SIGKILL)
            running.ref.wait(10.0)
        self._running = None

    def _end(self, number: signal.Signals, timeout_s: float) -> None:
        running = self._running or self._look()
        self._running = None
        if running is not None and not running.ref.stop(timeout_s, number):
            raise ClusterError(
                f"PostgreSQL (process {running.ref.pid}) did not stop within {timeout_s:.0f} s and "
                f"was killed; the next start recovers; see {self.log}"
            )

    # ----------------------------------------------------------------------------- the folder
    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One start at a time on one folder."""
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            lock = (self.data_dir / "lock").open("ab")
        except OSError as error:
            raise ClusterError(
                f"{self.data_dir} cannot be used for PostgreSQL: {error.strerror}"
            ) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _programs(self) -> Programs:
        """Programs that can open this folder."""
        major = None
        if self.pgdata.exists():
            try:
                major = int((self.pgdata / "PG_VERSION").read_text("ascii").partition(".")[0])
            except PermissionError as error:
                raise ClusterError(
                    f"{self.pgdata} belongs to another user: start as that user, or choose "
                    "another folder"
                ) from error
            except (OSError, ValueError) as error:
                raise ClusterError(
                    f"{self.pgdata} is not the data folder of a PostgreSQL cluster: move it away, "
                    "or choose another folder"
                ) from error
        return find_programs(major, extra=[self._bin_dir] if self._bin_dir else [])

    def _create(self, programs: Programs, who: RunAs) -> None:
        """Make the cluster and its database aside, then give it its name."""
        staging = self.data_dir / "data.new"
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(mode=0o700)
        who.own(staging)
        password = self.data_dir / "password"
        password.unlink(missing_ok=True)
        password.touch(mode=0o600)
        password.write_text(secrets.token_hex(24), "ascii")
        who.own(password)
        self._run(
            programs,
            who,
            [
                *("initdb", "-D", str(staging), "-U", USER, "--encoding=UTF8", "--no-locale"),
                *("--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={password}"),
                "--data-checksums",
            ],
        )
        # A server without clients: one statement, and no driver is needed to make it.
        self._run(
            programs,
            who,
            ["postgres", "--single", "-D", str(staging), "-c", "log_checkpoints=off", "postgres"],
            f"CREATE DATABASE {USER}\n",
        )
        staging.replace(self.pgdata)
        folder = os.open(self.data_dir, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _run(self, programs: Programs, who: RunAs, argv: list[str], text: str = "") -> None:
        user, group = who.popen_ids
        done = subprocess.run(
            [*who.prefix, str(programs.folder / argv[0]), *argv[1:]],
            input=text,
            capture_output=True,
            text=True,
            cwd="/",
            env=_environment(),
            user=user,
            group=group,
            extra_groups=None if user is None else [],
            check=False,
        )
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
            raise ClusterError(
                f"{argv[0]} of PostgreSQL {programs.version} failed: {' '.join(said)}"
            )

    def _socket_dir(self, who: RunAs) -> Path:
        """Make the folder of the socket, that only the server and root may enter."""
        folder = self.data_dir / "socket"
        if len(os.fsencode(folder / f".s.PGSQL.{self.port or SOCKET_PORT}")) > MAX_SOCKET_PATH:
            name = hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:16]
            folder = Path(tempfile.gettempdir()) / f"tradecore-{os.geteuid()}-{name}"
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        stat = folder.lstat()
        if folder.is_symlink() or stat.st_uid not in {os.geteuid(), who.uid}:
            raise ClusterError(f"{folder} belongs to somebody else: remove it")
        folder.chmod(0o700)
        who.own(folder)
        return folder

    # ----------------------------------------------------------------------------- the server
    def _look(self) -> _Running | None:
        """Read postmaster.pid; None when no server of this folder lives."""
        try:
            lines = (self.pgdata / "postmaster.pid").read_text("utf-8").splitlines()
            ref = ProcessRef.of(int(lines[0]))
            # Every server process works in its data folder: this is how a stranger is told apart.
            if ref is None or os.readlink(f"/proc/{ref.pid}/cwd") != str(self.pgdata.resolve()):
                return None
        except (OSError, ValueError, IndexError):
            return None
        lines += [""] * 8
        return _Running(
            ref=ref,
            port=int(lines[3] or 0),
            socket_dir=lines[4],
            listens=bool(lines[5]),
            ready=lines[7].strip() == "ready",
        )

    def _clear_stale_pid(self) -> None:
        """Remove postmaster.pid of a dead server, once none of its workers is left."""
        pgdata = self.pgdata.resolve()
        # Workers of a killed server end by themselves; a server beside them would destroy the data.
        if not wait_until(lambda: not running_in(pgdata), 15.0):
            raise ClusterError(
                f"processes {running_in(pgdata)} still work in {self.pgdata}, left over from a "
                "killed server: end them, then start again"
            )
        (self.pgdata / "postmaster.pid").unlink(missing_ok=True)

    def _launch(self, programs: Programs, who: RunAs) -> None:
        settings = self._settings | {
            "listen_addresses": "127.0.0.1" if self.port else "",
            "port": str(self.port or SOCKET_PORT),
            "unix_socket_directories": str(self._socket_dir(who)),
            "unix_socket_permissions": "0700",
        }
        argv = [*who.prefix, str(programs.folder / "postgres"), "-D", str(self.pgdata)]
        for name, value in settings.items():
            argv += ["-c", f"{name}={value}"]
        user, group = who.popen_ids
        self._started = spawn(argv, log=self.log, env=_environment(), user=user, group=group)

    def _await_ready(self, timeout_s: float) -> None:
        def ready() -> bool:
            self._running = self._look()
            if self._running is None:
                return self._started is None or not self._started.alive()
            return self._running.ready

        wait_until(ready, timeout_s)
        if self._running is None or not self._running.ready:
            self._running = None
            raise ClusterError(
                f"PostgreSQL in {self.data_dir} did not start; its log "
                f"{self.log} ends with:\n{tail(self.log)}"
            )


def _environment() -> dict[str, str]:
    """Ours without what would point the programs at another cluster (PGDATA, PGPORT...)."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | {"LC_ALL": "C", "TZ": "UTC"}
