"""The suite: every benchmark by name, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tradecore.bench import (
    adversarial,
    features,
    instructions,
    latency,
    matching,
    memory,
    python_face,
    scripts,
    state,
)
from tradecore.bench.setting import Setting
from tradecore.errors import ConfigError
from tradecore.testing.results import Result

__all__ = ["SUITE", "Benchmark", "chosen"]


class Benchmark(NamedTuple):
    """One row, or a few that belong together, of the table."""

    name: str
    summary: str
    run: Callable[[Setting], list[Result]]


SUITE: tuple[Benchmark, ...] = (
    Benchmark("matching-busy", "one busy book, matching only", matching.busy),
    Benchmark("matching-regimes", "five price regimes, matching only", matching.regimes),
    Benchmark("matching-zipf", "1,000 instruments, matching only", matching.zipf),
    Benchmark("matching-moves", "quoting robots, 82 % price moves", matching.moves),
    Benchmark("pipeline", "accounts, risk, match, settle; 100,000 accounts", matching.pipeline),
    Benchmark("latency", "open loop, 1,000,000 commands a second", latency.latency),
    Benchmark("python-batch", "batches of 64, 16, 1 through apply", python_face.python_batch),
    Benchmark("python-call", "one helper call an order", python_face.python_call),
    Benchmark("memory", "bytes per open order; steady state allocates nothing", memory.memory),
    Benchmark("snapshot", "snapshot and restore of 1,000,000 orders", state.snapshot),
    Benchmark("journal", "append with group commit, read, replay", scripts.journal),
    Benchmark("mark", "mark 10,000,000 positions beside memory bandwidth", scripts.mark),
    Benchmark(
        "instructions", "instructions a command, by perf or valgrind", instructions.instructions
    ),
    Benchmark("import", "import tradecore", scripts.importing),
    Benchmark("features", "what unused features cost", features.features),
    Benchmark("adversarial", "p99.99 over median on hostile streams", adversarial.adversarial),
)


def chosen(names: list[str]) -> list[Benchmark]:
    """Return benchmarks by name or by the beginning of it (`matching`), all where none is given.

    Raises
    ------
    ConfigError
        A name fits no benchmark.
    """
    if not names:
        return list(SUITE)
    for name in names:
        if not any(each.name.startswith(name) for each in SUITE):
            known = ", ".join(each.name for each in SUITE)
            raise ConfigError(f"no benchmark {name!r}; there are: {known}")
    return [each for each in SUITE if any(each.name.startswith(name) for name in names)]
