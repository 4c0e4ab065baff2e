"""The tear sheet: what is drawn is what the tables say, and it can be mailed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")
pytest.importorskip("matplotlib")

from tradecore.errors import ConfigError, DataError
from tradecore.research import Result, RunInfo, Strategy, backtest
from tradecore.research.agents_market import AgentMarket, Traders
from tradecore.research.tearsheet import (
    draw_tear_sheet,
    tear_sheet_text,
    write_tear_sheet,
)

CAPITAL = 1_000_000


class Bids(Strategy):
    """Bids at the best price, and sells when it holds ten."""

    def on_book(self, book: Any) -> None:
        if not book.bid_px or self.context.live_orders():
            return
        if self.position() < 10:
            self.buy(book.bid_px, 5)
        else:
            self.market(2, self.position())


@pytest.fixture(scope="module")
def result() -> Result:
    market = AgentMarket(
        Traders(seed=2, zero_intelligence=140, makers=12, momentum=28, informed=20), keep=True
    )
    market.run(seconds=60)
    return backtest(market.recording(), Bids(), sample_ns=1_000_000_000, sample_levels=5)


def test_curves_are_the_tables(result: Result) -> None:
    figure = draw_tear_sheet(result, capital=CAPITAL, title="Bids")
    axes = {axis.get_title(loc="left").partition(",")[0]: axis for axis in figure.axes}
    equity = next(axis for title, axis in axes.items() if title.startswith("Equity"))
    line = equity.get_lines()[0]
    # The recording's prices have two decimals.
    assert np.allclose(line.get_ydata() * 100, result.equity["equity"])
    assert np.allclose(np.diff(line.get_xdata()) * 3600, 1.0)
    position = axes["Inventory"].get_lines()[0]
    assert position.get_ydata().tolist() == result.quotes["position_qty"].tolist()
    assert len(figure.axes) == 8
    assert figure.get_suptitle().startswith("Bids on SIM: L3")


def test_text_has_every_figure(result: Result) -> None:
    text = tear_sheet_text(result, capital=CAPITAL)
    for word in ("equity", "sharpe", "dsr", "by_lots", "slippage", "markout 1 s", "latency feed"):
        assert word in text
    assert f"{'fills':<16}{len(result.fills)}" in text


@pytest.mark.parametrize(
    ("name", "begins"), [("a.png", b"\x89PNG"), ("a.html", b"<!doctype html>"), ("a.pdf", b"%PDF")]
)
def test_every_kind_of_file(result: Result, tmp_path: Path, name: str, begins: bytes) -> None:
    write_tear_sheet(result, tmp_path / name, capital=CAPITAL)
    data = (tmp_path / name).read_bytes()
    assert data.startswith(begins)
    if name.endswith("html"):
        page = data.decode()
        assert "<svg" in page
        assert "sharpe" in page
        assert "src=" not in page, "the page needs nothing beside it"


def test_run_without_fills_is_drawn_and_says_so() -> None:
    class Idle(Strategy):
        pass

    market = AgentMarket(
        Traders(seed=2, zero_intelligence=140, makers=12, momentum=28, informed=20), keep=True
    )
    market.run(seconds=10)
    quiet = backtest(market.recording(), Idle(), sample_ns=1_000_000_000)
    figure = draw_tear_sheet(quiet, capital=CAPITAL)
    words = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert "no fills" in words
    assert "no filled orders" in words


def test_run_without_samples_and_bad_paths_are_refused(result: Result, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="sample_ns"):
        draw_tear_sheet(Result(RunInfo()), capital=CAPITAL)
    with pytest.raises(ConfigError, match=r"\.png"):
        write_tear_sheet(result, tmp_path / "a.docx", capital=CAPITAL)
