"""At least thirty faults of all classes on real servers, then an independent judge."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.__main__ import run

pytestmark = pytest.mark.chaos


def test_promises_are_kept_through_every_class_of_fault(tmp_path: Path) -> None:
    assert run(tmp_path, 1, short=True, rate=20_000.0) == []
