"""Event files: what was written comes back, mapped; anything damaged is refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from research.flow_builder import BUY, SELL, Flow
from tradecore.errors import DataError
from tradecore.research import (
    InstrumentInfo,
    Latency,
    Recording,
    Strategy,
    backtest,
    open_events,
    write_events,
)
from tradecore.research.convert import Part, Source
from tradecore.research.latency import arrival

pa = pytest.importorskip("pyarrow")


def flow() -> Flow:
    made = Flow().new(10, 1, BUY, 50, 10).new(20, 2, SELL, 60, 10)
    for ts in range(30, 90, 10):
        made.new(ts, ts, BUY, 40, 1)
    return made


class Counts(Strategy):
    def on_book(self, book: object) -> None:
        self.note(str(book))


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    made = flow().recording(tick=2, maker_fee_ppm=-5)
    made.notes.append("by hand")
    path = tmp_path / "a.arrow"
    assert write_events(path, made) == 8
    back = open_events(path)
    assert back.instruments == made.instruments
    assert (back.notes, back.fidelity, len(back)) == (["by hand"], "L3", 8)
    assert np.concatenate(back.chunks).tobytes() == np.concatenate(made.chunks).tobytes()
    assert back.max_orders >= 8
    assert backtest(back, Counts()).hash() == backtest(made, Counts()).hash()


def test_frames_are_read_in_place(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    write_events(path, flow().recording())
    before = pa.total_allocated_bytes()
    back = open_events(path)
    assert pa.total_allocated_bytes() - before < 1_000
    assert not back.chunks[0].flags.owndata
    assert not back.chunks[0].flags.writeable


def test_any_arrow_reader_opens_it(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    write_events(path, flow().recording())
    table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    assert table.column_names == ["frame"]
    assert len(table) == 8


def test_arrival_times_are_kept_and_delay_the_feed(tmp_path: Path) -> None:
    frames = flow().frames()
    received = frames["ts_ns"].astype(np.int64) + 7
    received[3:] += 20
    source = Source(
        name="feed", parts=iter([Part(frames, received)]), instruments={0: InstrumentInfo()}
    )
    path = tmp_path / "a.arrow"
    write_events(path, source)

    class Looks(Strategy):
        def on_trade(self, trade: object) -> None: ...

        def on_book(self, book: object) -> None:
            self.note(str(book.ts_ns))  # type: ignore[attr-defined]

    result = backtest(open_events(path), Looks(), latency=Latency(feed=arrival()))
    assert result.log == ["17 10", "27 20"]


def test_failed_writing_leaves_no_file(tmp_path: Path) -> None:
    def parts():  # type: ignore[no-untyped-def]
        yield Part(flow().frames())
        yield Part(flow().frames())

    source = Source(name="twice", parts=parts(), instruments={0: InstrumentInfo()})
    with pytest.raises(DataError, match="frame 8 is stamped 10 ns, the one before it 80 ns"):
        write_events(tmp_path / "a.arrow", source)
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    path.write_bytes(b"no arrow here")
    with pytest.raises(DataError, match="not a complete Arrow file"):
        open_events(path)
    with pytest.raises(DataError, match="not a complete Arrow file"):
        open_events(tmp_path / "absent.arrow")
    table = pa.table({"x": [1]})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(DataError, match="not an event file"):
        open_events(path)


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9, 0.99])
def test_file_that_was_cut_is_refused(tmp_path: Path, part: float) -> None:
    path = tmp_path / "a.arrow"
    write_events(path, flow().recording())
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(DataError):
        open_events(path)


def test_empty_recording_is_written_and_run(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    write_events(path, Recording(name="none", chunks=[], instruments={0: InstrumentInfo()}))
    assert len(backtest(open_events(path), Counts()).orders) == 0
