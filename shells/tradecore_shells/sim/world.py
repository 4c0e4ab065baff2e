"""A whole exchange in one process on virtual time: machines, nodes, people.

A world is a function of its seed. It opens a venue, lets people trade while faults strike, heals,
starts every node anew, waits until all work has drained, stops the nodes politely and hands itself
to the oracles.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from typing import Any, Final

from tradecore.cell import end_seq
from tradecore_shells.plumbing.ports import EXECUTIONS, TRADING_COMMANDS
from tradecore_shells.portfolio.store import PORTFOLIO
from tradecore_shells.sim.books import cache_differs
from tradecore_shells.sim.chaos import Chaos
from tradecore_shells.sim.clients import Journal, Operator, Trader
from tradecore_shells.sim.customer import Customer
from tradecore_shells.sim.facts import BATCH, read_event
from tradecore_shells.sim.fleet import CELL_SOURCE, PARTITION, Fleet
from tradecore_shells.sim.loop import Process, Stuck
from tradecore_shells.sim.nodes import Node
from tradecore_shells.sim.numbered import numbered_frames

__all__ = ["World"]

_SETTLE_S: Final = 1.3
"""Longer than any request of before the healing is under way."""
_DRAIN_S: Final = 60.0


class World(Fleet):
    """One seed.

    Parameters
    ----------
    seed : int
    hits : Counter, optional
        Where strikes of faults are counted.
    load_s : float, optional
        Virtual seconds of trading under faults; drawn from the seed by default.
    differently : dict, optional
        Settings of a planted design bug; see `planted_cell`.

    Attributes
    ----------
    violations : list of str
        What must not be; the oracles add theirs.
    target : int
        Offset behind the commands that must have been worked on after healing.
    drained_to : int
        Offset behind the commands that the primary had worked on when it was asked to end.
    """

    def __init__(
        self,
        seed: int,
        hits: Counter[str] | None = None,
        load_s: float | None = None,
        *,
        differently: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(seed, hits, differently)
        self.journal = Journal()
        self.violations: list[str] = []
        self.load_s = self.rng.uniform(0.6, 2.0) if load_s is None else load_s
        self.target = -1
        self.drained_to = 0
        self.fills = self.liquidations = 0
        self._states: list[tuple[int, str, str]] = []
        self.traders: list[Trader] = []
        self.operator: Operator | None = None
        self.customer: Customer | None = None
        self.chaos = Chaos(self)

    # ---------------------------------------------------------------------------------------- run
    def run(self) -> list[str]:
        """Live through the seed; returns what the oracles found, nothing when all is well."""
        from tradecore_shells.sim.last_acts import last_acts
        from tradecore_shells.sim.oracles import judge

        try:
            self.loop.run_until_complete(self._live())
            self.violations += self.supervisor.violations
            if not self.violations:
                self.violations += judge(self)
            if not self.violations:
                self.violations += self.loop.run_until_complete(last_acts(self))
        except Stuck as stuck:
            self.violations.append(f"liveness: {stuck}")
        finally:
            self._close()
        return self.violations

    async def _live(self) -> None:
        for node in self.supervisor.nodes:
            self.supervisor.start(node)
        people = self._open()
        assert self.operator is not None
        self.chaos.start()
        try:
            async with asyncio.timeout(_DRAIN_S):
                await self.operator.ready.wait()
        except TimeoutError:
            self.violations.append("liveness: the venue did not open")
            return
        people += [
            self.loop.spawn(Process(f"trader-{one.account}"), one.run()) for one in self.traders
        ]
        assert self.customer is not None
        listening = self.loop.spawn(Process("customer"), self.customer.run())
        await asyncio.sleep(self.load_s)
        await self._heal(people)
        self._let_go_of_the_old_build()
        for node in self.supervisor.nodes:
            self.supervisor.kill(node, again_s=0.1)
        if not await self._drained():
            return
        await self._stop()
        self.customer.finish()
        await asyncio.wait([listening])
        if error := listening.exception():
            self.violations.append(f"customer: {type(error).__name__}: {error}")

    def _open(self) -> list[asyncio.Task[None]]:
        rng = self.rng
        accounts = list(range(1, 2 + rng.choice((3, 5, 8))))
        self.operator = Operator(
            accounts, log=self.connect(), faults=self.faults, journal=self.journal,
            rng=random.Random(f"operator-{self.seed}"), partition=PARTITION,
        )  # fmt: skip
        self.traders = [
            Trader(
                account, 100 + account, log=self.connect(), clock=self.clock(), faults=self.faults,
                journal=self.journal, rng=random.Random(f"trader-{self.seed}-{account}"),
                partition=PARTITION,
            )
            for account in accounts[:-1]
        ]  # fmt: skip
        self.customer = Customer(
            accounts[-1], log=self.connect(), clock=self.clock(), journal=self.journal,
            rng=random.Random(f"customer-{self.seed}"),
        )  # fmt: skip
        return [self.loop.spawn(Process("operator"), self.operator.run())]

    async def _heal(self, people: list[asyncio.Task[None]]) -> None:
        """End the faults and the load, and let what is under way arrive."""
        self.faults.active = False
        self.chaos.stop()
        self.broker.stalled_until = self.loop.now
        assert self.operator is not None
        self.operator.stopping = True
        for trader in self.traders:
            trader.stopping = True
        assert self.customer is not None
        self.customer.stopping = True
        await asyncio.wait(people)
        for task in people:
            task.result()
        with contextlib.suppress(TimeoutError):  # one that has failed is judged at the end
            async with asyncio.timeout(_DRAIN_S):
                await self.customer.quiet.wait()
        await asyncio.sleep(_SETTLE_S)
        self.target = self.broker.partition(TRADING_COMMANDS, PARTITION).end

    async def _drained(self) -> bool:
        """Wait until every node has worked on everything; False after 60 virtual seconds."""
        self.supervisor.strict = True
        deadline = self.loop.now + _DRAIN_S
        while self.loop.now < deadline:
            await asyncio.sleep(0.1)
            if not self._behind():
                return True
            if self.supervisor.violations:
                return False
        self.violations.append("liveness: " + "; ".join(self._behind()))
        return False

    def _let_go_of_the_old_build(self) -> None:
        """End the node of the older build; had it met the epoch, it must have fenced itself."""
        node = self.chaos.old
        if node is None:
            return
        self.supervisor.kill(node, again_s=None)
        self.supervisor.nodes.remove(node)

    def _behind(self) -> list[str]:
        behind = []
        for node in self.trading:
            if node.fenced:
                continue
            cell = node.service.cell if node.running and node.service is not None else None
            at = -1 if cell is None else cell.next_offset
            if at < self.target:
                behind.append(f"{node.name} is at {at} of {self.target}; {node.last_words}")
        return behind

    async def _stop(self) -> None:
        """Drain the nodes in the order of the data: the cell first, then who reads it."""
        await self._stop_these(self.trading)
        if not await self._books_are_written():
            return
        await self._stop_these([n for n in self.supervisor.nodes if n not in self.trading])

    async def _books_are_written(self) -> bool:
        """Wait until database and cache hold everything; False after 60 virtual seconds."""
        deadline = self.loop.now + _DRAIN_S
        records = self.broker.partition(EXECUTIONS, PARTITION).all
        end = max((end_seq(payload) for _, payload in records), default=1)
        while self.loop.now < deadline:
            await asyncio.sleep(0.1)
            place = await self.database.store.place(PORTFOLIO, PARTITION)
            if self.supervisor.violations:
                return False
            behind = [node.name for node in self.risk if node.service.state.seq < end]
            assert self.customer is not None
            behind += self.customer.behind()
            if place.next_seq >= end and not behind and not cache_differs(self):
                return True
        self.violations.append(
            f"liveness: the database is at {place.next_seq} of {end}; behind: {behind}"
        )
        self.violations += cache_differs(self)
        return False

    async def _stop_these(self, nodes: list[Node]) -> None:
        for node in nodes:
            self.supervisor.stop(node)
            tasks = [node.task] if node.task is not None else []
            if tasks and not node.fenced:
                await asyncio.wait(tasks, timeout=_DRAIN_S)
            if node.running:
                self.violations.append(f"liveness: {node.name} does not drain")
            if node in self.trading and node.service is not None and node.service.cell is not None:
                cell = node.service.cell
                self._states.append((cell.next_offset, cell.state_hash(), node.name))
                if node is self.primary:
                    self.drained_to = cell.next_offset
                    self._expect_snapshot(node)

    def offset_of_execution(self, seq: int) -> int:
        """Return the offset of the command record whose batch holds a frame of executions."""
        frames, _ = numbered_frames(self.broker, EXECUTIONS, PARTITION, CELL_SOURCE)
        heads = [read_event(frame) for frame in frames[:seq]]
        return max((head.body[1] for head in heads if head.kind == BATCH), default=0)

    def _expect_snapshot(self, node: Node) -> None:
        """Judge that a primary that was asked to end has left everything behind in a snapshot."""
        assert node.disk is not None
        newest = max(Chaos.intact(node.disk).values(), default=0)
        if newest != self.drained_to:
            self.violations.append(
                f"{node.name} drained at offset {self.drained_to}, its snapshot is at {newest}"
            )

    def states(self) -> list[tuple[int, str, str]]:
        """Return every state that is known: (offset behind it, hash, whose)."""
        return self._states

    def counts(self) -> dict[str, float]:
        """Return how much happened."""
        commands = self.broker.partition(TRADING_COMMANDS, PARTITION).end
        return {
            "commands records": commands,
            "orders": len(self.journal.offered),
            "acknowledged orders": len(self.journal.orders),
            "garbage records": self.journal.garbage,
            "lives of nodes": self.supervisor.lives,
            "takeovers by standbys": self.supervisor.takeovers,
            "fills": self.fills,
            "steps of liquidations": self.liquidations,
            "torn files": sum(disk.torn for disk in self.disks),
            "steps": self.loop.steps,
            "virtual seconds": self.loop.now,
        } | {f"ended with {name}": times for name, times in self.supervisor.ends.items()}

    def _close(self) -> None:
        for node in self.supervisor.nodes:
            node.wanted = False
            if node.process is not None:
                self.loop.kill(node.process)
        self.loop.bury()
        self.loop.close()
