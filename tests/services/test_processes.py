"""A process is its number and its birth: no stranger is signalled, nothing is left behind."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from tradecore_shells.plumbing.processes import (
    ProcessRef,
    free_port,
    port_is_free,
    running_in,
    spawn,
    tail,
    wait_until,
)

WAITS = "import signal; print('up', flush=True); signal.pause()"
IGNORES = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); "
    "signal.pause(); signal.pause()"
)


def _spawn(tmp_path: Path, program: str) -> ProcessRef:
    log = tmp_path / "log"
    ref = spawn([sys.executable, "-c", program], log=log, cwd=str(tmp_path))
    assert wait_until(lambda: "up" in tail(log), 20.0)
    return ref


def test_spawned_process_runs_in_a_session_of_its_own_until_stopped(tmp_path: Path) -> None:
    ref = _spawn(tmp_path, WAITS)
    assert ref.alive()
    assert os.getsid(ref.pid) == ref.pid != os.getsid(0)
    assert running_in(tmp_path) == [ref.pid]
    assert ref.stop(10.0)
    assert not ref.alive()
    assert running_in(tmp_path) == []
    assert ref.stop(10.0), "stopping what is gone is no error"


def test_process_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    ref = _spawn(tmp_path, IGNORES)
    assert not ref.stop(0.2)
    assert not ref.alive()


def test_stopped_process_stands_with_all_its_threads_until_it_goes_on(tmp_path: Path) -> None:
    program = (
        "import threading, signal\n"
        "def work(): all(True for _ in iter(int, 1))\n"
        "for _ in range(8): threading.Thread(target=work).start()\n"
        "print('up', flush=True)"
    )
    ref = _spawn(tmp_path, program)
    assert not ref.stands()
    ref.send(signal.SIGSTOP)
    assert wait_until(ref.stands, 20.0)
    assert ref.alive()
    ref.send(signal.SIGCONT)
    assert wait_until(lambda: not ref.stands(), 20.0)
    ref.send(signal.SIGKILL)
    assert ref.wait(10.0)
    assert not ref.stands()


def test_another_process_with_the_same_number_is_not_signalled(tmp_path: Path) -> None:
    ref = _spawn(tmp_path, WAITS)
    earlier = ProcessRef(ref.pid, ref.born - 1)
    assert not earlier.alive()
    assert not earlier.send(signal.SIGKILL)
    assert ref.alive()
    ref.stop(10.0)


def test_birth_is_read_behind_a_name_with_brackets_and_spaces(tmp_path: Path) -> None:
    program = tmp_path / "a) S 1 (b"
    program.symlink_to(sys.executable)
    ref = spawn([str(program), "-c", WAITS], log=tmp_path / "log")
    assert wait_until(lambda: "up" in tail(tmp_path / "log"), 20.0)
    uptime = float(Path("/proc/uptime").read_text("ascii").split()[0])
    ticks = os.sysconf("SC_CLK_TCK")
    assert 0 <= uptime - ref.born / ticks < 60
    ref.stop(10.0)


def test_program_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        spawn([str(tmp_path / "absent")], log=tmp_path / "log")


def test_port_in_use_is_replaced_by_a_free_one() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        taken = busy.getsockname()[1]
        assert not port_is_free(taken)
        other = free_port(taken)
        assert other != taken
        assert port_is_free(other)
    assert free_port(taken) == taken


def test_tail_gives_the_last_lines_and_nothing_for_no_file(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert tail(log) == ""
    log.write_text("".join(f"line {number}\n" for number in range(5000)), "ascii")
    assert tail(log, 2) == "line 4998\nline 4999"
