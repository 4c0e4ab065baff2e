"""Where the independent data lives: found by tests, never copied into the repository.

The folder is named by the environment variable TRADECORE_SHARED, or stands beside the checkout as
``../shared``. A test that needs it calls `shared` (or `shared_files`), and skips with the reason
when the folder or the file is absent.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

VARIABLE = "TRADECORE_SHARED"


def shared_root() -> Path | None:
    """Return the folder of independent data, or None where there is none."""
    named = os.environ.get(VARIABLE)
    if named:
        root = Path(named)
        return root if root.is_dir() else None
    beside = Path(__file__).resolve().parents[2] / "shared"
    return beside if beside.is_dir() else None


def _absent(relative: str) -> str:
    return (
        f"independent data not found: {relative} (set {VARIABLE} to the folder that holds data/ "
        "and vectors/, or put it beside the checkout as ../shared)"
    )


def shared(relative: str) -> Path:
    """Return the path of one shared file or folder; skip the test when it is not there."""
    root = shared_root()
    if root is None or not (root / relative).exists():
        pytest.skip(_absent(relative))
    return root / relative


def shared_files(folder: str, pattern: str) -> list[Path]:
    """Return the shared files that match a glob, sorted; skip the test when there are none."""
    root = shared_root()
    found = sorted((root / folder).glob(pattern)) if root is not None else []
    if not found:
        pytest.skip(_absent(f"{folder}/{pattern}"))
    return found
