"""The judges of the simulator see what they are there to see."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tradecore.envelope import encode, seal_events
from tradecore.testing import build
from tradecore_shells.plumbing.ports import EXECUTIONS
from tradecore_shells.sim.clients import Journal
from tradecore_shells.sim.facts import Facts
from tradecore_shells.sim.faults import CLASSES, Faults
from tradecore_shells.sim.log import Broker
from tradecore_shells.sim.loop import SimLoop
from tradecore_shells.sim.mutants import BUGS, hunt
from tradecore_shells.sim.numbered import numbered_frames
from tradecore_shells.sim.orders import orders_once

SOURCE = 1 << 28


def frame(seq: int, **fields: int) -> bytes:
    return build.frame("tc_event", seq=seq, **fields)


def topic(*records: tuple[int, list[bytes]]) -> Broker:
    broker = Broker(SimLoop(), Faults(0))
    sealed = [
        encode(seal_events(b"".join(frames), source=SOURCE, first_seq=first))
        for first, frames in records
    ]
    broker.take(EXECUTIONS, 0, sealed)
    return broker


def wrong(*records: tuple[int, list[bytes]]) -> str:
    return " ".join(numbered_frames(topic(*records), EXECUTIONS, 0, SOURCE)[1])


def test_frames_with_repetitions_are_each_taken_once() -> None:
    one, two, three = frame(1), frame(2), frame(3)
    broker = topic((1, [one, two]), (1, [one]), (2, [two, three]))
    assert numbered_frames(broker, EXECUTIONS, 0, SOURCE) == ([one, two, three], [])


def test_gap_of_frames_is_seen() -> None:
    assert "1 numbers are missing, the first is 2" in wrong((1, [frame(1)]), (3, [frame(3)]))


def test_gap_that_is_closed_later_is_seen() -> None:
    assert "3 comes behind 1" in wrong((1, [frame(1)]), (3, [frame(3)]), (2, [frame(2)]))


def test_repetition_that_differs_is_seen() -> None:
    assert "frame 1 differs" in wrong((1, [frame(1)]), (1, [frame(1, status=7)]))


def accepted(seq: int, order_id: int, qty: int = 5) -> bytes:
    return build.frame("tc_order_event", seq=seq, kind=1, order_id=order_id, order_qty=qty)


def fill(seq: int, taker: int, maker: int, qty: int) -> bytes:
    return build.frame(
        "tc_fill_event", seq=seq, kind=3, order_id=taker, maker_order_id=maker, last_qty=qty
    )


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        ([], "has no answer"),
        ([accepted(1, 9), accepted(2, 9)], "accepted 2 times"),
        ([accepted(1, 9), accepted(2, 8)], "accepted and never sent"),
        ([accepted(1, 9), fill(2, 9, 7, 3), fill(3, 9, 7, 3)], "filled 6 of at most 5"),
    ],
)
def test_acknowledged_order_that_is_lost_doubled_or_overfilled_is_seen(
    frames: list[bytes], said: str
) -> None:
    journal = Journal(orders={9: 5}, offered={9: 5})
    assert said in " ".join(orders_once(journal, Facts(frames)))


def test_deposit_that_is_booked_twice_is_seen() -> None:
    deposit = build.frame(
        "tc_balance_event", seq=1, kind=14, account_id=3, amount=70, command_kind=25
    )
    journal = Journal(deposits={3: 70})
    assert orders_once(journal, Facts([deposit])) == []
    assert "140 was booked" in orders_once(journal, Facts([deposit, deposit]))[0]


def test_time_that_goes_back_is_seen() -> None:
    batches = [
        build.frame("tc_batch_event", seq=n + 1, kind=32, ts_ns=ts, in_offset=n)
        for n, ts in enumerate((5, 9, 8))
    ]
    assert Facts(batches[:2]).time_is_monotone() == []
    assert "goes back from 9 to 8" in Facts(batches).time_is_monotone()[0]


def test_record_without_a_batch_is_seen() -> None:
    batches = [build.frame("tc_batch_event", kind=32, in_offset=n) for n in (0, 2)]
    assert "behind offset 0 is of offset 2" in Facts(batches).time_is_monotone()[0]


def test_every_fault_has_seeds_with_and_without_it() -> None:
    drawn = [Faults(seed).rates for seed in range(200)]
    for name in CLASSES:
        assert any(rates[name] for rates in drawn)
        assert any(not rates[name] for rates in drawn)
    assert sum(Faults(seed).free for seed in range(200)) in range(8, 40)


def test_there_are_enough_design_bugs_and_their_names_are_plain() -> None:
    assert len(BUGS) >= 18
    assert all(first != second for first, second in pairwise(sorted(BUGS)))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "sender_drops_failed_batch",
        "output_number_not_in_snapshot",
        "no_client_id_dedupe",
        "no_maximum_of_times",
        "no_compare_and_set",
    ],
)
def test_design_bug_is_caught_at_once(name: str) -> None:
    (found,) = hunt([name], 12)
    assert found.caught, "the whole list: make sim-mutants"
