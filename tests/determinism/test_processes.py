"""Another process, another hash seed, another compiler: the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest

from determinism.venue import STREAMS, run

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
KERNEL = ROOT / "src" / "tradecore_ext"
TOOLS = ("clang", "make", "cmake", "ninja")
COMMANDS = 6_000


@lru_cache
def here(name: str) -> tuple[str, str]:
    """Return hashes of events and state in this process."""
    events, state = run(name, COMMANDS, 7)
    return hashlib.sha256(events).hexdigest(), state


def child(name: str, batch: int, seed: str, kernel: Path | None = None) -> dict[str, str]:
    """Run the stream in another process."""
    import tradecore

    paths = [str(HERE.parent), str(Path(tradecore.__file__).parents[1])]
    if kernel is not None:
        paths.insert(0, str(kernel))
    environment = dict(os.environ) | {
        "PYTHONHASHSEED": seed,
        "PYTHONPATH": os.pathsep.join(paths),
    }
    command = [sys.executable, str(HERE / "child.py"), name, str(COMMANDS), str(batch)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    line: dict[str, str] = json.loads(done.stdout)
    return line


@pytest.mark.slow
@pytest.mark.parametrize("name", STREAMS)
def test_two_processes_with_other_hash_seeds_agree(name: str) -> None:
    lines = [child(name, batch, seed) for batch, seed in ((64, "0"), (4_096, "1"), (1, "random"))]
    assert len({line["hash"] for line in lines}) == 3, "the seeds made no difference at all"
    assert {(line["events"], line["state"]) for line in lines} == {here(name)}


def clang_package() -> Path:
    """Return the folder of an up-to-date clang build of the kernel, built if need be.

    `make clang-build` compiles only what changed; it takes a minute where nothing was built yet.
    """
    package = ROOT / "build" / f"clang-{sys.implementation.cache_tag}" / "pkg"
    sources = [*KERNEL.rglob("*.p[yx][xd]"), *KERNEL.rglob("*.h"), *KERNEL.rglob("*.def")]
    newest = max(each.stat().st_mtime for each in sources)
    built = list((package / "tradecore_ext").glob("engine.*.so"))
    if built and built[0].stat().st_mtime >= newest:
        return package
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    missing = [tool for tool in TOOLS if shutil.which(tool, path=path) is None]
    if missing:
        pytest.skip(f"no clang build of the kernel and no {', '.join(missing)} to make one")
    environment = dict(os.environ) | {"PATH": path}
    subprocess.run(
        ["make", "-s", "clang-build", f"PYTHON={sys.executable}"],  # noqa: S607
        cwd=ROOT,
        env=environment,
        check=True,
    )
    return package


@pytest.mark.slow
def test_gcc_and_clang_builds_agree() -> None:
    if not (KERNEL / "engine.pyx").is_file():
        pytest.skip("the kernel's sources are not here: an installed package")
    package = clang_package()
    for name in STREAMS:
        line = child(name, 64, "0", package)
        assert "clang" in line["compiler"]
        assert line["module"].startswith(str(package))
        assert (line["events"], line["state"]) == here(name), name
