"""Every benchmark runs with tiny inputs; what it computed is checked, how long it took is not."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tradecore.bench import features, latency, matching, memory, python_face, scripts, state
from tradecore.bench.adversarial import adversarial
from tradecore.bench.inputs import Input, from_file, funded, generated
from tradecore.bench.run import InvalidRunError, hash_of, same
from tradecore.bench.setting import Setting, checkout, commit_of, compiler_of
from tradecore.bench.suite import SUITE, chosen
from tradecore.codes import EventKind
from tradecore.engine import Engine
from tradecore.errors import ConfigError
from tradecore.testing.oracle import OracleConfig, OracleEngine
from tradecore.testing.results import Result
from tradecore.testing.workloads import make
from tradecore_ext import engine as kernel

# No checkout: the C++ engines have tests of their own, and tests must not build them each time.
TINY = Setting(repeats=2, commands=3_000, scale=0.001, commit="test")
HEX = re.compile(r"[0-9a-f]{64}")


def oracle_hash(work: Input) -> str:
    """Return the SHA-256 of the event bytes that the naive engine gives."""
    oracle = OracleEngine(OracleConfig.like(work.config))
    oracle.apply(work.setup.tobytes())
    digest = hashlib.sha256()
    for batch in work.batches(256):
        digest.update(bytes(oracle.apply(batch.tobytes())))
    return digest.hexdigest()


def rows(results: list[Result]) -> dict[str, Result]:
    found = {each.name: each for each in results}
    assert all(each.median >= 0 and each.repeats >= 1 for each in results)
    return found


@pytest.mark.parametrize("name", ["busy", "moves", "zipf", *matching.REGIMES])
def test_matching_computes_what_the_naive_engine_computes(name: str) -> None:
    found = rows(matching._named(TINY, name))
    result = found[f"matching/{name}"]
    assert result.result_sha256 == oracle_hash(generated(name, TINY.commands))
    assert result.workload is not None
    assert result.workload.sha256 == make(name, TINY.commands).sha256


def test_regimes_measures_all_five() -> None:
    found = rows(matching.regimes(TINY))
    assert list(found) == [f"matching/{name}" for name in matching.REGIMES]


def test_workload_file_is_measured_like_the_same_workload(tmp_path: Path) -> None:
    work = make("busy", 3_000)
    path = tmp_path / "mine.bin"
    path.write_bytes(work.encode())
    (result,) = matching.workload_file(TINY, path)
    assert result.name == "file/mine.bin"
    assert result.result_sha256 == oracle_hash(from_file(path))


@pytest.mark.slow
def test_pipeline_reports_start_steady_and_whole() -> None:
    found = rows(matching.pipeline(TINY))
    assert list(found) == ["pipeline/steady", "pipeline/start", "pipeline/whole"]
    work = generated("pipeline", TINY.commands)
    # The hash does not depend on how the stream is cut.
    assert {each.result_sha256 for each in found.values()} == {hash_of(work, 7)[0]}


@pytest.mark.slow
def test_latency_reports_three_views_of_one_stream() -> None:
    found = rows(latency.latency(TINY, rate=100_000))
    for caller in ("latency", "latency-python"):
        for view in ("", "repeatable-", "machine-"):
            row = f"{caller}/{view}"
            assert found[f"{row}p50"].median <= found[f"{row}p99.9"].median
            assert found[f"{row}p99.99"].median <= found[f"{row}max"].median
        seen = set(found[f"{caller}/p50"].observed)
        assert {"stalls_in_runs", "stalls_in_control", "commands_per_call"} <= seen


@pytest.mark.slow
def test_python_batches_leave_one_state_whatever_the_batch() -> None:
    found = rows(python_face.python_batch(TINY))
    for row in ("python", "python-pipeline"):
        hashes = {found[f"{row}/batch-{size}"].result_sha256 for size in (64, 16, 1)}
        assert len(hashes) == 1


@pytest.mark.slow
def test_python_calls_leave_the_state_that_the_frames_leave() -> None:
    found = rows(python_face.python_call(TINY))
    work = generated("busy", TINY.commands)
    half = len(work) // 2
    engine = work.engine()
    engine.apply(work.commands[: half + 1_000])
    called = work.engine()
    called.apply(work.commands[:half])
    python_face._call_each(called, python_face._rows(work, half, half + 1_000))
    # Calls carry no time of their own, so clocks differ; books, orders and sequence do not.
    assert called.book(0) == engine.book(0)
    assert called.out_seq == engine.out_seq
    assert HEX.fullmatch(found["python/call-matching"].result_sha256)


def test_funded_flow_refuses_nothing_for_money() -> None:
    work = funded("busy", TINY.commands, accounts=50)
    events = work.engine().events(work.commands)
    refused = events[events["kind"] == 2]["status"]
    assert not ((refused >= 300) & (refused < 400)).any()
    # The same orders trade the same way as without accounts.
    plain = generated("busy", TINY.commands)
    same_fills = plain.engine().events(plain.commands)
    assert int((events["kind"] == EventKind.FILL).sum()) == int(
        (same_fills["kind"] == EventKind.FILL).sum()
    )


@pytest.mark.slow
def test_memory_counts_every_index_and_no_growth() -> None:
    """In a process of its own: what other tests left behind may be freed while it is watched."""
    code = """
import json
from tradecore.bench import memory
from tradecore.bench.setting import Setting

tiny = Setting(repeats=2, commands=3_000, scale=0.001, commit="test")
rows = memory.memory(tiny)
print(json.dumps({row.name: [row.median, row.observed] for row in rows}))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    found = json.loads(done.stdout)
    assert 64 + 16 <= found["memory/matching-structs"][0] <= 160
    # Whole pages of tables that hold a mere 2,000 orders.
    assert 64 + 16 <= found["memory/matching"][0] <= 1_024
    # Three batches of a tiny stream.
    seen = found["memory/steady-heap-growth"][1]
    assert int(seen["malloc_bytes"]) <= 8_192
    assert int(seen["tracemalloc_peak_bytes"]) <= 1_024


def test_open_orders_all_rest_under_distinct_ids() -> None:
    frames = memory.open_orders(5_000, accounts=10, instruments=10)
    engine = memory.open_venue(5_000, accounts=10, instruments=10)
    engine.apply(frames)
    assert engine.counters()["live_orders"] == 5_000
    assert len(np.unique(frames["order_id"])) == 5_000
    engine.check()


def test_snapshot_restores_the_same_state() -> None:
    found = rows(state.snapshot(TINY))
    assert found["snapshot/take"].result_sha256 == found["snapshot/restore"].result_sha256
    assert found["snapshot/take"].conditions["orders"] == 1_000


@pytest.mark.slow
def test_features_change_no_fill() -> None:
    found = rows(features.features(TINY))
    wanted = {f"features/busy-{name}" for name in features.MATCHING if name != "plain"}
    wanted |= {f"features/pipeline-{name}" for name in features.PIPELINE if name != "plain"}
    assert set(found) == wanted


def test_adversarial_runs_every_stream() -> None:
    found = rows(adversarial(TINY))
    assert len(found) == 5
    assert all(each.median >= 1 for each in found.values())


@pytest.mark.slow
def test_import_is_timed_in_another_process() -> None:
    (result,) = scripts.importing(TINY)
    assert result.unit == "ms"


def test_scripts_without_a_checkout_are_skipped_and_say_so() -> None:
    said: list[str] = []
    setting = Setting(repeats=1, root=None, say=said.append)
    assert scripts.journal(setting) == scripts.mark(setting) == []
    assert all("needs a source checkout" in line for line in said)


def test_run_that_computes_something_else_is_invalid() -> None:
    work = generated("busy", TINY.commands)

    class Wobbly(Input):
        """Every engine after the first has one order more."""

        built = 0

        def engine(self, **changes: object) -> Engine:
            engine = super().engine(**changes)
            Wobbly.built += 1
            if Wobbly.built > 1:
                engine.limit(0, 0, "buy", 1, 1, order_id=1 << 62)
            return engine

    wobbly = Wobbly(work.ref, work.config, work.setup, work.commands)
    expected = hash_of(wobbly)
    with pytest.raises(InvalidRunError, match="INVALID busy"):
        same("busy", expected[1], hash_of(wobbly)[1])


def test_input_refused_setup_is_an_error() -> None:
    work = generated("busy", TINY.commands)
    broken = work.setup.copy()
    broken["kind"] = 999
    with pytest.raises(ConfigError, match="set-up refused"):
        Input(work.ref, work.config, broken, work.commands).engine()


def test_compiler_is_read_out_of_the_module() -> None:
    assert re.match(r"GNU C|GCC|.*clang", compiler_of(kernel.__file__))


def test_commit_without_a_checkout_is_the_version() -> None:
    assert commit_of(None).startswith("tradecore ")
    root = checkout()
    if root is not None and (root / ".git").exists():
        assert re.match(r"[0-9a-f]{40}\+?$", commit_of(root))


def test_chosen_takes_beginnings_of_names() -> None:
    assert [each.name for each in chosen(["matching"])] == [
        f"matching-{name}" for name in ("busy", "regimes", "zipf", "moves")
    ]
    assert chosen([]) == list(SUITE)
    with pytest.raises(ConfigError, match="no benchmark 'nosuch'"):
        chosen(["nosuch"])
