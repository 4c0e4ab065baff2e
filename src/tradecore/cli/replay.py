"""`tradecore replay`: recorded order flow through the engine."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from tradecore.cli.feeds import Feed, Until, open_feed
from tradecore.cli.parser import Commands, new_command
from tradecore.cli.replay_run import Pace, Replay
from tradecore.cli.screen import FileProgress, Screen, rate_text, short_name, size_text
from tradecore.cli.words import clock_text, ladder_rows
from tradecore.engine import LevelView
from tradecore.errors import ConfigError

__all__ = ["add", "run"]

_LADDER_LEVELS: Final = 5
_REDRAW_S: Final = 0.2

_DESCRIPTION = """\
Replay recorded order flow through the engine and say what came out. The format is recognised by the
content, never by the name:

  LOBSTER day       zip with message and orderbook files; the book is seeded and kept to the levels
                    that the file shows, runs of executions become one aggressive order each
  binary workload   MEBW order files, plain, .gz or .zst
  ITCH 5.0          NASDAQ TotalView, length-prefixed or plain; executions become aggressive orders
  journal           a folder (or one segment) that tradecore wrote: commands as they were, so the
                    state hash must come out as it was

Printed: rows of the file, commands made of them, events and fills that came out, refusals by
reason, commands per second (divided by the time spent inside Engine.apply, one thread), peak
memory of the process, the final book of the busiest instrument, and the state hash: equal inputs
give an equal hash on every machine."""

_EXAMPLES = """\
  tradecore replay LOBSTER_SampleFile_AMZN_2012-06-21_5.zip
  tradecore replay day.zip --until 10:30 --plot day.png
  tradecore replay day.zip --speed 60          a minute of the day in a second, live
  tradecore replay orders.bin.gz --until 10000
  tradecore replay log --json                  a journal, for a program"""


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = new_command(
        commands, "replay", "replay recorded order flow through the engine", _DESCRIPTION, _EXAMPLES
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="file, or folder of a journal")
    parser.add_argument(
        "--until",
        type=_until,
        default=Until(),
        metavar="N|T",
        help="stop after N rows, or at time T (HH:MM, HH:MM:SS or HH:MM:SS.fff of the file's day)",
    )
    parser.add_argument(
        "--speed",
        type=_speed,
        default=None,
        metavar="N|max",
        help="N times as fast as it happened, shown live; max: as fast as possible (default)",
    )
    parser.add_argument("--plot", metavar="FILE", help="picture of the book and the price")
    parser.add_argument(
        "--config", metavar="FILE", help="engine configuration of a journal (engine.json)"
    )
    parser.add_argument("--plain", action="store_true", help="plain lines even at a terminal")
    parser.set_defaults(run=run)


_CLOCK: Final = re.compile(r"(\d{1,2}):([0-5]\d)(?::([0-5]\d)(?:\.(\d{1,9}))?)?", re.ASCII)


def _until(text: str) -> Until:
    """Read a number of rows or a time of day."""
    if re.fullmatch(r"\d[\d_]*", text, re.ASCII) and int(text) > 0:
        return Until(rows=int(text))
    match = _CLOCK.fullmatch(text)
    if match is None or int(match[1]) > 24:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a number of rows (1, 2, ...) nor a time HH:MM[:SS[.fff]]"
        )
    hours, minutes, seconds, fraction = match.groups()
    whole = (int(hours) * 60 + int(minutes)) * 60 + int(seconds or 0)
    return Until(ts_ns=whole * 10**9 + int((fraction or "").ljust(9, "0")))


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is neither 'max' nor a number above 0")
    return value


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Replay every file, each through an engine of its own."""
    if args.plot:
        from tradecore.report import check_target

        check_target(args.plot)
        if len(args.files) > 1:
            raise ConfigError("--plot draws one file; replay several one by one")
    results = []
    for index, path in enumerate(args.files):
        if index:
            screen.line()
        results.append(_one(path, args, screen))
    screen.result(results if len(results) > 1 else results[0])
    return 0


def _one(path: str, args: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    with screen.progress(f"reading {short_name(path)}", 1) as bar:
        until = _on_its_clock(path, args.until)
        feed = open_feed(path, until, args.config, FileProgress(bar, "reading"))
    if args.speed is not None and not feed.timed:
        raise ConfigError(f"{path}: has no times, so --speed has nothing to go by; leave it out")
    pace = None if args.speed is None else Pace(args.speed)
    replay = Replay(feed, pace, sampling=bool(args.plot))
    if args.speed is not None and screen.is_rich:
        from tradecore.cli.live_replay import ReplayView

        with ReplayView(screen.console, replay, args.speed) as view:
            replay.run(view.show)
    else:
        with screen.progress(f"replaying {short_name(path)}", feed.rows or 1) as bar:
            replay.run(_reporter(bar, feed))
    document = replay.document()
    if not args.plot:
        _describe(replay, document, screen)
        return document
    try:
        _plot(replay, args.plot)
        document["plot"] = args.plot
    finally:
        # Also when the picture cannot be written: what was found is not lost with it.
        _describe(replay, document, screen)
    return document


def _on_its_clock(path: str, until: Until) -> Until:
    """Turn a time of day into the journal's log time: that clock time of its first day."""
    from tradecore.cli.journal_files import first_time, is_journal

    if until.ts_ns is None or not is_journal(Path(path)):
        return until
    begin = first_time(Path(path))
    day = begin - begin % (86_400 * 10**9)
    return Until(ts_ns=day + until.ts_ns)


def _reporter(bar: Any, feed: Feed) -> Callable[[Replay], None]:
    state = {"rows": 0, "next": time.perf_counter() + _REDRAW_S}

    def shown(replay: Replay) -> None:
        now = time.perf_counter()
        if now >= state["next"] and feed.rows:
            bar.advance(replay.rows - state["rows"])
            state.update(rows=replay.rows, next=now + _REDRAW_S)

    return shown


def _describe(replay: Replay, document: dict[str, Any], screen: Screen) -> None:
    if screen.json:
        return
    feed = replay.feed
    screen.heading(f"{feed.path}: {feed.kind}")
    refused = ", ".join(f"{name} {n:,}" for name, n in list(document["refused"].items())[:4])
    fills = f"{replay.fills:,} fills"
    if len(replay.traded) > 1:
        fills += f" in {len(replay.traded):,} instruments"
    pairs = [
        ("rows", f"{replay.rows:,}"),
        ("commands", f"{replay.commands:,} -> {replay.events:,} events, {fills}"),
        ("refused", refused or "none"),
        (
            "engine",
            f"{rate_text(document['commands_per_s'])} ({replay.engine_s:.3f} s in Engine.apply, "
            f"{replay.elapsed_s + feed.prepare_s:.2f} s in all)",
        ),
        ("memory", f"{size_text(document['peak_memory_bytes'])} peak of the process"),
        ("open orders", f"{document['open_orders']:,}"),
    ]
    if feed.timed:
        pairs.append(("log time", clock_text(replay.ts_ns)))
    pairs += [("note", note) for note in document["notes"]]
    if "plot" in document:
        pairs.append(("plot", document["plot"]))
    screen.pairs(pairs)
    if (book := document["book"]) is not None and not book["bids"] and not book["asks"]:
        screen.line(f"  the book of {book['symbol']} is empty at the end")
    elif book is not None:
        last = f"last {feed.px_text(book['last_px'])}" if book["last_px"] else "no trade"
        screen.heading(f"{book['symbol']}, final book ({last})")
        bids, asks = ([LevelView(*level) for level in book[side]] for side in ("bids", "asks"))
        rows = ladder_rows(bids, asks, _LADDER_LEVELS, feed.px_text)
        screen.table(("orders", "qty", "bid", "ask", "qty", "orders"), rows)
    screen.line()
    screen.line(f"state hash {document['state_hash']}")


def _plot(replay: Replay, target: str) -> None:
    from tradecore.report import MarketPicture, draw_market, save

    feed, samples = replay.feed, replay.samples
    scale = 10.0**-feed.px_decimals
    at = np.array([sample[0] for sample in samples], np.float64)
    seconds = (at - at[0]) / 1e9 if feed.timed and len(at) else at
    last = np.array([sample[1] for sample in samples], np.float64) * scale
    last[last == 0] = np.nan  # nothing had traded yet
    name = feed.name(replay.focus)
    picture = MarketPicture(
        title=f"{Path(feed.path).name}: {replay.commands:,} commands, {replay.fills:,} fills",
        seconds=seconds,
        prices={name: last},
        equity={},
        depth_name=name,
        depth_tick=scale,
        depth_seconds=seconds.tolist(),
        depth=[(bids, asks) for _, _, bids, asks in samples],
        unit="seconds of log time" if feed.timed else "rows",
    )
    save(draw_market(picture), target, picture.title)
