"""Run the program inside the test's process and look at what it printed."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import pytest

from tradecore.cli import main


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The JSON document on stdout; there must be nothing else."""
        return msgspec.json.decode(self.out)

    @property
    def complaint(self) -> str:
        """The one line of error; a traceback or a second line fails the test."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0]


class Command:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *args: object) -> Outcome:
        self._capsys.readouterr()
        try:
            code = main([str(arg) for arg in args])
        except SystemExit as leaving:  # argparse leaves like this
            code = leaving.code if isinstance(leaving.code, int) else 2
        captured = self._capsys.readouterr()
        return Outcome(code, captured.out, captured.err)
