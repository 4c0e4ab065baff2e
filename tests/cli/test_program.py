"""The program as a whole: help, version, exit codes, one sentence for every mistake."""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.command import Command
from tradecore.cli import main
from tradecore.cli import status as status_command
from tradecore.cli.parser import build_parser
from tradecore.errors import EngineFault
from tradecore.status import Status

COMMANDS = ("demo", "replay", "verify", "journal", "snapshot", "audit", "status")
ACTIONS = (
    *(("journal", action) for action in ("inspect", "verify", "cut", "replay")),
    *(("snapshot", action) for action in ("inspect", "verify")),
)


@pytest.mark.parametrize("words", [*[(name,) for name in COMMANDS], *ACTIONS], ids="-".join)
def test_help_explains_and_offers_json(tradecore: Command, words: tuple[str, ...]) -> None:
    done = tradecore(*words, "--help")
    assert done.code == 0
    assert "--json" in done.out
    assert len(done.out) > 300
    if words != ("journal",) and words != ("snapshot",):
        assert "examples:" in done.out
    assert max(map(len, done.out.splitlines())) <= 110


def test_help_of_the_program_lists_every_command(tradecore: Command) -> None:
    done = tradecore("--help")
    assert done.code == 0
    for name in COMMANDS:
        assert f"\n    {name}" in done.out


def test_version_is_the_packages(tradecore: Command) -> None:
    import tradecore as package

    assert tradecore("--version").out == f"tradecore {package.__version__}\n"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), ["required"]),
        (("dance",), ["dance"]),
        (("demo", "--seconds", "0"), ["--seconds", "0 is not within 1..100000"]),
        (("demo", "--seconds", "ten"), ["--seconds", "'ten' is not a whole number"]),
        (("demo", "--accounts", "5"), ["--accounts", "20..100000"]),
        (("demo", "--instruments", "65"), ["--instruments", "1..64"]),
        (("demo", "--plot", "book.gif"), ["book.gif", ".png"]),
        (("demo", "--plot", "no/such/folder/book.png"), ["no/such/folder", "folder that exists"]),
        (("demo", "--speed", "3"), ["unrecognized", "--speed"]),
        (("replay",), ["FILE"]),
        (("replay", "absent.zip"), ["absent.zip", "No such file"]),
        (("replay", "."), [".", "no journal"]),
        (("replay", "orders.bin", "--until", "noon"), ["noon", "HH:MM"]),
        (("replay", "orders.bin", "--until", "10:30"), ["orders.bin", "no times"]),
        (("replay", "orders.bin", "--speed", "0"), ["'0'", "max"]),
        (("replay", "orders.bin", "--speed", "2"), ["orders.bin", "has no times"]),
        (("replay", "orders.bin", "--config", "x.json"), ["--config", "journals"]),
        (("verify", "absent.jsonl"), ["absent.jsonl"]),
        (("verify", "."), ["nothing in this folder"]),
        (("verify", "orders.bin", "--expect", "abc"), ["64 hexadecimal digits", "abc"]),
        (("journal",), ["ACTION"]),
        (("journal", "inspect", "absent"), ["absent"]),
        (("journal", "verify", "orders.bin"), []),
        (("journal", "cut", "."), ["no journal segment"]),
        (("snapshot", "inspect", "orders.bin"), ["orders.bin", "not a snapshot"]),
        (("snapshot", "inspect", "."), ["no snapshot"]),
        (("audit", "."), ["no journal segment"]),
        (("status", "77"), ["no status '77'"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_mistake_is_one_sentence(
    tradecore: Command, workload: Path, args: tuple[str, ...], words: list[str]
) -> None:
    if args[:2] == ("verify", "."):
        workload.unlink()
    if args == ("journal", "verify", "orders.bin"):
        # A file that is no journal is a verdict of this command, not a mistake.
        done = tradecore(*args)
        assert (done.code, done.err) == (1, "")
        assert "not a journal" in done.out
        return
    done = tradecore(*args)
    assert done.code == 2
    assert done.out == ""
    for word in words:
        assert word in done.complaint, done.complaint


def test_damaged_files_name_file_and_offset(tradecore: Command, workload: Path) -> None:
    data = workload.read_bytes()
    workload.write_bytes(data[:-7])
    done = tradecore("replay", workload)
    assert done.code == 2
    assert str(workload) in done.complaint
    assert "truncated" in done.complaint
    assert "offset" in done.complaint


def test_json_stays_valid_when_asked_for(tradecore: Command, workload: Path) -> None:
    assert tradecore("status", "--json", "3xx").document[0]["code"] == 300
    assert tradecore("replay", workload, "--json").document["rows"] == 4
    assert tradecore("verify", workload, "--json").document[0]["kind"] == "workload"


def test_status_finds_by_code_family_and_word(tradecore: Command) -> None:
    assert tradecore("status", "313").out.startswith("313  INSUFFICIENT_FUNDS")
    assert len(tradecore("status").out.splitlines()) == len(Status)
    assert all(line.startswith("5") for line in tradecore("status", "5XX").out.splitlines())
    assert "POST_ONLY" not in tradecore("status", "post-only").out
    assert "WOULD_CROSS" in tradecore("status", "post-only").out


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (EngineFault("it\nstopped"), 3, "it stopped"),
        (MemoryError(), 2, "out of memory"),
        (PermissionError(13, "Permission denied", "log"), 2, "log: Permission denied"),
    ],
)
def test_trouble_becomes_an_exit_code(
    tradecore: Command,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    words: str,
) -> None:
    def trouble(args: argparse.Namespace, screen: object) -> int:
        raise error

    monkeypatch.setattr(status_command, "run", trouble)
    done = tradecore("status")
    assert done.code == code
    assert words in done.complaint


def test_reader_that_goes_away_is_no_error(workload: Path) -> None:
    """`tradecore status | head -1`: no complaint about the broken pipe."""
    command = [sys.executable, "-m", "tradecore.cli", "status"]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert done.stderr == ""


def test_interrupt_from_the_terminal_ends_cleanly() -> None:
    """SIGINT in the middle of a demo: exit code 130, one line, no traceback."""
    command = [
        sys.executable,
        "-m",
        "tradecore.cli",
        "demo",
        "--plot",
        "none",
        "--seconds",
        "90000",
    ]
    # A shell starts background jobs with SIGINT ignored, and children inherit that.
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        running = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
        )
    finally:
        signal.signal(signal.SIGINT, ours)
    assert running.stdout is not None
    assert running.stdout.readline().startswith("tradecore demo")  # it has begun
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert err == "tradecore: interrupted\n"


def test_without_rich_everything_still_prints(
    tradecore: Command, workload: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "rich" else real(name, *rest),
    )
    monkeypatch.setitem(sys.modules, "rich", None)
    done = tradecore("replay", workload)
    assert done.code == 0
    assert "\x1b" not in done.out
    assert "4 -> 5 events, 1 fills" in done.out


def test_parser_and_main_share_their_commands() -> None:
    assert build_parser().parse_args(["status"]).run is status_command.run
    assert callable(main)
