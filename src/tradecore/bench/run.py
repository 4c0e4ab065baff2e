"""Feeding an engine against the clock, and knowing that it did the same work every time.

The clock is read around a whole stream, never inside it, except where a benchmark is about single
calls. Event bytes are hashed in a run of their own: hashing inside a timed run would push the
engine's state out of the caches that are being measured.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter_ns

from tradecore.bench.inputs import BATCH, Frames, Input
from tradecore.engine import Engine
from tradecore.errors import TradecoreError

__all__ = ["InvalidRunError", "feed", "hash_of", "quiet_gc", "same"]


class InvalidRunError(TradecoreError):
    """Two runs of one benchmark computed different things: its number means nothing."""


@contextmanager
def quiet_gc() -> Iterator[None]:
    """Keep Python's cycle collector out of a timed part; it is collected before."""
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def feed(engine: Engine, batches: Sequence[Frames]) -> int:
    """Apply all batches and return the nanoseconds it took."""
    apply = engine.apply
    with quiet_gc():
        start = perf_counter_ns()
        for batch in batches:
            apply(batch)
        return perf_counter_ns() - start


def hash_of(work: Input, batch: int = BATCH) -> tuple[str, str]:
    """Run a stream untimed; return SHA-256 of all its event bytes, and the state hash behind it."""
    engine = work.engine()
    digest = hashlib.sha256()
    for part in work.batches(batch):
        digest.update(engine.apply(part))
    return digest.hexdigest(), engine.state_hash()


def same(what: str, expected: str, found: str) -> None:
    """Raise `InvalidRunError` where a run computed something else than the first."""
    if expected != found:
        raise InvalidRunError(f"INVALID {what}: computed {found[:16]}, before {expected[:16]}")
