"""Rules of risk, each by an example worked out by hand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tradecore.codes import CellKind, CommandKind, EventKind, Phase
from tradecore.dtypes import ADMIN, EVENT, LIMITS, QUOTE_EVENT
from tradecore.risk import FINDING, Quotes, Rule
from tradecore.risk.breakers import Breakers
from tradecore.risk.facts import Facts, Mark
from tradecore.risk.frames import kill_switch, mark_price, position_limit, set_phase
from tradecore.risk.limits import Limits
from tradecore.risk.marks import Quote, bounded_step, quoted_px
from tradecore.risk.nodes import FIRM, account_node, group_node, split
from tradecore.risk.policy import BreakerPolicy, MarkPolicy, NodePolicy
from tradecore.risk.values import Amounts, Totals
from tradecore.status import Status

MS = 1_000_000
NOTHING = Amounts(0, 0, 0)


# ------------------------------------------------------------------------------------------- marks
@pytest.mark.parametrize(
    ("quote", "last", "expected"),
    [
        (Quote(99, 1, 102, 1), 0, 100),  # floor(100.5)
        (Quote(99, 0, 102, 1), 0, 0),  # nobody buys
        (Quote(99, 1, 102, 0), 7, 0),  # nobody sells
        (Quote(103, 1, 102, 1), 0, 0),  # crossed, as in an auction
        (Quote(100, 1, 100, 1), 0, 100),
        (Quote(50, 1, 150, 1), 0, 100),  # wide, but nothing has traded
        (Quote(50, 1, 150, 1), 120, 120),  # wide: the last trade
        (Quote(50, 1, 150, 1), 160, 150),  # brought inside
        (Quote(50, 1, 150, 1), 40, 50),
        (Quote(97, 1, 102, 1), 160, 102),  # 5 of 99 is more than 5 %
    ],
)
def test_quote_to_price(quote: Quote, last: int, expected: int) -> None:
    assert quoted_px(quote, last, 50_000) == expected


def test_spread_at_its_limit_is_not_wide() -> None:
    # 5 of 100 is 5 % exactly; the middle of 98 and 103 is 100.5, rounded down.
    assert quoted_px(Quote(98, 1, 103, 1), 160, 50_000) == 100


@pytest.mark.parametrize(
    ("before", "goal", "expected"),
    [
        (0, 500, 500),  # the first mark is what it is
        (1_000, 1_005, 1_005),
        (1_000, 1_200, 1_010),  # 1 % of 1,000
        (1_000, 800, 990),
        (50, 70, 51),  # less than a tick: a tick
        (1, 0, 1),
        (1 << 56, (1 << 56) + 5, 1 << 56),
    ],
)
def test_step_of_a_mark_is_bounded(before: int, goal: int, expected: int) -> None:
    assert bounded_step(before, goal, 10_000) == expected


def quote_frames(
    *rows: tuple[int, int, int, int, int],
) -> npt.NDArray[np.void]:
    frames = np.zeros(len(rows), QUOTE_EVENT)
    frames["kind"] = CellKind.QUOTE
    for name, column in zip(
        ("instrument_id", "bid_px", "bid_qty", "ask_px", "ask_qty"), zip(*rows, strict=True),
        strict=True,
    ):  # fmt: skip
        frames[name] = column
    return frames.view(EVENT)


def test_marks_are_due_by_time_change_and_phase() -> None:
    quotes = Quotes()
    quotes.note_frames(quote_frames((1, 99, 1, 101, 1), (1, 109, 1, 111, 1), (2, 9, 1, 11, 1)))
    policy = MarkPolicy(interval_ms=100, step_ppm=1_000_000, refresh_ms=1_000)
    facts = Facts(now_ns=10_000 * MS, phases={1: Phase.CONTINUOUS, 2: Phase.HALTED})

    def due() -> list[int]:
        return [
            int(np.frombuffer(one.frames, ADMIN)[0]["mark_px"])
            for one in quotes.wishes(policy, facts, {}, [1, 2, 3])
        ]

    assert due() == [110]  # the newest quote; 2 is halted, 3 unknown
    facts.marks[1] = Mark(108, facts.now_ns - 99 * MS)
    assert due() == []
    facts.marks[1] = Mark(108, facts.now_ns - 100 * MS)
    assert due() == [110]
    facts.marks[1] = Mark(110, facts.now_ns - 999 * MS)
    assert due() == []
    facts.marks[1] = Mark(110, facts.now_ns - 1_000 * MS)
    assert due() == [110]
    quotes.forget()
    assert due() == []


def test_shock_holds_and_then_walks_back() -> None:
    quotes = Quotes()
    quotes.note_frames(quote_frames((1, 99, 1, 101, 1)))
    policy = MarkPolicy(step_ppm=100_000)
    facts = Facts(now_ns=5_000 * MS, phases={1: Phase.CONTINUOUS}, marks={1: Mark(100, 0)})
    quotes.shock(1, 60, 6_000 * MS)
    assert quotes.wishes(policy, facts, {}, [1]) == [mark_price(1, 60)]
    facts.marks[1] = Mark(60, 5_500 * MS)
    facts.now_ns = 6_000 * MS
    assert quotes.wishes(policy, facts, {}, [1]) == [mark_price(1, 66)]


# ---------------------------------------------------------------------------------------- breakers
def test_volatility_is_the_mean_square_of_returns() -> None:
    policy = BreakerPolicy(volatility_ppm=10_000, window_ms=1_000)
    breakers = Breakers()
    phases = {1: int(Phase.CONTINUOUS)}
    # +1 %, -0.99 %: squares 10_000**2 and 9_901**2 (rounded down): their mean is below the limit.
    for at, px in enumerate((10_000, 10_100, 10_000)):
        assert breakers.evaluate(policy, at * 100 * MS, {1: px}, phases) == []
    # One of 2 % more: (100_000_000 + 98_029_801 + 400_000_000) // 3
    (found,) = breakers.evaluate(policy, 300 * MS, {1: 10_200}, phases)
    assert (found.rule, found.observed, found.limit) == (
        Rule.VOLATILITY, (100_000_000 + 9_901**2 + 400_000_000) // 3, 100_000_000,
    )  # fmt: skip
    assert breakers.wishes(phases) == [set_phase(1, Phase.HALTED, Rule.VOLATILITY)]


def test_price_of_the_window_begins_with_the_one_valid_then() -> None:
    policy = BreakerPolicy(move_ppm=100_000, window_ms=1_000)
    breakers = Breakers()
    phases = {1: int(Phase.CONTINUOUS)}
    assert not breakers.evaluate(policy, 0, {1: 100}, phases)
    assert not breakers.evaluate(policy, 500 * MS, {1: 105}, phases)
    # The window (600, 1_600] began with 105: 111 is 5.7 % above that, 11 % above the first.
    assert not breakers.evaluate(policy, 1_600 * MS, {1: 111}, phases)
    (found,) = breakers.evaluate(policy, 1_700 * MS, {1: 116}, phases)
    assert (found.observed, found.limit) == (104_761, 100_000)


def test_breaker_sees_nothing_outside_of_continuous_trading() -> None:
    policy = BreakerPolicy(move_ppm=1, window_ms=1_000)
    breakers = Breakers()
    for phase in (Phase.AUCTION, Phase.HALTED, Phase.CLOSED, Phase.CANCEL_ONLY):
        for px in (100, 200):
            assert not breakers.evaluate(policy, 0, {1: px}, {1: int(phase)})


# ------------------------------------------------------------------------------------------ limits
def totals(firm: int = 0, **groups: int) -> Totals:
    return Totals(
        {},
        {int(name[1:]): Amounts(0, 0, profit) for name, profit in groups.items()},
        Amounts(0, 0, firm),
    )


def test_loss_is_counted_from_the_best_moment_of_the_window() -> None:
    policy = NodePolicy(firm_drawdown=100, window_ms=1_000)
    limits, facts = Limits(), Facts(now_ns=100 * MS)
    assert not limits.evaluate(policy, facts, totals(firm=-500))  # where we begin is no loss
    assert not limits.evaluate(policy, facts, totals(firm=40))
    assert not limits.evaluate(policy, facts, totals(firm=-60))  # 100 lost: at the limit
    facts.now_ns = 1_100 * MS
    assert not limits.evaluate(policy, facts, totals(firm=-70))  # another window begins
    assert not limits.evaluate(policy, facts, totals(firm=-170))
    (found,) = limits.evaluate(policy, facts, totals(firm=-171))
    assert (found.rule, found.observed, found.limit, found.scope) == (
        Rule.FIRM_DRAWDOWN, 101, 100, 3,
    )  # fmt: skip
    assert limits.wishes(facts) == [kill_switch(FIRM, True, Rule.FIRM_DRAWDOWN)]
    facts.killed[FIRM] = True
    assert limits.wishes(facts) == []


def test_each_group_has_its_own_loss() -> None:
    policy = NodePolicy(group_drawdown=10)
    limits, facts = Limits(), Facts()
    limits.evaluate(policy, facts, totals(g1=0, g2=0))
    (found,) = limits.evaluate(policy, facts, totals(g1=-10, g2=-11))
    assert (found.rule, found.group_id, found.observed) == (Rule.GROUP_DRAWDOWN, 2, 11)
    assert [one.subject for one in limits.wishes(facts)] == [group_node(2)]


def gross(account: int, amount: int) -> Totals:
    return Totals({account: Amounts(amount, 0, 0)}, {}, NOTHING)


def test_operator_who_sets_a_limit_is_left_alone() -> None:
    policy = NodePolicy(account_gross=100, release_ppm=500_000)
    limits, facts = Limits(), Facts()
    node = account_node(5)
    assert limits.evaluate(policy, facts, gross(5, 101))[0].rule == Rule.ACCOUNT_GROSS
    assert limits.wishes(facts) == [position_limit(node, 1, Rule.ACCOUNT_GROSS)]
    facts.position_limits[node] = 1
    limits.evaluate(policy, facts, gross(5, 101))
    facts.position_limits[node] = 7_000
    for amount in (101, 500, 60):
        assert not limits.evaluate(policy, facts, gross(5, amount))
        assert limits.wishes(facts) == []
    # Below the release level its reason has gone once, and the rule holds again.
    assert limits.evaluate(policy, facts, gross(5, 49)) == []
    assert limits.wishes(facts) == []
    assert limits.evaluate(policy, facts, gross(5, 101))[0].rule == Rule.ACCOUNT_GROSS
    assert limits.wishes(facts) == [position_limit(node, 1, Rule.ACCOUNT_GROSS)]


# ------------------------------------------------------------------------------------------ frames
def test_nodes_are_taken_apart_again() -> None:
    assert split(account_node(0)) == (1, 0, 0)
    assert split(account_node(0xFFFFFFFF)) == (1, 0xFFFFFFFF, 0)
    assert split(group_node(9)) == (2, 0, 9)
    assert split(FIRM) == (3, 0, 0)


def test_limit_command_names_one_field_only() -> None:
    row = np.frombuffer(position_limit(group_node(4), 1, Rule.GROUP_GROSS).frames, LIMITS)[0]
    assert (row["kind"], row["cont"], row["mask"], row["scope"], row["group_id"]) == (
        CommandKind.LIMITS, 1, 4, 2, 4,
    )  # fmt: skip
    assert row["max_position_qty"] == 1


def test_codes_of_rules_and_of_findings_meet_no_others() -> None:
    """`status` and `kind` of a finding stand where the engine's codes stand: none may be both."""
    assert not {int(one) for one in Rule} & {int(one) for one in Status}
    assert all(600 <= one < 700 for one in Rule)
    assert FINDING not in {int(one) for one in (*EventKind, *CellKind)}
