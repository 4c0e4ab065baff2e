"""The two engines under comparison, at one size, and what to do with a stream that tells them apart."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tradecore
from tradecore.testing import scenario
from tradecore.testing.compare import compare, minimise
from tradecore.testing.oracle import OracleConfig, OracleEngine
from tradecore.testing.show import command_line

# Small enough that refusals for capacity happen, large enough that they stay rare.
SIZES = {
    "max_orders": 4096,
    "max_instruments": 8,
    "max_accounts": 64,
    "max_groups": 8,
    "max_assets": 8,
}
FOUND = Path(__file__).parents[1] / "scenarios" / "found"
AUDIT_EACH = bool(os.environ.get("TRADECORE_AUDIT"))


def kernel(accounts: bool) -> Any:
    return tradecore.Engine(accounts=accounts, **SIZES)


def oracle(accounts: bool) -> OracleEngine:
    return OracleEngine(OracleConfig(accounts=accounts, **SIZES))


def report(commands: Sequence[bytes], accounts: bool, name: str, line: str) -> str:
    """Shorten a failing stream, keep it as a scenario file, and say how to see it again."""

    def fails(shorter: Sequence[bytes]) -> bool:
        return compare(shorter, kernel(accounts), oracle(accounts)) is not None

    if not fails(commands):
        return f"{line}\nonly in batches: fed one by one the engines agree"
    short = minimise(commands, fails, budget=400)
    found = compare(short, kernel(accounts), oracle(accounts))
    FOUND.mkdir(exist_ok=True)
    path = FOUND / f"{name}.txt"
    steps = [scenario.Step(command_line(c), c) for c in short]
    case = scenario.Scenario(name, [f"# Found by {line}; review, rename, keep."], accounts, steps)
    path.write_text(scenario.render(case, scenario.run(case, oracle(accounts))))
    return f"{line}\n{found}\nsaved as {path}"
