"""The exchange benchmark runs, and its run is valid."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_a_tiny_run_is_valid() -> None:
    script = Path(__file__).with_name("exchange.py")
    done = subprocess.run(
        [sys.executable, script, "--commands", "20000", "--rates", "2000", "--seconds", "0.5"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["row"] for row in rows] == ["sustained", "latency at 2000"]
    assert rows[0]["events"] >= rows[0]["orders"]
    assert rows[1]["orders"] == 1_000
