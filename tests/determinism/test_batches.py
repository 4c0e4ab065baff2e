"""However a stream is cut, and wherever a snapshot interrupts it, it gives the same bytes."""

from __future__ import annotations

import random

import pytest

from determinism.venue import STREAMS, commands_of, feed, run
from tradecore.engine import Engine

COMMANDS = 9_000
BATCHES = (1, 7, 4_096)


@pytest.mark.parametrize("name", STREAMS)
def test_batch_sizes_give_the_same_events_and_state(name: str) -> None:
    found = {run(name, COMMANDS, batch) for batch in BATCHES}
    assert len(found) == 1
    events, _ = found.pop()
    assert len(events) // 64 > COMMANDS // 2


@pytest.mark.parametrize("prefetch", ["on", "off"])
@pytest.mark.parametrize("name", STREAMS)
def test_prefetching_does_not_show(name: str, prefetch: str) -> None:
    config, commands = commands_of(name, COMMANDS)
    engine = Engine(
        **{field: getattr(config, field) for field in config.__struct_fields__}
        | {"prefetch": prefetch}
    )
    events = feed(engine, commands, 64)
    assert (events, engine.state_hash()) == run(name, COMMANDS, 4_096)


@pytest.mark.parametrize("name", STREAMS)
def test_capacities_and_the_key_of_the_hash_do_not_show(name: str) -> None:
    config, commands = commands_of(name, COMMANDS)
    settings = {field: getattr(config, field) for field in config.__struct_fields__}
    # Another key moves every id to another bucket; prefaulted tables have another size.
    other = settings | {"id_seed": 12_345, "prefault": not config.prefault}
    engine = Engine(**other)
    assert (feed(engine, commands, 64), engine.state_hash()) == run(name, COMMANDS, 64)


@pytest.mark.slow
@pytest.mark.parametrize("name", STREAMS)
def test_snapshot_at_any_point_and_tail_equal_full_replay(name: str) -> None:
    count = 3_000
    config, commands = commands_of(name, count)
    whole, state = run(name, count, 1)
    # Event bytes up to each command, so that the tail's are known for every cut.
    engine = Engine(config)
    ends = [0]
    for command in commands:
        ends.append(ends[-1] + len(bytes(engine.apply(command))))
    # The books of the workloads are large and plain; the random streams need the many cuts.
    number = 80 if name.startswith("random-") else 8
    cuts = sorted(random.Random(name).sample(range(len(commands) + 1), number))
    walker, at = Engine(config), 0
    for cut in cuts:
        feed(walker, commands[at:cut], 64)
        at = cut
        restored = Engine.restore(walker.snapshot())
        restored.check()
        tail = feed(restored, commands[cut:], 512)
        assert tail == whole[ends[cut] :], f"cut at command {cut}"
        assert restored.state_hash() == state, f"cut at command {cut}"


@pytest.mark.parametrize("name", ["random-matching", "random-accounts"])
def test_snapshot_of_a_restored_engine_is_the_same_snapshot(name: str) -> None:
    config, commands = commands_of(name, 2_000)
    engine = Engine(config)
    for at in range(0, len(commands), 100):
        feed(engine, commands[at : at + 100], 100)
        data = engine.snapshot()
        assert Engine.restore(data).snapshot() == data
