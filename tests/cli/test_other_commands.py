"""Commands that other packages bring: found, listed, and explained where something is missing."""

from __future__ import annotations

import importlib
import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from cli.command import Command
from tradecore.cli import parser
from tradecore.cli.parser import build_parser
from tradecore_shells.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[2]


def test_every_command_of_the_services_is_declared_and_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = project["entry-points"]["tradecore.commands"]
    assert declared == {name: f"tradecore_shells.cli.{name}" for name in COMMANDS}
    for module in declared.values():
        assert callable(importlib.import_module(module).add)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_the_program_lists_it(tradecore: Command, name: str) -> None:
    assert f"\n    {name}" in tradecore("--help").out
    done = tradecore(name, "--help")
    assert done.code == 0
    assert "usage" in done.out


def found(monkeypatch: pytest.MonkeyPatch, **entries: str) -> None:
    """Let the installed distributions declare these commands and no others."""
    points = [SimpleNamespace(name=name, value=value) for name, value in entries.items()]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda *, group: points)


def test_entry_points_win_over_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, more="tradecore_shells.cli.admin")
    assert list(parser._other_commands()) == [("more", "tradecore_shells.cli.admin")]
    found(monkeypatch)
    assert [name for name, _ in parser._other_commands()] == list(COMMANDS)


def test_a_command_whose_module_is_missing_says_so(
    monkeypatch: pytest.MonkeyPatch, tradecore: Command
) -> None:
    found(monkeypatch, later="no_such_package.cli")
    assert "(needs no_such_package)" in tradecore("--help").out
    with pytest.raises(ModuleNotFoundError):
        tradecore("later")


def test_a_missing_extra_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tradecore: Command
) -> None:
    monkeypatch.setitem(sys.modules, "aiokafka", None)
    monkeypatch.delitem(sys.modules, "tradecore_shells.plumbing.kafka_aio", raising=False)
    done = tradecore("admin", "topics", "--kafka", "127.0.0.1:1")
    assert done.code == 2
    assert "pip install 'tradecore[services]'" in done.complaint


def test_own_commands_do_not_look_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise AssertionError("looked")

    monkeypatch.setattr(parser, "_other_commands", fail)
    build_parser(["status", "313"])
    with pytest.raises(AssertionError, match="looked"):
        build_parser(["admin"])


def test_a_command_imports_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, admin="tradecore_shells.cli.admin", later="no_such_package.cli")
    assert "later" not in build_parser(["admin"]).format_help()
    assert "later" in build_parser(["--help"]).format_help()
    assert "later" in build_parser(["unknown"]).format_help()


def test_help_imports_no_client_library() -> None:
    code = (
        "import sys; from tradecore.cli.parser import build_parser; build_parser();"
        "print(sorted({'aiokafka', 'asyncpg', 'redis', 'uvloop', 'numba'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_admin_status_of_nothing_is_one_sentence(tradecore: Command, tmp_path: Path) -> None:
    for url, words in (
        (f"unix:{tmp_path}/none", "no log answers"),
        ("kafka://127.0.0.1:1", "no Kafka broker answers at 127.0.0.1:1"),
        ("http://example", "kafka://HOST:PORT"),
        (f"file:{tmp_path}/empty", "there is no topic"),
    ):
        done = tradecore("admin", "status", url)
        assert done.code == 2, url
        assert words in done.complaint


def test_admin_status_shows_how_far_a_log_has_got(tradecore: Command, tmp_path: Path) -> None:
    import asyncio

    from tradecore_shells.plumbing.clock import SystemClock
    from tradecore_shells.plumbing.filelog import FileLog

    async def write() -> None:
        log = FileLog(tmp_path, SystemClock())
        await log.append("executions", 1, [b"a", b"b"])
        await log.close()

    asyncio.run(write())
    done = tradecore("--json", "admin", "status", f"file:{tmp_path}")
    done = done if done.code == 0 else tradecore("admin", "status", f"file:{tmp_path}", "--json")
    empty, full = done.document["partitions"]
    assert (empty["partition"], empty["end"], empty["age_s"]) == (0, 0, None)
    assert (full["topic"], full["partition"], full["end"]) == ("executions", 1, 2)
    assert 0 <= full["age_s"] < 600
