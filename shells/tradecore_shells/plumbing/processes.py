"""Processes that outlive us: start one, know it again later, end it by its id.

A process id alone names nobody: after a crash or a restart of a container the same number belongs
to another program. Here a process is its id *and* the moment it was born, so a signal never reaches
a stranger. Used by the embedded Postgres, and by the scripts that run servers for tests.
Standard library only: these scripts run before anything is installed. Linux (reads /proc).
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "ProcessRef",
    "free_port",
    "port_is_free",
    "running_in",
    "spawn",
    "tail",
    "wait_until",
]

POLL_S = 0.02


class _Detached(subprocess.Popen[bytes]):
    """A child that is meant to go on without us, so forgetting it is not worth a warning."""

    def __del__(self) -> None:
        """Do nothing: the child lives on, init collects it."""


# Children of this very process: the kernel keeps a dead child until its parent has asked for it.
_CHILDREN: dict[int, _Detached] = {}


@dataclass(frozen=True)
class ProcessRef:
    """One process, for as long as it lives.

    Parameters
    ----------
    pid : int
        Its number.
    born : int
        Clock ticks between the start of the machine and its own (field 22 of /proc/PID/stat).
    """

    pid: int
    born: int

    @classmethod
    def of(cls, pid: int) -> ProcessRef | None:
        """Return who has this number now; None when nobody has it, or only a dead child."""
        child = _CHILDREN.get(pid)
        if child is not None and child.poll() is not None:
            del _CHILDREN[pid]
            return None
        try:
            stat = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
        except OSError:
            return None
        # The name of the program stands in brackets and may itself contain brackets and spaces.
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else cls(pid, int(fields[19]))

    def alive(self) -> bool:
        """Tell whether this very process still runs."""
        return ProcessRef.of(self.pid) == self

    def stands(self) -> bool:
        """Tell whether all its threads are stopped, as some time after SIGSTOP. False when gone."""
        try:
            states = [
                (task / "stat").read_text("ascii", "replace").rpartition(")")[2].split()[0]
                for task in Path(f"/proc/{self.pid}/task").iterdir()
            ]
        except OSError:
            return False  # a thread, or all of it, has just ended
        return self.alive() and all(state == "T" for state in states)

    def send(self, number: signal.Signals) -> bool:
        """Send a signal; return False when the process is gone already."""
        if not self.alive():
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; return whether it came."""
        return wait_until(lambda: not self.alive(), timeout_s)

    def stop(self, timeout_s: float, number: signal.Signals = signal.SIGTERM) -> bool:
        """Ask it to end, and make it end when it has not after `timeout_s` seconds.

        Returns
        -------
        bool
            True when it ended by itself (or was gone), False when it had to be killed.
        """
        self.send(number)
        if self.wait(timeout_s):
            return True
        self.send(signal.SIGKILL)
        self.wait(timeout_s)
        return False


def spawn(
    argv: Sequence[str],
    *,
    log: Path,
    cwd: str = "/",
    env: Mapping[str, str] | None = None,
    user: int | None = None,
    group: int | None = None,
) -> ProcessRef:
    """Start a program in a session of its own, its output appended to a file.

    A session of its own: Ctrl-C in our terminal does not reach it, we end it when it is its turn.

    Parameters
    ----------
    argv : sequence of str
        Program and arguments; no shell.
    log : Path
        Opened by us, so the program's user need not be able to.
    cwd : str
        Folder it starts in; the root by default, which every user may enter.
    env : mapping, optional
        Its whole environment; ours by default.
    user, group : int, optional
        Who it runs as, without supplementary groups. Only root may choose.

    Raises
    ------
    OSError
        The program cannot be started.
    """
    with log.open("ab") as out:
        child = _Detached(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=None if env is None else dict(env),
            user=user,
            group=group,
            extra_groups=None if user is None else [],
            start_new_session=True,
        )
    _CHILDREN[child.pid] = child
    # A child that has died meanwhile is a reference to nobody: `alive` says so from the start.
    return ProcessRef.of(child.pid) or ProcessRef(child.pid, -1)


def running_in(folder: Path) -> list[int]:
    """Return the ids of all processes whose working folder this is. O(processes of the machine)."""
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                if os.readlink(f"/proc/{entry.name}/cwd") == str(folder):
                    found.append(int(entry.name))
            except OSError:
                continue  # it ended, or it belongs to somebody else
    return sorted(found)


def wait_until(condition: Callable[[], bool], timeout_s: float, *, every_s: float = POLL_S) -> bool:
    """Ask until the answer is yes or the time is up; return the last answer."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            return condition()
        time.sleep(every_s)
    return True


def port_is_free(port: int) -> bool:
    """Tell whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        # As servers do: connections of a previous server in TIME_WAIT do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(wanted: int = 0) -> int:
    """Return the wanted loopback port if it is free, else one that the system chooses."""
    if wanted and port_is_free(wanted):
        return wanted
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tail(log: Path, lines: int = 8) -> str:
    """Return the last lines of a log file, for a message; empty when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
