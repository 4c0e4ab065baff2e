"""An event loop on virtual time, in which processes can be killed and paused at any await.

It is asyncio's own loop with another clock and another idea of waiting: when nothing is ready, time
jumps to the next timer. Every callback belongs to the simulated process whose code scheduled it
(a context variable says which), so a killed process is one whose callbacks are dropped: it stops
between two awaits, no `finally` and no `except` runs, exactly as after SIGKILL. A paused process
keeps its callbacks and finds them again, late, when it goes on.

Nothing here depends on hash order or on addresses: tasks and futures hash by their number, because
asyncio keeps them in sets.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import heapq
import random
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

__all__ = ["Killed", "Process", "SimLoop", "Stuck", "current_process"]

_PROCESS: Final[contextvars.ContextVar[Process | None]] = contextvars.ContextVar(
    "process", default=None
)
_SPIN_LIMIT: Final = 200_000
"""Callbacks without a step of time after which a seed is called stuck."""


class Killed(BaseException):
    """The process that made this call is dead; nothing of what it does matters any more."""


class Stuck(AssertionError):
    """Nothing is left to happen, or time does not pass: the simulated programs hang."""


class Process:
    """One life of a simulated node.

    Parameters
    ----------
    name : str
        Node and life, for traces: ``trading-a#3``.

    Attributes
    ----------
    alive : bool
        False: its callbacks are dropped, its calls to ports raise `Killed`.
    paused : bool
        Its callbacks are kept in `held` until it goes on.
    on_death : callable, optional
        Called by the world after it has died, whatever of.
    """

    __slots__ = ("alive", "held", "name", "on_death", "paused", "tasks")

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.paused = False
        self.on_death: Callable[[], object] | None = None
        self.held: list[asyncio.Handle] = []
        # Kept after death: a collected coroutine would run its `finally` blocks.
        self.tasks: list[asyncio.Task[Any]] = []

    def check(self) -> None:
        """Raise `Killed` when the process is dead; every port calls this first."""
        if not self.alive:
            raise Killed(self.name)

    def __repr__(self) -> str:
        return f"<Process {self.name}{'' if self.alive else ' dead'}>"


def current_process() -> Process | None:
    """Return the simulated process whose code is running; None for the world around them."""
    return _PROCESS.get()


class _Future(asyncio.Future[Any]):
    """A future whose place in a set does not depend on its address."""

    number = 0

    def __hash__(self) -> int:
        return self.number


class _Task(asyncio.Task[Any]):
    """A task whose place in a set does not depend on its address."""

    number = 0

    def __hash__(self) -> int:
        return self.number


class _NoSelector:
    """What asyncio's base class asks for; there are no files to wait for."""

    def close(self) -> None:
        """Do nothing."""


class SimLoop(asyncio.BaseEventLoop):
    """Virtual time, tagged callbacks, threads that are callbacks.

    Parameters
    ----------
    seed : int
        Of the delays of work that is handed to threads.

    Attributes
    ----------
    now : float
        Virtual seconds since the world began; what `time` returns.
    steps : int
        Callbacks that were run.
    failures : list of str
        Exceptions that nobody looked at, of living processes.
    """

    _ready: deque[asyncio.Handle]  # of the base class, whose type stubs do not name it

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.now = 0.0
        self.steps = 0
        self.failures: list[str] = []
        self._rng = random.Random(seed)
        self._numbers = 0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._selector = _NoSelector()
        self._spin = 0
        self._graveyard: list[Process] = []
        self.set_task_factory(self._make_task)  # type: ignore[arg-type]
        self.set_exception_handler(self._note)

    def __del__(self) -> None:
        """Let go without a word: no file is open."""

    # ---- what asyncio wants ------------------------------------------------------------------

    def time(self) -> float:
        """Return virtual seconds."""
        return self.now

    def create_future(self) -> asyncio.Future[Any]:
        """Return a future that hashes by its number."""
        future = _Future(loop=self)
        self._numbers += 1
        future.number = self._numbers
        return future

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **named: Any
    ) -> asyncio.Task[Any]:
        context = named.pop("context", None)
        # The constructor puts the task into a set, so its number comes first.
        task = _Task.__new__(_Task)
        self._numbers += 1
        task.number = self._numbers
        task.__init__(coro, loop=loop, context=context, **named)  # type: ignore[misc]
        process = _PROCESS.get() if context is None else context.get(_PROCESS)
        if process is not None:
            process.tasks.append(task)
            if len(process.tasks) >= 256 and process.alive:
                process.tasks = [kept for kept in process.tasks if not kept.done()]
        return task

    def _process_events(self, event_list: Any) -> None:
        """There are no file events."""

    def _write_to_self(self) -> None:
        """There is nobody to wake."""

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> asyncio.Handle:
        """Do what `call_soon` does: there are no threads."""
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Carry out `func` at a later moment, at once and whole; its process may be dead by then.

        A thread that was started cannot be called back: cancelling the future drops the answer,
        not the work.
        """
        future = self.create_future()

        def deliver(result: Any, error: BaseException | None) -> None:
            if future.cancelled():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)

        def work() -> None:
            result, failed = None, None
            try:
                result = func(*args)
            except Killed:
                return
            except BaseException as error:  # the thread's exception is the caller's
                failed = error
            self.call_later(self._rng.choice((0.0, 0.0002, 0.002)), deliver, result, failed)

        self.call_later(self._rng.choice((0.0, 0.0005, 0.004)), work)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """There are no threads to wait for."""

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        """Schedule a callback; those of one moment run in the order of their calls."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._numbers += 1
        heapq.heappush(self._timers, (when, self._numbers, timer))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Do nothing: a cancelled timer is passed over when it is due."""

    # ---- time and processes ------------------------------------------------------------------

    def _run_once(self) -> None:
        ready, timers = self._ready, self._timers
        if not ready:
            while timers and timers[0][2].cancelled():
                heapq.heappop(timers)
            if not timers:
                raise Stuck(f"nothing is left to happen at {self.now:.6f} s")
            if timers[0][0] > self.now:
                self.now, self._spin = timers[0][0], 0
            while timers and timers[0][0] <= self.now:
                ready.append(heapq.heappop(timers)[2])
        self._spin += len(ready)
        if self._spin > _SPIN_LIMIT:
            raise Stuck(f"time stands still at {self.now:.6f} s: some program spins")
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            process = handle._context.get(_PROCESS)  # type: ignore[attr-defined]
            if process is not None:
                if not process.alive:
                    continue
                if process.paused:
                    process.held.append(handle)
                    continue
            self.steps += 1
            handle._run()

    def spawn(self, process: Process, main: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start a coroutine as the main program of a process."""
        context = contextvars.copy_context()
        context.run(_PROCESS.set, process)
        return self.create_task(main, context=context)

    def in_world(self, delay: float, callback: Callable[..., object], *args: Any) -> asyncio.Handle:
        """Schedule a callback that no process owns: it happens whoever dies."""
        context = contextvars.copy_context()
        context.run(_PROCESS.set, None)
        return self.call_later(delay, callback, *args, context=context)

    def as_process(self, process: Process, func: Callable[..., Any], *args: Any) -> Any:
        """Call a function as code of a process."""
        context = contextvars.copy_context()
        context.run(_PROCESS.set, process)
        return context.run(func, *args)

    def kill(self, process: Process) -> None:
        """End a process between two of its steps; nothing of it runs any more."""
        if not process.alive:
            return
        process.alive = False
        process.held.clear()
        self._graveyard.append(process)
        if process.on_death is not None:
            self.in_world(0.0, process.on_death)

    def pause(self, process: Process) -> None:
        """Stop a process as SIGSTOP does."""
        process.paused = True

    def resume(self, process: Process) -> None:
        """Let a paused process go on with what has piled up, in order."""
        process.paused = False
        self._ready.extend(process.held)
        process.held.clear()

    def bury(self) -> None:
        """Close the coroutines of dead processes; their ports refuse whatever they try."""
        for process in self._graveyard:
            for task in process.tasks:
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                coro = task.get_coro()
                # Whatever a dead program says in its `finally` blocks is said to nobody.
                with contextlib.suppress(Exception, Killed):
                    coro.close()
            process.tasks.clear()
        self._graveyard.clear()

    def _note(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, Killed):
            return
        self.failures.append(f"{context.get('message')}: {error!r}")
