"""The capacity run with tiny inputs: every line a plan needs, from work that was really done."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tradecore.bench import applied, measure, scaling
from tradecore.bench.capacity import run, steps
from tradecore.bench.instructions import Counter, find_counter, instructions
from tradecore.bench.load import Target
from tradecore.bench.saturate import Bench, saturation
from tradecore.bench.scripts import child_environment
from tradecore.bench.setting import Setting
from tradecore.bench.targets import TargetSpec, open_target, target_names
from tradecore.capacity.coefficients import from_results
from tradecore.capacity.plan import make_plan
from tradecore.capacity.profile import PROFILES
from tradecore.errors import ConfigError
from tradecore.testing.results import Result

TINY = Setting(repeats=2, commands=4_000, scale=0.005, commit="test")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    """All lines of a tiny run; a limit so high that no busy machine fails it."""
    folder = tmp_path_factory.mktemp("journal")
    once = dataclasses.replace(TINY, repeats=1)
    options = {"folder": folder, "hgrm": folder / "hgrm", "workload": "busy"}
    todo = steps(once, limit_ms=10_000, targets=("engine",), **options)
    coefficients = [step for step in todo if step.name != "scaling: cells"]
    rows = [row for _, rows in run(coefficients) for row in rows]
    rates = {row.conditions["rate"] for row in rows if row.name == "load/engine"}
    files = {path.name for path in (folder / "hgrm").iterdir()}
    assert files == {f"engine-{rate}.hgrm" for rate in rates}
    return rows


@pytest.mark.slow
def test_run_gives_all_that_a_plan_needs(made: list[Result]) -> None:
    coefficients = from_results(made)
    for profile in PROFILES.values():
        assert make_plan(1_000_000, profile, coefficients).components[0].count >= 1


@pytest.mark.slow
def test_run_describes_every_trial(made: list[Result]) -> None:
    head = next(row for row in made if row.name == "saturation/engine")
    assert head.median > 0
    assert len(head.result_sha256) == 64
    loads = [row for row in made if row.name == "load/engine"]
    assert len({row.conditions["rate"] for row in loads}) == len(loads) > 1
    for row in loads:
        assert row.observed["p50_us"] <= row.observed["p99.9_us"] <= row.observed["max_us"]


@pytest.mark.slow
def test_run_counts_what_can_be_known(made: list[Result]) -> None:
    rows = {(row.name, row.conditions.get("mix")): row.median for row in made}
    # 64 bytes a frame, and the heads of an envelope of 256 and of a record.
    assert 64 < rows["capacity/log-bytes", None] < 66
    for mix in measure.MIXES:
        assert rows["capacity/events", mix] >= 1
        assert 0 <= rows["capacity/fills", mix] < 1


@pytest.mark.slow
def test_cells_run_at_once_and_compute_the_same_each_time() -> None:
    rows = scaling.cells(TINY, counts=(1, 2, 3), workload="busy")
    assert [row.conditions.get("cells") for row in rows[:3]] == [1, 2, 3]
    assert all(row.repeats == 2 and row.median > 0 for row in rows[:3])
    assert [row.name for row in rows[3:]] == [
        f"scaling/cells-{name}" for name in ("gamma", "alpha", "beta")
    ]


def test_clients_share_the_commits_of_a_journal(tmp_path: Path) -> None:
    rows = scaling.clients(TINY, counts=(1, 8, 64), folder=tmp_path)
    rates = [row.median for row in rows[:3]]
    assert rates[2] > rates[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["engine", "journal"])
def test_own_targets_end_in_the_state_of_the_engine(name: str, tmp_path: Path) -> None:
    work = Bench(name, commands=3_000, workload="busy").work
    engine = work.engine()
    with open_target(name, TargetSpec(work, tmp_path)) as target:
        for at in range(0, len(work), 500):
            target.send(work.commands[at : at + 500])
            engine.apply(work.commands[at : at + 500])
        assert target.poll() == len(work)
        assert target.state_hash() == engine.state_hash()  # type: ignore[attr-defined]


class Slow:
    """A service on one machine: finishes a few commands a poll, keeps what it was sent."""

    opened = 0

    def __init__(self) -> None:
        self.sent = self.done = 0
        self.ids: list[int] = []

    def send(self, frames: np.ndarray) -> None:
        self.sent += len(frames)
        self.ids += frames["order_id"].tolist()

    def poll(self) -> int:
        self.done = min(self.done + 500, self.sent)
        return self.done


@contextmanager
def open_slow(spec: TargetSpec) -> Iterator[Target]:
    assert spec.options == {"url": "here"}
    Slow.opened += 1
    yield Slow()


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> str:
    module = types.ModuleType("a_service_of_somebody")
    module.open_slow = open_slow  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    Slow.opened = 0
    return f"{module.__name__}:open_slow"


def test_service_is_opened_once_and_goes_on_through_the_stream(service: str) -> None:
    bench = Bench(service, commands=40_000, seconds=0.01, workload="busy", options={"url": "here"})
    loads = [bench.run(100_000) for _ in range(3)]
    assert Slow.opened == 1
    assert all(load.finished == load.sent == 1_100 for load in loads)
    bench.close()
    bench.run(1_000)
    assert Slow.opened == 2
    bench.close()


def test_service_gets_a_saturation_of_its_own(service: str) -> None:
    setting = Setting(repeats=1, commands=40_000, scale=0.01, commit="test")
    bench = Bench(
        service, 40_000, seconds=0.002, limit_ns=10**12, workload="busy", options={"url": "here"}
    )
    head, *loads = saturation(setting, bench, votes=1, tolerance=0.5)
    assert head.name == f"saturation/{service}"
    assert head.median > 0
    assert loads


@pytest.mark.parametrize("name", ["nosuch", "nosuch_module:open", "tradecore:nosuch"])
def test_target_that_does_not_exist_is_one_clear_error(name: str) -> None:
    with pytest.raises(ConfigError, match=name.partition(":")[0]):
        open_target(name, TargetSpec(Bench("engine", commands=100, workload="busy").work))


def test_target_names_begin_with_our_own() -> None:
    assert target_names()[:2] == ["engine", "journal"]


def test_counter_reads_what_perf_and_valgrind_write() -> None:
    perf, valgrind = Counter("perf", ()), Counter("valgrind", ())
    assert perf.read("448179364,,instructions:u,1000,100.00,,\n") == 448_179_364
    assert perf.read("<not supported>,,instructions:u,0,100.00,,\n") is None
    assert valgrind.read("==7== I   refs:      448,179,364\n") == 448_179_364
    assert valgrind.read("valgrind: failed\n") is None


def test_counted_program_applies_the_frames_it_is_told_to(tmp_path: Path) -> None:
    work = Bench("engine", commands=600, workload="busy").work
    frames = np.concatenate([work.setup, work.commands]).view(np.uint8)
    np.save(tmp_path / "frames.npy", frames)
    (tmp_path / "config.json").write_bytes(msgspec.json.encode(work.config))
    paths = [str(tmp_path / name) for name in ("frames.npy", "config.json")]
    assert applied.main([*paths, str(len(frames) // 64)]) == 0
    with pytest.raises(FileNotFoundError):
        applied.main(["nowhere.npy", paths[1], "1"])


@pytest.mark.slow
def test_worker_serves_passes_until_its_input_ends() -> None:
    command = [sys.executable, "-m", "tradecore.bench.worker", "--workload", "busy"]
    command += ["--commands", "4000", "--seed", "2", "--pass", "1000"]
    done = subprocess.run(
        command,
        input="go\n" * 4,
        env=child_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    # The first thousand warm the engine up; behind the last pass a new engine begins.
    passes = [json.loads(line) for line in lines if line != "ready"]
    assert [each["first"] for each in passes] == [1_000, 2_000, 3_000, 1_000]
    assert passes[0]["state"] == passes[3]["state"] != passes[1]["state"]
    assert lines.count("ready") == 5


@pytest.mark.nightly
def test_instructions_repeat_within_the_margin_of_the_gate() -> None:
    if find_counter() is None:
        pytest.skip("neither perf nor valgrind can count here")
    first, second = instructions(TINY), instructions(TINY)
    repeated = pytest.approx([row.median for row in second], rel=0.002)
    assert [row.median for row in first] == repeated
    assert all(50 < row.median < 20_000 for row in first)
