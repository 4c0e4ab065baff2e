"""Judges of a finished world: what the topics, the disks and the nodes hold must fit together.

Each judge looks at one rule and returns sentences about what breaks it. They read the topics with
their own few lines, not with the readers that the services use, and recompute everything from the
first record of `trading-commands`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradecore.envelope import decode
from tradecore_shells.plumbing.ports import EXECUTIONS, MARKET_DATA
from tradecore_shells.sim.books import books_differ
from tradecore_shells.sim.facts import Facts
from tradecore_shells.sim.orders import orders_once
from tradecore_shells.sim.replayed import Replay

if TYPE_CHECKING:
    from tradecore_shells.sim.log import Broker
    from tradecore_shells.sim.world import World

__all__ = ["judge", "numbered_frames"]

_FRAME = 64


def numbered_frames(
    broker: Broker, topic: str, partition: int, source: int
) -> tuple[list[bytes], list[str]]:
    """Return the frames of a numbered topic in order of their numbers, from 1, and what is wrong.

    Whatever was written twice must be the same both times, no number may be missing, and none may
    come before the one in front of it: a reader would have stopped there.
    """
    known: dict[int, bytes] = {}
    wrong: list[str] = []
    for offset, (_, payload) in enumerate(broker.partition(topic, partition).all):
        envelope = decode(payload)
        if envelope.source != source:
            wrong.append(f"O2 {topic} offset {offset}: source {envelope.source:#x}")
        if envelope.first_seq > (top := max(known, default=0)) + 1:
            wrong.append(f"O2 {topic} offset {offset}: {envelope.first_seq} comes behind {top}")
        frames = bytes(envelope.frames)
        for index in range(0, len(frames), _FRAME):
            seq = envelope.first_seq + index // _FRAME
            frame = frames[index : index + _FRAME]
            if known.setdefault(seq, frame) != frame:
                wrong.append(f"O2 {topic} offset {offset}: frame {seq} differs from its repetition")
    top = max(known, default=0)
    missing = [seq for seq in range(1, top + 1) if seq not in known]
    if missing:
        wrong.append(f"O2 {topic}: {len(missing)} numbers are missing, the first is {missing[0]}")
    return [known[seq] for seq in sorted(known)], wrong[:3]


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
    wrong += replay.naive(world)
    facts = Facts(held[EXECUTIONS])
    wrong += facts.time_is_monotone()
    wrong += facts.liquidation_shrinks()
    wrong += orders_once(world.journal, facts)
    wrong += books_differ(world, facts, replay)
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
