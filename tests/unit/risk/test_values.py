"""What positions are worth, what they could lose, and what the log says: by other means."""

from __future__ import annotations

import csv
import random

import numpy as np
import numpy.typing as npt
import pytest

from portfolio_worlds import CATALOG, PERP, SPOT, TERMS, busy_venue, changes_of
from risk_worlds import RiskWorld
from shared_data import shared
from tradecore.cell import Batch
from tradecore.codes import CommandKind, EventKind, Phase
from tradecore.dtypes import EVENT, REJECT_EVENT
from tradecore.envelope import encode, seal
from tradecore.errors import ConfigError
from tradecore.instruments import AssetSpec, InstrumentSpec, MarginTier
from tradecore.portfolio.book import Book
from tradecore.portfolio.columns import BALANCE, POSITION, PRINT, empty, table_of
from tradecore.portfolio.terms import Terms
from tradecore.risk.facts import Facts, Mark
from tradecore.risk.figures import make_tails, stress
from tradecore.risk.history import History
from tradecore.risk.nodes import account_node, group_node
from tradecore.risk.policy import FigurePolicy, Scenario
from tradecore.risk.values import Grouping, value_positions
from tradecore.testing import build

SOURCE = 2 << 28


def book_of(*rows: tuple[int, int, int, int, int, int]) -> Book:
    """Return a book of (account, instrument, qty, cost, realised, fees)."""
    names = ("account_id", "instrument_id", "qty", "cost", "realised", "fees")
    columns = dict(zip(names, np.array(rows, dtype=np.int64).T, strict=True))
    rest = {name: 0 for name in POSITION.names or () if name not in columns}
    rest["user_id"] = columns["account_id"]
    return Book.of_tables(0, table_of(POSITION, **columns, **rest), empty(BALANCE), empty(PRINT))


# ------------------------------------------------------------------------------------------ values
def test_values_by_hand() -> None:
    book = book_of(
        (1, PERP.instrument_id, 100, 900_000, 0, 300),
        (2, PERP.instrument_id, -40, -500_000, 77, 0),
        (2, SPOT.instrument_id, 5, 10, 0, 0),
    )
    m = PERP.multiplier
    found = value_positions(book, TERMS, {PERP.instrument_id: 12}, asset_id=0)
    assert found.value.tolist() == [100 * 12 * m, -40 * 12 * m, 0]
    assert found.profit.tolist() == [
        100 * 12 * m - 900_000 - 300, -40 * 12 * m + 500_000 + 77, 0,
    ]  # fmt: skip
    assert found.priced.tolist() == [True, True, False]
    grouping = Grouping()
    grouping.bring(book, {1: 3, 2: 3}, 1)
    totals = grouping.totals(found, above=-1)
    assert totals.groups == {3: totals.firm}
    assert totals.firm.gross == 140 * 12 * m
    assert totals.firm.net == 60 * 12 * m
    assert totals.accounts[2].profit == -40 * 12 * m + 500_000 + 77


def test_only_accounts_above_a_limit_are_summed_and_those_that_are_asked_for() -> None:
    rows = [
        (a, i, a, 0, 0, 0) for a in (1, 2, 3, 4) for i in (PERP.instrument_id, SPOT.instrument_id)
    ]
    px = {PERP.instrument_id: 10, SPOT.instrument_id: 10}
    found = value_positions(book_of(*rows), TERMS, px, asset_id=0)
    grouping = Grouping()
    grouping.bring(book_of(*rows), {}, 0)
    whole = grouping.totals(found, above=-1).accounts
    assert whole[3].gross == 3 * 10 * (PERP.multiplier + SPOT.multiplier)
    limit = whole[3].gross
    assert grouping.totals(found, above=limit, also=[1, 99]).accounts == {
        1: whole[1],
        4: whole[4],
    } | {key: one for key, one in whole.items() if key == 3 and one.gross > limit}
    assert grouping.totals(found, above=limit - 1).accounts.keys() == {3, 4}
    assert grouping.totals(found).accounts == {}


def test_accounts_that_move_are_counted_in_their_new_group() -> None:
    book = book_of((1, PERP.instrument_id, 1, 0, 0, 0), (2, PERP.instrument_id, 1, 0, 0, 0))
    found = value_positions(book, TERMS, {PERP.instrument_id: 1}, asset_id=0)
    grouping = Grouping()
    grouping.bring(book, {1: 1, 2: 0}, 1)
    assert sorted(grouping.totals(found).groups) == [1]
    grouping.bring(book, {1: 1, 2: 2}, 2)
    assert sorted(grouping.totals(found).groups) == [1, 2]


def test_sums_are_exact_where_int64_is_not() -> None:
    # 64 positions of 2**61 units each: their sum needs 68 bits.
    lot = PERP.multiplier
    qty = (1 << 61) // (lot * 1_000)
    rows = [(account, PERP.instrument_id, qty, 0, 0, 0) for account in range(64)]
    book = book_of(*rows)
    found = value_positions(book, TERMS, {PERP.instrument_id: 1_000}, asset_id=0)
    grouping = Grouping()
    grouping.bring(book, {}, 0)
    assert grouping.totals(found).firm.gross == 64 * qty * 1_000 * lot > 1 << 63


def test_a_product_beyond_the_bound_stops_there() -> None:
    book = book_of((1, PERP.instrument_id, 1 << 50, 0, 0, 0))
    found = value_positions(book, TERMS, {PERP.instrument_id: 1 << 40}, asset_id=0)
    assert found.value.tolist() == [1 << 62]


def test_other_quote_assets_are_valued_by_a_spot_instrument_of_both() -> None:
    usd, eur, btc = AssetSpec("USD", 0, 8), AssetSpec("EUR", 1, 8), AssetSpec("BTC", 2, 8)
    rate = InstrumentSpec("EUR-USD", 0, eur, usd, tick_size="0.01", lot_size="1")
    perp = InstrumentSpec(
        "BTC-EUR", 1, btc, eur, tick_size="1", lot_size="0.001", instrument_type="linear",
        tiers=(MarginTier("0", 100_000, 50_000),),
    )  # fmt: skip
    terms = Terms.of_catalog([rate, perp])
    book = book_of((7, 1, -3, 0, 0, 0))
    px = {0: 110, 1: 20_000}
    euros = -3 * 20_000 * perp.multiplier
    found = value_positions(book, terms, px, asset_id=usd.asset_id)
    assert found.value.tolist() == [euros * 110 // 100]
    lost = value_positions(book, terms, {1: 20_000}, asset_id=usd.asset_id)
    assert (lost.value.tolist(), lost.priced.tolist()) == ([0], [False])


def test_profit_equals_the_engine_s_cash_of_a_busy_venue() -> None:
    """Value of what is held plus cash paid = profit: for the spot instrument, of every account."""
    venue = busy_venue(200, seed=3)
    changes = changes_of(venue)
    book = Book(0)
    book.apply(changes)
    px = {SPOT.instrument_id: 10_001, PERP.instrument_id: 9_999}
    found = value_positions(book, TERMS, px, asset_id=0)
    fills = changes.fills
    for at, row in enumerate(book.positions.table):
        mine = (fills["account_id"] == row["account_id"]) & (
            fills["instrument_id"] == row["instrument_id"]
        )
        one = CATALOG.instrument(int(row["instrument_id"]))
        sign = np.where(fills["side"][mine] == 1, 1, -1)
        paid = sum(
            int(s) * int(q) * int(p) * one.multiplier
            for s, q, p in zip(sign, fills["qty"][mine], fills["px"][mine], strict=True)
        ) + int(fills["fee"][mine].sum())
        assert int(found.value[at]) - paid == int(found.profit[at])


# ------------------------------------------------------------------------------------------- tails
@pytest.mark.shared
def test_tails_of_one_holding_are_the_published_figures_of_its_series() -> None:
    """A holding of 1,000 in a fund whose VaR others have printed (PerformanceAnalytics, EDHEC)."""
    with shared("data/perf/edhec_293.csv").open(encoding="utf-8") as handle:
        rows = list(csv.reader(handle))[1:]
    returns = np.array([[float(cell) for cell in row[1:]] for row in rows])
    held = np.zeros(returns.shape[1])
    held[0] = 1_000.0
    policy = FigurePolicy(levels=(0.95, 0.99))
    five, one = make_tails(policy, returns, held, seed=1, simulate=False)
    assert five.gaussian_var == pytest.approx(21.73214, abs=6e-5)
    assert five.gaussian_es == pytest.approx(28.72442, abs=6e-5)
    assert five.modified_var == pytest.approx(25.68389, abs=6e-5)
    assert one.modified_var == pytest.approx(95.38713, abs=6e-5)
    # 293 * 5 % = 14.65: the fifteenth worst month of the file.
    assert five.historical_var == pytest.approx(-1_000 * np.sort(returns[:, 0])[14])
    assert five.historical_es > five.historical_var
    # The other way round the best months are the worst.
    short = make_tails(policy, returns, -held, seed=1, simulate=False)[0]
    assert short.historical_var == pytest.approx(1_000 * np.sort(returns[:, 0])[-15])


def test_monte_carlo_is_seeded_by_the_sequence_number() -> None:
    rng = np.random.Generator(np.random.PCG64(1))
    returns = rng.normal(0, 0.01, (500, 3))
    held = np.array([1e6, -5e5, 2e5])
    policy = FigurePolicy(levels=(0.99,), draws=20_000)
    first, again, other = (
        make_tails(policy, returns, held, seed=seed, simulate=True)[0] for seed in (7, 7, 8)
    )
    assert first == again != other
    assert first.simulated_var is not None
    assert first.simulated_var == pytest.approx(first.gaussian_var, rel=0.05)
    assert first.simulated_es is not None
    assert first.simulated_es > first.simulated_var


def test_offsetting_positions_have_no_risk_and_horizon_is_a_square_root() -> None:
    returns = np.array([[0.01, 0.01], [-0.02, -0.02], [0.03, 0.03]])
    policy = FigurePolicy(levels=(0.9,), periods=4)
    none = make_tails(policy, returns, np.array([100.0, -100.0]), seed=1, simulate=False)[0]
    assert none.historical_var == pytest.approx(0.0, abs=1e-12)
    assert none.modified_es == pytest.approx(0.0, abs=1e-12)
    some = make_tails(policy, returns, np.array([100.0, 0.0]), seed=1, simulate=False)[0]
    assert some.historical_var == pytest.approx(2.0 * 2.0)
    assert make_tails(policy, returns[:1], np.array([1.0, 1.0]), seed=1, simulate=True) == []


def test_stress_by_hand() -> None:
    scenarios = (
        Scenario(name="all", all_ppm=-100_000),
        Scenario(name="perp only", by_symbol={"BTC-PERP": 250_000}),
        Scenario(name="both", all_ppm=-1, by_symbol={"BTC-USD": 0}),
    )
    found = stress(scenarios, CATALOG, [1, 2], [1_000, -3])
    # floor(-100), floor(0.3); floor(-0.75); floor(0.000003)
    assert found == {"all": -100 + 0, "perp only": -1, "both": 0}
    with pytest.raises(ConfigError, match="ETH"):
        stress((Scenario(name="x", by_symbol={"ETH": 1}),), CATALOG, [1], [1])


# ----------------------------------------------------------------------------------------- history
def test_history_keeps_the_newest_rows_and_survives_another_catalog() -> None:
    history = History(np.array([3, 5]), samples=3)
    for second, px in enumerate((100, 90, 0, 110, 121, 133)):
        history.note(second * 1_000 + 1, 1_000, {3: px, 5: 7})
        history.note(second * 1_000 + 999, 1_000, {3: 1, 5: 1})  # the same period: not looked at
    # Period 0 is the one a new history is in.
    assert history.prices.tolist() == [[0, 7], [110, 7], [121, 7], [133, 7]]
    assert history.returns()[:, 0] == pytest.approx([0.0, 0.1, 133 / 121 - 1])
    period, rows = history.save()
    other = History(np.array([4, 5]), samples=3)
    other.load(period, [3, 5], rows)
    assert other.prices.tolist() == [[0, 7], [0, 7], [0, 7], [0, 7]]


# ------------------------------------------------------------------------------------------- facts
def answer(kind: EventKind, command: CommandKind, **fields: int) -> npt.NDArray[np.void]:
    row = np.zeros(1, REJECT_EVENT)
    row["kind"], row["command_kind"] = kind, command
    for name, value in fields.items():
        row[name] = value
    return row


def batch_of(*events: npt.NDArray[np.void], source: int = 0) -> Batch:
    rows = np.concatenate(events)
    return Batch(1, 500, 0, source, 1, 0, rows.view(EVENT))


def test_facts_pair_commands_with_their_answers() -> None:
    facts = Facts()
    record = b"".join(
        (
            build.admin(CommandKind.ACCOUNT, account_id=1, group_id=4),
            build.admin(CommandKind.ACCOUNT, account_id=2, group_id=99),
            build.admin(CommandKind.KILL_SWITCH, scope=2, group_id=4, state=1),
            build.instrument(instrument_id=6, phase=Phase.AUCTION),
            build.admin(CommandKind.MARK_PRICE, instrument_id=6, mark_px=123),
            build.admin(CommandKind.MARK_PRICE, instrument_id=7, mark_px=5),
            build.admin(CommandKind.ACCOUNT, account_id=3, group_id=5),
        )
    )
    batch = batch_of(
        answer(EventKind.DONE, CommandKind.ACCOUNT, account_id=1),
        answer(EventKind.REJECTED, CommandKind.ACCOUNT, account_id=2, status=509),
        answer(EventKind.DONE, CommandKind.KILL_SWITCH),
        answer(EventKind.DONE, CommandKind.INSTRUMENT, instrument_id=6),
        answer(EventKind.REJECTED, CommandKind.MARK_PRICE, instrument_id=7, status=200),
        answer(EventKind.DONE, CommandKind.ACCOUNT, account_id=3),
    )
    assert facts.take(batch, encode(seal(record, source=0, first_seq=1)), SOURCE)
    assert facts.group_of == {1: 4, 3: 5}
    assert facts.killed == {group_node(4): True}
    assert facts.phases == {6: Phase.AUCTION}
    assert facts.marks == {6: Mark(123, 500)}
    assert facts.applied == 0


def test_tail_frames_that_look_like_commands_are_none() -> None:
    """A second frame of LIMITS may hold any bytes; a broken one is refused, and answered."""
    tail = bytearray(build.admin(CommandKind.KILL_SWITCH, scope=3, state=1))
    limits = build.frame(
        "tc_limits", kind=CommandKind.LIMITS, cont=1, scope=1, account_id=8, mask=4,
        max_position_qty=55,
    )  # fmt: skip
    broken = limits[:10] + b"\x00" + limits[11:64]
    whole = limits[:64] + bytes(tail[:40]) + limits[104:]
    real = build.admin(CommandKind.KILL_SWITCH, scope=1, account_id=8, state=1)
    record = encode(seal(broken + whole + real, source=SOURCE, first_seq=9))
    batch = batch_of(
        answer(EventKind.REJECTED, CommandKind.LIMITS, status=102),
        answer(EventKind.DONE, CommandKind.LIMITS, account_id=8),
        answer(EventKind.DONE, CommandKind.KILL_SWITCH, account_id=8),
        source=SOURCE,
    )
    facts = Facts()
    facts.take(batch, record, SOURCE)
    assert facts.killed == {account_node(8): True}
    assert facts.position_limits == {account_node(8): 55}
    assert facts.applied == 11  # three commands from 9 on


def test_state_equals_a_naive_reading_of_the_same_log() -> None:
    world = RiskWorld()
    world.open({account: account % 3 for account in range(1, 7)})
    draw = random.Random(11)
    world.mark(10_000)
    for _ in range(120):
        world.order(draw.randint(1, 6), draw.randint(1, 2), draw.randint(1, 40),
                    10_000 + draw.randint(-5, 5))  # fmt: skip
    state = world.state()
    batches = world.read("executions", world.cell.source)
    records = world.log.of("trading-commands")
    state.take(batches, [records[batch.in_offset][1] for batch in batches])
    held = {
        account: position.qty
        for account in range(1, 7)
        for position in world.cell.engine.account(account).positions
    }
    figures = state.figures(list(held))
    m = PERP.multiplier
    firm, *rest = figures.nodes
    assert firm.gross == sum(abs(qty) for qty in held.values()) * 10_000 * m
    assert firm.net == 0
    by_name = {(one.scope, one.id): one for one in rest}
    for group in (1, 2):
        mine = [qty for account, qty in held.items() if account % 3 == group]
        assert by_name["group", group].net == sum(mine) * 10_000 * m
    for account, qty in held.items():
        assert by_name["account", account].net == qty * 10_000 * m
    assert figures.seq == batches[-1].end_seq
    # Another moment is another seed, the same moment the same.
    for second in range(2, 30):
        state.history.note(second * 10**9, 10**9, {PERP.instrument_id: 10_000 + second % 5})
    now = state.figures(list(held))
    assert state.figures(list(held)) == now
    state.seq += 1
    assert [one.tails for one in state.figures(list(held)).nodes[1:]] != [
        one.tails for one in now.nodes[1:]
    ]
    assert ("group", 0) not in by_name
