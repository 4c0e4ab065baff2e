"""What risk told and sent: told once and the same by all, and sent under numbers without gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradecore.cell import FrameReader
from tradecore.envelope import decode, encode, seal_events
from tradecore.risk import RiskState, risk_source
from tradecore_shells.plumbing.ports import EXECUTIONS, RISK_EVENTS, TRADING_COMMANDS
from tradecore_shells.risk.config import policy_of
from tradecore_shells.sim.numbered import numbered_frames
from tradecore_shells.sim.venue import CATALOG

if TYPE_CHECKING:
    from tradecore_shells.sim.facts import Facts
    from tradecore_shells.sim.world import World

__all__ = ["risk_differs"]

_FRAME = 64


def risk_differs(world: World, executions: list[bytes], facts: Facts) -> list[str]:
    """Compare `risk-events` with what a new state tells that reads everything at once."""
    if world.risk_settings is None:
        return []
    source = risk_source(world.partition)
    told, wrong = numbered_frames(world.broker, RISK_EVENTS, world.partition, source)
    expected = _tell(world, executions)
    for number, (have, want) in enumerate(zip(told, expected, strict=False), 1):
        if have != want:
            wrong.append(f"O2 {RISK_EVENTS}: frame {number} is {have.hex()}, not {want.hex()}")
            break
    if len(told) != len(expected) and not wrong:
        wrong.append(f"O2 {RISK_EVENTS} holds {len(told)} frames of {len(expected)}")
    return wrong[:3] + _commands_once(world, facts, source)


def _tell(world: World, executions: list[bytes]) -> list[bytes]:
    assert world.risk_settings is not None
    state = RiskState(policy_of(world.risk_settings, CATALOG), CATALOG, world.partition)
    if not executions:
        return []
    whole = encode(seal_events(b"".join(executions), source=world.source, first_seq=1))
    batches = FrameReader(world.source).read(0, whole)
    commands = world.broker.partition(TRADING_COMMANDS, world.partition).all
    out = state.take(batches, [commands[batch.in_offset][1] for batch in batches])
    return [out[at : at + _FRAME] for at in range(0, len(out), _FRAME)]


def _commands_once(world: World, facts: Facts, source: int) -> list[str]:
    """Judge that the cell has applied the numbers of risk without gap or repetition."""
    commands = world.broker.partition(TRADING_COMMANDS, world.partition).all
    due = 1
    for batch in facts.batches():
        first, whose = batch.body[2], batch.body[3] & 0xFFFFFFFF
        if whose != source or batch.status:
            continue
        if first != due:
            return [f"{EXECUTIONS}: command {first} of risk was applied, {due} was due"]
        due = first + decode(commands[batch.body[1]][1]).count
    return []
