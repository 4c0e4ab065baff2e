"""The table of mutants stays true to the kernel: every fault can still be planted."""

from __future__ import annotations

import keyword
import re

import mutants
import pytest
from repository import KERNEL

TABLE = mutants.read()
NAME = re.compile(r"(?<![\w.])[A-Za-z_]\w*")


def test_mutants_are_many_and_have_names_of_their_own() -> None:
    assert len(TABLE) >= 40
    assert len({mutant.name for mutant in TABLE}) == len(TABLE)


@pytest.mark.parametrize("mutant", TABLE, ids=lambda mutant: mutant.name)
def test_mutant_changes_exactly_one_place(mutant: mutants.Mutant) -> None:
    text = (KERNEL / mutant.file).read_text("utf-8")
    assert mutant.apply(text) != text


@pytest.mark.parametrize("mutant", TABLE, ids=lambda mutant: mutant.name)
def test_mutant_names_only_what_its_file_knows(mutant: mutants.Mutant) -> None:
    """A function that moves leaves its imports behind; then a mutant may no longer compile."""
    known = set(NAME.findall((KERNEL / mutant.file).read_text("utf-8")))
    code = re.sub(r"#.*", "", mutant.replace)
    assert set(NAME.findall(code)) - set(keyword.kwlist) <= known
