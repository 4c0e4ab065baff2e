"""What stands in the contract of the services, case by case."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from cell_logs import Record, sealed_as
from tradecore import dtypes, snapshot
from tradecore.cell import Cell, CellConfig, end_seq, read_dead_letter, source_of, time_command
from tradecore.codes import CellKind, CommandKind, EventKind
from tradecore.engine import Engine, EngineConfig
from tradecore.envelope import MAX_FRAMES, decode, encode, seal
from tradecore.errors import ConfigError, EngineFault, FrameError, SnapshotError
from tradecore.status import Status
from tradecore.testing import build

CONFIG = CellConfig(
    engine=EngineConfig(accounts=True, max_orders=1024, max_instruments=4, max_accounts=16),
    recent_orders=64,
    depth_ns=0,
)
S = 7  # a session


def order(number: int, account: int = 1, side: int = 1, px: int = 100, **more: int) -> bytes:
    fields = {"order_qty": 5, "ord_type": 2, "tif": 1, "session_id": S, "instrument_id": 1} | more
    return build.order(
        account_id=account, order_id=S << 32 | number, side=side, px=px, **fields
    )  # fmt: skip


class Rig:
    """A cell on a log of its own."""

    def __init__(self, config: CellConfig = CONFIG) -> None:
        self.cell = Cell(config, cell_id=2)
        self.ts_ns = 1000

    def record(self, payload: bytes) -> np.ndarray:
        self.ts_ns += 1
        output = self.cell.apply(self.cell.next_offset, self.ts_ns, payload)
        self.output = output
        return np.frombuffer(bytes(output.frames), dtypes.EVENT)

    def send(self, *commands: bytes, source: int = 0, first_seq: int = 1) -> np.ndarray:
        return self.record(encode(seal(b"".join(commands), source=source, first_seq=first_seq)))

    def market(self) -> np.ndarray:
        return np.frombuffer(bytes(self.output.market_frames), dtypes.EVENT)


@pytest.fixture
def rig() -> Rig:
    """Two accounts with money, one instrument."""
    rig = Rig()
    commands = [build.instrument(instrument_id=1, base_asset=1, quote_asset=0)]
    for account in (1, 2):
        commands.append(build.admin(CommandKind.ACCOUNT, account_id=account))
        for asset in (0, 1):
            fields = {"account_id": account, "asset_id": asset, "amount": 10**9}
            commands.append(build.admin(CommandKind.DEPOSIT, **fields))
    assert not (rig.send(*commands)["kind"] == EventKind.REJECTED).any()
    return rig


def repeats(events: np.ndarray) -> np.ndarray:
    return events[events["kind"] == CellKind.REPEATED].view(dtypes.REPEAT_EVENT)


def test_batch_frame_names_the_record_and_counts_what_follows(rig: Rig) -> None:
    events = rig.send(order(1), order(2), source=5, first_seq=1)
    head = events[:1].view(dtypes.BATCH_EVENT)[0]
    assert (head["kind"], head["status"], head["count"]) == (CellKind.BATCH, 0, len(events) - 1)
    assert (head["in_offset"], head["in_source"], head["in_first_seq"]) == (1, 5, 1)
    assert head["ts_ns"] == rig.ts_ns
    assert head["seq"] == rig.output.first_exec_seq
    assert rig.cell.applied_to(5) == 2


def test_order_sent_again_is_answered_with_the_first_result_and_changes_nothing(rig: Rig) -> None:
    first = rig.send(order(1))
    inside = rig.cell.engine.state_hash()
    again = repeats(rig.send(order(1, sent_ts_ns=0)))[0]
    assert rig.cell.engine.state_hash() == inside
    assert (again["status"], again["answer_kind"]) == (Status.OK, EventKind.ACCEPTED)
    assert again["answer_seq"] == first[1]["seq"]
    assert again["answer_ts_ns"] == rig.ts_ns - 1
    assert rig.output.repeated == 1


def test_refusal_is_remembered_like_an_acceptance(rig: Rig) -> None:
    assert rig.send(order(1, order_qty=10**9))[1]["status"] == Status.INSUFFICIENT_FUNDS
    again = repeats(rig.send(order(1, order_qty=10**9)))[0]
    assert (again["status"], again["answer_kind"]) == (
        Status.INSUFFICIENT_FUNDS,
        EventKind.REJECTED,
    )


def test_order_id_with_other_terms_is_refused_and_keeps_the_first_answer(rig: Rig) -> None:
    rig.send(order(1))
    for change in ({"px": 101}, {"order_qty": 6}, {"side": 2}, {"tif": 3}, {"stp": 1}):
        again = repeats(rig.send(order(1, **change)))[0]
        assert again["status"] == Status.REPEATED_OTHER_TERMS, change
        assert again["answer_status"] == Status.OK
    with_terms = repeats(rig.send(order(1, display_qty=1)))[0]
    assert with_terms["status"] == Status.REPEATED_OTHER_TERMS


def test_same_id_of_another_account_is_another_order(rig: Rig) -> None:
    rig.send(order(1))
    events = rig.send(order(1, account=2, side=2, px=500))
    assert not len(repeats(events))
    assert events[1]["status"] == Status.DUPLICATE_ORDER_ID  # the engine's: ids are alive once


def test_order_id_is_forgotten_when_newer_ones_fill_the_memory(rig: Rig) -> None:
    rig.send(order(1, px=90), build.cancel(account_id=1, order_id=S << 32 | 1))
    for number in range(2, 2 + CONFIG.recent_orders - 1):
        rig.send(order(number, px=90), build.cancel(account_id=1, order_id=S << 32 | number))
    assert len(repeats(rig.send(order(1, px=90)))) == 1
    rig.send(order(1000, px=90))
    assert not len(repeats(rig.send(order(1, px=90))))


def test_list_sent_again_is_one_repetition(rig: Rig) -> None:
    legs = (order(1, side=2, px=120), order(2, side=2, px=0, ord_type=3, stop_px=80))
    fields = {"contingency": 1, "account_id": 1, "instrument_id": 1, "session_id": S}
    pair = build.order_list(legs, list_id=S << 32 | 9, **fields)
    first = rig.send(pair)
    assert [e["kind"] for e in first[1:]] == [EventKind.ACCEPTED, EventKind.ACCEPTED]
    again = repeats(rig.send(pair))
    assert list(again["order_id"]) == [S << 32 | 1]
    assert list(again["status"]) == [Status.OK]
    changed = build.order_list((legs[0], order(2, side=2, px=0, ord_type=3, stop_px=81)),
                               list_id=S << 32 | 9, **fields)  # fmt: skip
    assert list(repeats(rig.send(changed))["status"]) == [Status.REPEATED_OTHER_TERMS]
    alone = repeats(rig.send(legs[1]))[0]
    assert alone["status"] == Status.REPEATED_OTHER_TERMS


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (order(1, session_id=8), EventKind.REJECTED),
        (order(1, session_id=0), EventKind.REJECTED),
        (build.cancel(account_id=1, order_id=S << 32 | 1, session_id=8), EventKind.CANCEL_REJECTED),
        (
            build.replace(account_id=1, order_id=S << 32 | 1, px=1, session_id=8),
            EventKind.REPLACE_REJECTED,
        ),
    ],
)
def test_command_of_another_session_is_refused(rig: Rig, command: bytes, kind: int) -> None:
    inside = rig.cell.engine.state_hash()
    _, refusal = rig.send(command)
    named = refusal.reshape(1).view(dtypes.REJECT_EVENT)[0]
    assert (named["kind"], named["status"], named["seq"]) == (kind, Status.WRONG_SESSION, 0)
    assert (named["observed"], named["limit"]) == (int.from_bytes(command[60:64], "little"), S)
    assert rig.cell.engine.state_hash() == inside
    assert rig.output.refused == 1


def test_cancel_may_name_no_session(rig: Rig) -> None:
    rig.send(order(1))
    _, canceled = rig.send(build.cancel(account_id=1, order_id=S << 32 | 1))
    assert canceled["kind"] == EventKind.CANCELED


def test_answers_stand_before_the_events_in_input_order(rig: Rig) -> None:
    rig.send(order(1), order(2))
    events = rig.send(order(2), order(3), order(4, session_id=1), order(1))
    assert [(e["kind"], int(e["order_id"]) & 0xFF) for e in events[1:]] == [
        (CellKind.REPEATED, 2),
        (EventKind.REJECTED, 4),
        (CellKind.REPEATED, 1),
        (EventKind.ACCEPTED, 3),
    ]


def test_log_time_replaces_the_times_of_commands_and_never_steps_back(rig: Rig) -> None:
    rig.send(order(1, ts_ns=1 << 60))
    assert rig.cell.now_ns == rig.ts_ns
    now = rig.ts_ns
    rig.ts_ns -= 500
    head = rig.send(time_command())[:1].view(dtypes.BATCH_EVENT)[0]
    assert rig.cell.now_ns == head["ts_ns"] == now


def test_continuation_frames_keep_what_lies_where_times_lie(rig: Rig) -> None:
    rig.send(order(1, px=90, stop_px=95, ord_type=4, side=2))
    assert rig.cell.engine.order(S << 32 | 1)["stop_px"] == 95


def test_stale_order_is_refused_by_log_time(rig: Rig) -> None:
    rig.send(build.limits(scope=1, account_id=1, mask=256, stale_ns=100))
    events = rig.send(order(1, sent_ts_ns=rig.ts_ns - 200))
    assert events[1]["status"] == Status.STALE


def test_quotes_speak_when_the_best_changes_only(rig: Rig) -> None:
    rig.send(order(1, px=100))
    head, quote = rig.market()
    assert head["kind"] == CellKind.BATCH
    assert quote.reshape(1).view(dtypes.QUOTE_EVENT)[0].item()[8:] == (100, 5, 0, 0)
    rig.send(order(2, px=99))
    assert not len(rig.market())
    rig.send(order(3, account=2, side=2, px=100, order_qty=2))
    _, trade, quote = rig.market()
    sold = trade.reshape(1).view(dtypes.TRADE_EVENT)[0]
    assert (sold["side"], sold["last_px"], sold["last_qty"], sold["ts_ns"]) == (
        2,
        100,
        2,
        rig.ts_ns,
    )
    assert quote.reshape(1).view(dtypes.QUOTE_EVENT)[0]["bid_qty"] == 3


def test_hidden_quantity_shows_nowhere(rig: Rig) -> None:
    rig.send(order(1, px=100, order_qty=50, display_qty=4))
    quote = rig.market()[1:].view(dtypes.QUOTE_EVENT)[0]
    assert quote["bid_qty"] == 4


def test_picture_comes_when_log_time_enters_an_interval_and_shows_empty_sides() -> None:
    rig = Rig(msgspec.structs.replace(CONFIG, depth_ns=1000, depth_levels=2))
    rig.ts_ns = 0
    rig.send(build.instrument(instrument_id=1, base_asset=1, quote_asset=0))
    commands = [build.admin(CommandKind.ACCOUNT, account_id=1)]
    commands.append(build.admin(CommandKind.DEPOSIT, account_id=1, amount=10**9))
    rig.send(*commands, *(order(n, px=90 + n) for n in range(1, 4)))
    assert not (rig.market()["kind"] == CellKind.LEVEL).any()
    rig.ts_ns = 999
    rig.send(time_command())
    levels = rig.market()[1:].view(dtypes.LEVEL_EVENT)
    assert [tuple(lv[["side", "index", "px", "qty", "orders"]].item()) for lv in levels] == [
        (1, 0, 93, 5, 1), (1, 1, 92, 5, 1), (2, 0, 0, 0, 0),
    ]  # fmt: skip
    rig.ts_ns = 1999
    rig.send(time_command())  # nothing was touched since
    assert not len(rig.market())


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        (b"", Status.UNREADABLE),
        (b"\x93\x01\x02\x03", Status.UNREADABLE),
        (b"\xdd" + b"\xff" * 60, Status.UNREADABLE),
        (b"\x91" * 100_000, Status.UNREADABLE),
        (sealed_as(2, 0, 1, 1, bytes(64)), Status.SCHEMA_UNKNOWN),
        (sealed_as(1, 0, 1, 1, bytes(128)), Status.BAD_COUNT),
        (encode(seal(time_command(), source=1, first_seq=1))[:-1] + b"\1", Status.BAD_CHECKSUM),
    ],
)
def test_unreadable_record_is_answered_kept_and_passed_over(
    rig: Rig, payload: bytes, status: Status
) -> None:
    inside = rig.cell.engine.state_hash()
    (head,) = rig.record(payload).view(dtypes.BATCH_EVENT)
    assert (head["status"], head["in_source"], head["count"]) == (status, 0, 0)
    assert rig.cell.engine.state_hash() == inside
    (letter,) = rig.output.dead_letters
    assert read_dead_letter(letter.encode(2)) == (2, letter)
    assert (bytes(letter.payload), letter.status, letter.reason) == (
        payload,
        status,
        status.sentence,
    )
    assert [alarm.status for alarm in rig.output.alarms] == [status]
    assert len(rig.send(order(1))) == 2


def test_dead_letter_that_is_none_is_refused() -> None:
    for record in (b"", b"\x01", msgspec.msgpack.encode((2, 0, 0, 0, 113, b""))):
        with pytest.raises(FrameError):
            read_dead_letter(record)


def test_largest_envelope_is_one_record(rig: Rig) -> None:
    events = rig.send(time_command() * MAX_FRAMES)
    assert len(events) == 1
    assert rig.cell.in_seq == MAX_FRAMES + 7


def test_epoch_of_a_newer_build_fences_the_cell(rig: Rig) -> None:
    epoch = build.admin(CommandKind.EPOCH, epoch=1000)
    payloads = [encode(seal(f, source=0, first_seq=1)) for f in (epoch, order(1))]
    first = rig.cell.next_offset
    output = rig.cell.apply_many([Record(first + n, 5000, p) for n, p in enumerate(payloads)])
    assert output.fenced == 1000
    assert rig.cell.next_offset == first + 1
    with pytest.raises(EngineFault):
        rig.cell.apply(first + 1, 5000, payloads[1])


def test_record_that_was_applied_is_a_mistake_of_the_caller(rig: Rig) -> None:
    with pytest.raises(ConfigError, match="applied before"):
        rig.cell.apply(0, 1, b"")


def test_outputs_are_cut_between_batches_where_that_is_possible(rig: Rig) -> None:
    first = rig.cell.next_offset
    sizes = (1, 2, 9, 1)
    number = iter(range(1, 99))
    records = [
        Record(
            first + n,
            9000,
            encode(seal(b"".join(order(next(number)) for _ in range(s)), source=0, first_seq=1)),
        )
        for n, s in enumerate(sizes)
    ]
    output = rig.cell.apply_many(records)
    payloads = output.executions(rig.cell, max_bytes=48 + 5 * 64)
    found = [decode(payload) for payload in payloads]
    # 2 + 3 frames together, the batch of 10 in two pieces, the last one alone.
    assert [e.count for e in found] == [5, 5, 5, 2]
    assert b"".join(bytes(e.frames) for e in found) == bytes(output.frames)
    seqs = [e.first_seq for e in found]
    assert seqs == list(np.cumsum([output.first_exec_seq, 5, 5, 5]))
    assert end_seq(payloads[-1]) == output.end_exec_seq == rig.cell.exec_seq
    assert {e.source for e in found} == {source_of(2)} == {1 << 28 | 2}
    with pytest.raises(ConfigError, match="one frame"):
        output.executions(rig.cell, max_bytes=100)


def test_audit_carries_the_hash_of_the_snapshot(rig: Rig) -> None:
    found = decode(rig.cell.audit())
    frame = np.frombuffer(found.frames, dtypes.AUDIT_EVENT)[0]
    info, sections, _ = rig.cell.snapshot_parts()
    assert bytes(found.frames)[32:].hex() == rig.cell.state_hash()
    assert bytes(found.frames)[32:] == snapshot.state_hash(sections)
    assert (frame["order_id"], found.first_seq) == (rig.cell.last_offset, info.in_seq + 1)
    then = snapshot.state_hash(sections), rig.cell.next_offset, rig.cell.in_seq
    taken = rig.cell.audit()
    rig.send(order(1))
    assert rig.cell.audit_of(*then) == taken != rig.cell.audit()


def damaged(sections: list[tuple[str, bytes]], name: str, data: bytes) -> list[tuple[str, bytes]]:
    return [(n, data if n == name else part) for n, part in sections]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("cell.head", lambda d: d[:-1]),
        ("cell.head", lambda d: b"\2" + d[1:]),
        ("cell.sources", lambda d: d + d),
        ("cell.sources", lambda d: d[:-1]),
        ("cell.applied", lambda d: d + d),
        ("cell.applied", lambda d: d[:-1]),
        ("cell.recents", lambda d: d + d),
        ("cell.recents", lambda d: d[:-1]),
        ("cell.recents", lambda d: d[:-1] + b"\1"),
        ("cell.quotes", lambda d: d + d),
        ("cell.quotes", lambda d: b"\xff" * 4 + d[4:]),
        ("cell.touched", lambda d: b"\xff" * 4),
        ("cell.period", lambda d: b""),
    ],
)
def test_state_that_no_cell_can_have_is_refused(rig: Rig, name: str, change: object) -> None:
    rig.send(order(1), source=5, first_seq=1)
    info, sections, config = rig.cell.snapshot_parts()
    parts = dict(sections)
    wrong = damaged(sections, name, change(parts[name]))  # type: ignore[operator]
    data = snapshot.encode(info, wrong, config)
    with pytest.raises(SnapshotError):
        Cell.from_snapshot(CONFIG, snapshot.decode(data))


def test_snapshot_of_something_else_is_refused(rig: Rig) -> None:
    found = snapshot.decode(snapshot.encode(*rig.cell.snapshot_parts()))
    assert Cell.from_snapshot(None, found).state_hash() == rig.cell.state_hash()
    with pytest.raises(SnapshotError, match="of cell 2, not of cell 3"):
        Cell.from_snapshot(CONFIG, found, cell_id=3)
    other = msgspec.structs.replace(CONFIG, recent_orders=65)
    with pytest.raises(SnapshotError, match="another cell configuration"):
        Cell.from_snapshot(other, found)
    engine = snapshot.decode(Engine(max_orders=64, max_instruments=1).snapshot())
    with pytest.raises(SnapshotError, match="not the snapshot of a cell"):
        Cell.from_snapshot(None, engine)
    missing = [part for part in rig.cell.sections() if part[0] != "cell.recents"]
    data = snapshot.encode(rig.cell.snapshot_parts()[0], missing, rig.cell.snapshot_parts()[2])
    with pytest.raises(SnapshotError, match=r"cell\.recents"):
        Cell.from_snapshot(None, snapshot.decode(data))


def test_digest_counts_what_decides_answers_and_nothing_else() -> None:
    fast = msgspec.structs.replace(
        CONFIG, engine=msgspec.structs.replace(CONFIG.engine, id_seed=1, prefetch="off")
    )
    assert fast.digest() == CONFIG.digest()
    for change in ({"recent_orders": 1}, {"sessions": False}, {"depth_ns": 5}, {"max_sources": 2}):
        assert msgspec.structs.replace(CONFIG, **change).digest() != CONFIG.digest()
    larger = msgspec.structs.replace(CONFIG.engine, max_orders=2048)
    assert msgspec.structs.replace(CONFIG, engine=larger).digest() != CONFIG.digest()


def test_recognises_the_last_record_only(rig: Rig) -> None:
    payload = encode(seal(time_command(), source=0, first_seq=1))
    rig.record(payload)
    offset = rig.cell.next_offset - 1
    assert rig.cell.recognises(Record(offset, rig.ts_ns, payload))
    other = encode(seal(time_command(), source=0, first_seq=2))
    assert not rig.cell.recognises(Record(offset, rig.ts_ns, other))
    assert not rig.cell.recognises(Record(offset, rig.ts_ns + 1, payload))
    assert not rig.cell.recognises(Record(offset + 1, rig.ts_ns, payload))
    assert not Cell(CONFIG).recognises(Record(0, 0, payload))


@pytest.mark.parametrize(
    "settings",
    [{"recent_orders": 0}, {"max_sources": 0}, {"depth_levels": 65}, {"depth_ns": -1}],
)
def test_impossible_configuration_is_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        CellConfig(**settings)  # type: ignore[arg-type]


def test_impossible_cell_is_refused() -> None:
    with pytest.raises(ConfigError, match="cells are numbered"):
        Cell(CONFIG, cell_id=1 << 28)
