"""Data without orders: where an own order stands is computed by hand for every model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared_data import shared
from tradecore.errors import ConfigError, DataError
from tradecore.research import QueueModel, Recording, Strategy, backtest
from tradecore.research.convert import from_lobster, record
from tradecore.research.convert_levels import coarser, from_bars, from_binance, from_quotes
from tradecore.research.frames import MarketKind, market_frames, merged
from tradecore.research.recording import InstrumentInfo

BUY, SELL = 1, 2


def levels(*rows: tuple[int, str, int, int, int], fidelity: str = "L2") -> Recording:
    """Rows: time, LEVEL or TRADE, side, price, quantity."""
    frames = market_frames(MarketKind.LEVEL, len(rows))
    for at, (ts, kind, side, px, qty) in enumerate(rows):
        frames[at]["ts_ns"], frames[at]["kind"] = ts, MarketKind[kind]
        frames[at]["side"], frames[at]["px"], frames[at]["qty"] = side, px, qty
    return Recording.of(
        frames, "levels", fidelity=fidelity, instruments={0: InstrumentInfo()}, max_orders=1_000
    )


class Joins(Strategy):
    """Buys 5 at 50 at time 25 and notes the queue in front of it at every change."""

    px = 50

    def on_start(self) -> None:
        self.order = 0
        self.call_at(25)
        self.ahead_at: dict[int, int] = {}
        self.fills: list[tuple[int, int, int]] = []

    def on_timer(self, now_ns: int) -> None:
        self.order = self.buy(self.px, 5)

    def on_book(self, book: Any) -> None:
        if self.order:
            self.ahead_at[self.now_ns] = self.ahead(self.order)

    def on_fill(self, fill: Any) -> None:
        self.fills.append((fill.ts_ns, fill.last_px, fill.last_qty))


def market(*more: tuple[int, str, int, int, int]) -> Recording:
    return levels(
        (10, "LEVEL", BUY, 50, 20),
        (10, "LEVEL", SELL, 60, 9),
        (30, "LEVEL", BUY, 50, 30),  # ten more, behind us: 20 in front, 10 behind
        *more,
    )


@pytest.mark.parametrize(
    ("model", "ahead"),
    [
        (QueueModel(name="risk_averse"), 18),  # 10 from behind, 2 from the front
        (QueueModel(name="proportional"), 12),  # 12 * 20 / 30 = 8 from the front
        (QueueModel(name="power", n=2), 11),  # floor(12 * 400 / 500) = 9
        (QueueModel(name="power", n=3), 10),  # floor(12 * 8000 / 9000) = 10
        (QueueModel(name="optimistic"), 8),  # all from the front
    ],
    ids=lambda value: value.words() if isinstance(value, QueueModel) else str(value),
)
def test_decrease_of_a_level_is_shared_out_as_the_model_says(model: QueueModel, ahead: int) -> None:
    strategy = Joins()
    backtest(market((40, "LEVEL", BUY, 50, 18)), strategy, queue=model)
    assert strategy.ahead_at == {30: 20, 40: ahead}


def test_trades_move_the_queue_in_every_model() -> None:
    for name in ("risk_averse", "proportional", "power", "optimistic"):
        strategy = Joins()
        flow = market((40, "TRADE", SELL, 50, 19), (50, "TRADE", SELL, 50, 4))
        backtest(flow, strategy, queue=QueueModel(name=name))
        assert strategy.fills == [(50, 50, 3)], name


def test_level_that_is_set_to_what_a_trade_left_changes_nothing() -> None:
    strategy = Joins()
    backtest(market((40, "TRADE", SELL, 50, 15), (41, "LEVEL", BUY, 50, 15)), strategy)
    assert strategy.ahead_at == {30: 20, 40: 5}


def test_level_of_others_that_crosses_an_own_order_trades_with_it() -> None:
    strategy = Joins()
    backtest(market((40, "LEVEL", BUY, 50, 0), (40, "LEVEL", SELL, 50, 3)), strategy)
    assert strategy.fills == [(40, 50, 3)]


def test_market_that_moves_through_its_own_stale_levels_does_not_trade_with_itself() -> None:
    class Counts(Strategy):
        trades = 0

        def on_trade(self, trade: Any) -> None:
            self.trades += 1

    strategy = Counts()
    backtest(market((40, "LEVEL", BUY, 61, 5), (41, "LEVEL", SELL, 60, 0)), strategy)
    assert strategy.trades == 0


def quotes(*rows: tuple[int, int, int, int, int]) -> Recording:
    columns = np.array(rows).T
    source = from_quotes(columns[0], columns[1], columns[2], columns[3], columns[4], px_decimals=0)
    return record(source)


def test_quotes_put_an_own_order_behind_the_quantity_shown() -> None:
    strategy = Joins()
    shown = quotes((10, 50, 20, 60, 9), (30, 50, 12, 60, 9), (40, 51, 3, 60, 9))
    trades = levels((35, "TRADE", SELL, 50, 14), fidelity="L1")
    frames = merged(shown.chunks[0], trades.chunks[0])
    flow = Recording.of(frames, fidelity="L1", instruments=shown.instruments, max_orders=100)
    backtest(flow, strategy)
    assert strategy.ahead_at[30] == 12
    assert strategy.fills == [(35, 50, 2)]


def test_own_order_deeper_than_the_quote_stands_behind_as_much_as_the_best_shows() -> None:
    strategy = Joins(px=48) if hasattr(Joins, "px") else Joins()
    backtest(quotes((10, 50, 20, 60, 9), (30, 50, 21, 60, 9)), strategy)
    assert strategy.ahead_at == {30: 20}


def bar(ts: int, o: int, h: int, low: int, c: int, volume: int) -> Any:
    frame = market_frames(MarketKind.BAR, 1)
    for name, value in (
        ("ts_ns", ts),
        ("open_px", o),
        ("high_px", h),
        ("low_px", low),
        ("close_px", c),
        ("volume", volume),
    ):
        frame[name] = value
    return frame


@pytest.mark.parametrize(
    ("low", "model", "filled"),
    [(49, "risk_averse", 5), (50, "risk_averse", 0), (50, "optimistic", 5), (51, "optimistic", 0)],
)
def test_bar_fills_an_own_order_that_it_goes_through(low: int, model: Any, filled: int) -> None:
    frames = np.concatenate([bar(10, 55, 56, 54, 55, 400), bar(40, 55, 56, low, 54, 400)])
    flow = Recording.of(frames, fidelity="bars", instruments={0: InstrumentInfo()}, max_orders=100)
    strategy = Joins()
    result = backtest(flow, strategy, queue=QueueModel(name=model))
    assert int(result.orders["cum_qty"][0]) == filled
    assert all(px == 50 for _, px, _ in strategy.fills)


def test_bar_offers_only_its_share_of_volume() -> None:
    frames = np.concatenate([bar(10, 55, 56, 54, 55, 400), bar(40, 55, 56, 49, 54, 40)])
    flow = Recording.of(frames, fidelity="bars", instruments={0: InstrumentInfo()}, max_orders=100)
    result = backtest(flow, Joins(), queue=QueueModel(participation_ppm=300_000))
    # A quarter of 30 % of 40 lots at each of the four points; one of them is below 50.
    assert int(result.orders["cum_qty"][0]) == 3


def test_impossible_market_data_is_refused_with_its_frame() -> None:
    frames = np.concatenate([bar(10, 55, 56, 54, 55, 400), bar(40, 55, 54, 49, 54, 40)])
    flow = Recording.of(frames, fidelity="bars", instruments={0: InstrumentInfo()}, max_orders=100)
    with pytest.raises(DataError, match="frame 1 is not a frame of a recording"):
        backtest(flow, Joins())
    with pytest.raises(DataError, match="frame 3 is not a frame of a recording"):
        backtest(market((40, "LEVEL", BUY, -3, 1)), Joins())
    with pytest.raises(ConfigError, match="exponent"):
        QueueModel(n=9)


def test_tables_with_wrong_values_are_refused_by_row(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    head = "timestamp,open,high,low,close,volume\n"
    good = "2024-01-01 10:00:00,1.5,1.6,1.4,1.5,10\n"
    for rows, reason in (
        (good + "2024-01-01 09:00:00,1.5,1.6,1.4,1.5,10\n", "row 1 is stamped before"),
        (good + "2024-01-01 10:01:00,1.515,1.6,1.4,1.5,10\n", "row 1: open 1.515 is no multiple"),
        (good + "2024-01-01 10:01:00,1.5,1.6,1.55,1.5,10\n", "row 1: open or close is outside"),
    ):
        path.write_text(head + rows)
        with pytest.raises(DataError, match=reason):
            record(from_bars(path, 60_000_000_000, 1 if "1.55" not in rows else 2))
    path.write_text("time,close\n2024-01-01 10:00:00,1\n")
    with pytest.raises(DataError, match="no column open"):
        record(from_bars(path, 1, 1))


def test_bars_are_known_when_they_are_complete(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text(
        "timestamp,open,high,low,close,volume\n2024-01-01 10:00:00,1.5,1.6,1.4,1.5,10\n"
    )
    recording = record(from_bars(path, 60_000_000_000, 1))
    at = int(np.datetime64("2024-01-01T10:01:00", "ns").astype(np.int64))
    assert int(recording.chunks[0]["ts_ns"][0]) == at


@pytest.mark.shared
def test_binance_capture_shows_the_venues_own_best_prices() -> None:
    """Independent oracle in the file: bookTicker at the update id of a depth event."""
    from tradecore.data import BookTicker, DepthUpdate, iter_capture

    path = shared("data/market_captures/examples_spot_ethusdt_20240808.gz")
    recording = record(from_binance(path))
    tickers = {}
    updates = []
    for event in iter_capture(path):
        if isinstance(event, BookTicker):
            tickers[event.update_id] = event
        elif isinstance(event, DepthUpdate):
            updates.append(event)

    class Looks(Strategy):
        def on_start(self) -> None:
            self.best: dict[int, tuple[int, ...]] = {}

        def on_book(self, book: Any) -> None:
            self.best[book.ts_ns] = book[2:]

    strategy = Looks()
    backtest(recording, strategy)
    stamps = sorted(strategy.best)
    compared = equal = 0
    for update in updates:
        ticker = tickers.get(update.last_id)
        if ticker is None or update.ts_ns < stamps[0]:
            continue
        at = stamps[np.searchsorted(stamps, update.ts_ns, side="right") - 1]
        bid, bid_qty, ask, ask_qty = strategy.best[at]
        compared += 1
        want = (ticker.bid_px // 10**6, ticker.bid_qty, ticker.ask_px // 10**6, ticker.ask_qty)
        equal += (bid, bid_qty, ask, ask_qty) == want
    assert compared > 500
    # Between two depth updates trades consume the book first; the next update puts it right.
    assert equal == compared


@pytest.mark.shared
@pytest.mark.slow
def test_bias_of_every_fidelity_on_one_market_is_ordered_as_it_must_be() -> None:
    """The more of a decrease is put in front of an own order, the more it fills."""
    day = record(from_lobster(shared("data/lobster/LOBSTER_SampleFile_AMZN_2012-06-21_5.zip")))
    whole = np.concatenate(day.chunks)[:60_000]
    day = Recording.of(whole, "morning", instruments=day.instruments)

    class Touch(Strategy):
        order = px = 0

        def on_book(self, book: Any) -> None:
            if self.order and not self.leaves(self.order):
                self.order = 0
            if self.order and self.px != book.bid_px:
                self.cancel(self.order)
                self.order = 0
            if not self.order and book.bid_px:
                self.order, self.px = self.buy(book.bid_px, 100, post_only=1), book.bid_px

    def volume(recording: Recording, **settings: Any) -> int:
        return int(backtest(recording, Touch(), **settings).fills["last_qty"].sum())

    truth = volume(day)
    assert truth > 0
    for fidelity in ("L2", "L1"):
        coarse = coarser(day, fidelity)  # type: ignore[arg-type]
        by_model = [
            volume(coarse, queue=QueueModel(name=name))  # type: ignore[arg-type]
            for name in ("risk_averse", "proportional", "optimistic")
        ]
        assert by_model == sorted(by_model)
        assert by_model[0] <= by_model[-1]
        assert truth <= by_model[-1]
