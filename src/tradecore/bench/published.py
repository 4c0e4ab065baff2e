"""The inputs of the published numbers: which, how long, which seed, and the hash of their bytes.

The generators ship with the library (`tradecore.testing.workloads`); here they are named and
pinned. A hash that differs means that the generator changed, and with it every number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tradecore.bench.inputs import generated
from tradecore.codes import CommandKind, EventKind
from tradecore.errors import ConfigError
from tradecore.testing import workloads
from tradecore.testing.results import WorkloadRef

__all__ = ["PUBLISHED", "Entry", "Shape", "shape"]


@dataclass(frozen=True)
class Entry:
    """A published input. `sha256` is `Workload.sha256`."""

    name: str
    commands: int
    seed: int
    sha256: str

    def make(self) -> workloads.Workload:
        """Generate the workload and check its hash.

        Raises
        ------
        ConfigError
            The generator gives other bytes than those published.
        """
        work = workloads.make(self.name, self.commands, self.seed)
        if work.sha256 != self.sha256:
            raise ConfigError(
                f"workload {self.name}: sha256 {work.sha256} is not the published one"
            )
        return work

    @property
    def ref(self) -> WorkloadRef:
        """Return what a result line says about its input."""
        return WorkloadRef(self.name, self.seed, self.sha256)


def _entry(name: str, sha256: str) -> Entry:
    return Entry(name, 2_000_000, workloads.CANONICAL_SEED, sha256)


PUBLISHED: Final[dict[str, Entry]] = {
    entry.name: entry
    for entry in (
        _entry("static", "bac6c8b70966110c7b235e2fee9b676bf407f041c03b5eed907f664892385c66"),
        _entry("normal", "81510e3bb2becd712321c616a199c8d3f29a41b3579f8c31361cfa1e500ed3e0"),
        _entry("swing-25", "c017d3390fff1dab5f907d14f09436349458b55f7989b7b541d4ec2c5814ee88"),
        _entry("swing-40", "532cb59a9f4cbfa0486611ed32cde645c8e39c0f4646428de7adc1a9c1126941"),
        _entry("flash-crash", "5e0c04abe8c323a6cae1d3b3c4d91b962c2ac9943e3ef7e3083fb527c19e00e7"),
        _entry("busy", "b694414003b872ac624dc1bae5b6dcf84f5d931df98fdd4193813d09001c07cf"),
        _entry("zipf", "228b8ae6af604b99873833379d9f2312df231f04675ca52c94d1363c73a1b0b1"),
        _entry("pipeline", "326b04e233af2100cf87785155c427754b247d0db1a68123a99123021255518c"),
        _entry("moves", "0c3a51f1d2312cbee5d9f34cab017fdea785b3f22ae01711c433f6074abfff24"),
        _entry("retail-day", "cd98b47d8fcdeaf4cbde172f7738f6409e5c5185f70dd8ae377cae42dc2a75d7"),
        _entry("news-burst", "6c3b017bf718656ff9dbed72600aa919bb9824aa971ebef25b0f8ddf919abfdd"),
        _entry(
            "quote-stuffing", "767f688f55ae2536545707c604d54c7023615ba65d6b3e40cc95a40c4373aa61"
        ),
        _entry("auction-open", "7442e548efa7fe318fb2a811909bc6a18aa8b2ae7eec8393302d8c4542b525e6"),
    )
}


@dataclass(frozen=True)
class Shape:
    """What a stream is like, seen by running it.

    Parameters
    ----------
    commands : int
    new, cancel, replace : float
        Shares of all commands.
    instruments, accounts : int
        Ids that occur.
    fills : int
    live : int
        Orders open at the end.
    refused : float
        Share of commands the engine refused (an order already gone, mostly).
    events : int
        Event frames.
    seconds : float
        Log time from first to last command.
    peak_to_mean : float
        Busiest thousandth of that time over the mean; 1 for an even pace.
    """

    commands: int
    new: float
    cancel: float
    replace: float
    instruments: int
    accounts: int
    fills: int
    live: int
    refused: float
    events: int
    seconds: float
    peak_to_mean: float


def shape(name: str, commands: int) -> Shape:
    """Generate a workload, run it through the engine and describe both.

    Raises
    ------
    ConfigError
        Unknown name or impossible length.
    """
    work = generated(name, commands)
    engine = work.engine()
    fills = refused = events = 0
    for batch in work.batches():
        found = engine.events(batch)
        kind = found["kind"]
        events += len(kind)
        fills += int((kind == EventKind.FILL).sum())
        refused += int(np.isin(kind, _REFUSALS).sum())
    frames = work.commands
    kind, ts = frames["kind"], frames["ts_ns"].astype(np.int64)
    span = max(int(ts[-1] - ts[0]), 1)
    busiest = int(np.bincount((ts - ts[0]) * 1_000 // (span + 1), minlength=1_000).max())
    return Shape(
        commands=len(frames),
        new=float((kind == CommandKind.NEW_ORDER).mean()),
        cancel=float((kind == CommandKind.CANCEL_ORDER).mean()),
        replace=float((kind == CommandKind.REPLACE_ORDER).mean()),
        instruments=len(np.unique(frames["instrument_id"][kind == CommandKind.NEW_ORDER])),
        accounts=len(np.unique(frames["account_id"][kind == CommandKind.NEW_ORDER])),
        fills=fills,
        live=int(engine.counters()["live_orders"]),
        refused=refused / len(frames),
        events=events,
        seconds=span / 1e9,
        peak_to_mean=busiest * 1_000 / len(frames),
    )


_REFUSALS: Final = (
    EventKind.REJECTED,
    EventKind.CANCEL_REJECTED,
    EventKind.REPLACE_REJECTED,
)
