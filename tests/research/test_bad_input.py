"""What goes wrong is one clear error that names the place; the run so far is kept."""

from __future__ import annotations

import numpy as np
import pytest

from research.flow_builder import BUY, SELL, Flow
from tradecore.errors import CapacityError, ConfigError, DataError
from tradecore.research import (
    LookaheadError,
    OrderState,
    Recording,
    Series,
    Strategy,
    StrategyError,
    backtest,
)


def market() -> Recording:
    flow = Flow().new(10, 1, BUY, 50, 10).new(20, 2, SELL, 60, 10)
    for ts in range(30, 100, 10):
        flow.new(ts, ts, BUY, 40, 1)
    return flow.recording()


class Acts(Strategy):
    """Does something at its third timer, at 30 ns."""

    seen = 0

    def act(self) -> None: ...

    def on_start(self) -> None:
        self.call_every(10)

    def on_timer(self, now_ns: int) -> None:
        self.seen += 1
        if self.seen == 1:
            self.buy(51, 2)
        if self.seen == 3:
            self.act()


def test_strategy_that_raises_names_method_time_and_frame_and_keeps_the_run() -> None:
    class Raises(Acts):
        def act(self) -> None:
            raise ValueError("no idea what to do")

    with pytest.raises(StrategyError) as caught:
        backtest(market(), Raises())
    error = caught.value
    assert (error.method, error.now_ns, error.frame) == ("Raises.on_timer", 30, 3)
    assert "ValueError: no idea what to do" in str(error)
    assert error.result is not None
    assert len(error.result.orders) == 1
    assert error.result.info.ended == str(error)


@pytest.mark.parametrize("px", ["fifty", 50.5, None, 2**70])
def test_price_that_is_no_integer_is_an_error_of_the_strategy(px: object) -> None:
    class Asks(Acts):
        def act(self) -> None:
            self.buy(px, 1)  # type: ignore[arg-type]

    with pytest.raises(StrategyError, match=r"Asks\.on_timer at 30 ns"):
        backtest(market(), Asks())


@pytest.mark.parametrize(("px", "qty"), [(0, 1), (-5, 1), (50, 0), (50, -1), (2**57, 1)])
def test_impossible_values_are_refused_by_the_engine(px: int, qty: int) -> None:
    class Asks(Acts):
        def act(self) -> None:
            self.buy(px, qty)

    result = backtest(market(), Asks())
    order = result.orders[-1]
    assert order["state"] == OrderState.REJECTED
    assert order["status"] in (103, 104)  # bad value, bad combination


def test_unknown_order_ids_are_refused_by_runner_or_engine() -> None:
    class Own(Acts):
        def act(self) -> None:
            self.cancel(7)

    with pytest.raises(StrategyError, match="7 is not the id of an own order"):
        backtest(market(), Own())

    class Gone(Acts):
        heard = 0

        def act(self) -> None:
            self.order = self.buy(51, 1)
            self.cancel(self.order)
            self.cancel(self.order)

        def on_order(self, update: object) -> None:
            self.heard += update.event == 12  # type: ignore[attr-defined]

    strategy = Gone()
    backtest(market(), strategy)
    assert strategy.heard == 1


def test_strategy_that_never_returns_is_interrupted() -> None:
    class Loops(Acts):
        def act(self) -> None:
            while True:
                pass

    with pytest.raises(StrategyError, match="OverdueError") as caught:
        backtest(market(), Loops(), max_call_s=0.2)
    assert caught.value.method == "Loops.on_timer"


def test_strategy_that_sends_without_end_is_stopped() -> None:
    class Floods(Acts):
        def act(self) -> None:
            while True:
                self.buy(1, 1)

    with pytest.raises(StrategyError, match="more than 100 commands in one call"):
        backtest(market(), Floods(), max_sent=100)


def test_two_own_orders_that_chase_each_other_end_at_the_budget_of_the_run() -> None:
    class Chases(Strategy):
        def on_start(self) -> None:
            self.call_at(15)

        def on_timer(self, now_ns: int) -> None:
            self.buy(1, 1)
            self.call_at(now_ns)

    with pytest.raises(StrategyError, match="or 1000 in the run"):
        backtest(market(), Chases(), max_commands=1_000)


def test_frames_out_of_order_are_refused_with_their_number() -> None:
    frames = market().chunks[0].copy()
    frames["ts_ns"][5] = 3
    with pytest.raises(DataError, match="frame 5 is stamped 3 ns, the one before it 50 ns"):
        Recording.of(frames)


def test_chunks_out_of_order_are_found_while_running() -> None:
    recording = market()
    recording.chunks = [recording.chunks[0][4:], recording.chunks[0][:4]]
    with pytest.raises(DataError, match="frame 5 is stamped before 90 ns"):
        backtest(recording, Strategy())


def test_frames_of_another_schema_are_refused() -> None:
    with pytest.raises(DataError, match="64 bytes"):
        Recording.of(np.zeros(3, np.int64))
    frames = market().chunks[0].copy()
    frames["session_id"][4] = 9
    with pytest.raises(DataError, match="frame 4 is not a frame of a recording"):
        backtest(Recording.of(frames), Strategy())
    frames["session_id"][4] = 0
    frames["kind"][4] = 0x4001
    with pytest.raises(DataError, match="frame 4 is not a frame of a recording"):
        backtest(Recording.of(frames), Strategy())


def test_data_of_later_is_refused() -> None:
    series = Series([10, 45, 80], [1.0, 2.0, 3.0], "signal")

    class Uses(Acts):
        def act(self) -> None:
            self.note(str(self.latest("signal")))
            series.at(80, self.now_ns)

    strategy = Uses()
    strategy.attach("signal", series)
    with pytest.raises(StrategyError, match="signal: asked for 80 ns at 30 ns") as caught:
        backtest(market(), strategy)
    assert isinstance(caught.value.__cause__, LookaheadError)
    assert caught.value.result.log == ["30 1.0"]  # type: ignore[union-attr]
    assert series.up_to(45).tolist() == [1.0, 2.0]
    with pytest.raises(LookaheadError, match="nothing is known at 9 ns"):
        series.latest(9)
    with pytest.raises(DataError, match="value 1 is stamped before"):
        Series([2, 1], [0, 0])


def test_parameters_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ConfigError, match="has no parameter 'sean'"):
        Acts(sean=3)


def test_instrument_that_the_engine_refuses_is_named() -> None:
    with pytest.raises(ConfigError, match="by hand: instrument 0 is refused with status 103"):
        backtest(market(), Strategy(), terms={"tick": -1})


def test_recording_with_more_orders_than_it_said_is_refused() -> None:
    flow = Flow()
    for number in range(1, 66_000):
        flow.new(number, number, BUY, 100, 1)
    recording = flow.recording()
    recording.max_orders = 100
    with pytest.raises(CapacityError, match="65636 orders are alive"):
        backtest(recording, Strategy())


def test_stop_ends_the_run_behind_the_call() -> None:
    class Stops(Acts):
        def act(self) -> None:
            self.stop()

    result = backtest(market(), Stops())
    assert result.info.ended == "stopped"
    assert result.info.last_ns == 30
