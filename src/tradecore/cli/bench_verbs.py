"""`tradecore bench compare|workloads|capacity|report`: what is done with results, and their inputs.

`tradecore bench` itself measures rows of the speed table; these are its other verbs. Each takes the
parsed arguments and the screen, and returns the exit code.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from tradecore.cli.screen import Screen
from tradecore.errors import ConfigError

__all__ = ["VERBS", "add_options", "check_html"]

_DEFAULT_MARGIN = 8.0
_SHAPE_COMMANDS = 200_000


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verbs to the parser of `tradecore bench`, a group each."""
    compare = parser.add_argument_group("compare OLD NEW")
    compare.add_argument(
        "--fail-above",
        type=float,
        metavar="PERCENT",
        help="exit with 1 where something costs so much more, instruction counts 1 %%",
    )
    capacity = parser.add_argument_group("capacity (measures coefficients, saturation, scaling)")
    capacity.add_argument("--out", metavar="FILE", help="result lines, default capacity.jsonl")
    capacity.add_argument(
        "--limit-ms", type=float, metavar="MS", help="limit of p99.9, default 10; services 50"
    )
    capacity.add_argument(
        "--target",
        action="append",
        metavar="NAME",
        help="what to saturate; may be repeated; default engine, journal, embedded",
    )
    capacity.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="for a target that is a service",
    )
    capacity.add_argument("--folder", metavar="DIR", help="where the journal is written")
    capacity.add_argument(
        "--hgrm",
        metavar="DIR",
        help="write each rate's latencies as HdrHistogram's plotter reads them",
    )
    capacity.add_argument("--users", type=int, metavar="N", help="also plan for so many users")
    capacity.add_argument("--profile", default="retail", metavar="P", help="profile of that plan")
    report = parser.add_argument_group("capacity, report FILE")
    report.add_argument("--html", metavar="FILE", help="one page with all plots, to send around")
    shapes = parser.add_argument_group("workloads [NAME...]")
    shapes.add_argument(
        "--commands", type=int, metavar="N", help="length whose statistics are shown"
    )
    shapes.add_argument(
        "--check", action="store_true", help="generate the published inputs and check their hashes"
    )


def _compare(args: argparse.Namespace, screen: Screen) -> int:
    from tradecore.bench.compare import compare, failures, render
    from tradecore.testing.results import read_results

    if len(args.names) != 3:
        raise ConfigError("bench compare takes two result files: OLD NEW")
    rows = compare(read_results(args.names[1]), read_results(args.names[2]))
    margin = _DEFAULT_MARGIN if args.fail_above is None else args.fail_above
    bad = failures(rows, margin)
    screen.line(render(rows))
    screen.line(f"\n{len(bad)} of {len(rows)} rows worse by more than {margin:g} %")
    for row in bad:
        screen.line(f"  {row.name} {row.conditions}: {row.note or f'{row.worse_percent:+.1f} %'}")
    screen.result(
        {
            "rows": [dataclasses.asdict(row) for row in rows],
            "failures": [dataclasses.asdict(row) for row in bad],
        }
    )
    return 1 if bad and args.fail_above is not None else 0


def _workloads(args: argparse.Namespace, screen: Screen) -> int:
    from tradecore.bench.published import PUBLISHED, shape
    from tradecore.testing.workloads import DESCRIPTIONS

    names = args.names[1:] or list(PUBLISHED)
    for name in names:
        if name not in PUBLISHED:
            raise ConfigError(f"no workload named {name!r}; there are: {', '.join(PUBLISHED)}")
    commands = args.commands or _SHAPE_COMMANDS
    document, rows = [], []
    for name in names:
        entry = PUBLISHED[name]
        if args.check:
            entry.make()  # raises where the bytes differ from the published ones
        with screen.progress(name, 1) as bar:
            seen = shape(name, commands)
            bar.advance(1)
        document.append(
            {
                "name": name,
                "description": DESCRIPTIONS[name],
                "published": {
                    "commands": entry.commands,
                    "seed": entry.seed,
                    "sha256": entry.sha256,
                    "checked": args.check,
                },
                "shape": dataclasses.asdict(seen),
            }
        )
        mix = f"{seen.new:.0%} / {seen.cancel:.0%} / {seen.replace:.0%}"
        rows.append(
            [
                *(name, mix, f"{seen.instruments:,}", f"{seen.accounts:,}", f"{seen.fills:,}"),
                *(f"{seen.live:,}", f"{seen.refused:.1%}", f"{seen.events / seen.commands:.2f}"),
                f"{seen.peak_to_mean:.1f}",
            ]
        )
    screen.heading(f"shape of the first {commands:,} commands")
    screen.table(
        (
            *("workload", "new/cancel/replace", "instruments", "accounts", "fills", "open at end"),
            *("refused", "events each", "peak/mean"),
        ),
        rows,
    )
    state = "checked" if args.check else "published"
    screen.heading(f"{state} inputs: 2,000,000 commands, seed 2, SHA-256")
    screen.pairs([(name, PUBLISHED[name].sha256) for name in names])
    screen.result(document)
    return 0


def _options(pairs: list[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise ConfigError(f"--option {pair}: write it as KEY=VALUE")
        found[key] = value
    return found


def _capacity(args: argparse.Namespace, screen: Screen) -> int:
    from tradecore.bench.capacity import default_targets, run, steps
    from tradecore.bench.setting import Setting, checkout, commit_of, here, load_average
    from tradecore.cli.plan import load_profile
    from tradecore.testing.results import Result, append_results

    if len(args.names) != 1:
        raise ConfigError("bench capacity takes options only; see --help")
    out = Path(args.out or "capacity.jsonl")
    if args.html:
        check_html(args.html)
    load_profile(args.profile)  # a bad one is said before minutes of measuring
    root, load = checkout(), load_average()
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    what: dict[str, str] = {"now": ""}
    setting = Setting(
        repeats=args.repeats or (3 if args.quick else 5),
        commands=100_000 if args.quick else 2_000_000,
        scale=0.05 if args.quick else 1.0,
        root=root,
        machine=here(),
        commit=commit_of(root),
        time_utc=now,
        load_1m=load,
        note=args.note,
        say=lambda text: what.update(now=text),
    )
    todo = steps(
        setting,
        limit_ms=args.limit_ms,
        targets=args.target or default_targets(),
        folder=Path(args.folder) if args.folder else None,
        options=_options(args.option),
        hgrm=Path(args.hgrm) if args.hgrm else None,
    )
    machine = setting.machine
    screen.line(f"{machine.cpu}, {machine.cores} cores; load {load:.2f}; lines go to {out}")
    if load > machine.cores * 0.25 and not args.quick:
        screen.warn(f"load average {load:.2f}: a plan from these numbers is too pessimistic")
    results: list[Result] = []
    begun = time.perf_counter()
    for step, rows in run(todo):
        append_results(out, rows)
        results += rows
        screen.line(f"  {time.perf_counter() - begun:5.0f} s  {step.name}")
    screen.result([msgspec.to_builtins(each) for each in results])
    return _after_capacity(args, screen, results, str(out))


def _after_capacity(
    args: argparse.Namespace, screen: Screen, results: list[Any], where: str
) -> int:
    """Show what was measured, plan where that was asked for, and write the page.

    A machine too busy to sustain anything allows no plan; what it measured is shown all the same,
    and the exit code is 1.
    """
    from tradecore.capacity.coefficients import from_results
    from tradecore.capacity.plan import make_plan
    from tradecore.cli.plan import load_profile, show_checks, show_plan

    profile, coefficients = load_profile(args.profile), from_results(results, where)
    show_checks(screen, coefficients)
    plan, code = None, 0
    if args.users is not None or args.html:
        try:
            plan = make_plan(args.users or 1_000_000, profile, coefficients)
        except ConfigError as error:
            screen.error(f"no plan: {error}")
            code = 1
    if plan is not None and args.users is not None:
        show_plan(screen, plan)
    if args.html:
        from tradecore.capacity.page import write_page

        write_page(args.html, results, plan)
        screen.line(f"\nwrote {args.html}")
    return code


def check_html(path: str) -> None:
    """Refuse a page that could not be written, before the work that it would show."""
    from tradecore.report.figure import check_target

    if not path.endswith(".html"):
        raise ConfigError(f"--html {path}: the name must end with .html")
    check_target(path, option="--html")


def _report(args: argparse.Namespace, screen: Screen) -> int:
    from tradecore.capacity.page import write_page
    from tradecore.testing.results import read_results

    if len(args.names) != 2 or not args.html:
        raise ConfigError("bench report takes one result file and --html FILE")
    check_html(args.html)
    results = read_results(args.names[1])
    write_page(args.html, results, None)
    screen.line(f"wrote {args.html}")
    screen.result({"html": args.html, "results": len(results)})
    return 0


VERBS: dict[str, Callable[[argparse.Namespace, Screen], int]] = {
    "compare": _compare,
    "workloads": _workloads,
    "capacity": _capacity,
    "report": _report,
}
