"""Goals are judged in the direction of their unit, for this engine only."""

from __future__ import annotations

from tradecore.bench.goals import GOALS, goal_of, met
from tradecore.bench.setting import Setting

SETTING = Setting(commit="test")


def test_met_lower_is_better_for_costs() -> None:
    assert met(SETTING.result("matching/busy", "ns/command", [29.9])) is True
    assert met(SETTING.result("matching/busy", "ns/command", [30.1])) is False


def test_met_higher_is_better_for_rates() -> None:
    assert met(SETTING.result("pipeline/steady", "commands/s", [8.1e6])) is True
    assert met(SETTING.result("pipeline/steady", "commands/s", [7.9e6])) is False


def test_met_other_engines_have_no_goal() -> None:
    result = SETTING.result(
        "matching/busy", "ns/command", [10.0], conditions={"engine": "minimal-hashed"}
    )
    assert goal_of(result) is None
    assert met(result) is None


def test_goals_every_number_of_the_specification() -> None:
    bounds = {name: goal.bound for name, goal in GOALS.items()}
    assert bounds["matching/normal"] == 30
    assert bounds["matching/flash-crash"] == 45
    assert bounds["latency/p99.9"] == 20_000
    assert bounds["memory/pipeline"] == 160
    assert bounds["journal/append"] == 3e6
