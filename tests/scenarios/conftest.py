"""``--bless``: rewrite the expected events of scenario files; read the diff before committing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from watchdog import ends_within


@pytest.fixture(autouse=True)
def watched() -> Iterator[None]:
    with ends_within(120):
        yield


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bless", action="store_true", help="rewrite scenario files from the oracle")
