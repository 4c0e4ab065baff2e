"""Wake-ups of compiled traders. `pytest bench/micro --benchmark-enable` measures.

Without the option the benchmark runs once, as a test of its own result.
"""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tradecore.research.agents_market import AgentMarket, Traders

COUNT = 20_000


@pytest.mark.slow
def test_thousand_traders_on_one_book(benchmark: BenchmarkFixture) -> None:
    pytest.importorskip("numba")
    market = AgentMarket(Traders(seed=7))
    market.run(wakeups=COUNT)
    benchmark(lambda: market.run(wakeups=COUNT))
    assert market.wakeups % COUNT == 0
    assert market.agents["position"].sum() == 0
