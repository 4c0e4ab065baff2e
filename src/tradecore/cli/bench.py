"""`tradecore bench`: the speed table of this machine, with everything needed to believe it."""

from __future__ import annotations

import argparse
import datetime
import time
from pathlib import Path
from typing import Any

from tradecore.cli.bench_verbs import VERBS, add_options
from tradecore.cli.parser import Commands, int_in, new_command
from tradecore.cli.screen import Screen
from tradecore.testing.results import Result, append_results

__all__ = ["add", "run"]

_QUICK_COMMANDS, _QUICK_SCALE, _QUICK_REPEATS = 100_000, 0.05, 3
_BUSY_LOAD = 0.5
_UNSAID = ("load_1m", "note", "input_sha256", "unquiet_starts")  # in the results, not on screen

_EXAMPLES = """\
  tradecore bench                         the whole table (several minutes; keep the machine quiet)
  tradecore bench --list                  what there is
  tradecore bench pipeline latency        two of them
  tradecore bench matching --quick        small inputs: does it run, not how fast
  tradecore bench --workload day.bin      a binary order workload of yours
  tradecore bench --append results.jsonl  keep the numbers
  tradecore bench compare old.jsonl new.jsonl --fail-above 8
  tradecore bench workloads               the inputs: hashes, shapes
  tradecore bench capacity --users 1000000 --html plan.html
  tradecore bench report results.jsonl --html page.html"""


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = new_command(
        commands,
        "bench",
        "measure speed, latency and memory",
        "Measure this build on this machine: medians of interleaved runs over seeded inputs, every "
        "event written. A source checkout with make and g++ also runs other designs in C++ in the "
        "same rounds. Each run must compute the same as the first, or the row is INVALID. Numbers "
        "from a busy machine say nothing: the load is shown, and a warning where it is high.",
        _EXAMPLES,
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="benchmarks, default all; or a verb: compare, workloads, capacity, report",
    )
    parser.add_argument("--list", action="store_true", help="name the benchmarks and stop")
    parser.add_argument(
        "--workload", metavar="FILE", help="measure a binary workload (.bin, .gz, .zst)"
    )
    parser.add_argument("--repeats", type=int_in(1, 1000), metavar="N", help="rounds, default 7")
    parser.add_argument("--quick", action="store_true", help="tiny inputs and 3 rounds")
    parser.add_argument("--append", metavar="FILE", help="append one result a line to FILE")
    parser.add_argument(
        "--note", default="", metavar="TEXT", help="what else a reader of the results must know"
    )
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Run the chosen benchmarks, or a verb; 1 where a row is invalid."""
    if args.names and args.names[0] in VERBS:
        return VERBS[args.names[0]](args, screen)
    from tradecore.bench.suite import SUITE, chosen

    if args.list:
        screen.result([{"name": each.name, "summary": each.summary} for each in SUITE])
        screen.pairs([(each.name, each.summary) for each in SUITE])
        screen.line(f"\nverbs: {', '.join(VERBS)}")
        return 0
    benchmarks = chosen(args.names) if args.names or not args.workload else []
    return _measure(args, screen, benchmarks)


def _measure(args: argparse.Namespace, screen: Screen, benchmarks: list[Any]) -> int:
    from tradecore.bench.matching import workload_file
    from tradecore.bench.quiet import QuietCache
    from tradecore.bench.run import InvalidRunError
    from tradecore.bench.setting import Setting, checkout, commit_of, here, load_average
    from tradecore.bench.suite import Benchmark

    root, load = checkout(), load_average()
    quick = args.quick
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    what: dict[str, str] = {"now": ""}
    setting = Setting(
        repeats=args.repeats or (_QUICK_REPEATS if quick else 7),
        commands=_QUICK_COMMANDS if quick else 2_000_000,
        scale=_QUICK_SCALE if quick else 1.0,
        root=root,
        machine=here(),
        commit=commit_of(root),
        time_utc=now,
        load_1m=load,
        note=args.note,
        say=lambda text: what.update(now=text),
        quiet=None if quick else QuietCache.here(),
    )
    if args.workload:
        path = Path(args.workload)
        mine = Benchmark(f"workload {path.name}", "", lambda s: workload_file(s, path))
        benchmarks = [mine, *benchmarks]
    _introduce(screen, setting, load, quick)
    results: list[Result] = []
    invalid: list[str] = []
    for benchmark in benchmarks:
        begun = time.perf_counter()
        try:
            with screen.progress(benchmark.name, 1) as bar:
                found = benchmark.run(setting)
                bar.advance(1)
        except InvalidRunError as error:
            invalid.append(str(error))
            screen.error(str(error))
            continue
        results += found
        screen.heading(f"{benchmark.name}  ({time.perf_counter() - begun:.0f} s)")
        if found:
            _show(screen, found)
        else:
            screen.line(f"  {what['now']}")
    if args.append:
        append_results(args.append, results)
    _finish(screen, results, invalid, load)
    if setting.quiet is not None and setting.quiet.waited_s >= 1:
        seen = setting.quiet
        screen.warn(
            f"somebody else worked in this machine's cache: {seen.waited_s:.0f} s waited for it, "
            f"{seen.unquiet} rounds began in spite of it"
        )
    return 1 if invalid else 0


def _introduce(screen: Screen, setting: Any, load: float, quick: bool) -> None:
    machine = setting.machine
    screen.pairs(
        [
            ("machine", f"{machine.cpu}, {machine.cores} cores, {machine.kernel}"),
            ("compiler", machine.compiler),
            ("python", machine.python),
            ("commit", setting.commit),
            ("load", f"{load:.2f} at start"),
            ("rounds", f"{setting.repeats} interleaved, {setting.commands:,} commands"),
        ]
    )
    if load > _BUSY_LOAD:
        screen.warn(f"load average {load:.2f} at start: these numbers are too slow and too uneven")
    if quick:
        screen.warn("--quick: inputs this small say that it runs, not how fast")


def _show(screen: Screen, results: list[Result]) -> None:
    from tradecore.bench.goals import goal_of, met

    rows = []
    for each in results:
        goal, reached = goal_of(each), met(each)
        engine = each.conditions.get("engine", "")
        name = each.name if engine in ("", "tradecore") else f"{each.name}  {engine}"
        verdict = "" if reached is None else ("met" if reached else "MISSED")
        numbers = [_number(value) for value in (each.median, each.min, each.max)]
        rows.append([name, *numbers, each.unit, "" if goal is None else goal.text, verdict])
    screen.table(("benchmark", "median", "min", "max", "unit", "goal", ""), rows)
    for each in results:
        seen = {k: v for k, v in each.observed.items() if k not in _UNSAID}
        if seen and each.name.endswith(("/p50", "steady", "growth", "take", "-of-stdmap")):
            screen.line(f"  {each.name}: " + ", ".join(f"{k} {v:,}" for k, v in seen.items()))


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3f}"


def _finish(screen: Screen, results: list[Result], invalid: list[str], load: float) -> None:
    import msgspec

    from tradecore.bench.goals import goal_of, met

    judged = [(each, met(each)) for each in results if goal_of(each) is not None]
    reached = sum(bool(good) for _, good in judged)
    screen.heading(f"goals: {reached} of {len(judged)} met")
    for each, good in judged:
        goal = goal_of(each)
        if not good and goal is not None:
            screen.line(f"  missed: {each.name} {_number(each.median)} {each.unit}, {goal.text}")
    screen.result(
        {
            "load_1m": load,
            "results": [msgspec.to_builtins(each) for each in results],
            "goals": {each.name: good for each, good in judged},
            "invalid": invalid,
        }
    )
