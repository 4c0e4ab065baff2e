"""What the demo says at the end: tables for people, a document for programs, a picture."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from tradecore.agents import CLASSES
from tradecore.agents.spec import CASH_DECIMALS
from tradecore.cli.proof import Audit
from tradecore.cli.screen import Screen, rate_text
from tradecore.cli.session import Session
from tradecore.cli.words import cash_text, clock_text, ladder_rows, status_name
from tradecore.codes import EventKind, Phase
from tradecore.engine import BookView

if TYPE_CHECKING:
    from tradecore.report import MarketPicture

__all__ = ["describe", "document", "picture"]

_DOLLAR = 10**CASH_DECIMALS
_LADDER_LEVELS = 6


def document(
    session: Session,
    second: Session,
    audit: Audit,
    state: str,
    second_state: str,
    elapsed: float,
) -> dict[str, Any]:
    """Return the result of a demo as plain data; money in dollars, times in seconds."""
    score = session.score
    pnl, fees = score.by_class(score.pnl()), score.by_class(score.fees)
    return {
        "seed_state": {"accounts": session.spec.accounts, "instruments": len(session.spec.plans)},
        "steps": session.steps,
        "commands": session.commands,
        "events": session.events,
        "fills": int(session.kinds[EventKind.FILL]),
        "refusals": {status_name(code): n for code, n in session.refusals.most_common()},
        "liquidated_accounts": len(session.liquidated),
        "engine_s": session.engine_s,
        "make_commands_s": session.make_s,
        "read_events_s": session.look_s,
        "elapsed_s": elapsed,
        "engine_commands_per_s": session.commands / max(session.engine_s, 1e-9),
        "second_run_engine_commands_per_s": second.commands / max(second.engine_s, 1e-9),
        "instruments": [
            {
                "symbol": plan.symbol,
                "last_px": int(score.last_px[at]),
                "fills": int(score.fills[at]),
                "turnover": int(score.notional[at]) / _DOLLAR,
            }
            for at, plan in enumerate(session.market.plans)
        ],
        "participants": [
            {
                "class": name,
                "accounts": session.market.people.size(index),
                "turnover": int(score.class_notional[index]) / _DOLLAR,
                "fees": int(fees[index]) / _DOLLAR,
                "pnl": int(pnl[index]) / _DOLLAR,
            }
            for index, name in enumerate(CLASSES)
        ],
        "pnl_plus_fees": int(score.pnl().sum() + score.fees.sum()),
        "audit": audit.words(),
        "conservation_ok": audit.imbalance == 0,
        "holds_ok": audit.holds_ok,
        "state_hash": state,
        "second_state_hash": second_state,
        "ok": audit.ok and state == second_state,
    }


def describe(
    session: Session,
    second: Session,
    books: dict[str, BookView],
    report: dict[str, Any],
    screen: Screen,
) -> None:
    """Print the report for people."""
    if screen.json:
        return
    _markets(session, screen)
    first = session.market.plans[0]
    screen.heading(f"{first.symbol} book before the close, best prices of each side")
    book = books[first.symbol]
    rows = ladder_rows(book.bids, book.asks, _LADDER_LEVELS, first.px_text)
    screen.table(("orders", "lots", "bid", "ask", "lots", "orders"), rows)
    _participants(session, screen)
    _pace(session, second, report, screen)


def _markets(session: Session, screen: Screen) -> None:
    score = session.score
    screen.heading("markets")
    screen.table(
        ("", "last", "change", "fills", "turnover USD"),
        [
            (
                plan.symbol,
                plan.px_text(int(score.last_px[at])),
                f"{score.last_px[at] / plan.first_px - 1:+.2%}",
                f"{int(score.fills[at]):,}",
                cash_text(int(score.notional[at])),
            )
            for at, plan in enumerate(session.market.plans)
        ],
    )
    start = session.history.at_ns[0] - session.spec.step_ns
    for step, at, phase in session.history.halts:
        if 0 < step < session.steps - 1:
            when = clock_text(start + step * session.spec.step_ns)
            name = session.market.plans[at].symbol
            words = {Phase.HALTED: "halted by its breaker", Phase.AUCTION: "call auction"}
            screen.line(f"  {when}  {name}: {words.get(Phase(phase), 'trading again')}")


def _participants(session: Session, screen: Screen) -> None:
    score, people = session.score, session.market.people
    each = score.pnl()
    totals, fees = score.by_class(each), score.by_class(score.fees)
    rows = []
    for index, name in enumerate(CLASSES):
        members = each[people.first[index] : people.last[index]]
        rows.append(
            (
                name,
                f"{people.size(index):,}",
                cash_text(int(score.class_notional[index])),
                cash_text(int(fees[index])),
                cash_text(int(totals[index]), sign=True),
                cash_text(int(members.max()), sign=True),
                cash_text(int(members.min()), sign=True),
            )
        )
    screen.heading("participants, USD (PnL at the last prices, after fees)")
    columns = ("", "accounts", "turnover", "fees", "PnL", "best", "worst")
    screen.table(columns, rows)
    insurance = int(totals[len(CLASSES)])
    exact = "adds up exactly" if report_balance(session) == 0 else "DOES NOT ADD UP"
    screen.line(f"  PnL of all + fees = {report_balance(session)} units: {exact}")
    screen.line(
        f"  liquidated accounts {len(session.liquidated)}, "
        f"insurance account {cash_text(insurance, sign=True)}"
    )


def report_balance(session: Session) -> int:
    """Return PnL plus fees of everybody, in quote units: 0 when the books are right."""
    return int(session.score.pnl().sum() + session.score.fees.sum())


def _pace(session: Session, second: Session, report: dict[str, Any], screen: Screen) -> None:
    screen.heading("throughput (one thread; risk, matching and settlement in every command)")
    refusals = ", ".join(f"{name} {n:,}" for name, n in list(report["refusals"].items())[:4])
    screen.pairs(
        [
            (
                "commands",
                f"{session.commands:,} -> {session.events:,} events, {report['fills']:,} fills",
            ),
            (
                "engine",
                f"{rate_text(report['engine_commands_per_s'])} first run, "
                f"{rate_text(report['second_run_engine_commands_per_s'])} second run",
            ),
            (
                "first run",
                f"making commands {session.make_s:.1f} s, engine {session.engine_s:.1f} s, "
                f"reading events {session.look_s:.1f} s",
            ),
            ("refused", refusals or "none"),
            *_busy(),
            *([("plot", report["plot"])] if "plot" in report else []),
            *(
                [("journal", f"{report['journal']['folder']}, replayed to the same hash")]
                if report.get("journal", {}).get("state_hash") == report["state_hash"]
                else []
            ),
        ]
    )


def _busy() -> list[tuple[str, str]]:
    """Return a remark where other work on the machine makes the times longer than they need be."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load <= 1.25 * cores:
        return []
    return [
        ("note", f"the machine is busy (load {load:.1f} on {cores} cores): read times with care")
    ]


def picture(session: Session, title: str) -> MarketPicture:
    """Return what the plot shows."""
    from tradecore.report import MarketPicture

    history, plans = session.history, session.market.plans
    at_ns = np.array(history.at_ns, np.int64)
    seconds = (at_ns - at_ns[0]) / 1e9
    px = np.array(history.px, np.float64)
    pnl = np.array(history.pnl, np.float64) / _DOLLAR
    first = plans[0]
    return MarketPicture(
        title=title,
        seconds=seconds,
        prices={plan.symbol: px[:, i] * plan.tick_size / 1e6 for i, plan in enumerate(plans)},
        equity={name: pnl[:, i] for i, name in enumerate(CLASSES)},
        depth_name=first.symbol,
        depth_tick=first.tick_size / 1e6,
        depth_seconds=[float(seconds[step]) for step, _, _ in history.depth],
        depth=[(bids, asks) for _, bids, asks in history.depth],
    )
