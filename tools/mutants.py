"""Plant every single fault of tests/mutants.toml in the kernel and show which test kills it.

Usage: python tools/mutants.py [NAME ...] [--jobs N]. A mutant is a text exchange in one kernel
source; it is applied to a copy, so the kernel itself carries no trace of it. All that can live side
by side are compiled into one kernel (mutant_schemata.py) and chosen by an environment variable, the
others one by one. Kernels are built as for the property tests, with audits. First the unchanged
kernel must survive the same tests; then a mutant that none of them kills is a hole: the exit status
is 1.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mutant_schemata import SWITCH_HEADER, Fault, combine

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "tests" / "mutants.toml"
BUILD = ROOT / "build" / "mutants"
# Three times as long as the unchanged kernel takes (but not less than a minute) is a kill too: the
# fault made a loop endless.
PATIENCE = 3
LEAST_TIMEOUT_S = 60
# Quick and specific tests first: a mutant dies at the first failure.
TESTS = (
    "tests/scenarios",
    "tests/unit/engine",
    "tests/unit/cell",
    "tests/adversarial",
    "tests/determinism/test_batches.py",
    "tests/property",
    "tests/unit/test_storage_recovery.py",
    "tests/verify/test_matching.py",
    "tests/verify/test_edge.py",
)
COMMANDS = "60000"
FIRST_FAILURE = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Mutant:
    """One fault: in ``file``, the only occurrence of ``find`` becomes ``replace``."""

    number: int
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
        if text.count(self.find) != 1:
            raise ValueError(f"{self.name}: found {text.count(self.find)} times in {self.file}")
        return text.replace(self.find, self.replace)


def read() -> list[Mutant]:
    """Return the table of mutants, in its order; numbers start at 1."""
    rows = tomllib.loads(TABLE.read_text("utf-8"))["mutant"]
    return [
        Mutant(number, r["name"], r["file"], r["find"], r["replace"])
        for number, r in enumerate(rows, 1)
    ]


def _copy(name: str) -> Path:
    """Copy what compiling the kernel needs; return the copy's kernel folder."""
    folder = BUILD / name
    shutil.rmtree(folder, ignore_errors=True)
    for part in ("src/tradecore_ext", "tools"):
        ignore = shutil.ignore_patterns("*.so", "__pycache__")
        shutil.copytree(ROOT / part, folder / part, ignore=ignore)
    shutil.copy2(ROOT / "CMakeLists.txt", folder)
    return folder / "src" / "tradecore_ext"


def _compile(kernel: Path) -> None:
    """Compile a copied kernel in place. -O1: half the compile time, the same faults."""
    folder = kernel.parents[1]
    flags = [f"-DPython_EXECUTABLE={sys.executable}", "-DTC_KERNEL_FLAGS=-O1;-fvisibility=hidden"]
    flags += ["-DTC_AUDIT=ON", f"-DTC_OUTPUT_DIR={kernel}"]
    configure = ["cmake", "-S", str(folder), "-B", str(folder / "cmake"), "-G", "Ninja", *flags]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for command in (configure, ["ninja", "-C", str(folder / "cmake")]):
        done = subprocess.run(
            command, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{folder.name} does not compile:\n{done.stdout}{done.stderr}")


def build_together(mutants: list[Mutant]) -> tuple[Path, list[Mutant]]:
    """Compile one kernel with every mutant that fits; return it and the mutants that do not."""
    kernel = _copy("together")
    (kernel / "include" / "tc_mutant.h").write_text(SWITCH_HEADER, "utf-8")
    alone: set[int] = set()
    for name in sorted({mutant.file for mutant in mutants}):
        text = (kernel / name).read_text("utf-8")
        here = [mutant for mutant in mutants if mutant.file == name]
        for mutant in here:
            mutant.apply(text)
        combined, left = combine(text, [Fault(m.number, m.find, m.replace) for m in here])
        (kernel / name).write_text(combined, "utf-8")
        alone |= {fault.number for fault in left}
    _compile(kernel)
    return kernel, [mutant for mutant in mutants if mutant.number in alone]


def build_alone(mutant: Mutant) -> Path:
    """Compile a kernel with one fault."""
    kernel = _copy(mutant.name)
    source = kernel / mutant.file
    source.write_text(mutant.apply(source.read_text("utf-8")), "utf-8")
    _compile(kernel)
    return kernel


def killer(kernel: Path, number: int, timeout_s: float | None) -> str:
    """Run the tests on a kernel until one fails; return what failed, "" if nothing did."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:randomly"]
    command += ["-p", "no:cacheprovider", *TESTS]
    search = os.pathsep.join([str(kernel.parent), str(ROOT / "src")])
    env = {"TRADECORE_COMMANDS": COMMANDS} | os.environ
    env |= {"PYTHONPATH": search, "TRADECORE_MUTANT": str(number)}
    # Streams that tell it from the kernel stay out of the scenarios, which later runs would take.
    env["TRADECORE_FOUND"] = str(BUILD / "found")
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=env,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no end within {timeout_s:.0f} s"
    found = FIRST_FAILURE.search(done.stdout)
    if found:
        return found.group(1)
    return f"exit status {done.returncode}" if done.returncode else ""


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
    together, alone = build_together(mutants)
    begin = time.monotonic()
    if failed := killer(together, 0, None):
        print(f"mutants: the unchanged kernel fails {failed}: nothing can be judged")
        return 2
    timeout_s = max(LEAST_TIMEOUT_S, PATIENCE * (time.monotonic() - begin))

    def judge(mutant: Mutant) -> tuple[Mutant, str]:
        if mutant not in alone:
            return mutant, killer(together, mutant.number, timeout_s)
        return mutant, killer(build_alone(mutant), 0, timeout_s)

    survivors = 0
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for mutant, by in pool.map(judge, mutants):
            survivors += not by
            print(f"{mutant.name:42} {by or 'SURVIVED'}", flush=True)
    print(f"mutants: {len(mutants) - survivors} killed, {survivors} survived")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
