"""`tradecore demo`: a simulated market through the whole engine, twice, to the same hash."""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from typing import Any

from tradecore.agents import MarketSpec
from tradecore.cli.demo_report import describe, document, picture
from tradecore.cli.parser import Commands, int_in, new_command
from tradecore.cli.proof import Audit, audit_engine
from tradecore.cli.screen import Screen, rate_text
from tradecore.cli.session import Frames, Session
from tradecore.cli.words import clock_text
from tradecore.dtypes import COMMAND
from tradecore.errors import ConfigError

__all__ = ["add", "run"]

_DEFAULT_PLOT = "tradecore-demo.png"

_DESCRIPTION = """\
Run a simulated market through the whole engine at full speed: risk checks, matching, settlement,
margin, liquidation. Makers quote ladders, informed takers pick off stale prices, momentum traders
follow trends on leverage with stops behind them, noise traders do as they like. There is an opening
and a closing call auction, and on the way one account dumps far too much at once, which trips the
circuit breaker.

Everything follows from the seed: the number of steps is fixed, not the time they take. The session
runs twice, and both runs must end in the same state hash. At a terminal the first run is shown
live; otherwise plain lines are printed.

What the report says: "engine" is commands divided by the time spent inside Engine.apply, one
thread; making the commands and reading the events (numpy) is shown apart. PnL is marked at the
last prices and adds up to minus the fees, which is checked to the last unit. "conservation": per
asset, all wallets plus fees plus clearing equal the deposits. "holds": after every order is
cancelled, nothing is held.
"""

_EXAMPLES = """\
  tradecore demo                               the default market; writes tradecore-demo.png
  tradecore demo --seed 42 --plot run.html     another market, as a page
  tradecore demo --accounts 20000 --seconds 300
  tradecore demo --journal log                 keep every command, then: tradecore replay log
  tradecore demo --json --plot none            for a program"""


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = new_command(
        commands, "demo", "run a simulated market through the engine", _DESCRIPTION, _EXAMPLES
    )
    parser.add_argument(
        "--seconds",
        type=int_in(1, 100_000),
        default=1_200,
        metavar="N",
        help="simulated seconds, each one step of up to 4,096 commands (default 1200)",
    )
    parser.add_argument(
        "--seed", type=int_in(0, (1 << 64) - 1), default=7, metavar="N", help="default 7"
    )
    parser.add_argument(
        "--instruments",
        type=int_in(1, 64),
        default=4,
        metavar="N",
        help="spot instruments and perpetuals in turn (default 4)",
    )
    parser.add_argument(
        "--accounts",
        type=int_in(20, 100_000),
        default=1_000,
        metavar="N",
        help="participants (default 1000)",
    )
    parser.add_argument(
        "--plot",
        metavar="FILE",
        help=f".png .svg .pdf .html of book and equity, or none; else {_DEFAULT_PLOT}",
    )
    parser.add_argument(
        "--journal", metavar="FOLDER", help="append every command to a new journal in this folder"
    )
    parser.add_argument("--plain", action="store_true", help="plain lines even at a terminal")
    parser.set_defaults(run=run)


def _target(wanted: str | None, screen: Screen) -> str | None:
    """Return where the plot goes, None for nowhere; a plot that was asked for must be possible."""
    from tradecore.report import check_target

    if wanted is not None:
        if wanted.lower() == "none":
            return None
        check_target(wanted)
        return wanted
    if importlib.util.find_spec("matplotlib") is None:
        screen.warn("no plot: matplotlib is not installed (pip install 'tradecore[research]')")
        return None
    try:
        check_target(_DEFAULT_PLOT)
    except ConfigError:
        screen.warn("no plot: the current folder cannot be written to; --plot FILE chooses another")
        return None
    return _DEFAULT_PLOT


def _spec(args: argparse.Namespace) -> MarketSpec:
    return MarketSpec(
        accounts=args.accounts, instruments=args.instruments, crash_step=args.seconds * 3 // 5
    )


def _first_run(session: Session, screen: Screen, title: str) -> None:
    """Run and show a session: live, or as a line every tenth."""
    if screen.is_rich and sys.stdout.isatty():
        from tradecore.cli.live import LiveView

        with LiveView(screen.console, title) as view:
            for done in session.run():
                view.show(session, done)
        return
    tenth = max(1, session.steps // 10)
    for done in session.run():
        if done % tenth == 0:
            plan = session.market.plans[0]
            pace = rate_text(session.commands / max(session.engine_s, 1e-9))
            screen.line(
                f"  {done / session.steps:4.0%}  {clock_text(session.market.view.now_ns)}  "
                f"{session.commands:>10,} commands  {session.events:>10,} events  engine {pace}  "
                f"{plan.symbol} {plan.px_text(int(session.score.last_px[0]))}"
            )


def _second_run(args: argparse.Namespace, screen: Screen) -> Session:
    """Run the same session again, from the seed, into a new engine."""
    session = Session(_spec(args), args.seed, args.seconds)
    with screen.progress("second run", session.steps) as bar:
        for _ in session.run():
            bar.advance(1)
        session.close()
    return session


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Run the demo."""
    target = _target(args.plot, screen)
    spec = _spec(args)
    size = f"{args.instruments} instruments, {args.accounts:,} accounts"
    title = f"tradecore demo: {size}, seed {args.seed}"
    begin = time.perf_counter()
    writer = _Writer(args.journal) if args.journal else None
    session = Session(spec, args.seed, args.seconds, writer.write if writer else None)
    if writer:
        writer.open(session)
    screen.line(title)
    try:
        _first_run(session, screen, title)
        books = {plan.symbol: session.engine.book(plan.instrument_id) for plan in spec.plans}
        session.close()
    finally:
        if writer:
            writer.close()
    audit = audit_engine(session.engine)
    state = session.engine.state_hash()
    second = _second_run(args, screen)
    second_state = second.engine.state_hash()
    replayed = writer.replay(session, screen) if writer else None
    elapsed = time.perf_counter() - begin
    report = document(session, second, audit, state, second_state, elapsed)
    if replayed is not None:
        report["journal"] = {"folder": args.journal, "state_hash": replayed}
    if target:
        _plot(session, target, title, report)
        report["plot"] = target
    screen.result(report)
    describe(session, second, books, report, screen)
    same = state == second_state and replayed in (None, state)
    balanced = int(session.score.pnl().sum() + session.score.fees.sum()) == 0
    screen.line()
    screen.line(_last_line(audit, state, same))
    return 0 if audit.ok and same and balanced else 1


def _last_line(audit: Audit, state: str, same: bool) -> str:
    again = "second run equal" if same else "SECOND RUN DIFFERS"
    return f"audit: {audit.words()}; state {state}; {again}"


def _plot(session: Session, target: str, title: str, report: dict[str, Any]) -> None:
    from tradecore.report import draw_market, save

    figure = draw_market(picture(session, title))
    keys = ("commands", "events", "fills", "engine_commands_per_s", "state_hash", "audit")
    text = "\n".join(f"{key}: {report[key]}" for key in keys)
    save(figure, target, title, text)


class _Writer:
    """Keeps the commands of a session in a new journal."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._journal: Any = None

    def open(self, session: Session) -> None:
        """Create the journal; one that exists is refused, because it holds another session."""
        from tradecore.cli.journal_files import create_journal

        self._journal = create_journal(self.folder, session.engine.config)

    def write(self, frames: Frames) -> None:
        """Append one batch and make it durable before the engine sees it."""
        self._journal.append(frames)
        self._journal.commit()

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            self._journal.close()

    def replay(self, session: Session, screen: Screen) -> str:
        """Replay the journal into a new engine and return its state hash."""
        from tradecore.engine import Engine
        from tradecore.journal import replay
        from tradecore.storage import read_segments

        engine = Engine(session.engine.config)
        with screen.progress("replaying the journal", session.commands) as bar:

            def apply(view: memoryview) -> None:
                engine.apply(view)
                bar.advance(len(view) / COMMAND.itemsize)

            replay(read_segments(self.folder), apply, accept="clean")
        return engine.state_hash()
