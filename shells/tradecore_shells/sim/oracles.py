"""Judges of a finished world: what the topics, the disks and the nodes hold must fit together.

Each judge looks at one rule and returns sentences about what breaks it. They read the topics with
their own few lines, not with the readers that the services use, and recompute everything from the
first record of `trading-commands`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradecore_shells.plumbing.ports import EXECUTIONS, MARKET_DATA
from tradecore_shells.sim.books import books_differ
from tradecore_shells.sim.facts import Facts
from tradecore_shells.sim.numbered import numbered_frames
from tradecore_shells.sim.orders import orders_once
from tradecore_shells.sim.replayed import Replay
from tradecore_shells.sim.watched import risk_differs

if TYPE_CHECKING:
    from tradecore_shells.sim.world import World

__all__ = ["judge"]

_NAIVE_EVERY = 3
"""The naive engine is a sixth of a seed's cost and knows nothing of faults: every third will do."""


def judge(world: World) -> list[str]:
    """Return everything that is wrong with a finished world."""
    replay = Replay(world)
    wrong: list[str] = []
    held: dict[str, list[bytes]] = {}
    for topic, expected in ((EXECUTIONS, replay.executions), (MARKET_DATA, replay.market)):
        frames, found = numbered_frames(world.broker, topic, world.partition, world.source)
        wrong += found or _equals(topic, frames, expected, replay.needed[topic])
        held[topic] = frames
    wrong += replay.hashes(world)
    wrong += replay.dead_letters(world)
    wrong += replay.conserved()
    if world.seed % _NAIVE_EVERY == 0:
        wrong += replay.naive(world)
    facts = Facts(held[EXECUTIONS])
    world.fills, world.liquidations = facts.fills, facts.liquidations
    wrong += facts.time_is_monotone()
    wrong += facts.liquidation_shrinks()
    wrong += orders_once(world.journal, facts)
    assert world.customer is not None
    wrong += world.customer.believes_wrongly(facts)
    wrong += books_differ(world, facts, replay)
    wrong += risk_differs(world, held[EXECUTIONS], facts)
    return wrong


def _equals(topic: str, frames: list[bytes], expected: list[bytes], needed: int) -> list[str]:
    """Compare what a topic holds with what a replay makes; the topic may end earlier."""
    for number, (have, want) in enumerate(zip(frames, expected, strict=False), 1):
        if have != want:
            return [f"O2 {topic}: frame {number} is {have.hex()}, a replay makes {want.hex()}"]
    if len(frames) > len(expected):
        return [f"O1 {topic} holds {len(frames)} frames, a replay makes {len(expected)}"]
    if len(frames) < needed:
        return [f"O2 {topic} holds {len(frames)} frames of {needed} after draining"]
    return []
