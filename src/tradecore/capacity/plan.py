"""Users and a profile in, a platform's size out; every step a line that can be checked by hand.

The path of the arithmetic is the path of the data: users -> commands a second -> cells -> bytes in
the log -> brokers -> rows -> database shards -> memory. `make_plan` is a pure function; rounding up
happens only where something whole is bought.
"""

from __future__ import annotations

import math

import msgspec

from tradecore.capacity.answer import Component, Demand, Line, Plan
from tradecore.capacity.coefficients import Coefficients
from tradecore.capacity.predict import REFERENCE_MIX, self_check, sustained_rate
from tradecore.capacity.profile import Profile
from tradecore.capacity.public_rates import PUBLIC_RATES
from tradecore.errors import ConfigError

__all__ = ["Component", "Demand", "Line", "Plan", "make_plan", "state_parts"]

_ROWS_PER_FILL = 2  # one of the maker, one of the taker
_CONSUMERS = 2  # the portfolio and the risk shell read every execution
_MAX_USERS = 10**11


def make_plan(users: int, profile: Profile, coefficients: Coefficients) -> Plan:
    """Size a platform.

    Parameters
    ----------
    users : int
        Accounts, 1 to 10**11.
    profile : Profile
    coefficients : Coefficients

    Raises
    ------
    ConfigError
        No users, or the profile's mix was not measured.
    """
    if not 1 <= users <= _MAX_USERS:
        raise ConfigError(f"users is {users}; it must be 1 to {_MAX_USERS:,}")
    if profile.mix not in coefficients.mixes:
        known = ", ".join(coefficients.mixes)
        raise ConfigError(
            f"profile {profile.name!r}: mix {profile.mix!r} was not measured; there are: {known}"
        )
    c, p = coefficients, profile
    demand = _demand(users, p, c)
    cell_rate, cell_how = _cell_rate(c, p)
    cells = _whole(demand.peak_per_s, cell_rate * p.utilisation)
    log = _log(p, c)
    components = [
        Component(
            "trading cells",
            cells,
            demand.peak_per_s,
            cells * cell_rate,
            "commands/s",
            cell_how,
        ),
        Component(
            "standby cells",
            cells,
            demand.peak_per_s,
            cells * cell_rate,
            "commands/s",
            "one hot standby a cell, fed by the same partition",
        ),
        Component(
            "partitions of trading-commands",
            cells,
            demand.peak_per_s,
            cells * cell_rate,
            "commands/s",
            "one a cell: the order of a partition is the order of matching",
        ),
        *_brokers(demand, p, c, log),
        *_shards(demand, p, c),
    ]
    return Plan(
        users=users,
        profile=p,
        demand=demand,
        components=components,
        sizes=_sizes(users, demand, p, c, cells, log),
        costs=_costs(p, c),
        assumptions=_assumptions(p, c),
        checks=self_check(c),
        public=PUBLIC_RATES,
        measured_on=f"{c.machine.cpu}, {c.machine.cores} cores; commit {c.commit[:12]}; "
        f"{c.time_utc}",
    )


def _whole(need: float, each: float) -> int:
    """Return how many of `each` cover the need, at least one."""
    if each <= 0:
        raise ConfigError("a component measured a capacity of 0; no number of them is enough")
    return max(math.ceil(need / each - 1e-9), 1)


def _demand(users: int, p: Profile, c: Coefficients) -> Demand:
    active = users * p.active_share
    commands = active * p.commands_per_active_user
    mean = commands / (p.session_hours * 3_600)
    fills = commands * c.value(f"capacity/fills:{p.mix}")
    return Demand(
        active_users=active,
        commands_per_day=commands,
        mean_per_s=mean,
        peak_per_s=mean * p.peak_to_mean,
        events_per_day=commands * c.value(f"capacity/events:{p.mix}"),
        fills_per_day=fills,
        rows_per_day=fills * _ROWS_PER_FILL,
    )


def _cell_rate(c: Coefficients, p: Profile) -> tuple[float, str]:
    """Return what one cell sustains of this mix, and how that is known.

    The slowest log that was measured counts: a cell behind Kafka is not faster than behind a file.
    """
    # A database is not in the path of an order: it may lag, and is sized by its rows.
    logs = [name for name in c.saturation if not name.endswith("-postgres")]
    durable = [name for name in logs if name != "engine"] or ["engine"]
    rate, target = min((sustained_rate(c, name, p.mix), name) for name in durable)
    measured = c.saturation[target].value
    how = f"{measured:,.0f}/s measured ({target}, {REFERENCE_MIX}), by CPU time {rate:,.0f}/s"
    how += f" of {p.mix}"
    if c.neighbour < 1:
        rate *= c.neighbour
        how += f", times {c.neighbour:.2f} with a cell on every core"
    return rate, f"{how}; the peak may take {p.utilisation:.0%}"


def _log(p: Profile, c: Coefficients) -> tuple[float, float]:
    """Return bytes a command in the log: as command, and as the events it causes.

    An event frame is as long as a command frame, and shares heads of envelopes and records alike.
    """
    frame = c.value("capacity/log-bytes")
    return frame, c.value(f"capacity/events:{p.mix}") * frame


def _brokers(
    demand: Demand, p: Profile, c: Coefficients, log: tuple[float, float]
) -> list[Component]:
    each = c.value("capacity/kafka-bytes")
    incoming = demand.peak_per_s * sum(log) * p.replicas
    stored = demand.commands_per_day * sum(log) * p.replicas * p.log_days / 1e9
    by_rate = _whole(incoming, each * p.utilisation)
    by_disk = _whole(stored, p.broker_disk_gb * p.utilisation)
    brokers = max(by_rate, by_disk, p.replicas)
    return [
        Component(
            "Kafka brokers",
            brokers,
            incoming / 1e6,
            brokers * each / 1e6,
            "MB/s taken in",
            f"{sum(log):,.0f} bytes a command with its events, {p.replicas} replicas: "
            f"{by_rate} by rate, {by_disk} by disk, {p.replicas} for the replicas",
        ),
        Component(
            "broker disk",
            0,
            stored,
            brokers * p.broker_disk_gb,
            "GB kept",
            f"{p.log_days:g} days, all replicas",
        ),
    ]


def _shards(demand: Demand, p: Profile, c: Coefficients) -> list[Component]:
    each, row = c.value("capacity/postgres-rows"), c.value("capacity/postgres-row-bytes")
    rows = demand.peak_per_s * c.value(f"capacity/fills:{p.mix}") * _ROWS_PER_FILL
    stored = demand.rows_per_day * p.history_days * row / 1e9
    by_rate = _whole(rows, each * p.utilisation)
    by_disk = _whole(stored, p.shard_disk_gb * p.utilisation)
    shards = max(by_rate, by_disk)
    return [
        Component(
            "Postgres shards",
            shards,
            rows,
            shards * each,
            "fill rows/s",
            f"{_ROWS_PER_FILL} rows a fill; {by_rate} by rate, {by_disk} by disk",
        ),
        Component(
            "shard disk",
            0,
            stored,
            shards * p.shard_disk_gb,
            "GB kept",
            f"{p.history_days:g} days of fills, {row:,.0f} bytes a row, one copy",
        ),
    ]


def state_parts(users: float, holdings: float, orders: float) -> dict[str, float]:
    """Return what the state of so many users consists of.

    Parameters
    ----------
    users : float
    holdings, orders : float
        Of one user: assets beside the currency, each with a position; open orders.

    Returns
    -------
    dict of str to float
        Numbers of accounts (measured with two wallets), further wallets, positions, orders.
    """
    return {
        "account": users,
        "wallet": users * max(holdings - 1, 0),
        "position": users * holdings,
        "order": users * orders,
    }


def _sizes(
    users: int,
    demand: Demand,
    p: Profile,
    c: Coefficients,
    cells: int,
    log: tuple[float, float],
) -> list[Line]:
    state = state_parts(users, p.holdings_per_user, p.open_orders_per_user)
    cell = sum(n * c.value(f"capacity/{part}-bytes") for part, n in state.items()) / cells
    redis = users * (
        c.value("capacity/redis-account-bytes")
        + p.holdings_per_user * c.value("capacity/redis-holding-bytes")
    )
    image = {
        verb: sum(n * c.value(f"capacity/snapshot-{verb}:{part}") for part, n in state.items())
        / cells
        for verb in ("take", "restore", "bytes")
    }
    # Worst moment to die: just before the next snapshot, at the peak all the time.
    tail = p.snapshot_minutes * 60 * demand.peak_per_s / cells
    replay = tail * (c.value(f"capacity/cpu:{p.mix}") / 1e9 + 1 / c.value("capacity/log-read"))
    traffic = demand.peak_per_s * (log[0] * 2 + log[1] * (1 + _CONSUMERS))
    spread = f"{cells} cell{'s' if cells > 1 else ''}"
    return [
        Line("memory of a cell", cell / 1e9, "GB", f"accounts, holdings, open orders; {spread}"),
        Line("Redis memory", redis / 1e9, "GB", "live portfolios, one copy"),
        Line("snapshot of a cell", image["bytes"] / 1e9, "GB", "the same, on disk"),
        Line("time to take it", image["take"] / 1e6, "s", "in memory, before it is written"),
        Line("restore", image["restore"] / 1e6, "s", "from memory"),
        Line(
            "replay of the tail",
            replay,
            "s",
            f"{p.snapshot_minutes:g} minutes at the peak rate, the worst case",
        ),
        Line(
            "commands a day",
            demand.commands_per_day * log[0] / 1e9,
            "GB/day",
            "one copy in the log",
        ),
        Line("executions a day", demand.commands_per_day * log[1] / 1e9, "GB/day", "one copy"),
        Line(
            "network at the peak",
            traffic * 8 / 1e9,
            "Gbit/s",
            f"commands in and out, executions in and to {_CONSUMERS} consumers; no replicas",
        ),
        Line(
            "CPU at the peak",
            demand.peak_per_s
            * (c.value(f"capacity/cpu:{p.mix}") + c.value("capacity/log-cpu"))
            / 1e9,
            "cores",
            "engine and journal; standbys take as much again",
        ),
    ]


def _costs(p: Profile, c: Coefficients) -> list[Line]:
    """Return what a million commands of the mix cost, and an account and an open order."""
    commands, executions = _log(p, c)
    fills = c.value(f"capacity/fills:{p.mix}")
    return [
        Line("CPU, engine", c.value(f"capacity/cpu:{p.mix}") / 1e3, "s", "measured"),
        Line("CPU, journal", c.value("capacity/log-cpu") / 1e3, "s", "measured"),
        Line("log, commands", commands, "MB", "measured"),
        Line("log, executions", executions, "MB", "events measured, bytes as of a command"),
        Line("database rows", fills * _ROWS_PER_FILL * 1e6, "rows", "fills measured, 2 rows each"),
        Line("an account", c.value("capacity/account-bytes"), "bytes", "memory, two wallets"),
        Line("a further wallet", c.value("capacity/wallet-bytes"), "bytes", "memory"),
        Line("a position", c.value("capacity/position-bytes"), "bytes", "memory"),
        Line("an open order", c.value("capacity/order-bytes"), "bytes", "memory, indexes included"),
    ]


def _assumptions(p: Profile, c: Coefficients) -> list[Line]:
    stated = [
        Line(name, value, "", "stated by the profile")
        for name, value in msgspec.structs.asdict(p).items()
        if isinstance(value, int | float)
    ]
    used = [
        Line(name, figure.value, figure.unit, f"{figure.source}: {figure.note}")
        for name, figure in sorted(c.figures.items())
        if ":" not in name
        or name.endswith((f":{p.mix}", ":account", ":wallet", ":position", ":order"))
    ]
    reached = [
        Line(f"saturation/{name}", figure.value, figure.unit, f"{figure.source}: {figure.note}")
        for name, figure in sorted(c.saturation.items())
    ]
    return stated + used + reached
