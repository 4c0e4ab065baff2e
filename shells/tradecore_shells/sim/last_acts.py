"""What comes after the judgement: things from which no service may recover by itself.

The world has drained, every topic is right, the snapshots are there. Then the log loses its end, or
becomes another log, or a newer epoch comes that nobody knows. The trading service must stop with a
sentence and must not write another word.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

from tradecore.cell import time_command
from tradecore.codes import CommandKind
from tradecore.envelope import encode, seal
from tradecore.testing import build
from tradecore_shells.plumbing.ports import EXECUTIONS, TRADING_COMMANDS
from tradecore_shells.sim.builds import EPOCH_KNOWN
from tradecore_shells.sim.chaos import Chaos
from tradecore_shells.sim.facts import Facts
from tradecore_shells.sim.numbered import numbered_frames

if TYPE_CHECKING:
    from tradecore_shells.sim.nodes import Node
    from tradecore_shells.sim.world import World

__all__ = ["last_acts"]

_ACTS: Final = ("log_lost_tail", "log_of_others", "epoch_of_tomorrow")
_PATIENCE_S: Final = 5.0


async def last_acts(world: World) -> list[str]:
    """Do the one of these things that the seed has, if any; returns what was wrong."""
    rng = random.Random(f"last-{world.seed}")
    drawn = [act for act in _ACTS if rng.random() < world.faults.rates[act]]
    newest = max(Chaos.intact(world.primary.disk).values(), default=0)  # type: ignore[arg-type]
    if not drawn or newest < 2:
        return []
    act = rng.choice(drawn)
    world.supervisor.strict = False
    log = world.broker.partition(TRADING_COMMANDS, world.partition)
    if act == "epoch_of_tomorrow":
        world.faults.hits[act] += 1
        return await _fenced(world)
    lowest = log.start
    if act == "log_lost_tail" and rng.random() < 0.5:
        # The older snapshots fit the log that is left; what was answered says that it lost some.
        lowest = max(_lose_newer_snapshots(world), log.start)
    if lowest >= newest:
        return []
    world.faults.hits[act] += 1
    world.broker.cut(TRADING_COMMANDS, world.partition, rng.randint(lowest, newest - 1))
    if act == "log_of_others":
        other = encode(seal(time_command() * 2, source=0, first_seq=1))
        world.broker.take(TRADING_COMMANDS, world.partition, [other] * (newest - log.end + 3))
    return await _halts(world, act)


def _lose_newer_snapshots(world: World) -> int:
    """Leave the primary its oldest snapshot only; returns the offset behind it."""
    disk = world.primary.disk
    assert disk is not None
    kept = Chaos.intact(disk)
    oldest = min(kept, key=lambda path: kept[path])
    for path in kept:
        if path != oldest:
            for names in (disk.folder(path.parent).names, disk.folder(path.parent).synced):
                names.pop(path.name, None)
    return kept[oldest]


async def _halts(world: World, act: str) -> list[str]:
    before = _lengths(world)
    words = await _last_words(world, world.primary)
    if not words.startswith("FatalError"):
        return [f"{act}: the trading service did not halt, it said {words!r}"]
    if _lengths(world) != before:
        return [f"{act}: the trading service wrote into the topics"]
    return []


async def _fenced(world: World) -> list[str]:
    command = build.admin(CommandKind.EPOCH, epoch=EPOCH_KNOWN + 1)
    payload = encode(seal(command, source=0, first_seq=1))
    epoch_at = world.broker.take(TRADING_COMMANDS, world.partition, [payload])
    for _ in range(2):
        words = await _last_words(world, world.primary)
        if not words.startswith("FencedError"):
            return [f"epoch_of_tomorrow: the service was not fenced, it said {words!r}"]
        said = numbered_frames(world.broker, EXECUTIONS, world.partition, world.source)[0]
        if any(batch.body[1] >= epoch_at for batch in Facts(said).batches()):
            return ["epoch_of_tomorrow: a fenced service has answered the epoch"]
        world.primary.fenced = False
    return []


def _lengths(world: World) -> dict[str, int]:
    return {topic: part.end for (topic, _), part in world.broker.partitions.items()}


async def _last_words(world: World, node: Node) -> str:
    """Start a node and return what it says when it ends by itself; empty if it does not."""
    node.last_words = ""
    world.supervisor.start(node)
    node.wanted = False
    assert node.task is not None
    await asyncio.wait([node.task], timeout=_PATIENCE_S)
    world.supervisor.kill(node, again_s=None)
    return node.last_words
