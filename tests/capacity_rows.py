"""Result lines of a machine that never was, with round numbers: plans can be done by hand."""

from __future__ import annotations

from typing import Any

from tradecore.testing.results import Machine, Result, summarise

MACHINE = Machine(cpu="Test CPU", cores=4, kernel="Linux", compiler="gcc -O3", python="CPython")


def line(
    name: str, unit: str, *values: float, observed: dict[str, Any] | None = None, **conditions: Any
) -> Result:
    return summarise(
        values,
        name=name,
        unit=unit,
        machine=MACHINE,
        commit="c0ffee",
        time_utc="2026-01-01T00:00:00Z",
        conditions=conditions,
        observed=observed,
    )


def rows() -> list[Result]:
    """A command costs 200 ns in the engine and 50 ns in the journal; `retail-day` twice as much."""
    found = []
    for mix, cpu, events, fills in (("pipeline", 200, 1.0, 0.1), ("retail-day", 450, 2.0, 0.25)):
        found += [
            line("capacity/cpu", "ns/command", cpu, mix=mix, batch=256),
            line("capacity/wall", "ns/command", cpu, mix=mix, batch=256),
            line("capacity/events", "events/command", events, mix=mix, batch=256),
            line("capacity/fills", "fills/command", fills, mix=mix, batch=256),
        ]
    found += [
        line("capacity/log-cpu", "ns/command", 50),
        line("capacity/log-flush", "s", 0.001),
        line("capacity/log-flush-p99.9", "s", 0.002),
        line("capacity/log-read", "commands/s", 20e6),
        line("capacity/log-bytes", "bytes/command", 65),
        line("capacity/account-bytes", "bytes/account", 300),
        line("capacity/wallet-bytes", "bytes/wallet", 80),
        line("capacity/position-bytes", "bytes/position", 120),
        line("capacity/order-bytes", "bytes/order", 150),
        line("capacity/stalls", "share", 0.0, 0.0, limit_ms=10.0),
        line("saturation/engine", "commands/s", 4.5e6, limit_ms=10.0, percentile=99.9, burst=4096),
        line("saturation/journal", "commands/s", 3e6, limit_ms=10.0, percentile=99.9, burst=4096),
    ]
    for of, take, restore, size in (
        *(("account", 0.5, 0.4, 140), ("order", 0.2, 0.3, 80)),
        *(("wallet", 0.05, 0.1, 20), ("position", 0.1, 0.2, 50)),
    ):
        found += [
            line("capacity/snapshot-take", f"us/{of}", take, of=of),
            line("capacity/snapshot-restore", f"us/{of}", restore, of=of),
            line("capacity/snapshot-bytes", f"bytes/{of}", size, of=of),
        ]
    for cells, used in ((1, 200.0), (2, 220.0), (4, 250.0)):
        rate = 4e6 * cells / (1 + 0.05 * (cells - 1))
        seen = {"cpu_ns_per_command": used}
        found.append(line("scaling/cells", "commands/s", rate, cells=cells, observed=seen))
    for clients in (1, 4, 16, 64):
        rate = 1_000 * clients / (1 + 0.001 * (clients - 1))
        found.append(line("scaling/clients", "commands/s", rate, clients=clients))
    for rate, late in ((1e6, 40.0), (2e6, 80.0), (3e6, 5_000.0), (6e6, 60_000.0)):
        names = ("p50_us", "p90_us", "p99_us", "p99.9_us", "p99.99_us", "max_us")
        seen = {name: late * (i + 1) / 6 for i, name in enumerate(names)} | {"passed": 1}
        found.append(line("load/journal", "commands/s", min(rate, 3e6), rate=rate, observed=seen))
    return found
