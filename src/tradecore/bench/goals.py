"""What each row should reach, and where the number comes from: the speed table as data.

A goal belongs to a result's name; rows without one are shown for comparison. The numbers hold for
a quiet 2-core machine of today; on another machine they are a yardstick, not a verdict.
"""

from __future__ import annotations

from typing import NamedTuple

from tradecore.testing.results import Result, higher_is_better

__all__ = ["GOALS", "Goal", "goal_of", "met"]


class Goal(NamedTuple):
    """A bound in the result's unit, and the same for people."""

    bound: float
    text: str


def _goals() -> dict[str, Goal]:
    regimes = ("static", "normal", "swing-25", "swing-40", "flash-crash")
    goals = {
        "matching/busy": Goal(30, "<= 30"),
        "matching/zipf": Goal(70, "<= 70"),
        "pipeline/steady": Goal(8e6, ">= 8 M"),
        "latency/p50": Goal(500, "< 500"),
        "latency/p99": Goal(4_000, "< 4,000"),
        "latency/p99.9": Goal(20_000, "< 20,000"),
        "python/batch-64": Goal(45, "<= 45"),
        "python/batch-16": Goal(60, "<= 60"),
        "python/batch-1": Goal(150, "<= 150"),
        "python/call": Goal(400, "<= 400"),
        "python/call-wide": Goal(400, "<= 400"),
        "memory/matching": Goal(160, "<= 160"),
        "memory/pipeline": Goal(160, "<= 160"),
        "memory/steady-heap-growth": Goal(0.01, "< 0.01"),
        "snapshot/take": Goal(0.3, "< 0.3"),
        "snapshot/restore": Goal(0.5, "< 0.5"),
        "journal/append": Goal(3e6, ">= 3 M"),
        "journal/replay": Goal(5e6, ">= 5 M"),
        "mark/of-bandwidth": Goal(1.5, "<= 1.5"),
        "import": Goal(150, "< 150"),
    }
    for name in regimes:
        bound = 30 if name == "normal" else 45
        goals[f"matching/{name}"] = Goal(bound, f"<= {bound}")
        goals[f"matching/{name}-of-stdmap"] = Goal(1 / 3, "<= 0.333")
    for name in ("stop", "trailing-stop", "iceberg", "timer", "filters-and-breaker"):
        goals[f"features/busy-{name}"] = Goal(1.10, "<= 1.10")
    goals["features/pipeline-firm-limits"] = Goal(1.10, "<= 1.10")
    for name in ("far-prices", "many-levels", "patterned-ids", "open-orders"):
        goals[f"adversarial/{name}"] = Goal(20, "<= 20")
    return goals


GOALS = _goals()


def goal_of(result: Result) -> Goal | None:
    """Return the goal of a row, None where it has none (other engines never have one)."""
    if result.conditions.get("engine", "tradecore") != "tradecore":
        return None
    return GOALS.get(result.name)


def met(result: Result) -> bool | None:
    """Tell whether a row's median reaches its goal, None where there is no goal."""
    goal = goal_of(result)
    if goal is None:
        return None
    if higher_is_better(result.unit):
        return result.median >= goal.bound
    return result.median <= goal.bound
