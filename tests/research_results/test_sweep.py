"""Sweeps: the same table from any number of processes, and from a sweep that was killed."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

from research_results import sweep_jobs as jobs  # noqa: E402
from tradecore.errors import ConfigError, DataError  # noqa: E402
from tradecore.research.sweep import grid, sweep  # noqa: E402

SHAPES = grid(width=[1, 2, 3], height=[2, 3])


def test_grid_is_every_combination_in_order() -> None:
    assert SHAPES[:3] == [
        {"width": 1, "height": 2},
        {"width": 1, "height": 3},
        {"width": 2, "height": 2},
    ]
    assert len(SHAPES) == 6


def test_table_has_a_row_a_run_in_order(tmp_path: Path) -> None:
    path = tmp_path / "shapes.parquet"
    table = sweep(jobs.area, SHAPES, path, processes=1)
    assert table.column_names == ["run", "width", "height", "area", "square", "half", "error"]
    assert table["area"].to_pylist() == [2, 3, 4, 6, 6, 9]
    assert table["square"].to_pylist() == [False, False, True, False, False, True]
    assert pq.read_table(path).equals(table)
    assert [item.name for item in tmp_path.iterdir()] == ["shapes.parquet"]


@pytest.mark.slow
def test_processes_give_the_same_table_as_one(tmp_path: Path) -> None:
    runs = grid(most=[1, 3], seed=[1, 2])
    alone = sweep(jobs.strategy, runs, tmp_path / "one.parquet", processes=1)
    several = sweep(jobs.strategy, runs, tmp_path / "two.parquet", processes=2)
    assert several.equals(alone)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    assert len(set(alone["fills"].to_pylist())) > 1


def test_killed_sweep_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """The process dies in run 7; the runs before it are not done again."""
    path = tmp_path / "counted.parquet"
    program = (
        "from research_results import sweep_jobs as jobs\n"
        "from tradecore.research.sweep import sweep\n"
        f"runs = [{{'x': x, 'folder': {str(tmp_path)!r}}} for x in range(10)]\n"
        f"sweep(jobs.dies_at_seven, runs, {str(path)!r}, processes=1)\n"
    )
    environment = {"PYTHONPATH": ":".join(item for item in sys.path if item)}
    command = [sys.executable, "-c", program]
    killed = subprocess.run(command, env=environment, check=False)
    assert killed.returncode == 9
    assert not path.exists()
    progress = path.with_suffix(".progress.jsonl")
    with progress.open("ab") as file:
        file.write(b'{"run":7,"ro')  # and the last line was cut
    (tmp_path / "clear").touch()
    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert pq.read_table(path)["twice"].to_pylist() == [2 * x for x in range(10)]
    assert all((tmp_path / str(x)).read_text() == "called\n" for x in range(10))
    assert not progress.exists()


def test_progress_of_another_sweep_is_not_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "moody.parquet"
    with pytest.raises(RuntimeError, match=r"run 2 with \{'x': 2\}: ValueError: two is too much"):
        sweep(jobs.moody, grid(x=[0, 1, 2, 3]), path, processes=1)
    with pytest.raises(ConfigError, match="another sweep"):
        sweep(jobs.moody, grid(x=[0, 1, 2]), path, processes=1)
    table = sweep(jobs.moody, grid(x=[0, 1, 2, 3]), path, processes=1, on_error="record")
    assert table["y"].to_pylist() == [0, 1, None, 3]
    assert table["error"].to_pylist() == ["", "", "ValueError: two is too much", ""]


def test_progress_bar_counts_to_the_end(tmp_path: Path) -> None:
    shown = io.StringIO()
    sweep(jobs.area, SHAPES, tmp_path / "bar.parquet", processes=1, progress=shown)
    lines = shown.getvalue().split("\r")
    assert lines[-1] == f"[{'#' * 30}] 6/6 runs\n"
    assert "3/6 runs" in shown.getvalue()


@pytest.mark.parametrize("x", [0, 1])
def test_what_is_no_table_row_is_refused(tmp_path: Path, x: int) -> None:
    with pytest.raises(DataError, match="run 0 returned"):
        sweep(jobs.wrong, [{"x": x}], tmp_path / "wrong.parquet", processes=1)


def test_impossible_sweeps_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="without runs"):
        sweep(jobs.area, [], tmp_path / "a.parquet")
    with pytest.raises(ConfigError, match="parquet"):
        sweep(jobs.area, SHAPES, tmp_path / "a.csv")
    with pytest.raises(ConfigError, match="JSON"):
        sweep(jobs.area, [{"width": (1, 2), "height": 1}], tmp_path / "a.parquet")
    with pytest.raises(ConfigError, match="'run'"):
        sweep(jobs.area, [{"run": 1}], tmp_path / "a.parquet")


@pytest.mark.slow
def test_ray_gives_the_same_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    path = tmp_path / "ray.parquet"
    program = (
        "import ray\n"
        "ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False,\n"
        "         _node_ip_address='127.0.0.1', object_store_memory=100_000_000)\n"
        "from research_results import sweep_jobs as jobs\n"
        "from tradecore.research.sweep import grid, sweep\n"
        f"sweep(jobs.area, grid(width=[1, 2, 3], height=[2, 3]), {str(path)!r}, backend='ray')\n"
    )
    environment = {"PYTHONPATH": ":".join(item for item in sys.path if item), "HOME": "/tmp"}  # noqa: S108
    environment["RAY_USAGE_STATS_ENABLED"] = "0"
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    alone = sweep(jobs.area, SHAPES, tmp_path / "alone.parquet", processes=1)
    assert pq.read_table(path).equals(alone)


def test_without_ray_the_backend_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"tradecore\[ray\]"):
        sweep(jobs.area, SHAPES, tmp_path / "a.parquet", backend="ray")
