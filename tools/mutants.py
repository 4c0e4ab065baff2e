"""Compile every single-fault mutant of the kernel and show which test kills it.

Usage: python tools/mutants.py [NAME ...] [--jobs N]. A mutant is a text exchange in one kernel
source, listed in tests/mutants.toml; it is applied to a copy, so the kernel itself carries no
trace of it. Kernels are built as for the property tests, with audits. First the unchanged kernel
must survive the same tests; then a mutant that none of them kills is a hole: the exit status is 1.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "tests" / "mutants.toml"
BUILD = ROOT / "build" / "mutants"
# Longer than this in one run of the tests is a kill too: the fault made a loop endless. The
# unchanged kernel has to pass within the same time, so slowness alone does not count.
TIMEOUT_S = 600
# Quick and specific tests first: a mutant dies at the first failure.
TESTS = (
    "tests/scenarios",
    "tests/unit/engine",
    "tests/property",
    "tests/unit/test_storage_recovery.py",
    "tests/verify/test_matching.py",
    "tests/verify/test_edge.py",
)
COMMANDS = "60000"
FIRST_FAILURE = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


ORIGINAL = "unchanged_kernel"


@dataclass(frozen=True)
class Mutant:
    """One fault: in ``file``, the only occurrence of ``find`` becomes ``replace``."""

    name: str
    file: str
    find: str
    replace: str

    def apply(self, text: str) -> str:
        """Return the source with the fault.

        Raises
        ------
        ValueError
            If the text to exchange does not occur exactly once.
        """
        if self.name == ORIGINAL:
            return text
        if text.count(self.find) != 1:
            raise ValueError(f"{self.name}: found {text.count(self.find)} times in {self.file}")
        return text.replace(self.find, self.replace)


def read() -> list[Mutant]:
    """Return the table of mutants, in its order."""
    rows = tomllib.loads(TABLE.read_text("utf-8"))["mutant"]
    return [Mutant(r["name"], r["file"], r["find"], r["replace"]) for r in rows]


def _build(mutant: Mutant) -> Path:
    """Compile the mutant in a folder of its own; return the folder for PYTHONPATH."""
    folder = BUILD / mutant.name
    shutil.rmtree(folder, ignore_errors=True)
    source = folder / "source"
    for name in ("src/tradecore_ext", "tools"):
        ignore = shutil.ignore_patterns("*.so", "__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=ignore)
    shutil.copy2(ROOT / "CMakeLists.txt", source)
    target = source / "src" / "tradecore_ext" / mutant.file
    target.write_text(mutant.apply(target.read_text("utf-8")), "utf-8")
    configure = ["cmake", "-S", str(source), "-B", str(folder / "cmake"), "-G", "Ninja"]
    # -O1: half the compile time, the same faults.
    flags = [f"-DPython_EXECUTABLE={sys.executable}", "-DTC_KERNEL_FLAGS=-O1;-fvisibility=hidden"]
    flags += ["-DTC_AUDIT=ON", f"-DTC_OUTPUT_DIR={source / 'src' / 'tradecore_ext'}"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for command in ([*configure, *flags], ["ninja", "-C", str(folder / "cmake")]):
        done = subprocess.run(
            command, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{mutant.name} does not compile:\n{done.stdout}{done.stderr}")
    return source / "src"


def judge(mutant: Mutant) -> tuple[Mutant, str]:
    """Build one mutant, run the tests until one fails, and return what killed it ("" if none)."""
    kernel = _build(mutant)
    search = os.pathsep.join([str(kernel), str(ROOT / "src")])
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:randomly"]
    command += ["-p", "no:cacheprovider", *TESTS]
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={"TRADECORE_COMMANDS": COMMANDS} | os.environ | {"PYTHONPATH": search},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        killer = f"no end within {TIMEOUT_S} s"
    else:
        found = FIRST_FAILURE.search(done.stdout)
        status = f"exit status {done.returncode}" if done.returncode else ""
        killer = found.group(1) if found else status
    shutil.rmtree(BUILD / mutant.name, ignore_errors=True)
    return mutant, killer


def main() -> int:
    """Judge the mutants named on the command line, or all; return 1 if one survives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only these mutants")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    mutants = [m for m in read() if not arguments.names or m.name in arguments.names]
    if not mutants:
        print("mutants: no mutant has that name")
        return 2
    _, failed = judge(Mutant(ORIGINAL, mutants[0].file, "", ""))
    if failed:
        print(f"mutants: the unchanged kernel fails {failed}: nothing can be judged")
        return 2
    survivors = 0
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for mutant, killer in pool.map(judge, mutants):
            survivors += not killer
            print(f"{mutant.name:40} {killer or 'SURVIVED'}", flush=True)
    print(f"mutants: {len(mutants) - survivors} killed, {survivors} survived")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
