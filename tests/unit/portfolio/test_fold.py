"""Events to books: equal to the engine's own accounts, and to what a pencil says."""

from __future__ import annotations

import random

import numpy as np
import pytest

from portfolio_worlds import BTC, PERP, SIZES, SPOT, USD, Venue, changes_of
from property.margin_flows import MarginFlow
from tradecore import dtypes
from tradecore.codes import CommandKind, EventKind
from tradecore.engine import Engine
from tradecore.errors import DataError, FrameError
from tradecore.portfolio.book import Book
from tradecore.portfolio.columns import FILL
from tradecore.portfolio.fold import MAKER, TAKER, Owners, fold
from tradecore.portfolio.terms import InstrumentTerms, Terms
from tradecore.testing.strategies import CommandSource

LIMIT = 1 << 62
Money = tuple[dict[tuple[int, int], int], dict[tuple[int, int], tuple[int, ...]]]


def terms_of(commands: list[bytes]) -> Terms:
    """Return the terms of the INSTRUMENT commands among others."""
    whole = [c for c in commands if len(c) == 256 and c[8] == CommandKind.INSTRUMENT]
    return Terms.of_frames(np.frombuffer(b"".join(whole), dtypes.INSTRUMENT))


def of_engine(engine: Engine, terms: Terms) -> Money:
    """Return cash by (account, asset), isolated margins included, and positions."""
    cash: dict[tuple[int, int], int] = {}
    held: dict[tuple[int, int], tuple[int, ...]] = {}
    for account in range(SIZES.max_accounts):
        try:
            view = engine.account(account)
        except KeyError:
            continue
        for w in view.wallets:
            cash[account, w.asset_id] = w.total
        for p in view.positions:
            if p.iso_margin:
                cash[account, terms.one(p.instrument_id).quote_asset] += p.iso_margin
            held[account, p.instrument_id] = (p.qty, p.cost, p.realised, p.fees)
    return _without_zeros(cash, held)


def of_book(book: Book) -> Money:
    balances, positions = book.balances.table, book.positions.table
    cash = {(int(r["account_id"]), int(r["asset_id"])): int(r["amount"]) for r in balances}
    held = {
        (int(r["account_id"]), int(r["instrument_id"])): tuple(
            int(r[name]) for name in ("qty", "cost", "realised", "fees")
        )
        for r in positions
    }
    return _without_zeros(cash, held)


def _without_zeros(
    cash: dict[tuple[int, int], int], held: dict[tuple[int, int], tuple[int, ...]]
) -> Money:
    # Spot records stop at +-2^62 in the engine (accounts.md section 6): absurd streams get there.
    return (
        {key: value for key, value in cash.items() if value},
        {key: value for key, value in held.items() if any(value) and max(map(abs, value)) < LIMIT},
    )


def streams(seed: int) -> list[list[bytes]]:
    general = CommandSource(random.Random(seed), accounts=True)
    return [MarginFlow(seed).stream(500), general.take(500)]


@pytest.mark.parametrize("seed", range(25))
def test_books_are_the_engines_accounts(seed: int) -> None:
    """Liquidations, takeovers, auto-deleverage, funding, isolated margin, auctions: all of it."""
    draw = random.Random(seed)
    for commands in streams(seed):
        engine = Engine(SIZES)
        terms, book = terms_of(commands), Book()
        at = 0
        while at < len(commands):
            size = draw.choice((1, 5, 60))
            book.apply(fold(engine.events(b"".join(commands[at : at + size])), terms))
            at += size
        assert of_book(book) == of_engine(engine, terms)


def test_streams_reach_what_is_rare() -> None:
    """The comparison above is worth what its streams contain."""
    seen: set[tuple[int, int]] = set()
    for seed in range(25):
        for commands in streams(seed):
            events = Engine(SIZES).events(b"".join(commands))
            kinds = np.isin(events["kind"], (EventKind.SETTLED, EventKind.BALANCE))
            seen |= set(
                zip(events["kind"][kinds].tolist(), events["status"][kinds].tolist(), strict=True)
            )
    settled = {status for kind, status in seen if kind == EventKind.SETTLED}
    moved = {status for kind, status in seen if kind == EventKind.BALANCE}
    assert {0, 325, 326} <= settled
    assert {0, 324, 325, 326, 328} <= moved


def test_spot_fill_by_hand() -> None:
    """30 lots at 10,000, 1,000 units a tick and lot: 300,000,000; fees of 500 and 100 ppm."""
    venue = Venue()
    venue.open({1: {USD.asset_id: 10**9}, 2: {BTC.asset_id: 10**8}})
    maker = venue.order(2, 2, 30, 10_000, session=7)
    taker = venue.order(1, 1, 50, 10_000, session=9)
    at = venue.now_ns - 1_000_000
    rows = {int(row["user_id"]): row for row in changes_of(venue).fills}
    notional, lot = 300_000_000, 100_000
    buyer, seller = rows[1], rows[2]
    assert buyer["role"] == TAKER
    assert seller["role"] == MAKER
    assert (buyer["session_id"], seller["session_id"]) == (9, 7)
    assert (buyer["order_id"], seller["order_id"]) == (taker, maker)
    assert (buyer["fee"], seller["fee"]) == (150_000, 30_000)
    assert (buyer["cash_delta"], seller["cash_delta"]) == (-notional - 150_000, notional - 30_000)
    assert (buyer["base_delta"], seller["base_delta"]) == (30 * lot, -30 * lot)
    assert (buyer["position_qty"], seller["position_qty"]) == (30, -30)
    assert (buyer["px"], buyer["qty"], buyer["ts_ns"]) == (10_000, 30, at)
    assert seller["seq"] - 2 == buyer["seq"] - 1


def test_cost_through_zero_by_hand() -> None:
    """Long 10 at 100, sell 15 at 110: 10 * 10 * 1,000 realised, short 5 with a cost of -550,000."""
    venue = Venue()
    rich = {USD.asset_id: 10**15, BTC.asset_id: 10**15}
    venue.open({1: rich, 2: rich})
    venue.order(2, 2, 10, 100)
    venue.order(1, 1, 10, 100)
    venue.order(2, 1, 15, 110)
    venue.order(1, 2, 15, 110)
    book = Book()
    book.apply(changes_of(venue))
    positions, _ = book.rows_of(1)
    row = positions[0]
    assert (row["qty"], row["cost"], row["realised"]) == (-5, -550_000, 100_000)
    assert (row["bought"], row["sold"], row["fills"]) == (10, 15, 2)


def test_folding_in_pieces_is_folding_at_once() -> None:
    commands = MarginFlow(5).stream(400)
    terms = terms_of(commands)
    whole, pieces = Book(), Book()
    whole.apply(fold(Engine(SIZES).events(b"".join(commands)), terms))
    engine = Engine(SIZES)
    for command in commands:
        pieces.apply(fold(engine.events(command), terms))
    for rows in ("positions", "balances"):
        first, second = (getattr(book, rows).table.tolist() for book in (whole, pieces))
        assert sorted(first) == sorted(second)
    assert whole.prints.tolist() == pieces.prints.tolist()


def test_margin_transfer_moves_nothing_between_people_and_assets() -> None:
    venue = Venue()
    venue.open({1: {USD.asset_id: 10**12}, 2: {USD.asset_id: 10**12}})
    venue.admin(CommandKind.MARK_PRICE, instrument_id=PERP.instrument_id, mark_px=10_000)
    venue.admin(CommandKind.MARGIN_MODE, account_id=1, instrument_id=PERP.instrument_id, state=1)
    venue.order(2, 2, 10, 10_000, instrument=PERP.instrument_id)
    venue.order(1, 1, 10, 10_000, instrument=PERP.instrument_id)
    venue.admin(
        CommandKind.MARGIN_TRANSFER,
        account_id=1,
        instrument_id=PERP.instrument_id,
        amount=5_000,
    )
    changes = changes_of(venue)
    row = changes.ledger[changes.ledger["command_kind"] == CommandKind.MARGIN_TRANSFER][0]
    assert (row["cash_delta"], row["margin_delta"]) == (-5_000, 5_000)
    book = Book()
    book.apply(changes)
    assert of_book(book) == venue.money()


def test_forced_fills_are_no_prints() -> None:
    terms = Terms([InstrumentTerms(1, 1, 0, 1, 1, False)])
    frames = np.zeros(6, dtypes.EVENT)
    fills = frames.view(dtypes.FILL_EVENT)
    settled = frames.view(dtypes.SETTLE_EVENT)
    frames["seq"] = range(1, 7)
    for at, status, px in ((0, 0, 90), (3, 325, 50)):
        fills[at]["kind"], fills[at]["instrument_id"] = EventKind.FILL, 1
        fills[at]["status"], fills[at]["last_px"], fills[at]["last_qty"] = status, px, 1
        for side in (1, 2):
            settled[at + side]["kind"], settled[at + side]["instrument_id"] = EventKind.SETTLED, 1
            settled[at + side]["side"] = side
    assert fold(frames, terms).prints["px"].tolist() == [90]


def test_accounts_may_belong_to_another_user() -> None:
    commands = MarginFlow(1).stream(300)
    terms = terms_of(commands)
    events = Engine(SIZES).events(b"".join(commands))
    changes = fold(events, terms, owners=Owners({3: 900, 5: 900}))
    fills = changes.fills
    assert set(fills["user_id"][np.isin(fills["account_id"], (3, 5))].tolist()) == {900}
    others = ~np.isin(fills["account_id"], (3, 5))
    assert (fills["user_id"][others] == fills["account_id"][others]).all()
    book = Book()
    book.apply(changes)
    assert {int(a) for a in book.rows_of(900)[1]["account_id"]} == {3, 5}
    assert of_book(book)[0].keys() >= {(3, 0), (5, 0)}


def test_orders_of_the_engine_have_negative_ids_and_no_session() -> None:
    found: list[int] = []
    for seed in range(10):
        commands = MarginFlow(seed).stream(500)
        events = Engine(SIZES).events(b"".join(commands))
        fills = fold(events, terms_of(commands)).fills
        own = fills["order_id"] < 0
        assert (fills["session_id"][own] == 0).all()
        found += fills["order_id"][own].tolist()
    assert found
    assert min(found) >= -(1 << 63)


def test_nothing_folds_to_nothing() -> None:
    changes = fold(np.empty(0, dtypes.EVENT), Terms())
    assert changes.is_empty
    assert changes.fills.dtype == FILL
    assert not len(changes.positions)
    assert not len(changes.balances)


def test_torn_batches_and_unknown_instruments_are_refused() -> None:
    commands = MarginFlow(2).stream(300)
    terms = terms_of(commands)
    events = Engine(SIZES).events(b"".join(commands))
    fill = int(np.flatnonzero(events["kind"] == EventKind.FILL)[0])
    for cut in (events[fill + 1 :], events[: fill + 1], events[: fill + 2]):
        with pytest.raises(DataError):
            fold(cut, terms)
    with pytest.raises(DataError, match="not in the catalog"):
        fold(events, Terms([InstrumentTerms(99, 1, 0, 1, 1, False)]))
    with pytest.raises(FrameError):
        fold(np.zeros(3, np.int64), terms)  # type: ignore[arg-type]


def test_spot_terms_of_the_catalog_are_those_of_the_frame() -> None:
    frames = np.frombuffer(SPOT.to_frame() + PERP.to_frame(), dtypes.INSTRUMENT)
    assert Terms.of_frames(frames).rows == Terms.of_catalog([PERP, SPOT]).rows
