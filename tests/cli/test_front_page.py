"""The front page says what happens: its example prints what stands below it, its commands exist."""

from __future__ import annotations

import contextlib
import doctest
import io
import re

from repository import ROOT

import tradecore.agents
from cli.command import Command

README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)


def test_example_prints_what_is_shown() -> None:
    at = next(i for i, (kind, text) in enumerate(BLOCKS) if kind == "python" and "print" in text)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(BLOCKS[at][1], "README.md", "exec"), {})  # noqa: S102 - our own page
    assert printed.getvalue() == BLOCKS[at + 1][1]


def test_commands_of_the_table_exist(tradecore: Command) -> None:
    named = re.findall(r"^\| `tradecore (\w+)", README, re.MULTILINE)
    assert {"demo", "replay", "verify", "bench", "journal", "status"} <= set(named)
    for name in named:
        assert tradecore(name, "--help").code == 0


def test_example_of_the_agents_runs() -> None:
    assert doctest.testmod(tradecore.agents).failed == 0
