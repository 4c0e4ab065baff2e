"""What a server is here: a folder, a port, a process that is started, asked, stopped or killed.

Tests of crashes make servers of their own (`Broker(tmp_path / "kafka")`), everybody else shares
those of `stack.py`. All calls block and have a bound on time.
"""

from __future__ import annotations

import json
import shutil
import signal
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from services.errors import ServiceError
from tradecore_shells.plumbing.processes import (
    ProcessRef,
    free_port,
    port_is_free,
    tail,
    wait_until,
)

__all__ = ["Server", "ask", "quiet"]

Say = Callable[[str], None]


def quiet(_: str) -> None:
    """Say nothing."""


def ask(port: int, question: bytes, *, timeout_s: float = 1.0) -> bytes:
    """Send bytes to a loopback port and return the first bytes of the answer; empty when none came.

    Raises nothing: a server that is not there answers nothing.
    """
    try:
        with socket.create_connection(("127.0.0.1", port), timeout_s) as connection:
            connection.sendall(question)
            return connection.recv(4096)
    except OSError:
        return b""


class Server(ABC):
    """One server process with a folder of its own.

    Parameters
    ----------
    folder : Path
        Data, settings and log are kept here; made when absent.
    port : int
        Loopback port that is wished for; another one is taken when it is in use. 0: any.
    say : callable
        Told what takes long.
    """

    name: str
    stop_signal = signal.SIGTERM

    def __init__(self, folder: Path, *, port: int = 0, say: Say = quiet) -> None:
        self.folder = folder.absolute()
        self.port = port
        self.say = say
        self.process: ProcessRef | None = None
        # Clients know the port once it has been started: a restart must come back on the same.
        self._known_port = False

    # ------------------------------------------------------------------ what a server fills in
    @property
    @abstractmethod
    def url(self) -> str:
        """Address that clients are given."""

    @abstractmethod
    def launch(self) -> ProcessRef:
        """Start the process on `self.port`."""

    @abstractmethod
    def answers(self) -> bool:
        """Ask the server for something only a working one can say."""

    # ------------------------------------------------------------------------- what all can do
    @property
    def log(self) -> Path:
        """What the server printed."""
        return self.folder / f"{self.name}.log"

    @property
    def _note(self) -> Path:
        return self.folder / "process.json"

    def alive(self) -> bool:
        """Tell whether the process runs; finds one that an earlier Python process started."""
        if self.process is None and self._note.exists():
            note = json.loads(self._note.read_text("ascii"))
            known = ProcessRef(note["pid"], note["born"])
            if known.alive():
                self.process, self.port = known, note["port"]
        return self.process is not None and self.process.alive()

    def start(self, timeout_s: float = 45.0) -> None:
        """Start unless it runs, and wait until it answers. Raises ServiceError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.alive():
            if self._known_port:
                wait_until(lambda: port_is_free(self.port), 5.0)
            self.port = free_port(self.port)
            self.process = self.launch()
            note = {"pid": self.process.pid, "born": self.process.born, "port": self.port}
            self._note.write_text(json.dumps(note), "ascii")
        wait_until(lambda: self.answers() or not self.alive(), timeout_s)
        if not self.answers():
            ended = "does not answer" if self.alive() else "ended at once"
            self.stop()
            raise ServiceError(
                f"{self.name} {ended} on port {self.port}; its log {self.log} ends with:\n"
                f"{tail(self.log)}"
            )
        self._known_port = True

    def stop(self, timeout_s: float = 20.0) -> None:
        """End it in order, killing it when it takes too long. Harmless when it is gone."""
        if self.alive():
            assert self.process is not None
            self.process.stop(timeout_s, self.stop_signal)
        self._gone()

    def kill(self) -> None:
        """End it without warning, as a crash does."""
        if self.alive():
            assert self.process is not None
            self.process.send(signal.SIGKILL)
            self.process.wait(10.0)
        self._gone()

    def pause(self) -> None:
        """Stop it in its tracks: connections stay open, nothing is answered. Raises ServiceError.

        The signal only asks: on a busy machine a thread of the server can answer one more question
        before it sees it. So this returns when every thread stands.
        """
        if self.alive():
            assert self.process is not None
            self.process.send(signal.SIGSTOP)
            if not wait_until(self.process.stands, 10.0, every_s=0.001):
                raise ServiceError(f"{self.name} (process {self.process.pid}) does not stop")

    def resume(self) -> None:
        """Let it go on after `pause`."""
        if self.alive():
            assert self.process is not None
            self.process.send(signal.SIGCONT)

    def wipe(self) -> None:
        """Stop it and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _gone(self) -> None:
        self.process = None
        self._note.unlink(missing_ok=True)
