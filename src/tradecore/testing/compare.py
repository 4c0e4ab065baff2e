"""Two engines, one stream: the first difference, said in a line a person can act on.

`compare` feeds the same batches to the engine under test and to the oracle and looks at the event
bytes. Where they part, `Difference` names the command, shows both events decoded and the commands
that led there; `minimise` makes the stream short enough to read.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tradecore.errors import EngineFault
from tradecore.testing.oracle.layout import FRAME
from tradecore.testing.show import command_line, event_line

Factory = Callable[[], Any]
HISTORY = 20


@dataclass
class Difference:
    """Where two engines parted.

    Attributes
    ----------
    index : int
        Position of the command in the stream, from 0.
    what : str
        What differs: two event lines, a state, an audit that failed, or an exception.
    """

    index: int
    what: str
    commands: Sequence[bytes]

    def __str__(self) -> str:
        first = max(0, self.index - HISTORY + 1)
        shown = [
            f"  {i:6d} {command_line(c)}"
            for i, c in enumerate(self.commands[first : self.index + 1], first)
        ]
        return "\n".join([f"command {self.index}: {self.what}", "last commands:", *shown])


def _first(kernel: bytes, oracle: bytes) -> tuple[int, str] | None:
    """Return (in_seq, text) of the first event that differs."""
    for at in range(0, max(len(kernel), len(oracle)), FRAME):
        have, want = kernel[at : at + FRAME], oracle[at : at + FRAME]
        if have != want:
            told = want or have
            in_seq = int.from_bytes(told[28:32], "little")
            if have and want:
                in_seq = min(in_seq, int.from_bytes(have[28:32], "little"))
            return in_seq, f"engine: {_event(have)}\n             oracle: {_event(want)}"
    return None


def _event(frame: bytes) -> str:
    if not frame:
        return "nothing"
    seq, in_seq = int.from_bytes(frame[:8], "little"), int.from_bytes(frame[28:32], "little")
    return f"[seq {seq} in {in_seq}] {event_line(frame)}"


class Coverage:
    """How often each (event kind, status) came out of the oracle."""

    def __init__(self) -> None:
        self.hits: Counter[tuple[int, int]] = Counter()

    def add(self, events: bytes) -> None:
        """Count the events of one batch."""
        for at in range(0, len(events), FRAME):
            self.hits[events[at + 24], events[at + 26] | events[at + 27] << 8] += 1


def _no_states(_engine: Any, _oracle: Any) -> str | None:
    """Compare nothing."""
    return None


def compare(
    commands: Sequence[bytes],
    engine: Any,
    oracle: Any,
    *,
    batches: random.Random | None = None,
    state_every: int = 0,
    states: Callable[[Any, Any], str | None] = _no_states,
    audit_each: bool = False,
    coverage: Coverage | None = None,
) -> Difference | None:
    """Feed one stream to both engines and return the first difference, or None.

    Parameters
    ----------
    commands : sequence of bytes
        Whole commands.
    engine, oracle : objects with ``apply(buffer)``
        `engine` is the one under test.
    batches : random.Random, optional
        Draws batch sizes from 1 to 64; without it commands go one by one.
    state_every : int
        Commands between comparisons of the states (0: never).
    states : callable
        Says where two states differ, or None.
    audit_each : bool
        Call ``engine.check()`` after every batch: it raises where a sum is wrong.
    coverage : Coverage, optional
        Counts the oracle's events.
    """
    at, since = 0, 0
    while at < len(commands):
        size = 1 if batches is None else batches.choice((1, 1, 2, 7, 16, 64))
        chunk = commands[at : at + size]
        buffer = b"".join(chunk)
        want = bytes(oracle.apply(buffer))
        if coverage is not None:
            coverage.add(want)
        try:
            have = bytes(engine.apply(buffer))
            if audit_each:
                engine.check()
        except Exception as error:  # whatever it is, it is the finding
            return Difference(at + len(chunk) - 1, f"{type(error).__name__}: {error}", commands)
        found = _first(have, want)
        if found:
            in_seq, text = found
            return Difference(_position(commands, in_seq), text, commands)
        at += len(chunk)
        since += len(chunk)
        if oracle.fenced:
            return _fence(engine, at - 1, commands)
        if state_every and since >= state_every:
            since = 0
            apart = states(engine, oracle)
            if apart:
                return Difference(at - 1, apart, commands)
    return None


def _fence(engine: Any, index: int, commands: Sequence[bytes]) -> Difference | None:
    """After an epoch from the future both engines must refuse to go on."""
    try:
        engine.apply(b"")
    except EngineFault:
        return None
    return Difference(index, "engine: goes on\n             oracle: fenced", commands)


def _position(commands: Sequence[bytes], in_seq: int) -> int:
    """Return the index of the command that both engines call `in_seq`.

    A damaged command may be read as several or swallow its neighbours, so input numbers are walked
    over the bytes as the frame rules say, not over the list.
    """
    from tradecore.testing.oracle import frames

    buffer = b"".join(commands)
    at = 0
    for _ in range(in_seq - 1):
        if at >= len(buffer):
            break
        _, used, _, _ = frames.read(buffer, at, (len(buffer) - at) // FRAME)
        at += used * FRAME
    for index, command in enumerate(commands):
        at -= len(command)
        if at < 0:
            return index
    return len(commands) - 1


def minimise(
    commands: Sequence[bytes], fails: Callable[[Sequence[bytes]], bool], budget: int = 2_000
) -> list[bytes]:
    """Return a shorter stream that still fails: delta debugging over whole commands.

    Parameters
    ----------
    commands : sequence of bytes
        A stream for which `fails` is true.
    fails : callable
        Whether a stream shows the failure.
    budget : int
        Most calls of `fails`.

    Notes
    -----
    Source: Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002 (the
    complement steps of ddmin; removing from the back first, since later commands depend on earlier
    ones).
    """
    kept = list(commands)
    parts = 2
    while len(kept) > 1 and budget > 0:
        size = max(1, -(-len(kept) // parts))
        cut = False
        for start in range((len(kept) - 1) // size * size, -1, -size):
            budget -= 1
            shorter = kept[:start] + kept[start + size :]
            if shorter and fails(shorter):
                kept, cut = shorter, True
            if budget <= 0:
                break
        if cut:
            parts = max(2, parts - 1)
        elif size == 1:
            break
        else:
            parts = min(len(kept), parts * 2)
    return kept
