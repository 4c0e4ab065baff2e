"""Design mistakes that the simulator must notice: each planted, run until a seed fails.

A simulator that never fails proves nothing. Every mistake here is one that a designer of such a
system could make; `make sim-mutants` plants one after the other into the real services and demands
that one of the first 200 seeds fails.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import msgspec

from tradecore_shells.sim import (
    planted_cell,
    planted_portfolio,
    planted_risk,
    planted_trading,
)
from tradecore_shells.sim.patches import Patches

__all__ = ["BUGS", "Found", "hunt", "planted"]

BUGS: dict[str, Callable[[Patches], None]] = {
    name: plant
    for module in (planted_trading, planted_cell, planted_portfolio, planted_risk)
    for name, plant in module.BUGS.items()
}
"""Every design bug: its name, and how it is planted. The docstring of a planter says what it is."""


class Found(msgspec.Struct, frozen=True):
    """How a bug was caught.

    Parameters
    ----------
    bug : str
    seed : int
        The first that failed, or -1: it survived.
    by : str
        The first violation.
    """

    bug: str
    seed: int
    by: str

    @property
    def caught(self) -> bool:
        """Whether some seed failed."""
        return self.seed >= 0


@contextmanager
def planted(name: str | None) -> Iterator[Any]:
    """Plant a bug for as long as the context lasts; None plants nothing."""
    with ExitStack() as stack:
        patches = Patches(stack)
        if name is not None:
            BUGS[name](patches)
        yield patches


def _hunt_one(name: str, budget: int) -> Found:
    from tradecore_shells.sim.run import run_seed

    for seed in range(budget):
        outcome = run_seed(seed, bug=name)
        if outcome.violations:
            return Found(name, seed, outcome.violations[0])
    return Found(name, -1, "")


def _hunt_named(job: tuple[str, int]) -> Found:
    return _hunt_one(*job)


def hunt(names: Sequence[str], budget: int, processes: int = 1) -> Iterator[Found]:
    """Plant each bug and run seeds from 0 until one fails.

    Parameters
    ----------
    names : sequence of str
        Keys of `BUGS`.
    budget : int
        Most seeds for one bug.
    processes : int
        Bugs are spread over so many processes.
    """
    jobs = [(name, budget) for name in names]
    if processes == 1:
        yield from map(_hunt_named, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap(_hunt_named, jobs)
