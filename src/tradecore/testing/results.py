"""One measured number with everything needed to believe or repeat it: the schema of result files.

A result file is JSON lines, append-only, one `Result` a line. `tradecore bench`, its reports
and comparisons and the scripts under bench/ all speak this schema and nothing else. Clocks, commits
and compilers are given by the caller: this module only describes, writes and reads.
"""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from tradecore.errors import DataError
from tradecore.testing.stats import mean_interval

__all__ = [
    "SCHEMA",
    "Machine",
    "Result",
    "WorkloadRef",
    "append_results",
    "higher_is_better",
    "machine",
    "read_results",
    "summarise",
]

SCHEMA = 1
"""Version of the line format; readers refuse any other."""


class Machine(msgspec.Struct, frozen=True):
    """Where a number was measured.

    Parameters
    ----------
    cpu : str
        Model as the operating system names it.
    cores : int
        Logical CPUs usable by the process.
    kernel : str
        Operating system and release.
    compiler : str
        Compiler and flags of the code under test, empty where none was compiled.
    python : str
        Implementation and version.
    """

    cpu: str
    cores: int
    kernel: str
    compiler: str
    python: str


class WorkloadRef(msgspec.Struct, frozen=True):
    """Which input was used: name, seed and SHA-256 of its bytes."""

    name: str
    seed: int
    sha256: str


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One benchmark's number.

    Parameters
    ----------
    schema : int
        `SCHEMA`.
    name : str
        What was measured, stable over versions, e.g. ``matching/busy``.
    unit : str
        ``ns/command``, ``commands/s``, ``s``, ``bytes/order``... A unit that ends in ``/s`` is
        better when higher, all others when lower.
    median, min, max : float
        Over `repeats` runs, in `unit`.
    repeats : int
        Number of timed runs.
    conditions : dict of str to (str, int, float or bool)
        Everything that changes the number: batch size, engine, warm-up, features on or off.
    machine : Machine
    commit : str
        Commit of the code under test, with ``+`` appended where the tree had changes.
    workload : WorkloadRef or None
    result_sha256 : str
        Hash of what was computed (events, state, report stream); empty where there is none. Two
        results with different hashes did different work.
    time_utc : str
        ISO 8601 with a trailing Z, given by the caller.
    observed : dict of str to (str, int, float or bool)
        What was seen beside the number and may differ from run to run: load average, ratios, other
        percentiles. Never part of the key.
    values : tuple of float
        The value of every run, in the order of the runs; empty in lines of older versions.
    ci95 : tuple of float (low, high) or None
        Where the mean over runs lies with 95 % confidence (Student's t); None for a single run.
    """

    schema: int
    name: str
    unit: str
    median: float
    min: float
    max: float
    repeats: int
    conditions: dict[str, str | int | float | bool]
    machine: Machine
    commit: str
    workload: WorkloadRef | None
    result_sha256: str
    time_utc: str
    observed: dict[str, str | int | float | bool] = {}
    values: tuple[float, ...] = ()
    ci95: tuple[float, float] | None = None

    @property
    def key(self) -> tuple[str, ...]:
        """Return what makes two results comparable: name, unit, workload and conditions."""
        workload = "" if self.workload is None else self.workload.sha256
        conditions = (f"{k}={v}" for k, v in sorted(self.conditions.items()))
        return (self.name, self.unit, workload, *conditions)


def summarise(
    values: Sequence[float],
    *,
    name: str,
    unit: str,
    machine: Machine,
    commit: str,
    time_utc: str,
    conditions: dict[str, str | int | float | bool] | None = None,
    workload: WorkloadRef | None = None,
    result_sha256: str = "",
    observed: dict[str, str | int | float | bool] | None = None,
) -> Result:
    """Make a `Result` of the values of single runs.

    Parameters
    ----------
    values : sequence of float
        One value a run, in `unit`; at least one.

    Returns
    -------
    Result

    Raises
    ------
    ValueError
        No values.
    """
    if not values:
        raise ValueError("a result needs at least one measured value")
    return Result(
        schema=SCHEMA,
        name=name,
        unit=unit,
        median=statistics.median(values),
        min=min(values),
        max=max(values),
        repeats=len(values),
        conditions=conditions or {},
        machine=machine,
        commit=commit,
        workload=workload,
        result_sha256=result_sha256,
        time_utc=time_utc,
        observed=observed or {},
        values=tuple(float(value) for value in values),
        ci95=mean_interval(values),
    )


def higher_is_better(unit: str) -> bool:
    """Tell whether a larger number of this unit is the better one (rates are, costs are not)."""
    return unit.endswith("/s")


def machine(compiler: str = "") -> Machine:
    """Describe this machine.

    Parameters
    ----------
    compiler : str
        Compiler and flags of the code under test, as its build recorded them.
    """
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                cpu = line.partition(":")[2].strip()
                break
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Machine(
        cpu=cpu,
        cores=cores or 1,
        kernel=f"{platform.system()} {platform.release()}",
        compiler=compiler,
        python=f"{platform.python_implementation()} {platform.python_version()}",
    )


def append_results(path: str | os.PathLike[str], results: Iterable[Result]) -> None:
    """Append results to a file, one JSON object a line."""
    with open(path, "ab") as out:
        for result in results:
            out.write(msgspec.json.encode(result) + b"\n")


def read_results(path: str | os.PathLike[str]) -> list[Result]:
    """Read all results of a file, oldest first.

    Raises
    ------
    DataError
        Naming file, byte offset and reason of the first line that is not a result.
    """
    name = os.fspath(path)
    results = []
    offset = 0
    try:
        lines = Path(path).read_bytes().splitlines(keepends=True)
    except OSError as error:
        raise DataError(error.strerror or "cannot be read", name) from error
    decoder = msgspec.json.Decoder(Result)
    for line in lines:
        if line.strip():
            try:
                result = decoder.decode(line)
            except msgspec.MsgspecError as error:
                raise DataError(f"not a result line: {error}", name, offset) from error
            if result.schema != SCHEMA:
                reason = f"result schema {result.schema} is not supported, only {SCHEMA}"
                raise DataError(reason, name, offset)
            results.append(result)
        offset += len(line)
    return results
