"""Fuzzing by seeded mutation: a few hundred inputs a target in the tests, `make fuzz` for longer.

A failure names the target and the number of the input; the same number makes the same bytes again.
TRADECORE_FUZZ_SECONDS sets how long the whole run may take; TRADECORE_FUZZ_SEED where it starts.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator

import pytest

from fuzz.mutators import mutate
from fuzz.targets import CORPUS, TARGETS, corpus
from tradecore.errors import JournalError, SnapshotError
from tradecore.journal_segment import Segment
from tradecore.snapshot import decode

SECONDS = float(os.environ.get("TRADECORE_FUZZ_SECONDS", "0"))
SEED = int(os.environ.get("TRADECORE_FUZZ_SEED", "1"))
INPUTS = 300


def numbers() -> Iterator[int]:
    """Numbers of inputs: `INPUTS` of them, or as many as fit into the seconds of one target."""
    if not SECONDS:
        yield from range(SEED, SEED + INPUTS)
        return
    end = time.monotonic() + SECONDS / (len(TARGETS) + 2)
    number = SEED
    while time.monotonic() < end:
        yield number
        number += 1


def made(target: str, number: int) -> bytes:
    return mutate(corpus(target), random.Random(f"{target} {number}"))


@pytest.mark.parametrize("target", TARGETS)
def test_every_saved_input_holds(target: str) -> None:
    inputs = corpus(target)
    assert inputs
    for data in inputs:
        TARGETS[target](data)


@pytest.mark.parametrize("target", TARGETS)
def test_mutated_input_holds(target: str) -> None:
    for number in numbers():
        data = made(target, number)
        try:
            TARGETS[target](data)
        except Exception as error:
            finding = f"{target} input {number} ({len(data)} bytes {data.hex()})"
            raise AssertionError(f"{finding}: {type(error).__name__}: {error}") from error


def test_mutated_journal_gives_a_prefix_of_what_was_written_or_an_error() -> None:
    """Never silently wrong: no record is changed, reordered, invented or skipped."""
    for original in corpus("journal"):
        written = [bytes(record.body) for record in Segment(original)]
        for number in numbers():
            data = mutate([original], random.Random(f"prefix {number}"))
            try:
                found = [bytes(record.body) for record in Segment(data)]
            except JournalError:
                continue
            assert found == written[: len(found)], f"input {number}"


def test_mutated_snapshot_is_refused_or_the_same() -> None:
    (original,) = corpus("snapshot")
    for number in numbers():
        data = mutate([original], random.Random(f"same {number}"))
        try:
            decode(data)
        except SnapshotError:
            continue
        assert data == original, f"input {number}"


def test_corpus_is_small() -> None:
    sizes = [path.stat().st_size for path in CORPUS.rglob("*.bin")]
    assert sum(sizes) < 100_000
