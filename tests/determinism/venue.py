"""Streams that reach most of the engine, and one way to run them in batches of any size.

`random-...` are what the property tests draw (every order type, lists, stops, auctions, breakers;
with accounts also limits, margin, liquidation); the others are benchmark workloads.
"""

from __future__ import annotations

from functools import lru_cache

from tradecore.bench.inputs import generated
from tradecore.codes import CommandKind
from tradecore.engine import Engine, EngineConfig
from tradecore.testing.strategies import stream

STREAMS = ("random-matching", "random-accounts", "busy", "zipf")


def is_whole(command: bytes) -> bool:
    """Tell whether a command is as long as it says, and not an epoch that ends the stream.

    A damaged command swallows what stands behind it in the same buffer, so how a damaged stream is
    cut is part of its meaning; a whole one means the same however it is cut.
    """
    kind = command[8] | command[9] << 8
    return len(command) // 64 == 1 + command[10] and kind != CommandKind.EPOCH


@lru_cache(maxsize=8)
def commands_of(name: str, count: int) -> tuple[EngineConfig, tuple[bytes, ...]]:
    """Return a configuration and whole commands, set-up first."""
    if name.startswith("random-"):
        accounts = name == "random-accounts"
        config = EngineConfig(
            accounts=accounts,
            max_orders=4_096,
            max_instruments=8,
            max_accounts=64,
            max_groups=8,
            max_assets=8,
        )
        return config, tuple(each for each in stream(77, count, accounts) if is_whole(each))
    work = generated(name, count)
    setup = work.setup.tobytes()
    size = 64 * (1 + setup[10])
    parts = [setup[at : at + size] for at in range(0, len(setup), size)]
    flow = work.commands.tobytes()
    parts += [flow[at : at + 64] for at in range(0, len(flow), 64)]
    return work.config, tuple(parts)


def feed(engine: Engine, commands: tuple[bytes, ...], batch: int) -> bytes:
    """Apply commands in batches and return all event bytes."""
    starts = range(0, len(commands), batch)
    return b"".join(bytes(engine.apply(b"".join(commands[at : at + batch]))) for at in starts)


def run(name: str, count: int, batch: int) -> tuple[bytes, str]:
    """Run a stream in a new engine; return its event bytes and the state hash."""
    config, commands = commands_of(name, count)
    engine = Engine(config)
    events = feed(engine, commands, batch)
    return events, engine.state_hash()
