"""Up, down, leases and the state file, on servers that only answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from services.errors import ServiceError
from services.server import Server, ask
from services.stack import Stack
from services.testing import Lease, Servers

from services import __main__ as command
from tradecore_shells.plumbing.processes import ProcessRef, spawn

ROOT = Path(__file__).resolve().parents[2]
ANSWERS = """
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    connection, _ = server.accept()
    with connection:
        connection.sendall(b"here")
"""


class Echo(Server):
    """A server that says one word."""

    name = "echo"

    @property
    def url(self) -> str:
        return f"echo://127.0.0.1:{self.port}"

    def launch(self) -> ProcessRef:
        return spawn([sys.executable, "-c", ANSWERS, str(self.port)], log=self.log)

    def answers(self) -> bool:
        return ask(self.port, b"?") == b"here"


class Other(Echo):
    name = "other"


class Broken(Echo):
    name = "broken"

    def launch(self) -> ProcessRef:
        return spawn([sys.executable, "-c", "raise SystemExit('out of luck')"], log=self.log)


KINDS: dict[str, type[Server]] = {"echo": Echo, "other": Other}


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    made = Stack(tmp_path / "state", kinds=KINDS)
    yield made
    made.wipe()


def _pids(stack: Stack) -> dict[str, int]:
    return {name: entry["pid"] for name, entry in stack.read()["servers"].items()}


def test_up_is_idempotent_and_down_stops_what_runs(stack: Stack) -> None:
    first = stack.up()
    assert stack.up() == first
    assert all(answers for _, answers in stack.status().values())
    assert stack.state_file.stat().st_mode & 0o777 == 0o600
    assert stack.down() == ["echo", "other"]
    assert stack.down() == []
    assert not stack.state_file.exists()
    assert (stack.root / "up" / "echo").exists(), "the data stays"


def test_server_that_died_comes_back_on_its_port(stack: Stack) -> None:
    before = stack.up()["servers"]
    stack.servers()["echo"].kill()
    assert [name for name, (_, answers) in stack.status().items() if not answers] == ["echo"]
    after = stack.up()["servers"]
    assert after["echo"]["pid"] != before["echo"]["pid"]
    assert after["echo"]["port"] == before["echo"]["port"]
    assert after["other"] == before["other"]


def test_paused_server_does_not_answer_until_resumed(stack: Stack) -> None:
    stack.up()
    server = stack.servers()["echo"]
    server.alive()
    server.pause()
    assert not server.answers()
    server.resume()
    assert server.answers()


def test_failed_start_names_the_log_and_stops_what_it_started(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "state", kinds={"echo": Echo, "broken": Broken})
    with pytest.raises(ServiceError, match=r"(?s)broken ended at once on port .*out of luck"):
        stack.up()
    assert not stack.state_file.exists()
    assert not Echo(tmp_path / "state" / "up" / "echo").alive()


def test_damaged_state_file_is_named(stack: Stack) -> None:
    stack.root.mkdir()
    stack.state_file.write_text("{")
    with pytest.raises(ServiceError, match=r"state\.json is damaged"):
        stack.up()
    stack.state_file.unlink()


def test_last_lease_stops_what_tests_started_and_removes_it(stack: Stack) -> None:
    first, second = Lease(stack), Lease(stack)
    assert first.take() == second.take()
    pids = _pids(stack)
    first.end()
    assert _pids(stack) == pids
    second.end()
    assert _pids(stack) == {}
    assert not (stack.root / "tests").exists()


def test_lease_leaves_servers_of_a_person_alone(stack: Stack) -> None:
    stack.up("up")
    pids = _pids(stack)
    lease = Lease(stack)
    lease.take()
    lease.end()
    assert _pids(stack) == pids
    assert all(answers for _, answers in stack.status().values())


def test_lease_of_a_killed_process_does_not_hold_the_servers(stack: Stack) -> None:
    lease = Lease(stack)
    lease.take()
    dead = stack.root / "leases" / "1-0"
    dead.write_text(json.dumps({"pid": os.getpid(), "born": 1}))
    lease.end()
    assert _pids(stack) == {}


def test_two_processes_share_one_start(stack: Stack) -> None:
    """Two test processes take leases at once: one starts, both see the same servers."""
    program = (
        "import sys; from pathlib import Path; from services.stack import Stack;"
        "from services.testing import Lease; from test_stack import KINDS;"
        "state = Lease(Stack(Path(sys.argv[1]), kinds=KINDS)).take();"
        "print(sorted((n, e['pid']) for n, e in state['servers'].items()))"
    )
    path = os.pathsep.join([str(ROOT / "tests" / "services"), *sys.path])
    children = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(stack.root)],
            env=os.environ | {"PYTHONPATH": path},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    answers = {child.communicate(timeout=60)[0] for child in children}
    assert [child.returncode for child in children] == [0, 0]
    assert answers == {f"{sorted(_pids(stack).items())}\n"}


def test_addresses_are_read_from_the_state() -> None:
    state = {"servers": {name: {"url": f"{name}!"} for name in ("kafka", "postgres", "redis")}}
    assert Servers.of(state) == Servers("kafka!", "postgres!", "redis!")


def test_command_says_what_runs_and_fails_with_a_sentence(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "Stack", lambda say: stack)
    assert command.main(["status"]) == 1
    assert command.main(["up"]) == 0
    shown = capsys.readouterr().out
    for name, pid in _pids(stack).items():
        assert f"{name} " in shown
        assert f"pid {pid}" in shown
    assert command.main(["status"]) == 0
    assert command.main(["down"]) == 0
    assert "stopped: echo, other" in capsys.readouterr().out
    stack.kinds = {"broken": Broken}
    assert command.main(["up"]) == 1
    assert "services: broken ended at once" in capsys.readouterr().err
    assert command.main(["wipe"]) == 0
    assert not (stack.root / "up").exists()
    with pytest.raises(SystemExit) as wrong:
        command.main(["sideways"])
    assert wrong.value.code == 2


def test_command_does_not_show_the_password(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Secret(Echo):
        name = "secret"

        @property
        def url(self) -> str:
            return f"postgresql://tradecore:hidden@127.0.0.1:{self.port}/tradecore"

    stack.kinds = {"secret": Secret}
    monkeypatch.setattr(command, "Stack", lambda say: stack)
    assert command.main(["up"]) == 0
    shown = capsys.readouterr().out
    assert "hidden" not in shown
    assert "postgresql://tradecore:***@127.0.0.1" in shown
