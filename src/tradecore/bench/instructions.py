"""Instructions a command: the number that a busy machine cannot change.

Counted by the processor (`perf stat`) where the system lets it, else by valgrind's cachegrind, in a
process that does nothing but apply frames from a file. Two runs that differ only in how many frames
they apply are subtracted, so that interpreter, imports and set-up cancel out. Where neither tool
works the row is skipped and says so.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from tradecore.bench.applied import BATCH
from tradecore.bench.inputs import Input, funded, generated
from tradecore.bench.run import hash_of
from tradecore.bench.scripts import child_environment
from tradecore.bench.setting import Setting
from tradecore.errors import TradecoreError
from tradecore.testing.results import Result

__all__ = ["Counter", "find_counter", "instructions"]

_REFS: Final = re.compile(r"I\s+refs:\s+([\d,]+)")


@dataclass(frozen=True)
class Counter:
    """A program that counts instructions, and how to read what it says."""

    name: str
    command: tuple[str, ...]

    def count(self, program: list[str]) -> int:
        """Run a program and return its instructions.

        Raises
        ------
        TradecoreError
            The program failed, or the counter's words were not understood.
        """
        # Threads that numpy starts and hash seeds would cost other instructions each time.
        still = {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        environment = child_environment() | still
        done = subprocess.run(
            [*self.command, *program], env=environment, capture_output=True, text=True, check=False
        )
        found = self.read(done.stderr)
        if done.returncode or found is None:
            last = (done.stderr.strip().splitlines() or ["no output"])[-1]
            raise TradecoreError(f"{self.name} counted nothing: {last}")
        return found

    def read(self, text: str) -> int | None:
        """Return the count in what the program wrote to its error stream, None where none is."""
        if self.name == "perf":
            fields = next((row for row in text.splitlines() if "instructions" in row), "")
            value = fields.split(",")[0]
            return int(value) if value.isdigit() else None
        found = _REFS.search(text)
        return int(found.group(1).replace(",", "")) if found else None


def find_counter() -> Counter | None:
    """Return the best counter that works here, None where there is none."""
    perf, valgrind = shutil.which("perf"), shutil.which("valgrind")
    if perf is not None:
        counter = Counter("perf", (perf, "stat", "-x,", "-e", "instructions:u", "--"))
        try:
            counter.count([sys.executable, "-c", ""])
            return counter
        except TradecoreError:
            pass  # virtual machines often have no counters
    if valgrind is not None:
        options = ("--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")
        return Counter("valgrind", (valgrind, *options))
    return None


def instructions(setting: Setting) -> list[Result]:
    """Count the instructions of a command: matching on one book and on many, and with accounts."""
    counter = find_counter()
    if counter is None:
        setting.say("instructions: skipped, neither perf nor valgrind can count here")
        return []
    few, many = setting.sized(20_000, 500), setting.sized(80_000, 2_000)
    rows = []
    for name, work in (
        ("busy", generated("busy", many)),
        ("zipf", generated("zipf", many)),
        ("busy-accounts", funded("busy", many)),
    ):
        setting.say(f"instructions: {name}, counted by {counter.name}")
        each = _per_command(counter, work, few, many)
        rows.append(
            setting.result(
                f"instructions/{name}",
                "instructions/command",
                [each],
                conditions={"from": few, "to": many, "batch": BATCH, "counter": counter.name},
                workload=work.ref,
                sha256=hash_of(work)[0],
            )
        )
    return rows


def _per_command(counter: Counter, work: Input, few: int, many: int) -> float:
    with tempfile.TemporaryDirectory(prefix="tradecore-") as folder:
        frames, config = Path(folder) / "frames.npy", Path(folder) / "config.json"
        np.save(frames, np.concatenate([work.setup, work.commands]).view(np.uint8))
        # Memory committed in advance would be counted twice and cancel out; leaving it is quicker.
        quiet = msgspec.structs.replace(work.config, prefault=False)
        config.write_bytes(msgspec.json.encode(quiet))
        program = [sys.executable, "-m", "tradecore.bench.applied", str(frames), str(config)]
        # Once without being counted: the first run of a program compiles its modules.
        subprocess.run([*program, "0"], env=child_environment(), check=True)
        counts = [
            counter.count([*program, str(len(work.setup) + commands)]) for commands in (few, many)
        ]
    return (counts[1] - counts[0]) / (many - few)
