"""Risk as its own process on files: ends with 0, survives SIGKILL, names wrong settings."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from risk_worlds import SOURCE, RiskWorld
from tradecore.cell import Batch, FrameReader
from tradecore.codes import CommandKind, EventKind
from tradecore_shells.plumbing.catalogs import save_catalog
from tradecore_shells.plumbing.clock import SystemClock
from tradecore_shells.plumbing.filelog import FileLog
from tradecore_shells.plumbing.ports import (
    EXECUTIONS,
    MARKET_DATA,
    RISK_EVENTS,
    TRADING_COMMANDS,
)

ROOT = Path(__file__).parents[2]
PATIENCE_S = 30.0


def write_log(folder: Path, world: RiskWorld) -> None:
    async def main() -> None:
        log = FileLog(folder, SystemClock())
        for topic in (TRADING_COMMANDS, EXECUTIONS, MARKET_DATA):
            await log.append(topic, 0, [payload for _, payload in world.log.of(topic)])
        await log.close()

    asyncio.run(main())


def read_log(folder: Path) -> list[Batch]:
    """Return everything that risk has told; a gap would raise."""

    async def main() -> list[Batch]:
        log = FileLog(folder, SystemClock())
        reader = FrameReader(SOURCE)
        end = (await log.bounds(RISK_EVENTS, 0)).end
        found: list[Batch] = []
        offset = 0
        while offset < end:
            for record in await log.fetch(RISK_EVENTS, 0, offset, max_bytes=1 << 20, wait_s=1.0):
                found += reader.read(record.offset, bytes(record.payload))
                offset = record.offset + 1
        await log.close()
        return found

    return asyncio.run(main())


def start(config: Path) -> subprocess.Popen[str]:
    path = os.pathsep.join(str(ROOT / name) for name in ("src", "shells"))
    return subprocess.Popen(
        [sys.executable, "-m", "tradecore_shells.risk", str(config)],
        env=os.environ | {"PYTHONPATH": path},
        cwd=config.parent,  # its state's folder is a relative one
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(process: subprocess.Popen[str], word: str) -> str:
    """Read the log lines of a process until one has an event."""
    said = ""
    assert process.stderr is not None
    while f'"event": "{word}"' not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    return said


@pytest.fixture
def place(tmp_path: Path) -> Path:
    world = RiskWorld()
    world.open({1: 1, 2: 2})
    world.mark(10_000)
    for px in (10_000, 10_300, 9_800):
        world.trade(1, 2, 50, px)
        world.tick(200)
    world.order(1, 1, 10**9, 10_000)  # more than its money is worth
    world.mark(13_000)
    world.tick(200)
    write_log(tmp_path / "log", world)
    save_catalog(tmp_path / "catalog.json", world.catalog.instruments)
    (tmp_path / "risk.toml").write_text(
        f"""
        [log]
        url = "file:{tmp_path}/log"
        [catalog]
        file = "{tmp_path}/catalog.json"
        [risk]
        snapshots = "{tmp_path}/risk"
        [risk.limits]
        group_drawdown = "1"
        """
    )
    return tmp_path


@pytest.mark.slow
def test_process_tells_once_whatever_ends_it(place: Path) -> None:
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGTERM):
        process = start(place / "risk.toml")
        try:
            wait_for(process, "running")
            process.send_signal(number)
            process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
        assert process.returncode == (-9 if number == signal.SIGKILL else 0)
    told: list[Any] = [row for batch in read_log(place / "log") for row in batch.events]
    kinds = [int(row["kind"]) for row in told]
    assert kinds.count(EventKind.REJECTED) == 1
    assert kinds.count(80) == 1  # the drawdown of group 2, found once
    assert list((place / "risk").glob("*.tcsn"))
    assert CommandKind.KILL_SWITCH in told[-1].tobytes()


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("[risk]\nasset = 'EUR'", "EUR"),
        ("[risk.breaker]\nmove_ppm = 1", "breaker"),
    ],
)
def test_wrong_settings_are_one_sentence_and_exit_2(
    tmp_path: Path, line: str, complaint: str
) -> None:
    save_catalog(tmp_path / "catalog.json", RiskWorld().catalog.instruments)
    config = tmp_path / "risk.toml"
    config.write_text(
        f'[log]\nurl = "file:{tmp_path}/log"\n[catalog]\nfile = "{tmp_path}/catalog.json"\n{line}\n'
    )
    process = start(config)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2, said
    assert complaint in said
    assert "Traceback" not in said
