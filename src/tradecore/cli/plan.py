"""`tradecore plan`: from users to cells, brokers, shards, memory and bytes, every step shown."""

from __future__ import annotations

import argparse
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tradecore.cli.parser import Commands, int_in, new_command
from tradecore.cli.screen import Screen
from tradecore.errors import ConfigError

if TYPE_CHECKING:
    from tradecore.capacity.coefficients import Coefficients
    from tradecore.capacity.plan import Line, Plan
    from tradecore.capacity.profile import Profile
    from tradecore.testing.results import Result

__all__ = ["add", "load_profile", "run", "show_checks", "show_plan"]

_DEFAULT = "capacity.jsonl"
_EXAMPLE = "example.jsonl"
_EXAMPLES = """\
  tradecore plan --users 1000000                        retail users
  tradecore plan --users 1000000 --profile bots --json  for a program
  tradecore plan --users 250000 --profile mine.toml --html plan.html
  tradecore bench capacity                              measure this machine first (minutes)
  tradecore plan --list                                 the profiles, with every number"""


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = new_command(
        commands,
        "plan",
        "size a platform for a number of users",
        "From users and a profile to trading cells, partitions, brokers, database shards, memory "
        "and bytes a day, with head-room. Coefficients come from 'tradecore bench capacity' "
        "(capacity.jsonl in this folder, or --from), else from the example that ships with the "
        "library, which is another machine's. Each number says whether it was measured, stated by "
        "the profile or assumed, and the arithmetic is checked against this machine's own "
        "saturation.",
        _EXAMPLES,
    )
    parser.add_argument("--users", type=int_in(1, 10**11), metavar="N", help="accounts in all")
    parser.add_argument(
        "--profile",
        default="retail",
        metavar="P",
        help="retail, bots, makers, or a TOML or JSON file; default retail",
    )
    parser.add_argument("--from", dest="source", metavar="FILE", help="result lines to plan with")
    parser.add_argument("--html", metavar="FILE", help="one page with all plots, to send around")
    parser.add_argument("--list", action="store_true", help="show the profiles and stop")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Make a plan and show it."""
    from tradecore.capacity.coefficients import from_results
    from tradecore.capacity.plan import make_plan

    if args.list:
        return _list(screen)
    if args.users is None:
        raise ConfigError("plan needs --users N")
    profile = load_profile(args.profile)
    if args.html:
        from tradecore.cli.bench_verbs import check_html

        check_html(args.html)
    results, where = _results(args.source, screen)
    plan = make_plan(args.users, profile, from_results(results, where))
    show_plan(screen, plan)
    if args.html:
        from tradecore.capacity.page import write_page

        write_page(args.html, results, plan)
        screen.line(f"\nwrote {args.html}")
    document: dict[str, Any] = msgspec.to_builtins(plan)
    for each, component in zip(document["components"], plan.components, strict=True):
        each["head_room"] = component.head_room
    screen.result(document | {"coefficients": where})
    return 0


def load_profile(name: str) -> Profile:
    """Return a profile by name, or from a file.

    Raises
    ------
    ConfigError
        No such profile or file, or the file is not a profile.
    """
    from tradecore.capacity.profile import PROFILES, parse_profile

    if name in PROFILES:
        return PROFILES[name]
    path = Path(name)
    if not path.is_file():
        raise ConfigError(f"no profile and no file {name!r}; profiles: {', '.join(PROFILES)}")
    return parse_profile(path.read_bytes(), path.name)


def _results(source: str | None, screen: Screen) -> tuple[list[Result], str]:
    """Read the lines to plan with: the given file, the one in this folder, or the example."""
    from tradecore.testing.results import read_results

    if source is not None or Path(_DEFAULT).is_file():
        where = source or _DEFAULT
        return read_results(where), where
    example = resources.files("tradecore.capacity").joinpath(_EXAMPLE)
    with resources.as_file(example) as path:
        if not path.is_file():
            raise ConfigError("no coefficients; 'tradecore bench capacity' measures this machine")
        found = read_results(path)
    screen.warn(
        "no capacity.jsonl here: planning with the example's coefficients, of another machine; "
        "'tradecore bench capacity' measures this one"
    )
    return found, "the example that ships with the library"


def _list(screen: Screen) -> int:
    from tradecore.capacity.profile import PROFILES

    screen.result([msgspec.to_builtins(each) for each in PROFILES.values()])
    for profile in PROFILES.values():
        screen.heading(f"{profile.name}: {profile.description}")
        fields = msgspec.structs.asdict(profile)
        screen.pairs(
            [
                (name, f"{value:g}" if isinstance(value, float | int) else str(value))
                for name, value in fields.items()
                if name not in ("name", "description")
            ]
        )
    return 0


def show_checks(screen: Screen, coefficients: Coefficients) -> None:
    """Show the self-check: what was predicted of this machine beside what was measured."""
    from tradecore.capacity.predict import self_check

    _show_checks(screen, self_check(coefficients))


def _show_checks(screen: Screen, checks: list[Any]) -> None:
    screen.heading("self-check: the same arithmetic, asked for what was measured")
    screen.table(
        ("target", "predicted", "measured", "error"),
        [
            [
                each.target,
                f"{each.predicted:,.0f}/s",
                f"{each.measured:,.0f}/s",
                "-" if each.error is None else f"{each.error:+.0%}",
            ]
            for each in checks
        ],
    )
    for each in checks:
        screen.line(f"  {each.target}: {each.how}")


def show_plan(screen: Screen, plan: Plan) -> None:
    """Show a plan: demand, components, sizes, costs, public rates, self-check, assumptions."""
    demand = plan.demand
    screen.heading(f"{plan.users:,} users, profile {plan.profile.name}")
    screen.line(f"  {plan.profile.description}")
    screen.pairs(
        [
            ("active users", f"{demand.active_users:,.0f}"),
            ("commands a day", f"{demand.commands_per_day:,.0f}"),
            ("mean of the session", f"{demand.mean_per_s:,.0f} commands/s"),
            ("busiest second", f"{demand.peak_per_s:,.0f} commands/s"),
            ("fills a day", f"{demand.fills_per_day:,.0f}"),
        ]
    )
    screen.heading("components")
    screen.table(
        ("component", "count", "needed", "capacity", "unit", "head-room"),
        [
            [
                each.name,
                str(each.count) if each.count else "",
                _number(each.need),
                _number(each.capacity),
                each.unit,
                f"{each.head_room:,.1f} x" if each.head_room else "",
            ]
            for each in plan.components
        ],
    )
    for each in plan.components:
        screen.line(f"  {each.name}: {each.how}")
    _show_lines(screen, "sizes", plan.sizes)
    _show_lines(screen, "what a million commands cost; memory", plan.costs)
    screen.heading("public rates beside it")
    peak = demand.peak_per_s
    screen.table(
        ("venue", "a second", "times this peak", "kind"),
        [
            [each.venue, f"{each.per_second:,.0f}", f"{each.per_second / peak:,.1f}", each.kind]
            for each in plan.public
        ],
    )
    for venue in plan.public:
        screen.line(f"  {venue.venue}: {venue.what}; {venue.source}")
    _show_checks(screen, plan.checks)
    _show_lines(screen, "assumptions", plan.assumptions)
    screen.line(f"\n  coefficients: {plan.measured_on}")


def _show_lines(screen: Screen, heading: str, lines: list[Line]) -> None:
    screen.heading(heading)
    width = max(len(each.name) for each in lines)
    for each in lines:
        value = f"{_number(each.value)} {each.unit}".strip()
        screen.line(f"  {each.name:<{width}}  {value:>18}  {each.source}")


def _number(value: float) -> str:
    if abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.4g}"
