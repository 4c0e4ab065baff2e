"""Nodes: programs that are started, killed and started again, as a supervisor does it."""

from __future__ import annotations

import asyncio
import errno
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, Protocol

from tradecore.errors import EngineFault, TradecoreError
from tradecore_shells.plumbing.runtime import FencedError
from tradecore_shells.sim.disk import Disk
from tradecore_shells.sim.loop import Process, SimLoop

__all__ = ["Node", "Runs", "Supervisor"]

_DISK_ERRORS: Final = frozenset((errno.ENOSPC, errno.EIO))


class Runs(Protocol):
    """What a node runs: a service of the shells."""

    async def run(self) -> None:
        """Work until stopped."""

    def stop(self) -> None:
        """Ask for the end."""


class Node:
    """One place where a service runs, through many lives.

    Parameters
    ----------
    name : str
    build : callable
        (process, number of the life) to a service; called as code of that process.
    disk : Disk, optional
        Its machine's; nodes with the same disk lose power together.
    """

    def __init__(
        self, name: str, build: Callable[[Process, int], Runs], disk: Disk | None = None
    ) -> None:
        self.name = name
        self.build = build
        self.disk = disk
        self.lives = 0
        self.takeovers = 0
        self.wanted = False
        self.fenced = False
        self.again_s = 0.3
        self.draining = False
        self.process: Process | None = None
        self.service: Any = None
        self.task: asyncio.Task[None] | None = None
        self.last_words = ""

    @property
    def running(self) -> bool:
        """Whether a life of it is going on."""
        return self.process is not None and self.process.alive


class Supervisor:
    """Starts nodes, and starts them again when they end.

    Parameters
    ----------
    loop : SimLoop

    Attributes
    ----------
    violations : list of str
        Ends that no program of ours may come to.
    ends : Counter
        Allowed ends by the type of error.
    lives, takeovers : int
        Lives of all nodes that were ever begun, and those in which a standby took over.
    strict : bool
        From now on no node may end by itself.
    """

    def __init__(self, loop: SimLoop) -> None:
        self.loop = loop
        self.nodes: list[Node] = []
        self.violations: list[str] = []
        self.ends: Counter[str] = Counter()
        self.strict = False
        self.lives = 0
        self.takeovers = 0

    def add(self, node: Node) -> Node:
        """Take care of a node from now on."""
        self.nodes.append(node)
        return node

    def start(self, node: Node) -> None:
        """Begin a life of a node, unless one is going on or it is fenced for good."""
        node.wanted = True
        if node.running or node.fenced:
            return
        self._note_takeover(node)
        node.lives += 1
        self.lives += 1
        process = Process(f"{node.name}#{node.lives}")
        process.on_death = lambda: self._start_again(node, process)
        node.process, node.draining = process, False

        async def main() -> None:
            node.service = node.build(process, node.lives)
            await node.service.run()

        node.task = self.loop.spawn(process, main())
        node.task.add_done_callback(lambda task: self._ended(node, process, task))

    def _note_takeover(self, node: Node) -> None:
        """Count a standby that had become primary in the life that is over."""
        self.takeovers += bool(getattr(node.service, "_took_over", False))
        node.service = None

    def kill(self, node: Node, again_s: float | None = 0.3) -> None:
        """End a node's life at once; it starts again after `again_s`, or never."""
        node.wanted = again_s is not None
        node.again_s = again_s or 0.0
        if node.process is not None:
            self.loop.kill(node.process)

    def stop(self, node: Node) -> None:
        """Ask a node to drain; it does not start again."""
        node.wanted, node.draining = False, True
        if node.running:
            assert node.process is not None
            if node.service is None:
                self.loop.kill(node.process)
            else:
                self.loop.as_process(node.process, node.service.stop)

    def _start_again(self, node: Node, process: Process) -> None:
        def start() -> None:
            if node.wanted and node.process is process:
                self.start(node)

        self.loop.in_world(node.again_s, start)
        node.again_s = 0.3

    def _ended(self, node: Node, process: Process, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            self.violations.append(f"{process.name} was cancelled by itself")
        elif process.alive:
            self._judge(node, process, task.exception())
        else:
            task.exception()  # the last word of the dead, for nobody
        self.loop.kill(process)

    def _judge(self, node: Node, process: Process, error: BaseException | None) -> None:
        if error is None:
            if not node.draining:
                self.violations.append(f"{process.name} ended by itself without an error")
            return
        node.last_words = f"{type(error).__name__}: {error}"
        self.ends[type(error).__name__] += 1
        if isinstance(error, FencedError):
            node.fenced = True
            return
        disk = isinstance(error, OSError) and error.errno in _DISK_ERRORS
        allowed = isinstance(error, TradecoreError) and not isinstance(error, EngineFault)
        if not (allowed or disk) or self.strict:
            self.violations.append(f"{process.name} ended with {node.last_words}")
