"""Auto-deleverage: who is cut, at which price, and where the rounding goes.

Rules: docs/reference/margin.md section 5, closing out. The victim's five rounds find an empty book.
"""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from linear_venue import CASH, INSURANCE, OTHER, PERP, Venue
from tradecore.codes import CommandKind

RICH = 1_000_000


def shock(v: Venue, px: int) -> list[str]:
    """Mark until the rounds are used up; return what followed the last closing order."""
    lines: list[str] = []
    for _ in range(5):
        lines = v.mark(px)
    last = max(i for i, x in enumerate(lines) if "IOC_REMAINDER" in x)
    return lines[last + 1 :]


def test_most_leveraged_winner_is_cut_first_at_the_bankruptcy_price() -> None:
    v = Venue({1: 20_000, 2: RICH, 3: 100_000})
    v.mark(1000)
    v.trade(1, 2, 60, 1000)
    v.trade(1, 3, 40, 1000)
    # 20,000 of cash is gone at 800. Both winners have a profit ratio of 0.21; 3 has more leverage.
    assert shock(v, 790) == [
        "ACCOUNT_STATE 1 cross LIQ_REDUCE > BACKSTOP eq -1000 im 7900 mm 3950 STATE_DONE",
        "FILL 1/3 sell 40@800 A ADL",
        "SETTLED 1 sell cash -8000 fee 0 qty 60 realised -8000",
        "SETTLED 3 buy cash 8000 fee 0 qty 0 realised 8000",
        "FILL 1/2 sell 60@800 A ADL",
        "SETTLED 1 sell cash -12000 fee 0 qty 0 realised -12000",
        "SETTLED 2 buy cash 12000 fee 0 qty 0 realised 12000",
        "ACCOUNT_STATE 1 cross BACKSTOP > NORMAL eq 0 im 0 mm 0 STATE_DONE",
    ]
    assert (v.wallet(1).total, v.wallet(2).total, v.wallet(3).total) == (0, RICH + 12_000, 108_000)


def test_bankruptcy_price_of_a_long_is_rounded_up_and_the_rest_collected() -> None:
    v = Venue({1: 20_050, 2: RICH})
    v.mark(1000)
    v.trade(1, 2, 100, 1000)
    # (100,000 - 20,050) / 100 = 799.5.
    assert shock(v, 790)[1:] == [
        "FILL 1/2 sell 100@800 A ADL",
        "SETTLED 1 sell cash -20000 fee 0 qty 0 realised -20000",
        "SETTLED 2 buy cash 20000 fee 0 qty 0 realised 20000",
        "BALANCE 1 -50 = 0 ADL",
        "ACCOUNT_STATE 1 cross BACKSTOP > NORMAL eq 0 im 0 mm 0 STATE_DONE",
    ]
    assert v.engine.ledger(CASH)["fees"] == 50


def test_bankruptcy_price_of_a_short_is_rounded_down() -> None:
    v = Venue({1: 20_050, 2: RICH, INSURANCE: 0}, insurance_account=INSURANCE)
    v.mark(1000)
    v.trade(2, 1, 100, 1000)
    # (20,050 + 100,000) / 100 = 1200.5; the insurance account is empty but takes the rest.
    assert shock(v, 1210)[1:] == [
        "FILL 1/2 buy 100@1200 A ADL",
        "SETTLED 1 buy cash -20000 fee 0 qty 0 realised -20000",
        "SETTLED 2 sell cash 20000 fee 0 qty 0 realised 20000",
        "BALANCE 1 -50 = 0 ADL",
        "BALANCE 9 +50 = 50 ADL",
        "ACCOUNT_STATE 1 cross BACKSTOP > NORMAL eq 0 im 0 mm 0 STATE_DONE",
    ]


def test_insurance_pays_to_its_last_unit() -> None:
    for funds, taken in ((1000, True), (999, False)):
        v = Venue({1: 20_000, 2: RICH, INSURANCE: funds}, insurance_account=INSURANCE)
        v.mark(1000)
        v.trade(1, 2, 100, 1000)
        lines = shock(v, 790)
        assert ("FILL 1/9 sell 100@790 L BACKSTOP" in lines) is taken
        assert ("FILL 1/2 sell 100@800 A ADL" in lines) is not taken
        assert v.wallet(INSURANCE).total == (0 if taken else 999)


def test_without_insurance_a_solvent_pool_is_deleveraged_too() -> None:
    v = Venue({1: 20_000, 2: RICH})
    v.mark(1000)
    v.trade(1, 2, 100, 1000)
    # Equity 3000 at 830, below maintenance: the winner buys at 800 and keeps the difference.
    assert shock(v, 830)[1:4] == [
        "FILL 1/2 sell 100@800 A ADL",
        "SETTLED 1 sell cash -20000 fee 0 qty 0 realised -20000",
        "SETTLED 2 buy cash 20000 fee 0 qty 0 realised 20000",
    ]


def test_losers_come_last_and_equals_by_account() -> None:
    v = Venue({1: 22_000, 2: RICH, 3: RICH, 4: RICH, 5: RICH})
    v.mark(1000)
    for account in (4, 3, 5):
        v.trade(1, account, 25, 1000)
    v.trade(1, 2, 25, 700)
    # Cost 92,500 and 22,000 of cash: bankruptcy at 705. At 720 account 2, short at 700, is losing;
    # the others are equal in everything but their number.
    lines = [x for x in shock(v, 720) if x.startswith("FILL")]
    assert lines == [
        "FILL 1/3 sell 25@705 A ADL",
        "FILL 1/4 sell 25@705 A ADL",
        "FILL 1/5 sell 25@705 A ADL",
        "FILL 1/2 sell 25@705 A ADL",
    ]


def test_pool_of_two_instruments_is_emptied_in_order() -> None:
    v = Venue({1: 20_000, 2: RICH})
    v.linear(OTHER)
    v.mark(1000)
    v.mark(500, OTHER)
    v.trade(1, 2, 50, 1000)
    v.trade(2, 1, 100, 500, OTHER)
    v.mark(600, OTHER)
    # Loss 10,000 on OTHER. At 750 on PERP another 12,500: equity -2500.
    # PERP closes 50 at ceil((50,000 - (20,000 - 10,000)) / 50) = 800, which makes the pool whole;
    # OTHER then closes at its mark.
    fills = [x for x in shock(v, 750) if x.startswith(("FILL", "BALANCE", "ACCOUNT"))]
    assert fills == [
        "ACCOUNT_STATE 1 cross LIQ_REDUCE > BACKSTOP eq -2500 im 9750 mm 4875 STATE_DONE",
        "FILL 1/2 sell 50@800 A ADL",
        "FILL 1/2 buy 100@600 A ADL",
        "ACCOUNT_STATE 1 cross BACKSTOP > NORMAL eq 0 im 0 mm 0 STATE_DONE",
    ]


def test_forced_fills_are_no_prints() -> None:
    v = Venue({1: 20_000, 2: RICH})
    v.mark(1000)
    v.trade(1, 2, 100, 1000)
    dormant = v.engine.stop(2, PERP, 2, 900, 1, px=890)
    shock(v, 790)
    assert v.engine.book(PERP).last_px == 1000
    assert v.engine.order(dormant.order_id) is not None


@given(
    st.lists(
        st.tuples(
            st.integers(1, 1 << 22), st.integers(900, 1 << 24), st.integers(1 << 54, 1 << 55)
        ),
        min_size=2,
        max_size=6,
    )
)
def test_rank_equals_exact_fractions(winners: list[tuple[int, int, int]]) -> None:
    """Shorts of random size, entry price and cash: the products to compare reach 2^200."""
    shorts = {10 + i: row for i, row in enumerate(winners)}
    v = Venue({1: 1 << 60} | {account: cash for account, (_, _, cash) in shorts.items()})
    top = max(px for _, px, _ in winners)
    v.mark(top)
    for account, (qty, px, _) in shorts.items():
        v.trade(1, account, qty, px)
    lots = sum(qty for qty, _, _ in winners)
    # Leave account 1 with nothing but its open loss at mark 800.
    v.mark(800)
    wallet = v.wallet(1)
    spend = wallet.total + wallet.upnl - (lots * 800) // 10
    v.admin(CommandKind.WITHDRAW, account_id=1, asset_id=CASH, amount=spend)
    mark = 700
    scores = {}
    for account, (qty, px, cash) in shorts.items():
        profit = qty * (px - mark)
        scores[account] = Fraction(profit, qty * px) * Fraction(qty * mark, cash + profit)
    expected = sorted(shorts, key=lambda account: (-scores[account], account))
    fills = [x for x in shock(v, mark) if x.startswith("FILL")]
    assert [int(x.split("/")[1].split()[0]) for x in fills] == expected
