"""Build sdist and wheels, and test every wheel in a clean environment away from the checkout.

Usage: python tools/dist.py [PYTHON ...]. Without arguments: every CPython >= 3.11 that starts on
this machine, found on PATH or among a version manager's installations. The wheels are built from
the sdist, so what the sdist forgets is noticed; the tests see the installed package only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
WORK = ROOT / "build" / "dist"
VERSION = "import sys; print('%d.%d' % sys.version_info[:2] if sys.version_info >= (3, 11) else '')"


def interpreters() -> dict[str, str]:
    """Return {version: path} of the interpreters to support, one per minor version."""
    named = [shutil.which(f"python3.{minor}") for minor in range(11, 15)]
    managed = sorted((Path.home() / ".pyenv" / "versions").glob("3.*/bin/python"), reverse=True)
    candidates = [sys.executable, *filter(None, named), *map(str, managed)]
    found: dict[str, str] = {}
    for candidate in sys.argv[1:] or candidates:
        done = subprocess.run(
            [candidate, "-c", VERSION], capture_output=True, text=True, check=False
        )
        if done.returncode == 0 and (version := done.stdout.strip()):
            found.setdefault(version, candidate)
    return found


# They look at the repository itself, or start servers out of its services/ folder.
OF_THE_CHECKOUT = ("meta", "chaos", "contract", "services", "notebooks")


def _run(*command: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None) -> None:
    subprocess.run([str(part) for part in command], cwd=cwd, env=env, check=True)


def _test(version: str, interpreter: str, sdist: Path) -> None:
    """Build a wheel out of the sdist, install it into an empty environment and run the tests."""
    folder = WORK / version
    shutil.rmtree(folder, ignore_errors=True)
    wheels = folder / "wheels"
    python = folder / "venv" / "bin" / "python"
    _run(interpreter, "-m", "venv", folder / "venv")
    pip = (python, "-m", "pip", "--quiet", "--disable-pip-version-check")
    _run(*pip, "install", "--upgrade", "pip")
    _run(*pip, "wheel", "--no-deps", "--wheel-dir", wheels, sdist)
    wheel = next(wheels.glob("tradecore-*.whl"))
    _run(*pip, "install", f"tradecore[test] @ {wheel.as_uri()}")
    # Tests and what they read come along, but not `src`: only the installed package is importable.
    for name in ("tests", "bench", "docs", "examples"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("README.md", "pyproject.toml"):
        shutil.copy2(ROOT / name, folder)
    shared = os.environ.get("TRADECORE_SHARED", str(ROOT.parent / "shared"))
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    env["TRADECORE_SHARED"] = shared
    left_out = [f"--ignore=tests/{name}" for name in OF_THE_CHECKOUT]
    tests = ("-m", "pytest", "-q", "-n", "2", "-m", "not slow", *left_out, "tests")
    _run(python, *tests, cwd=folder, env=env)
    shutil.copy2(wheel, DIST)


def main() -> int:
    """Fill dist/ and print what was tested."""
    found = interpreters()
    shutil.rmtree(DIST, ignore_errors=True)
    _run(sys.executable, "-m", "build", "--sdist", "--outdir", DIST)
    sdist = next(DIST.glob("tradecore-*.tar.gz"))
    for version, interpreter in found.items():
        print(f"dist: testing the wheel on Python {version}", flush=True)
        _test(version, interpreter, sdist)
    for path in sorted(DIST.iterdir()):
        print(f"dist: {path.relative_to(ROOT)} {path.stat().st_size} bytes")
    print(f"dist: tested on Python {', '.join(found)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
