"""What is packed: all packages, the kernel's C surface in the wheel, its sources in the sdist."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from repository import ROOT, tracked_files

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]


def test_every_package_folder_is_listed() -> None:
    roots = {"tradecore": ROOT / "src", "tradecore_ext": ROOT / "src"}
    roots["tradecore_shells"] = ROOT / "shells"
    found = {
        ".".join(path.parent.relative_to(root).parts)
        for root in sorted(set(roots.values()))
        for path in tracked_files()
        if path.name == "__init__.py" and path.is_relative_to(root)
    }
    assert sorted(SETUPTOOLS["packages"]) == sorted(found)


def test_core_needs_only_numpy_and_msgspec() -> None:
    names = {name.split(">=")[0] for name in PROJECT["project"]["dependencies"]}
    assert names == {"numpy", "msgspec"}


def test_setup_py_says_nothing_that_pyproject_could_say() -> None:
    assert "setup()" in (ROOT / "setup.py").read_text("utf-8")


def test_flags_do_not_tie_a_wheel_to_the_building_machine() -> None:
    lines = (ROOT / "CMakeLists.txt").read_text("utf-8").splitlines()
    code = "\n".join(line.partition("#")[0] for line in lines)
    assert "-march" not in code
    assert "-mtune" not in code
    assert "-ffast-math" not in code


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean copy of the tracked files: packing writes into the folder it packs."""
    pytest.importorskip("scikit_build_core", reason="packing needs the build requirements")
    copy = tmp_path_factory.mktemp("checkout")
    for path in tracked_files():
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    return copy


def _pack(checkout: Path, hook: str, out: Path) -> Path:
    """Call one hook of the build backend in a process of its own, as pip does."""
    settings = "{'cmake.define.TC_COMPILE': 'OFF'}"
    program = (
        "import sys; from scikit_build_core.setuptools import build_meta as backend; "
        f"print(backend.{hook}(sys.argv[1], {settings}))"
    )
    # CMake and ninja lie beside the interpreter when they came as Python packages.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [sys.executable, "-c", program, str(out)],
        cwd=checkout,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.iterdir())


def _under(folder: str, *suffixes: str) -> set[str]:
    base = ROOT / folder
    return {
        str(path.relative_to(ROOT))
        for path in tracked_files()
        if path.is_relative_to(base) and path.suffix in suffixes
    }


@pytest.mark.slow
def test_wheel_ships_the_c_surface_and_no_kernel_source(checkout: Path, tmp_path: Path) -> None:
    wheel = _pack(checkout, "build_wheel", tmp_path)
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = _under("src", ".py", ".pxd", ".pyi", ".h", ".def", ".typed", ".jsonl")
    expected |= _under("shells/tradecore_shells", ".py", ".sql")
    assert {name.removeprefix("src/").removeprefix("shells/") for name in expected} == names
    assert {"tradecore/py.typed", "tradecore_ext/py.typed"} <= names
    assert "tradecore_ext/include/tc_frame.h" in names
    assert not [name for name in names if name.endswith((".pyx", ".c"))]


@pytest.mark.slow
def test_sdist_ships_everything_that_building_and_testing_need(
    checkout: Path, tmp_path: Path
) -> None:
    sdist = _pack(checkout, "build_sdist", tmp_path)
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = {"CMakeLists.txt", "pyproject.toml", "setup.py", "LICENSE", "README.md", "Makefile"}
    needed |= _under("src", ".py", ".pyx", ".pxd", ".pyi", ".h", ".def", ".typed")
    needed |= _under("shells/tradecore_shells", ".py", ".sql")
    needed |= _under("tools", ".py", ".sh") | _under("tests", ".py", ".json", ".txt")
    assert needed <= names, sorted(needed - names)
    assert not [name for name in names if name.endswith((".so", ".pyc"))]
