"""The memory check runs on a small cell and compares with the coefficients it is given."""

from __future__ import annotations

import json

import pytest
from bench.capacity import users


def test_main_compares_a_cell_with_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    assert users.main(["--users", "4000", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = ("memory", "snapshot-bytes", "snapshot-take", "snapshot-restore")
    assert [row["name"] for row in rows] == [f"users/{name}" for name in names]
    snapshot = rows[1]["observed"]
    # Bytes of an image are not a matter of the machine: coefficients of another one fit.
    assert abs(snapshot["error"]) < 0.25
