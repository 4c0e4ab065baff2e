"""What happens to machines by chance: kills, power cuts, pauses, zombies, flipped bits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tradecore.codes import CommandKind
from tradecore.errors import SnapshotError
from tradecore.snapshot import decode
from tradecore.testing import build
from tradecore_shells.plumbing.ports import TRADING_COMMANDS
from tradecore_shells.sim.builds import EPOCH_KNOWN
from tradecore_shells.sim.disk import Disk
from tradecore_shells.sim.nodes import Node

if TYPE_CHECKING:
    from tradecore_shells.sim.world import World

__all__ = ["Chaos"]


class Chaos:
    """The faults that strike a world from outside of its ports.

    Parameters
    ----------
    world : World
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._loop = world.loop
        self._faults = world.faults
        self._rng = world.faults.rng
        self._tasks: list[asyncio.Task[None]] = []
        self._zombies = 0
        self.old: Node | None = None

    def start(self) -> None:
        """Let every class strike at its own times."""
        acts: dict[str, Callable[[], Coroutine[Any, Any, bool]]] = {
            "broker_stall": self._stall,
            "clock_step": self._step_clock,
            "retention": self._forget,
            "kill": self._kill,
            "power_loss": self._lose_power,
            "pause": self._pause,
            "zombie": self._zombie,
            "snapshot_flip": self._flip,
            "slow_reader": self._slow_down,
            "upgrade": self._upgrade,
            "store_down": self._store_down,
            "cache_lost": self._lose_cache,
        }
        self._tasks = [self._loop.create_task(self._strike(*act)) for act in acts.items()]

    def stop(self) -> None:
        """End all strikes; who is paused goes on."""
        for task in self._tasks:
            task.cancel()
        for node in self._world.supervisor.nodes:
            if node.process is not None and node.process.paused:
                self._loop.resume(node.process)

    async def _strike(self, name: str, act: Callable[[], Coroutine[Any, Any, bool]]) -> None:
        while (wait := self._faults.pause_until(name)) is not None:
            await asyncio.sleep(wait)
            if await act():
                self._faults.hits[name] += 1

    def _anybody(self) -> Node | None:
        running = [node for node in self._world.supervisor.nodes if node.running]
        return self._rng.choice(running) if running else None

    async def _stall(self) -> bool:
        lasting = self._rng.choice((0.1, 0.5, 2.5))
        self._world.broker.stalled_until = self._loop.now + lasting
        await asyncio.sleep(lasting)
        return True

    async def _step_clock(self) -> bool:
        self._world.broker.clock_step_ns += self._rng.randint(-300_000_000, 300_000_000)
        return True

    async def _kill(self) -> bool:
        node = self._anybody()
        if node is None:
            return False
        self._world.supervisor.kill(node, again_s=self._rng.choice((0.0, 0.1, 1.5)))
        return True

    async def _lose_power(self) -> bool:
        disk = self._rng.choice(self._world.disks)
        for node in self._world.supervisor.nodes:
            if node.disk is disk:
                self._world.supervisor.kill(node, again_s=self._rng.choice((0.1, 0.5, 1.5)))
        disk.lose_power()
        return True

    async def _pause(self) -> bool:
        node = self._anybody()
        if node is None or node.process is None or node.process.paused:
            return False
        process = node.process
        self._loop.pause(process)
        await asyncio.sleep(self._rng.choice((0.02, 0.3, 1.5, 3.0)))
        if process.paused:
            self._loop.resume(process)
        return True

    async def _zombie(self) -> bool:
        """Let a second primary work beside the first for a while."""
        world = self._world
        self._zombies += 1
        disk = self._rng.choice(world.disks)
        node = world.supervisor.add(
            world.trading_node(f"trading-z{self._zombies}", "primary", disk)
        )
        world.supervisor.start(node)
        try:
            await asyncio.sleep(self._rng.uniform(0.2, 2.0))
        finally:
            world.supervisor.kill(node, again_s=None)
            world.supervisor.nodes.remove(node)
        return True

    async def _flip(self) -> bool:
        """Turn a bit of one snapshot, as long as the machine keeps an intact one."""
        disk = self._rng.choice(self._world.disks)
        intact = self.intact(disk)
        if len(intact) < 2:
            return False
        # Mostly the newest, and mostly just before somebody needs it.
        path = max(intact) if self._rng.random() < 0.7 else self._rng.choice(sorted(intact))
        disk.flip_bit(path)
        for node in self._world.trading:
            if node.disk is disk and node.running and self._rng.random() < 0.7:
                self._world.supervisor.kill(node, again_s=0.0)
        return True

    @staticmethod
    def intact(disk: Disk) -> dict[Path, int]:
        """Return the snapshots of a machine that are right, with the offset behind each."""
        found = {}
        for path in disk.files(".tcsn"):
            try:
                info = decode(bytes(disk.inode(path).data)).info
            except SnapshotError:
                continue
            found[path] = info.in_seq
        return found

    def durable(self, disk: Disk) -> dict[Path, int]:
        """Return the intact snapshots that were acknowledged: not one whose sync has failed."""
        intact = self.intact(disk)
        return {path: intact[path] for path in intact if path in disk.acknowledged}

    async def _forget(self) -> bool:
        """Drop what lies before the oldest snapshot that each machine keeps, as an operator may."""
        kept = [self.durable(disk) for disk in self._world.disks]
        if any(len(snapshots) < 2 for snapshots in kept):
            return False
        floor = min(min(snapshots.values()) for snapshots in kept)
        if self._world.risk:
            # Risk reads the commands behind executions again from where its own state ends.
            saved = self.durable(self._world.risk_disk)
            if len(saved) < 2:
                return False
            floor = min(floor, self._world.offset_of_execution(min(saved.values()) + 1))
        before = self._world.broker.partition(TRADING_COMMANDS, self._world.partition).start
        self._world.broker.forget(TRADING_COMMANDS, self._world.partition, floor)
        return floor > before

    async def _slow_down(self) -> bool:
        node = self._anybody()
        if node is None or node.process is None:
            return False
        connections = self._world.connections.get(node.process.name, [])
        slow = self._rng.choice((5.0, 20.0, 100.0))
        for log in connections:
            log.slow = log.pace * slow
        await asyncio.sleep(self._rng.uniform(0.2, 1.5))
        for log in connections:
            log.slow = log.pace
        return bool(connections)

    async def _store_down(self) -> bool:
        lasting = self._rng.choice((0.1, 0.5, 2.5))
        self._world.database.down_until = self._loop.now + lasting
        await asyncio.sleep(lasting)
        return True

    async def _lose_cache(self) -> bool:
        await self._world.cache.delete(await self._world.cache.keys(""))
        return True

    async def _upgrade(self) -> bool:
        """Switch to a newer epoch while a node of an older build was forgotten somewhere."""
        world = self._world
        if self.old is not None or world.operator is None:
            return False
        node = world.trading_node("trading-old", "primary", world.old_disk, old_build=True)
        self.old = world.supervisor.add(node)
        world.supervisor.start(node)
        await asyncio.sleep(self._rng.uniform(0.1, 0.5))
        world.operator.wishes.append(build.admin(CommandKind.EPOCH, epoch=EPOCH_KNOWN))
        return True
