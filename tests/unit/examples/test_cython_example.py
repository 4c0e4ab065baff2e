"""The Cython example compiles against what the package ships, and does what Python does."""

from __future__ import annotations

import importlib.util
import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

import pytest

import tradecore as tc
import tradecore_ext

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "cython" / "quoter.pyx"


def _compile(source: str, folder: Path) -> Path:
    """Compile one .pyx as a user would: only the package's own folders are searched."""
    pytest.importorskip("Cython", reason="compiling the example needs Cython")
    pyx = folder / "quoter.pyx"
    pyx.write_text(source, "utf-8")
    site = str(Path(tradecore_ext.__file__).parents[1])
    module = folder / f"quoter{sysconfig.get_config_var('EXT_SUFFIX')}"
    includes = [f"-I{sysconfig.get_path('include')}", f"-I{tc.get_include()}"]
    compiler = shlex.split(os.environ.get("CC", "cc"))
    compiler += ["-O1", "-shared", "-fPIC", *includes]
    for command in (
        [sys.executable, "-m", "cython", "-3", "-I", site, str(pyx)],
        [*compiler, str(pyx.with_suffix(".c")), "-o", str(module)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return module


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("quoter", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _engine() -> tc.Engine:
    engine = tc.Engine(max_instruments=2, max_orders=64)
    engine.define_instrument(1)
    return engine


@pytest.mark.slow
def test_cython_example_leaves_the_same_state_as_python(tmp_path: Path) -> None:
    quoter = _load(_compile(EXAMPLE.read_text("utf-8"), tmp_path))
    from_cython, from_python = _engine(), _engine()
    result = quoter.quote(from_cython.handle, 1, 1, 100, 3, 1)
    assert result == (99, 101, 6)
    for i in range(3):
        from_python.limit(1, 1, "buy", 99 - i, 10, order_id=1 + 2 * i)
        from_python.limit(1, 1, "sell", 101 + i, 10, order_id=2 + 2 * i)
    assert from_cython.state_hash() == from_python.state_hash()


@pytest.mark.slow
def test_cython_example_refuses_an_engine_of_another_abi(tmp_path: Path) -> None:
    source = EXAMPLE.read_text("utf-8").replace("tc_abi() != TC_ABI", "tc_abi() != TC_ABI + 1")
    with pytest.raises(ImportError, match="compile again"):
        _load(_compile(source, tmp_path))
