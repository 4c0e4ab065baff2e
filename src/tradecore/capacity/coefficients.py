"""The numbers that a plan multiplies, picked out of result lines; what was not measured is assumed.

A coefficients file is an ordinary result file (`tradecore.testing.results`): `tradecore bench
capacity` writes it, and of several lines with one key the newest counts. Rates of services that
were not running while it was written are assumptions with their reason, and stay visible as such
in every plan that uses them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from tradecore.capacity.usl import Fit, fit_usl
from tradecore.errors import ConfigError
from tradecore.testing.results import Machine, Result

__all__ = ["ASSUMED", "Coefficients", "Figure", "from_results"]


class Figure(msgspec.Struct, frozen=True):
    """One number and how it is known.

    Attributes
    ----------
    value : float
    unit : str
    source : {'measured', 'assumed'}
    note : str
        Conditions of a measurement, reason of an assumption.
    low, high : float or None
        95 % interval of a measurement that was repeated.
    """

    value: float
    unit: str
    source: Literal["measured", "assumed"]
    note: str
    low: float | None = None
    high: float | None = None


class _Assumption(msgspec.Struct, frozen=True):
    value: float
    unit: str
    note: str


# Name of a result line -> what stands in for it. The services' benchmarks write lines of these
# names, and then the measurement counts.
ASSUMED: Final[dict[str, _Assumption]] = {
    "capacity/kafka-bytes": _Assumption(
        50e6,
        "bytes/s",
        "what one broker takes in, replicas included: below the slowest 64 KiB figure of "
        "docs/decisions/0008-kafka-on-loopback.md with every append forced to the disk",
    ),
    "capacity/postgres-rows": _Assumption(
        25_000,
        "rows/s",
        "fill rows a second into one Postgres with fsync on, the goal of the portfolio shell",
    ),
    "capacity/postgres-row-bytes": _Assumption(
        300, "bytes/row", "a fill row of about 150 bytes and as much again for its indexes"
    ),
    "capacity/redis-account-bytes": _Assumption(
        1_000, "bytes/account", "one hash of a dozen fields for an account's live portfolio"
    ),
    "capacity/redis-holding-bytes": _Assumption(
        150, "bytes/holding", "one field of that hash for each asset held"
    ),
}

# Other benchmarks that measure the same thing under a name of their own.
_SAME_AS: Final = {"portfolio/service": "capacity/postgres-rows"}

_NEEDED: Final = (
    *("saturation/engine", "capacity/log-cpu", "capacity/log-flush", "capacity/log-flush-p99.9"),
    *("capacity/log-bytes", "capacity/log-read", "capacity/account-bytes"),
    *("capacity/wallet-bytes", "capacity/position-bytes", "capacity/order-bytes"),
    "capacity/stalls",
)
_BY_MIX: Final = ("capacity/cpu", "capacity/wall", "capacity/events", "capacity/fills")
_SNAPSHOT: Final = ("take", "restore", "bytes")
_STATE: Final = ("account", "wallet", "position", "order")


class Coefficients(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a plan needs to know about a machine.

    Attributes
    ----------
    machine : Machine
    commit, time_utc : str
        Of the newest line.
    figures : dict of str to Figure
        By name of the result line; ``NAME:MIX`` where a mix decides, ``NAME:PART`` for what a
        snapshot consists of (account, wallet, position, order).
    saturation : dict of str to Figure
        Highest rate with p99.9 within the limit, by target.
    limit_ms : float
        That limit.
    mixes : list of str
        Streams for which a command's cost is known.
    cells, clients : Fit or None
        Scaling laws, where they were measured.
    neighbour : float
        What is left of a cell's speed when every core of the machine runs one, 0..1; from CPU time,
        so that other work on the machine does not count.
    """

    machine: Machine
    commit: str
    time_utc: str
    figures: dict[str, Figure]
    saturation: dict[str, Figure]
    limit_ms: float
    mixes: list[str]
    cells: Fit | None
    clients: Fit | None
    neighbour: float

    def value(self, name: str) -> float:
        """Return a figure's value by name."""
        return self.figures[name].value


def from_results(results: Iterable[Result], where: str = "results") -> Coefficients:
    """Pick coefficients out of result lines.

    Parameters
    ----------
    results : iterable of Result
        Of one machine; the newest line of a key is the last one.
    where : str
        Name of the file, for the message of an error.

    Raises
    ------
    ConfigError
        Lines are missing, or come from two machines.
    """
    newest = {each.key: each for each in results}.values()
    machines = {(each.machine.cpu, each.machine.cores) for each in newest}
    if len(machines) > 1:
        raise ConfigError(f"{where}: lines of {len(machines)} machines; a plan needs those of one")
    by_name: dict[str, list[Result]] = {}
    for each in newest:
        by_name.setdefault(each.name, []).append(each)
    figures = _figures(by_name)
    saturation = {
        name.partition("/")[2]: _measured(rows[-1])
        for name, rows in by_name.items()
        if name.startswith("saturation/")
    }
    mixes = [str(each.conditions["mix"]) for each in by_name.get("capacity/cpu", [])]
    missing = [name for name in _NEEDED if name not in by_name]
    missing += [name for name in _BY_MIX if len(by_name.get(name, [])) < max(len(mixes), 1)]
    missing += [
        f"capacity/snapshot-{verb}"
        for verb in _SNAPSHOT
        if {f"capacity/snapshot-{verb}:{of}" for of in _STATE} - set(figures)
    ]
    if missing:
        raise ConfigError(
            f"{where}: no coefficients, {len(missing)} lines are missing ({missing[0]}); "
            "'tradecore bench capacity' measures them"
        )
    last = by_name["saturation/engine"][-1]
    return Coefficients(
        machine=last.machine,
        commit=last.commit,
        time_utc=last.time_utc,
        figures=figures,
        saturation=saturation,
        limit_ms=float(last.conditions["limit_ms"]),
        mixes=mixes,
        cells=_law(by_name.get("scaling/cells", []), "cells"),
        clients=_law(by_name.get("scaling/clients", []), "clients"),
        neighbour=_neighbour(by_name.get("scaling/cells", [])),
    )


def _measured(row: Result) -> Figure:
    conditions = ", ".join(f"{key} {value}" for key, value in row.conditions.items())
    note = f"median of {row.repeats}" if row.repeats > 1 else "one run"
    low, high = row.ci95 or (None, None)
    return Figure(row.median, row.unit, "measured", f"{note}; {conditions}", low, high)


def _figures(by_name: dict[str, list[Result]]) -> dict[str, Figure]:
    figures = {
        name: Figure(each.value, each.unit, "assumed", each.note) for name, each in ASSUMED.items()
    }
    for given, rows in by_name.items():
        name = _SAME_AS.get(given, given)
        if not name.startswith("capacity/"):
            continue
        for row in rows:
            of = row.conditions.get("mix") or row.conditions.get("of")
            figures[f"{name}:{of}" if of else name] = _measured(row)
    return figures


def _law(rows: list[Result], what: str) -> Fit | None:
    """Fit the law through all runs of the lines, None where there are too few."""
    points = [
        (float(row.conditions[what]), value)
        for row in rows
        for value in row.values or (row.median,)
    ]
    if len({count for count, _ in points}) < 3:
        return None
    counts, rates = zip(*points, strict=True)
    return fit_usl(counts, rates, relative=True)


def _neighbour(rows: list[Result]) -> float:
    """Return the CPU time of a command alone over that with a cell on every core."""
    used = {
        int(row.conditions["cells"]): float(row.observed["cpu_ns_per_command"])
        for row in rows
        if "cpu_ns_per_command" in row.observed
    }
    full = max((n for n in used if n <= (rows[0].machine.cores if rows else 1)), default=1)
    return min(used[1] / used[full], 1.0) if 1 in used and used[full] > 0 else 1.0
