"""The certificate: equal where a service told the truth, unequal at the first thing it did not."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from research.venue import CONFIG, batches, write_journal, write_log
from tradecore.cell import CellConfig
from tradecore.cli import main
from tradecore.dtypes import EVENT, SETTLE_EVENT
from tradecore.envelope import decode, encode, seal_events
from tradecore.errors import ConfigError
from tradecore.journal import records
from tradecore.research import certify
from tradecore.research.parity import Certificate
from tradecore.storage import FileJournal, read_segments


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_log(tmp_path_factory.mktemp("venue"), batches())


def unequal(found: Certificate) -> list[str]:
    return [line.what.split(" (")[0] for line in found.lines if not line.equal]


def test_journal_is_certified(tmp_path: Path) -> None:
    found = certify(write_journal(tmp_path / "log", batches()))
    assert found.equal
    assert [line.what.split(" (")[0] for line in found.lines] == [
        "event hash, another replay in other batches",
        "state hash, another replay",
        "ledger",
        "positions",
        "PnL",
        "risk: working lots",
    ]
    assert found.commands == 2_042


def test_log_of_a_service_is_certified_with_audits_and_snapshot(log: Path) -> None:
    found = certify(log)
    assert found.equal, found
    whats = [line.what for line in found.lines]
    assert whats[0] == "event hash, as published"
    assert sum("state behind record" in what for what in whats) == 3
    assert found.notes == []
    amounts = {line.what.split(" ")[0]: line.ours for line in found.lines}
    assert amounts["ledger"] == "30 values"


def changed(log: Path, tmp_path: Path, change: Any) -> Path:
    """Copy a log and publish other executions: `change(events)` edits them in place."""
    root = tmp_path / "other"
    shutil.copytree(log.parent.parent, root)
    place = root / "log" / "executions-0"
    shutil.rmtree(place)
    journal = FileJournal.open(place, source=0, kind="log")
    for record in records(read_segments(log.parent / "executions-0")):
        for ts_ns, payload in record.payloads():
            found = decode(payload)
            frames = np.frombuffer(bytearray(found.frames), EVENT)
            change(frames)
            again = seal_events(frames.tobytes(), source=found.source, first_seq=found.first_seq)
            journal.append_payloads([encode(again)], ts_ns)
    journal.commit()
    journal.close()
    return root / "log" / "trading-commands-0"


def test_fee_that_was_published_otherwise_is_found(log: Path, tmp_path: Path) -> None:
    done = []

    def change(events: Any) -> None:
        rows = events.view(SETTLE_EVENT)
        at = np.flatnonzero(events["kind"] == 9)
        if len(at) and not done:
            rows["fee"][at[0]] += 1
            done.append(at[0])

    found = certify(changed(log, tmp_path, change))
    assert unequal(found) == ["event hash, as published", "PnL"]
    (line,) = [line for line in found.lines if line.what.startswith("PnL")]
    assert len(line.differences) == 1


def test_cash_that_was_published_otherwise_is_found(log: Path, tmp_path: Path) -> None:
    def change(events: Any) -> None:
        rows = events.view(SETTLE_EVENT)
        rows["cash_delta"][events["kind"] == 9] -= 1

    assert "ledger" in unequal(certify(changed(log, tmp_path, change)))


def test_command_that_the_service_never_had_is_found(log: Path, tmp_path: Path) -> None:
    root = tmp_path / "other"
    shutil.copytree(log.parent.parent, root)
    place = root / "log" / "trading-commands-0"
    rows = [
        (ts_ns, bytes(payload))
        for record in records(read_segments(place))
        for ts_ns, payload in record.payloads()
    ]
    shutil.rmtree(place)
    journal = FileJournal.open(place, source=0, kind="log")
    for number, (ts_ns, payload) in enumerate(rows):
        journal.append_payloads([rows[number - 1][1] if number == 30 else payload], ts_ns)
    journal.commit()
    journal.close()
    found = certify(place)
    assert not found.equal
    assert "event hash, as published" in unequal(found)
    assert "state behind record 40" in unequal(found)
    assert "state behind record 10" not in unequal(found)


def test_program_prints_and_answers_with_its_exit_code(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["parity", str(log)]) == 0
    assert "parity: equal" in capsys.readouterr().out

    def change(events: Any) -> None:
        events.view(SETTLE_EVENT)["realised_pnl"][events["kind"] == 9] += 1

    assert main(["parity", str(changed(log, tmp_path, change)), "--json"]) == 1
    document = msgspec.json.decode(capsys.readouterr().out)
    assert document["equal"] is False
    assert main(["parity", str(tmp_path / "absent")]) == 2


def test_log_without_configuration_says_what_is_missing(log: Path, tmp_path: Path) -> None:
    alone = tmp_path / "trading-commands-0"
    shutil.copytree(log, alone)
    with pytest.raises(ConfigError, match="no snapshot beside the log"):
        certify(alone)


def test_exchange_that_is_running_is_compared_as_far_as_it_has_answered(
    log: Path, tmp_path: Path
) -> None:
    root = tmp_path / "other"
    shutil.copytree(log.parent.parent, root)
    place = root / "log" / "executions-0"
    rows = [
        (ts_ns, bytes(payload))
        for record in records(read_segments(place))
        for ts_ns, payload in record.payloads()
    ]
    shutil.rmtree(place)
    journal = FileJournal.open(place, source=0, kind="log")
    for ts_ns, payload in rows[:-3]:
        journal.append_payloads([payload], ts_ns)
    journal.commit()
    journal.close()
    found = certify(root / "log" / "trading-commands-0")
    assert found.equal
    assert found.records == len(rows) - 3
    assert found.notes == [
        f"records from {len(rows) - 3} on were not answered (yet): nothing to compare"
    ]


def test_young_exchange_without_a_snapshot_has_its_configuration_beside_it(
    log: Path, tmp_path: Path
) -> None:
    root = tmp_path / "young"
    shutil.copytree(log.parent.parent, root)
    shutil.rmtree(root / "snapshots")
    config = CellConfig(engine=CONFIG, recent_orders=8_192, max_sources=16, sessions=False)
    (root / "exchange.json").write_bytes(msgspec.json.encode({"format": 1, "cell": config}))
    assert certify(root / "log" / "trading-commands-0").equal
    (root / "exchange.json").write_bytes(b"{}")
    with pytest.raises(ConfigError, match=r"exchange\.json"):
        certify(root / "log" / "trading-commands-0")
