"""The trading service: what waits is bounded, and a running process shows how it is doing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import pytest

from shells.trading.small_cell import (
    PATIENCE_S,
    answer_to,
    command,
    run_once,
    running,
    settings,
    toml,
)
from tradecore.buffers import BytesLike
from tradecore.testing import build
from tradecore_shells.plumbing.clock import SystemClock
from tradecore_shells.plumbing.filelog import FileLog
from tradecore_shells.plumbing.logclient import LogClient
from tradecore_shells.plumbing.ports import EXECUTIONS, TRADING_COMMANDS

ROOT = Path(__file__).resolve().parents[3]


class Stuck(FileLog):
    """A log whose executions are not written until it is told so."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, SystemClock())
        self.go = asyncio.Event()
        self.asked = asyncio.Event()

    async def append(self, topic: str, partition: int, payloads: Sequence[BytesLike]) -> int:
        if topic == EXECUTIONS:
            self.asked.set()
            await self.go.wait()
        return await super().append(topic, partition, payloads)


def test_outputs_that_wait_for_a_slow_log_are_bounded_in_bytes(tmp_path: Path) -> None:
    """64 KiB may wait and 16 KiB are read at a time; a hundred times as much is to be answered.

    A LIMITS has two frames, its answer one: a record of 64 of them takes 8 KiB and is answered
    with 65 frames, 4,160 bytes, and the head of an envelope of less than 100.
    """
    bound, fetch = 64 << 10, 16 << 10
    records, at_once = 1500, 2
    payload = command(*[build.limits(scope=3)] * 64)
    answer = 65 * 64 + 100
    config = settings(tmp_path, queue_bytes=bound, fetch_bytes=fetch)

    async def main() -> None:
        log = Stuck(tmp_path / "log")
        async with running(config, log) as service:
            await log.append(TRADING_COMMANDS, 0, [payload] * records)
            try:
                await asyncio.wait_for(log.asked.wait(), PATIENCE_S)
                waiting = service._outputs
                async with asyncio.timeout(PATIENCE_S):
                    while waiting.queued_bytes < bound:  # noqa: ASYNC110 - nothing tells
                        await asyncio.sleep(0.001)
                for _ in range(200):  # it would go on reading now if nothing held it
                    await asyncio.sleep(0)
                assert bound <= waiting.queued_bytes < bound + at_once * answer
                assert service.cell is not None
                assert service.cell.next_offset < 30
            finally:
                log.go.set()
            await answer_to(log, records - 1)
            assert waiting.queued_bytes <= bound + at_once * answer
        await log.close()

    asyncio.run(main())


def _get(port: int, page: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{page}", timeout=PATIENCE_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.slow
def test_running_process_shows_metrics_health_and_numbered_logs(tmp_path: Path) -> None:
    """Two commands come before it starts, one while it runs, and somebody ends it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"unix:{tmp_path}/s"
    config = settings(tmp_path)
    run_once(config, [command(), command()])
    file = tmp_path / "tradecore.toml"
    text = toml(config, observe_port=port).replace('serve = ""', f'serve = "{address}"')
    file.write_text(text)
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "shells")])
    process = subprocess.Popen(
        [sys.executable, "-m", "tradecore.cli", "serve", "trading", "--config", str(file)],
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        told = []
        while not told or told[-1].get("state") != "primary":
            line = process.stderr.readline()
            assert line, told
            told.append(json.loads(line))
        assert _get(port, "/healthz") == (200, "ok\n")
        assert _get(port, "/readyz") == (200, "ok\n")
        assert _get(port, "/orders")[0] == 404

        async def one_more() -> None:
            log = LogClient(address)
            await log.append(TRADING_COMMANDS, 0, [command()])
            await answer_to(log, 2)
            while (  # noqa: ASYNC110 - published once a second
                "tradecore_lag_records" not in (await asyncio.to_thread(_get, port, "/metrics"))[1]
            ):
                await asyncio.sleep(0.05)
            await log.close()

        asyncio.run(asyncio.wait_for(one_more(), PATIENCE_S))
        status, page = _get(port, "/metrics")
        assert status == 200
        service = 'service="trading-0"'
        for line in (
            f'tradecore_state{{{service},state="primary"}} 1.0',
            f'tradecore_lag_records{{partition="0",{service},topic="trading-commands"}} 0.0',
            f'tradecore_records_total{{direction="in",{service},topic="trading-commands"}} 1.0',
            f"tradecore_commands_total{{{service}}} 1.0",
            f'tradecore_queue_bytes{{part="trading",{service}}} 0.0',
            f"tradecore_log_to_output_seconds_count{{{service}}} 1.0",
        ):
            assert line in page.splitlines(), page
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=PATIENCE_S)
        told += [json.loads(line) for line in rest.splitlines()]
        assert process.returncode == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    numbered = {line["event"]: line["seq"] for line in told if "seq" in line}
    assert numbered == {"loaded": 2, "snapshot": 3, "drained": 3}
    assert {line["service"] for line in told} == {"trading-0"}
    assert [line["state"] for line in told if line["event"] == "state"] == [
        *("catchup", "primary", "drain"),
    ]
