"""Plans done by hand on a machine of round numbers; the code has to come to the same."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from capacity_rows import line, rows
from tradecore.capacity.coefficients import Coefficients, from_results
from tradecore.capacity.plan import Component, Plan, make_plan
from tradecore.capacity.predict import durable_rate, engine_rate, self_check, sustained_rate
from tradecore.capacity.profile import PROFILES, Profile
from tradecore.errors import ConfigError

PROFILE = Profile(
    name="hand",
    mix="retail-day",
    active_share=0.5,
    commands_per_active_user=36,
    session_hours=5,
    peak_to_mean=100,
    open_orders_per_user=2,
    holdings_per_user=3,
    utilisation=0.5,
    replicas=3,
    log_days=10,
    history_days=100,
    snapshot_minutes=1,
)


def coefficients(*more: object) -> Coefficients:
    return from_results([*rows(), *more])  # type: ignore[list-item]


def part(plan: Plan, name: str) -> Component:
    return next(each for each in plan.components if each.name == name)


def size(plan: Plan, name: str) -> float:
    return next(each.value for each in plan.sizes if each.name == name)


def test_demand_by_hand() -> None:
    demand = make_plan(1_000_000, PROFILE, coefficients()).demand
    # 500,000 active users x 36 commands over 18,000 s: 1,000 a second, 100 times that at the peak.
    assert demand.active_users == 500_000
    assert demand.commands_per_day == 18_000_000
    assert demand.mean_per_s == 1_000
    assert demand.peak_per_s == 100_000
    assert demand.fills_per_day == 4_500_000
    assert demand.rows_per_day == 9_000_000


def test_cells_by_hand() -> None:
    # Journal: 3 M/s of pipeline (250 ns a command); retail costs 500 ns: 1.5 M/s. With a cell on
    # each of 4 cores a command takes 250 instead of 200 ns: x 0.8 = 1.2 M/s; half may be used.
    c = coefficients()
    assert c.neighbour == pytest.approx(0.8)
    assert sustained_rate(c, "journal", "retail-day") == pytest.approx(1.5e6)
    cells = part(make_plan(1_000_000, PROFILE, c), "trading cells")
    assert (cells.count, cells.capacity) == (1, pytest.approx(1.2e6))
    assert cells.head_room == pytest.approx(12)
    more = part(make_plan(10_000_000, PROFILE, c), "trading cells")
    assert more.count == 2  # 1,000,000 a second over 600,000 usable each
    assert more.capacity == pytest.approx(2.4e6)


def test_cells_of_a_whole_number_are_not_rounded_up() -> None:
    cells = part(make_plan(6_000_000, PROFILE, coefficients()), "trading cells")
    assert (cells.need, cells.count) == (pytest.approx(600_000), 1)


def test_slowest_measured_log_decides() -> None:
    kafka = line("saturation/kafka", "commands/s", 300_000, limit_ms=10.0)
    cells = part(make_plan(1_000_000, PROFILE, coefficients(kafka)), "trading cells")
    # 300,000 x 250 / 500 x 0.8 = 120,000, half usable: two cells for 100,000.
    assert cells.count == 2
    assert "kafka" in cells.how


def test_brokers_by_hand() -> None:
    # 65 bytes a command and 2 x 65 for its events = 195; x 100,000/s x 3 copies = 58.5 MB/s.
    kafka = line("capacity/kafka-bytes", "bytes/s", 30e6)
    brokers = part(make_plan(1_000_000, PROFILE, coefficients(kafka)), "Kafka brokers")
    assert brokers.need == pytest.approx(58.5)
    assert brokers.count == 4  # 58.5 over 15 usable MB/s
    disk = part(make_plan(1_000_000, PROFILE, coefficients(kafka)), "broker disk")
    assert disk.need == pytest.approx(18e6 * 195 * 3 * 10 / 1e9)
    few = part(make_plan(1_000, PROFILE, coefficients()), "Kafka brokers")
    assert few.count == 3  # never fewer than the copies


def test_shards_by_hand() -> None:
    # 100,000 commands/s x 0.25 fills x 2 rows = 50,000 rows/s over 12,500 usable: 4 shards.
    shards = part(make_plan(1_000_000, PROFILE, coefficients()), "Postgres shards")
    assert (shards.need, shards.count) == (pytest.approx(50_000), 4)
    long = msgspec.structs.replace(PROFILE, history_days=3_650)
    # 9,000,000 rows x 3,650 days x 300 bytes = 9,855 GB over 1,000 usable GB: 10 shards.
    assert part(make_plan(1_000_000, long, coefficients()), "Postgres shards").count == 10


def test_memory_and_recovery_by_hand() -> None:
    plan = make_plan(1_000_000, PROFILE, coefficients())
    # A user: 300, 2 further wallets x 80, 3 positions x 120, 2 orders x 150.
    assert size(plan, "memory of a cell") == pytest.approx(1.12)
    assert size(plan, "Redis memory") == pytest.approx((1_000 + 3 * 150) * 1e6 / 1e9)
    assert size(plan, "snapshot of a cell") == pytest.approx(
        (140 + 2 * 20 + 3 * 50 + 2 * 80) * 1e6 / 1e9
    )
    assert size(plan, "time to take it") == pytest.approx(0.5 + 2 * 0.05 + 3 * 0.1 + 2 * 0.2)
    assert size(plan, "restore") == pytest.approx(0.4 + 2 * 0.1 + 3 * 0.2 + 2 * 0.3)
    # A minute at 100,000/s, each 450 ns to apply and 50 ns to read.
    assert size(plan, "replay of the tail") == pytest.approx(6e6 * 500e-9)
    assert size(plan, "commands a day") == pytest.approx(18e6 * 65 / 1e9)
    assert size(plan, "CPU at the peak") == pytest.approx(100_000 * 500e-9)


def test_costs_by_hand() -> None:
    costs = {each.name: each.value for each in make_plan(1, PROFILE, coefficients()).costs}
    assert costs["CPU, engine"] == pytest.approx(0.45)
    assert costs["CPU, journal"] == pytest.approx(0.05)
    assert costs["log, commands"] == pytest.approx(65)
    assert costs["log, executions"] == pytest.approx(130)
    assert costs["database rows"] == pytest.approx(500_000)


def test_more_users_never_need_less() -> None:
    counts = [
        [each.count for each in make_plan(users, PROFILE, coefficients()).components]
        for users in (1, 10**3, 10**5, 10**6, 10**7, 10**8, 10**9)
    ]
    for smaller, larger in itertools.pairwise(counts):
        assert all(a <= b for a, b in zip(smaller, larger, strict=True))


def test_every_component_has_the_head_room_it_was_sized_for() -> None:
    for users in (1, 12_345, 10**6, 10**8):
        for each in make_plan(users, PROFILE, coefficients()).components:
            if each.need > 0:
                assert each.head_room is not None
                assert each.head_room >= 1 / PROFILE.utilisation - 1e-6, each.name


def test_assumptions_name_every_number_that_was_not_measured() -> None:
    plan = make_plan(1_000, PROFILE, coefficients())
    sources = {each.name: each.source for each in plan.assumptions}
    assert sources["capacity/kafka-bytes"].startswith("assumed")
    assert sources["capacity/log-bytes"].startswith("measured")
    assert sources["peak_to_mean"] == "stated by the profile"
    measured = line("capacity/kafka-bytes", "bytes/s", 80e6)
    plan = make_plan(1_000, PROFILE, coefficients(measured))
    assert {e.name: e.source for e in plan.assumptions}["capacity/kafka-bytes"].startswith(
        "measured"
    )


def test_self_check_by_hand() -> None:
    engine, journal = self_check(coefficients())
    # 1 / 200 ns = 5 M/s, measured 4.5 M/s.
    assert (engine.predicted, engine.error) == (pytest.approx(5e6), pytest.approx(5 / 4.5 - 1))
    # Within 10 ms: (1 - 2 x 1 / 10) / 250 ns = 3.2 M/s; a group of 4,096 takes 2.024 ms: 2.02 M/s.
    assert journal.predicted == pytest.approx(4_096 / (0.001 + 4_096 * 250e-9))
    assert durable_rate(coefficients(), "pipeline", burst=10**9) == pytest.approx(3.2e6, rel=0.01)


def test_self_check_machine_that_stands_still_is_not_promised() -> None:
    half = coefficients(line("capacity/stalls", "share", 0.0005, 0.0005, limit_ms=10.0))
    assert engine_rate(half, "pipeline") == pytest.approx(2.5e6)
    lost = coefficients(line("capacity/stalls", "share", 0.2, 0.2, limit_ms=10.0))
    assert engine_rate(lost, "pipeline") == 0


def test_target_that_sustains_nothing_is_one_clear_error() -> None:
    nothing = line(
        "saturation/journal", "commands/s", 0.0, limit_ms=10.0, percentile=99.9, burst=4096
    )
    with pytest.raises(ConfigError, match=r"saturation/journal .* within 10 ms"):
        make_plan(1_000, PROFILE, coefficients(nothing))


@pytest.mark.parametrize("users", [0, -5, 10**12])
def test_impossible_users_are_refused(users: int) -> None:
    with pytest.raises(ConfigError, match="users"):
        make_plan(users, PROFILE, coefficients())


def test_mix_that_was_not_measured_is_refused() -> None:
    with pytest.raises(ConfigError, match="mix 'moves' was not measured"):
        make_plan(1_000, PROFILES["makers"], coefficients())
