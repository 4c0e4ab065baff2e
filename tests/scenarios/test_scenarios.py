"""Every scenario file, on oracle and kernel: the events are exactly those written down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tradecore
from tradecore.testing import scenario
from tradecore.testing.oracle import OracleConfig, OracleEngine

HERE = Path(__file__).parent
FILES = sorted(HERE.rglob("*.txt"))
SIZES = {
    "max_orders": 4096,
    "max_instruments": 16,
    "max_accounts": 64,
    "max_groups": 8,
    "max_assets": 8,
}


def kernel(accounts: bool) -> Any:
    return tradecore.Engine(accounts=accounts, **SIZES)


def oracle(accounts: bool) -> Any:
    return OracleEngine(OracleConfig(accounts=accounts, **SIZES))


@pytest.mark.parametrize("make", [oracle, kernel], ids=["oracle", "kernel"])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_scenario(path: Path, make: Any, request: pytest.FixtureRequest) -> None:
    text = path.read_text()
    case = scenario.parse(path.name, text)
    engine = make(case.accounts)
    told = scenario.run(case, engine)
    engine.check() if make is kernel else engine.audit()
    if request.config.getoption("--bless", default=False) and make is oracle:
        path.write_text(scenario.render(case, told))
        return
    for number, (step, lines) in enumerate(zip(case.steps, told, strict=True), 1):
        assert step.events == lines, f"{path.name}: command {number}: {step.line}"


def test_there_are_scenarios_for_every_topic() -> None:
    assert len(FILES) >= 60
    for path in FILES:
        assert path.read_text().startswith("# "), f"{path.name} does not say its rule"
