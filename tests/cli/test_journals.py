"""Journals, snapshots and audits on the command line, judged on what a demo wrote."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cli.command import Command
from tradecore.cli import main

SMALL = ("--seconds", "6", "--accounts", "60", "--instruments", "2", "--plot", "none", "--json")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of a small demo; tests that change it work on a copy."""
    folder = tmp_path_factory.mktemp("journals") / "log"
    assert main(["demo", *SMALL, "--journal", str(folder)]) == 0
    return folder


@pytest.fixture
def log(written: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "log"
    shutil.copytree(written, folder)
    return folder


def _segment(log: Path) -> Path:
    return next(log.glob("*.tcj"))


def test_replay_reaches_the_hash_of_the_demo(tradecore: Command, tmp_path: Path) -> None:
    demo = tradecore("demo", *SMALL, "--journal", "fresh").document
    assert demo["journal"]["state_hash"] == demo["state_hash"]
    replayed = tradecore("replay", "fresh", "--json").document
    assert replayed["state_hash"] == demo["state_hash"]
    assert replayed["commands"] == demo["commands"]
    assert replayed["fills"] == demo["fills"]
    again = tradecore("demo", *SMALL, "--journal", "fresh")
    assert again.code == 2
    assert "holds a journal already" in again.complaint


def test_verify_passes_and_inspect_shows_commands(tradecore: Command, log: Path) -> None:
    assert tradecore("journal", "verify", log).out.startswith("ok ")
    shown = tradecore("journal", "inspect", log, "--commands", "3").out
    assert "INSTRUMENT" in shown
    document = tradecore("journal", "inspect", log, "--commands", "2", "--from", "5", "--json")
    assert [seq for seq, _ in document.document["commands"]] == [5, 6]


def test_torn_tail_fails_verify_and_is_cut(tradecore: Command, log: Path) -> None:
    path = _segment(log)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    judged = tradecore("journal", "verify", log)
    assert judged.code == 1
    assert "torn" in judged.out
    assert tradecore("replay", log, "--json").document["notes"][0].startswith("torn tail")
    assert tradecore("audit", log, "--json").document["tail"] == "torn"
    assert tradecore("journal", "cut", log).code == 0
    assert tradecore("journal", "verify", log).code == 0
    assert list(log.glob("*.torn-*"))
    assert "nothing to cut" in tradecore("journal", "cut", log).out


def test_flipped_bit_in_the_middle_is_refused(tradecore: Command, log: Path) -> None:
    path = _segment(log)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    judged = tradecore("journal", "verify", log)
    assert judged.code == 1
    assert "corruption" in judged.out
    for words in (("replay", log), ("audit", log), ("journal", "cut", log)):
        refused = tradecore(*words)
        assert refused.code == 2
        assert str(path) in refused.complaint


def test_configuration_is_found_and_proven(tradecore: Command, log: Path, tmp_path: Path) -> None:
    config = log / "engine.json"
    text = config.read_text()
    assert "id_seed" not in text
    elsewhere = tmp_path / "elsewhere.json"
    config.rename(elsewhere)
    assert "--config" in tradecore("replay", log).complaint
    assert tradecore("replay", log, "--config", elsewhere).code == 0
    elsewhere.write_text(text.replace('"max_groups": 2', '"max_groups": 3'))
    assert "not the configuration" in tradecore("replay", log, "--config", elsewhere).complaint
    elsewhere.write_text("{}]")
    assert "not an engine configuration" in tradecore("audit", log, "--config", elsewhere).complaint


def test_snapshot_and_tail_equal_the_full_replay(tradecore: Command, log: Path) -> None:
    whole = tradecore("journal", "replay", log, "--json").document
    half = whole["commands"] // 2
    first = tradecore("journal", "replay", log, "--to", half, "--snapshot", "snaps", "--json")
    assert first.document["last_seq"] == half
    assert first.document["state_hash"] != whole["state_hash"]
    rest = tradecore("journal", "replay", log, "--after", "snaps", "--json").document
    assert rest["commands"] == whole["commands"] - half
    assert rest["state_hash"] == whole["state_hash"]


def test_snapshot_is_judged_bit_by_bit(tradecore: Command, log: Path, tmp_path: Path) -> None:
    tradecore("journal", "replay", log, "--snapshot", "snaps")
    path = next((tmp_path / "snaps").glob("*.tcsn"))
    assert tradecore("snapshot", "verify", "snaps").code == 0
    shown = tradecore("snapshot", "inspect", path, "--json").document[0]
    assert shown["sections"]
    assert shown["journal_record"] is not None
    data = bytearray(path.read_bytes())
    data[-200] ^= 1
    path.write_bytes(data)
    judged = tradecore("snapshot", "verify", path)
    assert judged.code == 1
    assert judged.out.startswith("FAIL")
    assert tradecore("snapshot", "inspect", path).code == 2
    assert "no usable snapshot" in tradecore(
        "journal", "replay", log, "--after", "snaps"
    ).err.replace("\n", " ")


def test_audit_proves_and_says_what(tradecore: Command, log: Path) -> None:
    done = tradecore("audit", log)
    assert done.code == 0
    assert done.out.rstrip().endswith("audit: ok")
    document = tradecore("audit", log, "--json", "--checkpoints", "3").document
    assert document["sequence_gaps"] == 0
    assert document["checkpoints"] == 3
    assert document["state_hash"] == document["state_hash_by_sevens"]


def test_until_a_time_cuts_a_journal_there(tradecore: Command, log: Path) -> None:
    """The demo opens at 08:00:00 of log time and steps by a second."""
    short = tradecore("replay", log, "--until", "08:00:05", "--json").document
    whole = tradecore("replay", log, "--json").document
    assert 0 < short["commands"] < whole["commands"]
    same = tradecore("replay", log, "--until", short["commands"], "--json").document
    assert same["state_hash"] == short["state_hash"]
