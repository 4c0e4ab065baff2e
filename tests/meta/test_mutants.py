"""The table of mutants stays true to the kernel: every fault can still be planted."""

from __future__ import annotations

import mutants
import pytest
from repository import KERNEL

TABLE = mutants.read()


def test_mutants_are_many_and_have_names_of_their_own() -> None:
    assert len(TABLE) >= 40
    assert len({mutant.name for mutant in TABLE}) == len(TABLE)


@pytest.mark.parametrize("mutant", TABLE, ids=lambda mutant: mutant.name)
def test_mutant_changes_exactly_one_place(mutant: mutants.Mutant) -> None:
    text = (KERNEL / mutant.file).read_text("utf-8")
    assert mutant.apply(text) != text
