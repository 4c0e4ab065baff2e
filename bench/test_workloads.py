"""The published inputs can be listed and written; pins are checked on use."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import workloads
from tradecore.data.workload import read_workload
from tradecore.errors import ConfigError


def test_main_without_names_lists_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert workloads.main([]) == 0
    out = capsys.readouterr().out
    assert all(entry.sha256 in out for entry in workloads.SUITE.values())


def test_main_writes_a_readable_file(tmp_path: Path) -> None:
    assert workloads.main(["busy", "--commands", "500", "--out", str(tmp_path)]) == 0
    assert len(read_workload(tmp_path / "busy.bin")) == 500


def test_main_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert workloads.main(["nosuch"]) == 2
    assert "nosuch" in capsys.readouterr().err


def test_entry_with_another_hash_is_refused() -> None:
    with pytest.raises(ConfigError, match="not the published one"):
        workloads.Entry("busy", 100, 2, "0" * 64).make()


@pytest.mark.slow
@pytest.mark.parametrize("name", workloads.SUITE)
def test_entry_published_hash_holds(name: str) -> None:
    assert len(workloads.SUITE[name].make()) == 2_000_000
