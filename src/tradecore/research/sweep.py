"""Parameter sweeps: one function, many parameters, several processes, one table.

Every finished run is a line in a file beside the table, flushed before the next one is handed out.
So a sweep that was killed goes on where it stopped, and the table is the same whatever the number
of processes, the order in which they finish, and the number of attempts.

>>> grid(qty=[1, 2], most=[10])
[{'qty': 1, 'most': 10}, {'qty': 2, 'most': 10}]
"""

from __future__ import annotations

import itertools
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO

import msgspec

from tradecore.errors import ConfigError, DataError
from tradecore.research.sweep_pool import in_processes, on_ray

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Params", "grid", "sweep"]

Params = dict[str, Any]
Row = dict[str, Any]

_RESERVED: Final = ("run", "error")
_SCALARS: Final = (bool, int, float, str)


class _Line(msgspec.Struct):
    """One finished run, as it stands in the file of progress."""

    run: int
    row: dict[str, Any]
    error: str = ""


class _Head(msgspec.Struct):
    """The first line: what is being swept."""

    sweep: str
    runs: list[dict[str, Any]]


def grid(**values: Sequence[Any]) -> list[Params]:
    """Return every combination of some parameters' values, the last one changing fastest."""
    return [
        dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())
    ]


def sweep(
    function: Callable[..., Mapping[str, Any]],
    runs: Sequence[Params],
    path: str | os.PathLike[str],
    *,
    processes: int | None = None,
    backend: Literal["processes", "ray"] = "processes",
    on_error: Literal["raise", "record"] = "raise",
    progress: TextIO | Literal["auto"] | None = "auto",
) -> pa.Table:
    """Call a function for every set of parameters and collect what it returns in a Parquet file.

    Parameters
    ----------
    function : callable
        ``function(**params)`` returns a mapping of names to numbers, strings or truth values, for
        example ``result.summary()``. It is called in other processes, so it must be importable: a
        function at the top level of a module, not a lambda.
    runs : sequence of dict
        Parameters of each run, JSON values; `grid` makes all combinations.
    path : str or path-like
        The table, ``.parquet``. Progress is kept beside it in ``.progress.jsonl`` and removed when
        the table is written.
    processes : int, optional
        How many at a time; all cores by default. 1 runs everything here.
    backend : {"processes", "ray"}
        ``ray`` hands the runs to the cluster this process is connected to, or to a local one (extra
        ``ray``).
    on_error : {"raise", "record"}
        What happens when a run raises: the sweep ends and can be resumed, or the sentence of the
        error becomes the column ``error`` of its row.
    progress : text file, None or "auto"
        Where the progress bar goes; "auto" is standard error if that is a terminal.

    Returns
    -------
    pyarrow.Table
        A row a run, in the order of `runs`: ``run``, the parameters, what the function returned
        and ``error``. Columns that a run does not have are null, and so are nan and infinity.

    Raises
    ------
    ConfigError
        No runs, names that collide, or a progress file of another sweep.
    DataError
        What the function returned is no mapping of plain values, or the progress file is damaged.
    RuntimeError
        A run raised, with its parameters; the runs before it are kept.
    """
    target = Path(path)
    if target.suffix != ".parquet":
        raise ConfigError(f"{target}: the name of the table must end with .parquet")
    head = _Head(f"{function.__module__}.{function.__qualname__}", [dict(run) for run in runs])
    _check(head)
    log = target.with_suffix(".progress.jsonl")
    done = _resume(log, head)
    todo = [number for number in range(len(runs)) if number not in done]
    workers = processes if processes is not None else os.cpu_count() or 1
    if workers < 1:
        raise ConfigError(f"processes is {processes}; one is needed")
    bar = _Bar(progress, len(runs), len(done))
    tasks = [(number, head.runs[number]) for number in todo]
    outcomes: Iterator[tuple[int, Any, str]]
    if backend == "ray":
        outcomes = on_ray(function, tasks)
    else:
        outcomes = in_processes(function, tasks, min(workers, max(len(tasks), 1)))
    with log.open("ab") as file:
        if not file.tell():
            file.write(msgspec.json.encode(head) + b"\n")
        for number, row, error in outcomes:
            if error and on_error == "raise":
                raise RuntimeError(f"run {number} with {head.runs[number]}: {error}")
            line = _Line(number, {} if error else _plain(row, head.runs[number], number), error)
            file.write(msgspec.json.encode(line) + b"\n")
            file.flush()
            done[number] = line
            bar.show(len(done))
    bar.end()
    table = _table(head, done)
    _write(table, target)
    log.unlink()
    return table


def _check(head: _Head) -> None:
    if not head.runs:
        raise ConfigError("a sweep without runs")
    for number, run in enumerate(head.runs):
        wrong = [name for name in run if name in _RESERVED]
        if wrong:
            raise ConfigError(f"run {number}: a parameter cannot be called {wrong[0]!r}")
    try:
        same = msgspec.json.decode(msgspec.json.encode(head), type=_Head)
    except TypeError as error:
        raise ConfigError(f"parameters must be JSON values: {error}") from error
    if same.runs != head.runs:
        raise ConfigError("parameters must be JSON values: lists instead of tuples, names as keys")


def _resume(log: Path, head: _Head) -> dict[int, _Line]:
    """Return the runs that an earlier attempt has finished; cut off a line it could not finish."""
    if not log.exists():
        return {}
    data = log.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    lines = whole.splitlines()
    if not lines:
        log.unlink()
        return {}
    try:
        if msgspec.json.decode(lines[0], type=_Head) != head:
            raise ConfigError(
                f"{log} belongs to another sweep (other function or parameters); "
                "remove it to begin again"
            )
        found = [msgspec.json.decode(line, type=_Line) for line in lines[1:]]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"damaged: {error}", str(log)) from error
    if len(whole) < len(data):
        os.truncate(log, len(whole))
    return {line.run: line for line in found}


def _plain(row: Any, params: Params, number: int) -> Row:
    """Return what a function gave as plain Python values."""
    if not isinstance(row, Mapping):
        raise DataError(f"run {number} returned {type(row).__name__}, not a mapping", "sweep")
    plain: Row = {}
    for name, value in row.items():
        item = getattr(value, "item", None)
        single = item() if item is not None and getattr(value, "ndim", 0) == 0 else value
        if not isinstance(name, str) or not (single is None or isinstance(single, _SCALARS)):
            raise DataError(
                f"run {number} returned {name!r}: {type(value).__name__}; numbers, strings and "
                "truth values go into a table",
                "sweep",
            )
        if name in _RESERVED or name in params:
            # A result that repeats a parameter says nothing new; one that differs would be lost.
            if name not in params or params[name] != single:
                raise DataError(f"run {number} returned {name!r}, the name of a parameter", "sweep")
            continue
        # JSON has no nan and no infinity: a number that is none becomes a null.
        finite = not isinstance(single, float) or math.isfinite(single)
        plain[name] = single if finite else None
    return plain


def _table(head: _Head, done: dict[int, _Line]) -> pa.Table:
    """Return one row a run, columns in the order in which they first appear."""
    import pyarrow as pa

    rows = []
    for number, params in enumerate(head.runs):
        line = done[number]
        values = {k: v if isinstance(v, _SCALARS) else _text(v) for k, v in params.items()}
        rows.append({"run": number} | values | line.row | {"error": line.error})
    names = dict.fromkeys(name for row in rows for name in row if name != "error")
    columns = {name: [row.get(name) for row in rows] for name in [*names, "error"]}
    return pa.table({name: pa.array(_one_kind(values)) for name, values in columns.items()})


def _text(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _one_kind(values: list[Any]) -> list[Any]:
    """Return a column of one type: numbers that are partly fractions are all floats."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        return [None if value is None else float(value) for value in values]
    if len(kinds) > 1:
        return [None if value is None else str(value) for value in values]
    return values


def _write(table: pa.Table, target: Path) -> None:
    """Write the table whole or not at all."""
    import pyarrow.parquet as pq

    part = target.with_suffix(".parquet.part")
    pq.write_table(table, part, compression="zstd")
    part.replace(target)


class _Bar:
    """A progress bar of one line; on what is no terminal, nothing."""

    def __init__(self, to: TextIO | Literal["auto"] | None, total: int, done: int) -> None:
        if to == "auto":
            to = sys.stderr if sys.stderr.isatty() else None
        self._to = to
        self._total = total
        self.show(done)

    def show(self, done: int) -> None:
        """Draw the bar."""
        if self._to is not None:
            full = 30 * done // self._total
            self._to.write(f"\r[{'#' * full}{'.' * (30 - full)}] {done:,}/{self._total:,} runs")
            self._to.flush()

    def end(self) -> None:
        """Finish the line."""
        if self._to is not None:
            self._to.write("\n")
