"""Which Postgres is taken, and who runs it: decided on made-up machines."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tradecore_shells.plumbing import pgbin
from tradecore_shells.plumbing.pgbin import ClusterError, find_programs, run_as


def _install(folder: Path, version: str, *programs: str) -> Path:
    folder.mkdir(parents=True)
    for name in programs or ("postgres", "initdb"):
        program = folder / name
        program.write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version} (Somebody 1.2)'\n")
        program.chmod(0o755)
    return folder


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an empty PATH and no wheels."""
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setattr(pgbin, "WHEELS", ())
    return tmp_path


def test_newest_of_the_distribution_is_taken(machine: Path) -> None:
    for version in ("9.6", "15.18", "14.2"):
        _install(machine / f"usr/lib/postgresql/{version.split('.')[0]}/bin", version)
    found = find_programs(root=machine)
    assert (found.version, found.major) == ("15.18", 15)


def test_path_goes_before_the_distribution_and_links_are_followed(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _install(machine / "usr/lib/postgresql/17/bin", "17.1")
    real = _install(machine / "opt/pg/bin", "16.3")
    links = machine / "links"
    links.mkdir()
    (links / "postgres").symlink_to(real / "postgres")
    monkeypatch.setenv("PATH", str(links), prepend=os.pathsep)
    assert find_programs(root=machine).folder == real


def test_data_of_an_older_version_finds_its_own_programs(machine: Path) -> None:
    _install(machine / "usr/lib/postgresql/17/bin", "17.1")
    old = _install(machine / "usr/lib/postgresql/15/bin", "15.18")
    assert find_programs(15, root=machine).folder == old


def test_data_of_a_version_that_is_not_there_says_so(machine: Path) -> None:
    _install(machine / "usr/lib/postgresql/17/bin", "17.1")
    with pytest.raises(ClusterError, match=r"written by PostgreSQL 16, and only 17\.1 in .*17/bin"):
        find_programs(16, root=machine)


def test_installation_without_initdb_is_passed_over(machine: Path) -> None:
    _install(machine / "usr/lib/postgresql/17/bin", "17.1", "postgres")
    with pytest.raises(ClusterError, match=r"not installed: .*apt-get install postgresql"):
        find_programs(root=machine)


def test_wheel_is_the_last_resort(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = machine / "site" / "pg_in_a_wheel"
    _install(package / "pginstall/bin", "16.14")
    newest = _install(package / "pginstall18/bin", "18.4")
    (package / "__init__.py").write_text("raise ImportError('never imported')")
    monkeypatch.syspath_prepend(str(machine / "site"))
    monkeypatch.setattr(pgbin, "WHEELS", ("pg_in_a_wheel",))
    assert find_programs(root=machine).folder == newest
    assert find_programs(16, root=machine).version == "16.14"


def test_ordinary_user_runs_the_server_herself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    who = run_as(Path("/"))
    assert (who.prefix, who.uid, who.popen_ids) == ((), None, (None, None))


def test_root_hands_the_server_to_another_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    who = run_as(Path("/"))
    assert who.uid not in {0, None}
    assert who.prefix == ()
    assert who.popen_ids == (who.uid, who.gid)


def test_closed_folder_gets_the_one_right_that_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pgbin.shutil, "which", lambda _: "/usr/bin/setpriv")
    who = run_as(closed / "not" / "there" / "yet")
    assert who.prefix[0] == "/usr/bin/setpriv"
    assert f"--reuid={who.uid}" in who.prefix
    assert "--ambient-caps=-all,+dac_override" in who.prefix
    assert who.popen_ids == (None, None)
    monkeypatch.setattr(pgbin.shutil, "which", lambda _: None)
    with pytest.raises(ClusterError, match=r"cannot enter .*closed"):
        run_as(closed)
