"""Settings every test shares: Hypothesis profiles and the --nightly switch."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# One machine's slowness is not a failure, so there is no deadline. `ci` is derandomised: a red run
# can be repeated from the commit alone. `nightly` explores with fresh seeds and prints them.
settings.register_profile(
    "ci", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "nightly",
    deadline=None,
    max_examples=2_000,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--nightly", action="store_true", help="run the tests marked nightly, at nightly size"
    )


def pytest_configure(config: pytest.Config) -> None:
    nightly = config.getoption("--nightly")
    settings.load_profile(os.environ.get("TRADECORE_PROFILE", "nightly" if nightly else "ci"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--nightly"):
        return
    skip = pytest.mark.skip(reason="nightly: run with --nightly")
    for item in items:
        if "nightly" in item.keywords:
            item.add_marker(skip)
