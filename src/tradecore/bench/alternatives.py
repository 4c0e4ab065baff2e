"""The C++ engines of ``bench/alternatives`` in the same run: the machine's limit, and `std::map`.

They exist only in a source checkout and need make and a C++ compiler; without either the benchmarks
measure this engine alone. The driver is started once a round, so its runs lie between ours.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from tradecore.bench.setting import Setting
from tradecore.testing.results import Result, WorkloadRef
from tradecore.testing.workloads import make

__all__ = ["ENGINES", "Rivals"]

ENGINES = ("stdmap", "minimal-direct-prefetch", "minimal-hashed", "minimal-hashed-prefetch")


class Rivals:
    """The driver on one workload file; `round` measures each of its engines once.

    Attributes
    ----------
    values : dict of str to list of float
        Nanoseconds a command by engine, one value a round.
    """

    def __init__(self, setting: Setting, driver: Path | None, workload: Path | None) -> None:
        self._setting = setting
        self._driver = driver
        self._workload = workload
        self._checksum: dict[str, str] = {}
        self._compiler = ""
        self.values: dict[str, list[float]] = {}

    @classmethod
    def on(cls, setting: Setting, name: str) -> Rivals:
        """Build the driver and write the workload, once; no rivals where that cannot be done."""
        make_program, compiler = shutil.which("make"), shutil.which("g++")
        if setting.root is None or make_program is None or compiler is None:
            return cls(setting, None, None)
        build = setting.root / "build"
        folder = setting.root / "bench" / "alternatives"
        subprocess.run(
            [make_program, "-s", "-C", folder, f"BUILD={build / 'alternatives'}"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        path = build / "workloads" / f"{name}-{setting.commands}.bin"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(make(name, setting.commands).encode())
        rivals = cls(setting, build / "alternatives" / "driver", path)
        version = subprocess.run(
            [compiler, "--version"], check=True, capture_output=True, text=True
        )
        rivals._compiler = version.stdout.splitlines()[0] + " -O3"
        return rivals

    @classmethod
    def on_file(cls, setting: Setting, path: Path) -> Rivals:
        """Measure on a given uncompressed workload file."""
        rivals = cls.on(setting, "busy") if path.suffix == ".bin" else cls(setting, None, None)
        if rivals._workload is not None:
            rivals._workload = path.resolve()
        return rivals

    def round(self) -> None:
        """Measure each engine once."""
        if self._driver is None or self._workload is None:
            return
        engines = ",".join(ENGINES)
        self._setting.settle()
        done = subprocess.run(
            [self._driver, self._workload, "--repeats", "1", "--engines", engines],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            # Its dense books cannot hold prices that lie far apart: no rivals then.
            self._setting.say(f"alternatives: {done.stderr.strip()}")
            self._driver = None
            return
        for line in done.stdout.splitlines():
            row = json.loads(line)
            self.values.setdefault(row["engine"], []).append(row["median"])
            self._checksum[row["engine"]] = row["checksum"]

    def results(self, name: str, ref: WorkloadRef) -> list[Result]:
        """Return one line an engine."""
        return [
            self._setting.result(
                name,
                "ns/command",
                values,
                conditions={"engine": engine, "batch": 4096, "accounts": False},
                workload=ref,
                sha256=self._checksum[engine],
                compiler=self._compiler,
            )
            for engine, values in self.values.items()
        ]
