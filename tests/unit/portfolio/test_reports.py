"""Equity, marks, statements, lots, documents: by hand, and against sums made another way."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from portfolio_worlds import BTC, CATALOG, PERP, TERMS, USD, Venue, changes_of
from tradecore import dtypes
from tradecore.codes import CellKind, CommandKind
from tradecore.errors import ConfigError, DataError
from tradecore.portfolio.book import Book
from tradecore.portfolio.columns import FILL, LEDGER, Table, empty
from tradecore.portfolio.document import (
    decode_document,
    decode_session,
    document_of,
    encode_document,
    encode_session,
    portfolio_key,
    session_key,
)
from tradecore.portfolio.equity import Rate, rates_to, sample_times, value_book
from tradecore.portfolio.fold import Changes
from tradecore.portfolio.lots import lots_of
from tradecore.portfolio.marks import Marks, mid_px
from tradecore.portfolio.sessions import (
    Session,
    SessionClosed,
    SessionOpened,
    decode_user_event,
    encode_user_event,
    merge_sessions,
)
from tradecore.portfolio.statement import Period, balances_of, make_statement
from tradecore.portfolio.terms import InstrumentTerms, Terms

DAY = 86_400 * 10**9


@pytest.fixture(scope="module")
def traded() -> tuple[Venue, Changes]:
    """A venue of five accounts that traded spot and perpetual for three days."""
    draw = random.Random(11)
    venue = Venue()
    venue.open({n: {USD.asset_id: 10**15, BTC.asset_id: 10**12} for n in range(1, 6)})
    venue.admin(CommandKind.MARK_PRICE, instrument_id=PERP.instrument_id, mark_px=10_000)
    for _ in range(300):
        venue.now_ns += DAY // 100
        venue.order(
            *(draw.randint(1, 5), draw.randint(1, 2), draw.randint(1, 40)),
            px=10_000 + draw.randint(-4, 4),
            instrument=draw.choice((1, 2)),
        )
        if draw.random() < 0.1:
            kind = draw.choice((CommandKind.DEPOSIT, CommandKind.WITHDRAW))
            venue.admin(kind, account_id=draw.randint(1, 5), asset_id=0, amount=draw.randint(1, 99))
        if draw.random() < 0.05:
            venue.admin(CommandKind.FUNDING, instrument_id=2, amount=draw.randint(-9, 9))
    return venue, changes_of(venue)


# ------------------------------------------------------------------------------------------- marks


@pytest.mark.parametrize(
    ("quote", "px"),
    [((10, 1, 20, 1), 15), ((10, 1, 11, 1), 10), ((0, 0, 11, 1), 0), ((10, 1, 0, 0), 0)],
)
def test_mid_rounds_down_and_needs_two_sides(quote: tuple[int, int, int, int], px: int) -> None:
    assert mid_px(*quote) == px


def market(*rows: dict[str, int]) -> Any:
    frames = np.zeros(len(rows), dtypes.EVENT)
    for at, row in enumerate(rows):
        fields = dict(row)
        kind = fields["kind"]
        view = frames.view(dtypes.QUOTE_EVENT if kind == CellKind.QUOTE else dtypes.TRADE_EVENT)
        for name, value in fields.items():
            view[at][name] = value
    return frames


def quote(instrument: int, bid: int, ask: int) -> dict[str, int]:
    sides = {"bid_px": bid, "bid_qty": bool(bid), "ask_px": ask, "ask_qty": bool(ask)}
    return {"kind": CellKind.QUOTE, "instrument_id": instrument, **sides}


def trade(instrument: int, px: int) -> dict[str, int]:
    return {"kind": CellKind.TRADE, "instrument_id": instrument, "last_px": px, "last_qty": 1}


def test_marks_follow_the_newest_quote_and_fall_back_to_the_last_trade() -> None:
    marks = Marks("mid", {1: 90})
    assert marks.px(1) == 90
    assert marks.note_frames(market(quote(1, 100, 110), quote(1, 100, 104), trade(2, 7))) == {1, 2}
    assert (marks.px(1), marks.px(2), marks.px(3)) == (102, 7, 0)
    assert marks.note_frames(market(quote(1, 0, 104))) == {1}
    assert marks.px(1) == 90
    assert marks.note_frames(market(quote(1, 0, 200))) == set()


def test_last_rule_does_not_look_at_quotes() -> None:
    marks = Marks("last")
    assert marks.note_frames(market(quote(1, 100, 110))) == set()
    assert marks.px(1) == 0
    assert marks.note_frames(market(trade(1, 5), trade(1, 6))) == {1}
    assert marks.px(1) == 6


# ------------------------------------------------------------------------------------------ equity

SPOT_EUR = InstrumentTerms(5, 2, 0, 10, 100, False)  # EUR in USD, lots of 100 cents
SPOT_BTC = InstrumentTerms(6, 1, 0, 7, 1_000, False)
USD_JPY = InstrumentTerms(7, 0, 3, 2, 50, False)  # a dollar in yen: lots of 50


def test_rates_go_through_instruments_in_both_directions() -> None:
    terms = Terms([SPOT_EUR, SPOT_BTC, USD_JPY])
    rates = rates_to(0, terms, {5: 120, 7: 300})
    # One lot of EUR (100 units) is worth 120 * 10; JPY: 600 units a lot of 50 dollar units.
    assert rates == {0: Rate(1, 1), 2: Rate(1200, 100), 3: Rate(50, 600)}


@pytest.mark.parametrize("bulk_rows", [0, 100])
def test_equity_by_hand(bulk_rows: int) -> None:
    """Cash 1,000, 250 EUR units at 12 each, BTC without a price, a long of 3 from 60 at 25."""
    perp = InstrumentTerms(8, 1, 0, 1, 0, True)
    terms = Terms([SPOT_EUR, SPOT_BTC, perp])
    book = Book(4)
    balances = np.zeros(3, book.balances.table.dtype)
    balances["user_id"] = balances["account_id"] = 9
    balances["asset_id"], balances["amount"], balances["seq"] = (0, 2, 1), (1000, 250, 5), (1, 2, 3)
    positions = np.zeros(1, book.positions.table.dtype)
    positions["user_id"] = positions["account_id"] = 9
    positions["instrument_id"], positions["qty"], positions["cost"] = 8, 3, 60
    book.balances.apply(balances)
    book.positions.apply(positions)
    how = {"asset_id": 0, "ts_ns": 77, "bulk_rows": bulk_rows}
    row = value_book(book, terms, {5: 120, 8: 25}, **how)
    assert row.tolist() == [(9, 4, 77, 0, 1000 + 3000, 15, 4015, 1, 3)]
    unmarked = value_book(book, terms, {5: 120}, **how)
    assert unmarked[["upnl", "unpriced"]].tolist() == [(0, 2)]


def test_equity_of_everybody_is_cash_and_profit_summed_in_another_way(
    traded: tuple[Venue, Changes],
) -> None:
    venue, changes = traded
    book = Book()
    book.apply(changes)
    px = book.last_px
    rows = value_book(book, TERMS, px, asset_id=USD.asset_id, ts_ns=1)
    cash, held = venue.money()
    for row in rows:
        user = int(row["user_id"])
        coins = cash.get((user, BTC.asset_id), 0)
        # 100,000 units a lot; a lot of 1,000 units a tick.
        value = cash[user, USD.asset_id] + coins * px[1] * 1_000 // 100_000
        qty, cost, _, _ = held.get((user, PERP.instrument_id), (0, 0, 0, 0))
        upnl = qty * px[2] * 1_000 - cost
        assert (row["cash"], row["upnl"], row["equity"]) == (value, upnl, value + upnl)
    assert rows["user_id"].tolist() == [1, 2, 3, 4, 5]


def test_values_beyond_64_bits_on_the_way_are_exact() -> None:
    terms = Terms([InstrumentTerms(1, 1, 0, 10**6, 10**12, False)])
    book = Book()
    balances = np.zeros(1, book.balances.table.dtype)
    balances["user_id"], balances["asset_id"], balances["amount"] = 1, 1, 10**16 + 1
    book.balances.apply(balances)
    row = value_book(book, terms, {1: 12_345}, asset_id=0, ts_ns=0)
    assert row["cash"].tolist() == [(10**16 + 1) * 12_345 * 10**6 // 10**12]


def test_kernel_marks_like_one_by_one() -> None:
    draw = random.Random(3)
    perp = InstrumentTerms(8, 1, 0, 1000, 0, True)
    terms = Terms([perp])
    book = Book()
    rows = np.zeros(500, book.positions.table.dtype)
    rows["user_id"] = rows["account_id"] = np.arange(500)
    rows["instrument_id"] = 8
    rows["qty"] = [draw.choice((0, 5, -7, 1 << 50, -(1 << 56))) for _ in rows]
    rows["cost"] = [draw.choice((0, 12, -(1 << 61), 1 << 62)) for _ in rows]
    book.positions.apply(rows)
    for px in (0, 1, 12_345, 1 << 40):
        values = [
            value_book(book, terms, {8: px}, asset_id=0, ts_ns=1, bulk_rows=bulk).tolist()
            for bulk in (0, 1000)
        ]
        assert values[0] == values[1]


@pytest.mark.parametrize(
    ("before", "now", "at"), [(5, 9, 0), (5, 10, 10), (10, 19, 0), (5, 47, 40), (10, 10, 0)]
)
def test_samples_lie_at_multiples(before: int, now: int, at: int) -> None:
    assert sample_times(before, now, 10) == at
    assert sample_times(before, now, 0) == 0


# -------------------------------------------------------------------------------------- statements


def split(table: Table, user: int, low: int, high: int) -> Table:
    inside = (table["ts_ns"] >= low) & (table["ts_ns"] < high)
    return table[inside & (table["user_id"] == user)]


def test_statements_of_all_days_join_and_end_at_the_engines_cash(
    traded: tuple[Venue, Changes],
) -> None:
    venue, changes = traded
    cash, _ = venue.money()
    for user in range(1, 6):
        balance: dict[int, int] = {}
        days = 0
        for day in range(5):
            span = (user, day * DAY, (day + 1) * DAY)
            fills, ledger = split(changes.fills, *span), split(changes.ledger, *span)
            moved = balances_of(fills, ledger, TERMS)
            after = {k: balance.get(k, 0) + moved.get(k, 0) for k in {*balance, *moved}}
            found = make_statement(fills, ledger, TERMS, opening=balance, closing=after)
            days += any(one.lines for one in found)
            for one in found:
                assert one.opening + sum(line.amount for line in one.lines) == one.closing
                assert [line.seq for line in one.lines] == sorted(line.seq for line in one.lines)
            balance = after
        assert days >= 3
        assert {k: v for k, v in balance.items() if v} == {
            asset: amount for (account, asset), amount in cash.items() if account == user
        }


def test_statement_lines_by_hand() -> None:
    venue = Venue()
    venue.open({1: {USD.asset_id: 10**9}, 2: {BTC.asset_id: 10**8}})
    venue.order(2, 2, 30, 10_000)
    venue.order(1, 1, 30, 10_000)
    changes = changes_of(venue)
    mine = (split(changes.fills, 1, 0, 1 << 62), split(changes.ledger, 1, 0, 1 << 62))
    closing = {0: 10**9 - 300_150_000, 1: 3_000_000}
    dollars, coins = make_statement(*mine, TERMS, opening={}, closing=closing)
    assert [(line.what, line.amount) for line in dollars.lines] == [
        ("deposit", 10**9),
        ("buy", -300_000_000),
        ("fee", -150_000),
    ]
    assert [(line.what, line.amount, line.qty) for line in coins.lines] == [("buy", 3_000_000, 30)]


def test_missing_row_makes_a_statement_fail_by_its_amount(traded: tuple[Venue, Changes]) -> None:
    _, changes = traded
    fills, ledger = (split(t, 1, 0, 1 << 62) for t in (changes.fills, changes.ledger))
    closing = balances_of(fills, ledger, TERMS)
    lost = int(ledger["cash_delta"][0])
    with pytest.raises(DataError, match=rf"asset 0: .* \+{lost} is unexplained"):
        make_statement(fills, ledger[1:], TERMS, opening={}, closing=closing)


@pytest.mark.parametrize(
    ("text", "days"), [("2024-02", 29), ("2023-12", 31), ("2024-02-29", 1), ("1970-01-01", 1)]
)
def test_periods_are_days_and_months(text: str, days: int) -> None:
    period = Period.parse(text)
    assert period.before_ns - period.since_ns == days * DAY
    assert Period.parse("1970-01-02").since_ns == DAY


@pytest.mark.parametrize("text", ["", "2024", "2024-13", "2024-02-30", "24-1-1", "now", "2024-1"])
def test_other_periods_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="neither a day"):
        Period.parse(text)


# -------------------------------------------------------------------------------------------- lots


def fills_of(*trades: tuple[int, int]) -> Table:
    """Return the fills of one position: (signed lots, price)."""
    table = np.zeros(len(trades), FILL)
    table["account_id"], table["instrument_id"] = 3, PERP.instrument_id
    table["seq"] = range(len(trades))
    for row, (qty, px) in zip(table, trades, strict=True):
        row["side"], row["qty"], row["px"] = (1 if qty > 0 else 2), abs(qty), px
    return table


@pytest.mark.parametrize(
    ("method", "gain"), [("fifo", 5 * 30 + 2 * 10), ("lifo", 7 * 10), ("hifo", 7 * 10)]
)
def test_methods_choose_lots_by_hand(method: Any, gain: int) -> None:
    """Bought 5 at 100 and 9 at 120, sold 7 at 130; a tick and lot is 1,000 units."""
    fills = fills_of((5, 100), (9, 120), (-7, 130))
    (report,) = lots_of(fills[::-1].copy(), TERMS, method)
    assert report.gain == gain * 1_000
    assert int(report.matches.open_qty.sum()) == 7


def test_all_methods_agree_with_the_engine_when_flat(traded: tuple[Venue, Changes]) -> None:
    venue, changes = traded
    flat = 0
    for (account, instrument), (qty, _, realised, _) in venue.money()[1].items():
        if qty:
            close = np.zeros(1, FILL)
            close["account_id"], close["instrument_id"], close["seq"] = account, instrument, 1 << 60
            close["side"], close["qty"], close["px"] = (2 if qty > 0 else 1), abs(qty), 10_000
            changes_fills = np.concatenate((changes.fills, close))
        else:
            flat += 1
            changes_fills = changes.fills
        mine = changes_fills[
            (changes_fills["account_id"] == account)
            & (changes_fills["instrument_id"] == instrument)
        ]
        gains = {lots_of(mine, TERMS, m)[0].gain for m in ("fifo", "lifo", "hifo", "lofo")}  # type: ignore[arg-type]
        assert len(gains) == 1
        if not qty:
            assert gains == {realised}


# --------------------------------------------------------------------------------------- documents


def test_documents_say_what_the_book_says(traded: tuple[Venue, Changes]) -> None:
    venue, changes = traded
    book = Book()
    book.apply(changes)
    cash, held = venue.money()
    document = decode_document(
        encode_document(document_of(book, 3, TERMS, Marks("last", {2: 9_990})))
    )
    assert {(b.account_id, b.asset_id): b.amount for b in document.balances if b.amount} == {
        key: amount for key, amount in cash.items() if key[0] == 3
    }
    for p in document.positions:
        assert (p.qty, p.cost, p.realised, p.fees) == held[3, p.instrument_id]
    perp = document.positions[1]
    assert (perp.mark_px, perp.upnl) == (9_990, perp.qty * 9_990 * 1_000 - perp.cost)
    spot = document.positions[0]
    assert (spot.mark_px, spot.upnl) == (0, 0)
    total = document.pnl[0]
    assert total.realised == spot.realised + perp.realised
    assert (total.fees, total.upnl) == (spot.fees + perp.fees, perp.upnl)
    assert document.seq == max(int(t["seq"].max()) for t in book.rows_of(3))


def test_keys_keep_cells_apart() -> None:
    assert portfolio_key(7) == "pf:7"
    assert portfolio_key(7, 2) == "pf:7@2"
    assert session_key(9) == "session:9"


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x80", b"\xff"])
def test_other_bytes_are_no_documents(data: bytes) -> None:
    for decode in (decode_document, decode_session, decode_user_event):
        with pytest.raises(DataError):
            decode(data)


def test_sessions_survive_the_wire_and_any_order() -> None:
    opened = SessionOpened(session_id=3, account_id=4, label="bot", ts_ns=7)
    closed = SessionClosed(session_id=3, account_id=4)
    for told in (opened, closed):
        assert decode_user_event(encode_user_event(told)) == told
    new = Session(4, 3, 4, "", 0, 0)
    forward = new.with_event(opened, 9).with_event(closed, 9)
    assert forward == Session(4, 3, 4, "bot", 7, 9)
    assert new.with_event(closed, 9).with_event(opened, 9) == forward
    assert forward.with_event(opened, 50).with_event(closed, 50) == forward
    assert decode_session(encode_session(forward)) == forward
    halves = [new.with_event(closed, 9), new.with_event(opened, 9)]
    assert merge_sessions(halves[:1], halves[1:]) == {(4, 3): forward}
    assert merge_sessions([], halves) == {(4, 3): forward}


def test_catalog_of_the_tests_is_what_the_venue_defines(traded: tuple[Venue, Changes]) -> None:
    assert traded[0].terms().rows == Terms.of_catalog(CATALOG.instruments).rows
    assert len(empty(LEDGER)) == 0
