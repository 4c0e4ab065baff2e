"""The portfolio as its own process, and the commands around it, on files and a real Postgres."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from cli.command import Command
from portfolio_worlds import CATALOG, Venue, busy_venue
from tradecore_shells.plumbing.catalogs import save_catalog
from tradecore_shells.plumbing.clock import SystemClock
from tradecore_shells.plumbing.filelog import FileLog
from tradecore_shells.plumbing.ports import EXECUTIONS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


def write_log(folder: Path, venue: Venue) -> None:
    """Put a venue's executions into an embedded log."""

    async def main() -> None:
        log = FileLog(folder, SystemClock())
        await log.append(EXECUTIONS, 0, [payload for _, payload in venue.log.of(EXECUTIONS)])
        await log.close()

    asyncio.run(main())


def query(dsn: str, sql: str) -> list[tuple[object, ...]]:
    async def main() -> list[tuple[object, ...]]:
        connection = await asyncpg.connect(dsn)
        try:
            return [tuple(row) for row in await connection.fetch(sql)]
        finally:
            await connection.close()

    return asyncio.run(main())


def run_until_written(config: Path, dsn: str, records: int) -> int:
    """Run the service until the database has read so many records, then ask it to end."""
    path = os.pathsep.join(str(ROOT / name) for name in ("src", "shells"))
    program = [sys.executable, "-m", "tradecore_shells.portfolio", str(config)]
    process = subprocess.Popen(
        program, env=os.environ | {"PYTHONPATH": path}, stderr=subprocess.PIPE, text=True
    )
    asked = "SELECT next_offset FROM consumer_offset WHERE consumer = 'portfolio'"
    try:
        while process.poll() is None:
            exists = query(dsn, "SELECT to_regclass('consumer_offset') IS NOT NULL")[0][0]
            if exists and query(dsn, asked) == [(records,)]:
                break
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
    assert "Traceback" not in said, said
    return process.returncode


@pytest.mark.slow
def test_process_commands_and_proof(tmp_path: Path, real_database: str, run: Command) -> None:
    venue = busy_venue(60)
    write_log(tmp_path / "log", venue)
    save_catalog(tmp_path / "catalog.json", CATALOG.instruments)
    config = tmp_path / "exchange.toml"
    config.write_text(
        f"""
        [log]
        url = "file:{tmp_path}/log"
        [store]
        dsn = "{real_database}"
        [catalog]
        file = "{tmp_path}/catalog.json"
        [portfolio]
        equity_every_s = 0.01
        idle_commit_s = 0.1
        """
    )
    records = len(venue.log.of(EXECUTIONS))
    assert run_until_written(config, real_database, records) == 0

    agreed = run("reconcile", "--config", config, "--json")
    assert agreed.code == 0, agreed.err
    assert agreed.document["differences"] == []
    assert agreed.document["rows"]["fills"] > 40
    assert agreed.document["rows"]["equity"] > 20
    assert "everything agrees" in run("reconcile", "--config", config).out

    day = ("statement", "--config", config, "--user", 2, "--day", "1970-01-01")
    told = run(*day, "--json")
    assert told.code == 0, told.err
    cash, _ = venue.money()
    assert {one["asset"]: one["closing"] for one in told.document} == {
        CATALOG.asset(asset).code: amount
        for (account, asset), amount in cash.items()
        if account == 2
    }
    table = run(*day)
    assert "opening" in table.out
    rows = run(*day, "--csv").out.splitlines()
    assert rows[0].startswith("asset,time,what")
    assert len(rows) == sum(len(one["lines"]) + 2 for one in told.document) + 1

    query(
        real_database,
        "UPDATE balances SET amount = amount - 1 WHERE account_id = 2 AND asset_id = 0",
    )
    spoilt = run("reconcile", "--config", config)
    assert spoilt.code == 1
    assert "balances: user_id 2, cell 0, account_id 2, asset_id 0: amount should be" in spoilt.out
    assert spoilt.complaint == "tradecore: 1 difference"
    assert "1 is unexplained" in run(*day).complaint


def test_missing_files_and_wrong_periods_are_one_sentence(tmp_path: Path, run: Command) -> None:
    config = tmp_path / "exchange.toml"
    config.write_text(f'[catalog]\nfile = "{tmp_path}/none.json"\n')
    for args in (("reconcile",), ("statement", "--user", 1, "--day", "1970-01-01")):
        outcome = run(*args, "--config", config)
        assert outcome.code == 2
        assert "none.json" in outcome.complaint
    assert "neither a day" in run("statement", "--user", 1, "--day", "x").complaint
    config.write_text("[portfolio]\nmark = 'middle'\n")
    assert "mark" in run("reconcile", "--config", config).complaint
    (tmp_path / "none.json").write_text('[{"symbol": 1}]')
    config.write_text(f'[catalog]\nfile = "{tmp_path}/none.json"\n')
    assert "not a list of instruments" in run("reconcile", "--config", config).complaint


def test_process_without_a_catalog_or_a_database_ends_with_a_sentence(tmp_path: Path) -> None:
    path = os.pathsep.join(str(ROOT / name) for name in ("src", "shells"))
    config = tmp_path / "exchange.toml"
    program = [sys.executable, "-m", "tradecore_shells.portfolio", str(config)]

    def ends_with(text: str) -> str:
        config.write_text(text)
        ended = subprocess.run(
            program,
            env=os.environ | {"PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ended.returncode == 2, ended.stderr
        assert "Traceback" not in ended.stderr
        return ended.stderr

    assert "none.json" in ends_with(f'[catalog]\nfile = "{tmp_path}/none.json"\n')
    save_catalog(tmp_path / "catalog.json", CATALOG.instruments)
    (tmp_path / "postgres" / "data").mkdir(parents=True)
    tables = f"""
        [log]
        url = "file:{tmp_path}/log"
        [catalog]
        file = "{tmp_path}/catalog.json"
        [store]
        folder = "{tmp_path}/postgres"
        """
    assert "is not the data folder of a PostgreSQL cluster" in ends_with(tables)
