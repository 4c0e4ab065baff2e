"""The engine's accounts in a backtest: same fills and fees as without, and its limits hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from research.test_compiled import Quoter, market
from tradecore import Status
from tradecore.errors import ConfigError
from tradecore.kernels import average_cost
from tradecore.research import OrderState, Strategy, backtest


def test_ledger_of_the_engine_and_ours_agree_row_by_row() -> None:
    """Without accounts fees and profit are computed here; with them they are the engine's."""
    recording = market()
    ours = backtest(recording, Quoter(), sample_ns=10_000)
    engines = backtest(recording, Quoter(), sample_ns=10_000, accounts=True)
    assert len(ours.fills) > 50
    names = [n for n in ours.fills.dtype.names if n != "seq"]  # SETTLED events count as well
    assert (ours.fills[names] == engines.fills[names]).all()
    for table in ("orders", "positions", "equity"):
        assert (ours.table(table) == engines.table(table)).all(), table


def test_realised_profit_is_that_of_the_average_cost_kernel() -> None:
    result = backtest(market(), Quoter())
    fills = result.fills
    sign = np.where(fills["side"] == 1, 1, -1)
    found = average_cost(sign * fills["last_qty"], fills["last_px"] * fills["last_qty"])
    assert (found.realised == fills["realised_pnl"]).all()


def test_limits_of_the_account_refuse_orders() -> None:
    class Asks(Strategy):
        def on_start(self) -> None:
            self.call_at(5_000)

        def on_timer(self, now_ns: int) -> None:
            self.buy(900, 4)
            self.buy(900, 5)

    result = backtest(market(), Asks(), accounts=True, limits={"max_order_qty": 4})
    assert result.orders["state"].tolist() == [OrderState.LIVE, OrderState.REJECTED]
    assert result.orders["status"][1] == Status.LIMIT_ORDER_QTY


def test_money_that_is_not_there_is_refused() -> None:
    class Asks(Strategy):
        def on_start(self) -> None:
            self.call_at(5_000)

        def on_timer(self, now_ns: int) -> None:
            self.buy(900, 10)

    poor = backtest(market(), Asks(), accounts=True, deposits={0: 5_000})
    assert poor.orders["status"].tolist() == [Status.INSUFFICIENT_FUNDS]
    rich = backtest(market(), Asks(), accounts=True, deposits={0: 50_000})
    assert rich.orders["state"].tolist() == [OrderState.LIVE]


@pytest.mark.parametrize(
    "settings",
    [{"limits": {"max_order_qty": 4}}, {"accounts": True, "limits": {"most": 3}}, {"max_sent": 0}],
)
def test_settings_that_cannot_be_are_refused(settings: Any) -> None:
    with pytest.raises(ConfigError):
        backtest(market(), Strategy(), **settings)
