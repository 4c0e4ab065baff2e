"""What the tests of the command line share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cli.command import Command
from tradecore.data.workload import WORKLOAD_RECORD, write_workload


@pytest.fixture
def tradecore(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Command:
    """Run `tradecore ARGS...` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return Command(capsys)


@pytest.fixture
def workload(tmp_path: Path) -> Path:
    """Four messages: sell 5 at 101, buy 3 at 101 (trades 3), buy 1 at 99, cancel of nothing."""
    rows = [
        (0, 1, 0, 0, 5, 0, 1, 101, 0),
        (0, 0, 0, 0, 3, 1, 2, 101, 0),
        (0, 0, 0, 0, 1, 2, 3, 99, 0),
        (1, 0, 0, 0, 0, 3, 77, 0, 0),
    ]
    path = tmp_path / "orders.bin"
    write_workload(path, np.array(rows, WORKLOAD_RECORD))
    return path
