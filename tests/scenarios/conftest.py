"""``--bless``: rewrite the expected events of scenario files; read the diff before committing."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bless", action="store_true", help="rewrite scenario files from the oracle")
