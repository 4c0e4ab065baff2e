"""Running services: the event loop, signals, ordered start and stop, exit codes.

    sys.exit(run("trading", settings.observe, build))

`build` is a coroutine that makes adapters and services and hands them back as an `Application`. The
first signal drains (services stop fetching, finish, save), the second ends at once. A service that
fails takes the process with it, with one sentence: somebody restarts it, and the log does the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NoReturn, Protocol

import msgspec

from tradecore.errors import ConfigError, EngineFault, TradecoreError
from tradecore_shells.plumbing.config import ObserveSettings
from tradecore_shells.plumbing.observe import Metrics, Pages, event, set_up_logs
from tradecore_shells.plumbing.ports import RetryableError

__all__ = [
    "EXIT_FENCED",
    "EXIT_HALT",
    "EXIT_OK",
    "EXIT_USAGE",
    "Application",
    "FencedError",
    "Service",
    "leave",
    "run",
    "serve",
]

EXIT_OK: Final = 0
EXIT_USAGE: Final = 2
EXIT_HALT: Final = 70
EXIT_FENCED: Final = 75

_log = logging.getLogger("tradecore.runtime")


class FencedError(TradecoreError):
    """The log asks for semantics newer than this build: only a newer build may go on."""


class Service(Protocol):
    """A deployable part."""

    name: str

    async def run(self) -> None:
        """Work until `stop` was called and everything is finished. Raises when it must halt."""

    def stop(self) -> None:
        """Ask for the end: finish what has begun, save, return from `run`."""

    def trouble(self) -> str:
        """Why it is not ready to serve; empty when it is."""


class Application(msgspec.Struct):
    """What `build` hands to the runtime.

    Parameters
    ----------
    services : list of Service
        Started together; stopped in this order, each only after the one before has ended.
    closers : list of callables
        Coroutine functions that let go of adapters, called in order at the end.
    """

    services: list[Any]
    closers: list[Callable[[], Awaitable[None]]] = []

    async def close(self) -> None:
        """Call the closers in order; a server that is away already is no reason to stop."""
        for close in self.closers:
            with contextlib.suppress(RetryableError):
                await close()


def leave(main: Callable[[Sequence[str]], int], argv: Sequence[str]) -> NoReturn:
    """Run a program and exit with its code; wrong settings are one sentence and exit code 2."""
    try:
        code = main(argv)
    except ConfigError as error:
        sys.stderr.write(f"tradecore: {error}\n")
        code = EXIT_USAGE
    sys.exit(code)


async def serve(
    application: Application, stopping: asyncio.Event, *, drain_s: float = 60.0
) -> None:
    """Run the services until `stopping` is set or one of them ends or fails."""
    services = application.services
    tasks = [asyncio.create_task(one.run(), name=one.name) for one in services]
    stop = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait([*tasks, stop], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done() and not task.cancelled() and task.exception() is not None:
                raise task.exception()  # type: ignore[misc]
        for one, task in zip(services, tasks, strict=True):
            one.stop()
            try:
                await asyncio.wait_for(asyncio.shield(task), drain_s)
            except TimeoutError:
                event(
                    _log, "drain timed out", level=logging.WARNING, part=one.name, after_s=drain_s
                )
    finally:
        stop.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, stop, return_exceptions=True)


def _install_signals(stopping: asyncio.Event, task: asyncio.Task[Any]) -> None:
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        if stopping.is_set():
            event(_log, "second signal: ending at once", signal=number.name)
            task.cancel()
        else:
            event(_log, "draining", signal=number.name)
            stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)


def run(
    name: str,
    observe: ObserveSettings,
    build: Callable[[Metrics], Awaitable[Application]],
    *,
    log_stream: Any = None,
    on_error: Callable[[str], None] | None = None,
) -> int:
    """Run until told to stop; returns the exit code.

    Parameters
    ----------
    name : str
        Of the process, in logs and metrics.
    observe : ObserveSettings
    build : callable
        Makes adapters and services; called once, on the loop.
    log_stream : file, optional
        Where JSON logs go, instead of standard error.
    on_error : callable, optional
        Hears the sentence why it did not go well, besides the log.

    Returns
    -------
    int
        0 drained; 2 the settings or the world at the start are not as needed; 70 halted: something
        that must not be skipped; 75 fenced by an epoch.
    """
    set_up_logs(name, observe.log_level, log_stream)
    metrics = Metrics(name)

    async def main() -> None:
        stopping = asyncio.Event()
        task = asyncio.current_task()
        assert task is not None
        _install_signals(stopping, task)
        application = await build(metrics)
        try:
            await serve_with_pages(application, stopping)
        finally:
            await application.close()
        event(_log, "stopped")

    async def serve_with_pages(application: Application, stopping: asyncio.Event) -> None:
        services: Sequence[Service] = application.services
        pages = Pages(
            observe,
            metrics,
            healthy=lambda: "",
            ready=lambda: "; ".join(t for t in (one.trouble() for one in services) if t),
        )
        if observe.port:
            await pages.start()
        event(_log, "started", services=[one.name for one in services], pages=pages.port)
        try:
            await serve(application, stopping)
        finally:
            await pages.stop()

    def report(sentence: str, level: int = logging.ERROR) -> None:
        event(_log, sentence, level=level)
        if on_error is not None:
            on_error(sentence)

    try:
        try:
            import uvloop
        except ImportError:
            asyncio.run(main())
        else:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(main())
    except (asyncio.CancelledError, KeyboardInterrupt):
        report("ended without draining; the next start replays", logging.WARNING)
        return 130
    except FencedError as error:
        report(str(error))
        return EXIT_FENCED
    except ConfigError as error:
        report(str(error))
        return EXIT_USAGE
    except (EngineFault, TradecoreError, OSError) as error:
        report(str(error))
        return EXIT_HALT
    return EXIT_OK
