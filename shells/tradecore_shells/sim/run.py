"""Running seeds: one with its story, many with their counters, on several processes."""

from __future__ import annotations

import gc
import hashlib
import logging
import multiprocessing
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from tradecore_shells.sim.faults import CLASSES
from tradecore_shells.sim.loop import current_process
from tradecore_shells.sim.mutants import planted
from tradecore_shells.sim.world import World

__all__ = ["Outcome", "Total", "run_seed", "run_seeds"]

_COLLECT_EVERY: Final = 16


class Outcome(msgspec.Struct, frozen=True):
    """What became of one seed.

    Parameters
    ----------
    seed : int
    violations : list of str
        Empty when all is well.
    hits : dict
        Strikes by class of fault.
    counts : dict
        What happened: records, orders, fills, lives of nodes, snapshots, steps, virtual seconds.
    fingerprint : str
        Hash of every record of every topic: equal in every run of the seed.
    story : list of str
        What the world and its services said, when it was asked for.
    """

    seed: int
    violations: list[str]
    hits: dict[str, int]
    counts: dict[str, float]
    fingerprint: str
    story: list[str] = []


class Total(msgspec.Struct):
    """Sums over many seeds."""

    seeds: int = 0
    failed: list[Outcome] = []
    hits: Counter[str] = msgspec.field(default_factory=Counter)
    counts: Counter[str] = msgspec.field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        """Count one more seed."""
        self.seeds += 1
        self.hits.update(outcome.hits)
        for name, value in outcome.counts.items():
            self.counts[name] += value  # type: ignore[assignment]
        if outcome.violations:
            self.failed.append(outcome)

    def silent(self) -> list[str]:
        """Return the classes of faults that never struck."""
        return [name for name in CLASSES if not self.hits[name]]


class _Story(logging.Handler):
    """Keeps what services log, with virtual time and the process that said it."""

    def __init__(self, world: World, lines: list[str]) -> None:
        super().__init__()
        self._world = world
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        who = current_process()
        fields = getattr(record, "fields", {})
        facts = " ".join(f"{name}={value}" for name, value in fields.items())
        name = who.name if who is not None else "world"
        self._lines.append(f"{self._world.loop.now:9.4f} {name:14} {record.getMessage()} {facts}")


@contextmanager
def _logging_to(handler: logging.Handler | None) -> Iterator[None]:
    """Keep the services' logs off the terminal while a world runs."""
    root = logging.getLogger("tradecore")
    before = (root.handlers[:], root.propagate, root.level, logging.root.manager.disable)
    root.handlers[:] = [handler] if handler is not None else []
    root.propagate = False
    if handler is None:
        logging.disable(logging.CRITICAL)
    else:
        root.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.handlers[:], root.propagate = before[0], before[1]
        root.setLevel(before[2])
        logging.disable(before[3])


def _fingerprint(world: World) -> str:
    whole = hashlib.blake2b(digest_size=16)
    for (topic, number), partition in sorted(world.broker.partitions.items()):
        whole.update(f"{topic}-{number}".encode())
        for ts_ns, payload in partition.all:
            whole.update(ts_ns.to_bytes(8, "little"))
            whole.update(payload)
    return whole.hexdigest()


def run_seed(
    seed: int, *, bug: str | None = None, load_s: float | None = None, story: bool = False
) -> Outcome:
    """Live through one seed.

    Parameters
    ----------
    seed : int
    bug : str, optional
        A mistake to plant into the services, of `mutants.BUGS`.
    load_s : float, optional
        Virtual seconds under load.
    story : bool
        Keep what was said on the way.
    """
    hits: Counter[str] = Counter()
    lines: list[str] = []
    with planted(bug) as patches:
        world = World(seed, hits, load_s, differently=patches.settings)
        with _logging_to(_Story(world, lines) if story else None):
            violations = world.run()
    return Outcome(seed, violations, dict(hits), world.counts(), _fingerprint(world), lines)


def _run_silently(seed: int) -> Outcome:
    gc.disable()
    outcome = run_seed(seed)
    if seed % _COLLECT_EVERY == 0:
        gc.collect()
    return outcome


def run_seeds(seeds: Iterable[int], *, processes: int = 1) -> Iterator[Outcome]:
    """Run seeds, on several processes if asked; yields outcomes as they come."""
    if processes == 1:
        enabled = gc.isenabled()
        try:
            for seed in seeds:
                yield _run_silently(seed)
        finally:
            if enabled:
                gc.enable()
            gc.collect()
        return
    # Spawned, not forked: a child must not inherit whatever the parent's libraries have started.
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(_run_silently, seeds, chunksize=_COLLECT_EVERY)


def table(rows: Sequence[tuple[str, Any]], title: str) -> str:
    """Return two columns as text."""
    width = max(len(name) for name, _ in rows)
    return "\n".join([title, *(f"  {name:{width}}  {value:>12,}" for name, value in rows)])
