"""The engines of this folder are correct: a fast wrong engine would set a false limit.

Judged by the public suite's report hashes and edge cases, and by agreeing with each other on
generated flow over many instruments.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared_data import shared
from tradecore.data.workload import WORKLOAD_RECORD, encode_workload
from tradecore.testing import workloads

HERE = Path(__file__).resolve().parent
ENGINES = [
    "stdmap",
    "minimal-direct",
    "minimal-direct-prefetch",
    "minimal-hashed",
    "minimal-hashed-prefetch",
]
REGIMES = ["static", "normal", "swing-25", "swing-40", "flash-crash"]


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the driver with checks on: slow, and no out-of-bounds access goes unseen."""
    make = shutil.which("make")
    if make is None or shutil.which("g++") is None:
        pytest.skip("needs make and g++")
    build = tmp_path_factory.mktemp("alternatives")
    options = [f"BUILD={build}", "SANITIZE=1", "CXXFLAGS=-O1"]
    subprocess.run([make, "-s", "-C", HERE, *options], check=True)
    return build / "driver"


def reports(driver: Path, workload: Path, engine: str) -> bytes:
    """Return the canonical report stream of one engine."""
    command = [driver, workload, "--engines", engine, "--reports", "-"]
    return subprocess.run(command, check=True, capture_output=True).stdout


def as_records(messages: list[dict[str, Any]]) -> np.ndarray:
    """Return the messages of an edge case as records of the file format."""
    kinds = {"new": 0, "cancel": 1, "modify": 2}
    records = np.zeros(len(messages), dtype=WORKLOAD_RECORD)
    for record, m in zip(records, messages, strict=True):
        record["type"], record["side"], record["ioc"] = kinds[m["type"]], m["side"], m["ioc"]
        record["order_qty"], record["seq"] = m["qty"], m["seq"]
        record["order_id"], record["px"] = m["id"], m["px"]
    return records


def deep_sweep(orders: int) -> list[dict[str, Any]]:
    """Return the one edge case that the file gives as a rule: a sweep through a long queue."""
    sell = {"type": "new", "side": 1, "ioc": 0, "qty": 1, "px": 100}
    buy = {"type": "new", "side": 0, "ioc": 1, "qty": orders, "px": 100}
    messages = [sell | {"seq": i, "id": i + 1} for i in range(orders)]
    return [*messages, buy | {"seq": orders, "id": orders + 1}]


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("name", REGIMES)
def test_engine_regime_gives_the_public_report_hash(
    driver: Path, tmp_path: Path, name: str
) -> None:
    packed = shared(f"data/matching_workloads/orders_{name}_s23_n20000.bin.gz")
    manifest = json.loads(shared("data/matching_workloads/manifest.json").read_text())
    expected = {row["file"]: row["sha256_reports"] for row in manifest}[packed.name]
    plain = tmp_path / "orders.bin"
    plain.write_bytes(gzip.decompress(packed.read_bytes()))
    got = {e: hashlib.sha256(reports(driver, plain, e)).hexdigest() for e in ENGINES}
    assert got == dict.fromkeys(ENGINES, expected)


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("engine", ["stdmap", "minimal-hashed-prefetch"])
def test_engine_edge_cases_all_agree(driver: Path, tmp_path: Path, engine: str) -> None:
    lines = shared("data/matching_workloads/edge_cases_34.jsonl").read_text().splitlines()
    failed = []
    for line in lines:
        case = json.loads(line)
        messages = case["messages"]
        if isinstance(messages, str):  # "5000 x new(i,sell,1@100) ..., then new(5001,buy,...)"
            messages = deep_sweep(5_000)
        path = tmp_path / "case.bin"
        path.write_bytes(encode_workload(as_records(messages)))
        if hashlib.sha256(reports(driver, path, engine)).hexdigest() != case["reports_sha256"]:
            failed.append(case["name"])
    assert len(lines) == 34
    assert failed == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["busy", "zipf", "pipeline", "moves"])
def test_engines_agree_on_generated_flow(driver: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / "flow.bin"
    path.write_bytes(workloads.make(name, 60_000).encode())
    command = [driver, path, "--repeats", "1", "--batch", "257"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = [json.loads(line) for line in lines.splitlines()]
    # Random 64-bit ids cannot index an array, so the direct variants sit that one out.
    assert len(rows) == (3 if name == "pipeline" else 5)
    assert len({row["checksum"] for row in rows}) == 1


@pytest.mark.slow
def test_engine_market_order_takes_any_price(driver: Path, tmp_path: Path) -> None:
    # ioc = 2 is this folder's extension: no price, the rest is cancelled.
    rows = [(0, 1, 0, 5, 100, 1), (0, 1, 0, 5, 900, 2), (0, 0, 2, 20, 0, 3)]
    path = tmp_path / "market.bin"
    header = np.array((int.from_bytes(b"MEBW_001", "big"), 1, 3), dtype="<u8,<u4,<u4")
    records = np.zeros(3, dtype=WORKLOAD_RECORD)
    for seq, (record, (kind, side, ioc, qty, px, order_id)) in enumerate(
        zip(records, rows, strict=True)
    ):
        record["type"], record["side"], record["ioc"], record["seq"] = kind, side, ioc, seq
        record["order_qty"], record["px"], record["order_id"] = qty, px, order_id
    path.write_bytes(header.tobytes() + records.tobytes())
    expected = (
        b"0,0,1,1,100,5\n0,1,1,2,900,5\n0,2,0,3,0,20\n1,2,100,5,1,3\n1,2,900,5,2,3\n2,2,0,3,0"
    )
    assert {e: reports(driver, path, e) for e in ENGINES} == dict.fromkeys(ENGINES, expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"short", "16-byte header"),
        (b"\0" * 16, "magic"),
        (b"100_WBEM" + b"\1\0\0\0\5\0\0\0" + b"\0" * 80, "truncated"),
    ],
)
def test_driver_bad_file_is_refused(
    driver: Path, tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "bad.bin"
    path.write_bytes(content)
    done = subprocess.run([driver, path], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert reason in done.stderr
