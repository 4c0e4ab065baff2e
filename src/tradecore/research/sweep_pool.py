"""Where the runs of a sweep are executed: processes of this machine, or Ray.

Both take (number, parameters) pairs and yield (number, what the function returned, error), as they
finish. A worker that dies is an error of its run and ends the sweep; what is finished is kept.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import Any

from tradecore.errors import ConfigError

__all__ = ["in_processes", "on_ray"]

Task = tuple[int, dict[str, Any]]
Outcome = tuple[int, Any, str]


def call(function: Callable[..., Any], number: int, params: dict[str, Any]) -> Outcome:
    """Run one set of parameters; what it raises becomes a sentence."""
    try:
        return number, function(**params), ""
    except Exception as error:
        return number, None, f"{type(error).__name__}: {error}"


def in_processes(
    function: Callable[..., Any], tasks: Sequence[Task], workers: int
) -> Iterator[Outcome]:
    """Yield outcomes as they finish, from fresh processes; with one worker, from this one.

    Notes
    -----
    Processes are spawned, not forked: a fork of a process with threads (Numba, Arrow) can hang.
    Only a few tasks wait in the pool, so that an error ends the sweep soon.
    """
    if workers == 1:
        yield from (call(function, number, params) for number, params in tasks)
        return
    context = multiprocessing.get_context("spawn")
    waiting: set[Future[Outcome]] = set()
    left = iter(tasks)
    pool = ProcessPoolExecutor(workers, mp_context=context)
    try:
        while True:
            for number, params in left:
                waiting.add(pool.submit(call, function, number, params))
                if len(waiting) >= 2 * workers:
                    break
            if not waiting:
                return
            finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def on_ray(function: Callable[..., Any], tasks: Sequence[Task]) -> Iterator[Outcome]:
    """Yield outcomes as they finish, from the Ray cluster in use, or from a local one.

    Raises
    ------
    ConfigError
        Ray is not installed.
    """
    try:
        import ray
    except ImportError:
        raise ConfigError("backend 'ray' needs the package: pip install 'tradecore[ray]'") from None
    started = not ray.is_initialized()
    if started:
        ray.init(include_dashboard=False, log_to_driver=False)
    try:
        remote = ray.remote(call)
        waiting = [remote.remote(function, number, params) for number, params in tasks]
        while waiting:
            finished, waiting = ray.wait(waiting)
            yield from ray.get(finished)
    finally:
        if started:
            ray.shutdown()
