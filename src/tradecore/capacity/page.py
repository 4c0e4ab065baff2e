"""One HTML page of a capacity run: the plan, the pictures, every number with its conditions.

Self-contained (pictures are inline SVG, no scripts, nothing is fetched), so that it can be mailed.
Needs matplotlib, extra ``research``.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from tradecore.capacity.coefficients import Coefficients, from_results
from tradecore.capacity.plan import Line, Plan
from tradecore.capacity.plots import draw_head_room, draw_latency, draw_law, draw_rates
from tradecore.errors import ConfigError
from tradecore.report.figure import Figure, as_svg
from tradecore.testing.results import Result

__all__ = ["build_page", "write_page"]

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff }
h1 { font-size: 1.6rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
p.answer { background: #eef4fa; border-left: 4px solid #0072B2; padding: .8rem 1rem;
  font-size: 1.05rem }
table { border-collapse: collapse; width: 100%; font-size: 13px }
th, td { text-align: left; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid #e6e6e6;
  vertical-align: top }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
svg { width: 100%; height: auto; max-width: 52rem; display: block; margin: .6rem 0 }
.assumed { color: #b04a00; font-weight: 600 } .note { color: #666; font-size: 13px }
details > summary { cursor: pointer; color: #0072B2 }
"""

_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>{style}</style></head><body>
<h1>{title}</h1>
{body}
</body></html>
"""


def write_page(path: str, results: Sequence[Result], plan: Plan | None) -> None:
    """Write the page of a capacity run.

    Parameters
    ----------
    path : str
    results : sequence of Result
        Of one run; what is not there is left out of the page.
    plan : Plan or None
        Shown first where given.

    Raises
    ------
    ConfigError
        There are no results.
    """
    Path(path).write_text(build_page(results, plan), "utf-8")


def build_page(results: Sequence[Result], plan: Plan | None) -> str:
    """Return the page as text; see `write_page`."""
    if not results:
        raise ConfigError("no result lines, nothing to report")
    newest = list({each.key: each for each in results}.values())
    last = newest[-1]
    coefficients = _coefficients(newest)
    title = "Benchmark report" if plan is None else f"Capacity plan for {plan.users:,} users"
    parts = [_where(last)]
    if plan is not None:
        parts += _plan_parts(plan)
    parts += _saturation_parts(newest)
    if coefficients is not None:
        parts += _law_parts(coefficients)
    parts += _all_rows(newest)
    return _PAGE.format(title=html.escape(title), style=_STYLE, body="\n".join(parts))


def _coefficients(results: Sequence[Result]) -> Coefficients | None:
    """Return the coefficients, None where a file holds only other benchmarks."""
    try:
        return from_results(results)
    except ConfigError:
        return None


def _where(last: Result) -> str:
    machine = last.machine
    seen = f", load {last.observed['load_1m']} at the start" if "load_1m" in last.observed else ""
    note = f" {last.observed['note']}." if last.observed.get("note") else ""
    return (
        f'<p class="note">Measured on {_e(machine.cpu)}, {machine.cores} cores, '
        f"{_e(machine.kernel)}; {_e(machine.compiler.split(' -')[0])}; {_e(machine.python)}; "
        f"commit {_e(last.commit[:12])}; {_e(last.time_utc)}{_e(str(seen))}.{_e(str(note))}</p>"
    )


def _plan_parts(plan: Plan) -> list[str]:
    cells, *_ = plan.components
    count = {each.name: each.count for each in plan.components}
    memory = next(line for line in plan.sizes if line.name == "memory of a cell")
    answer = (
        f"{plan.users:,} users of profile <b>{_e(plan.profile.name)}</b> send "
        f"{_n(plan.demand.peak_per_s)} commands in the busiest second. That takes "
        f"<b>{cells.count} trading cell{'s' if cells.count > 1 else ''}</b> "
        f"({_n(memory.value)} GB each, as many standbys), "
        f"<b>{count['Kafka brokers']} brokers</b>, <b>{count['Postgres shards']} Postgres "
        f"shard{'s' if count['Postgres shards'] > 1 else ''}</b>; a cell has room for "
        f"{_n(cells.head_room or 0)} times the peak."
    )
    demand = [
        ("active users", plan.demand.active_users, ""),
        ("commands a day", plan.demand.commands_per_day, ""),
        ("mean of the session", plan.demand.mean_per_s, "commands/s"),
        ("busiest second", plan.demand.peak_per_s, "commands/s"),
        ("fills a day", plan.demand.fills_per_day, ""),
        ("database rows a day", plan.demand.rows_per_day, ""),
    ]
    parts = [f'<p class="answer">{answer}</p>', f"<p>{_e(plan.profile.description)}.</p>"]
    parts += _picture(draw_rates(plan))
    parts.append(
        _table(
            ("venue", "#a second", "what was counted", "source"),
            [
                (each.venue, _n(each.per_second), f"{each.what} ({each.kind})", each.source)
                for each in plan.public
            ],
        )
    )
    parts += ["<h2>Demand</h2>", _table(("", "#", "unit"), [(a, _n(b), c) for a, b, c in demand])]
    parts.append("<h2>Components and head-room</h2>")
    parts += _picture(draw_head_room(plan))
    parts.append(
        _table(
            ("component", "#count", "#needed", "#capacity", "unit", "#head-room", "how"),
            [
                (
                    each.name,
                    str(each.count) if each.count else "",
                    _n(each.need),
                    _n(each.capacity),
                    each.unit,
                    f"{each.head_room:,.1f} x" if each.head_room else "",
                    each.how,
                )
                for each in plan.components
            ],
        )
    )
    parts += ["<h2>Memory, bytes, recovery</h2>", _lines(plan.sizes)]
    parts += ["<h2>What a million commands cost</h2>", _lines(plan.costs)]
    parts += [
        "<h2>How far to trust this</h2>",
        "<p>The same arithmetic, asked for what was also measured on this machine.</p>",
        _table(
            ("target", "#predicted", "#measured", "#error", "how"),
            [
                (
                    each.target,
                    f"{each.predicted:,.0f}/s",
                    f"{each.measured:,.0f}/s",
                    "" if each.error is None else f"{each.error:+.0%}",
                    each.how,
                )
                for each in plan.checks
            ],
        ),
        "<h2>Assumptions</h2>",
        '<p>Every number that was put in. <span class="assumed">Assumed</span> numbers were not '
        "measured here.</p>",
        _lines(plan.assumptions),
    ]
    return parts


def _saturation_parts(results: Sequence[Result]) -> list[str]:
    parts: list[str] = []
    for head in results:
        if not head.name.startswith("saturation/"):
            continue
        name = head.name.partition("/")[2]
        rows = [each for each in results if each.name == f"load/{name}"]
        limit = head.conditions.get("limit_ms")
        low, high = head.ci95 or (head.min, head.max)
        parts.append(f"<h2>Saturation: {_e(name)}</h2>")
        parts.append(
            f"<p>{_n(head.median)} commands/s ({_n(low)} to {_n(high)}) with "
            f"p{head.conditions.get('percentile', 99.9)} within {limit} ms, open loop, latency "
            "from the scheduled send time.</p>"
        )
        parts += _picture(draw_latency(rows, head))
        parts.append(_latency_table(rows))
    return parts


def _latency_table(rows: Iterable[Result]) -> str:
    names = ("p50_us", "p90_us", "p99_us", "p99.9_us", "p99.99_us", "max_us")
    head = ("#offered/s", "#achieved/s", *(f"#{n.removesuffix('_us')} us" for n in names))
    body = [
        (
            f"{int(row.conditions['rate']):,}",
            f"{row.median:,.0f}",
            *(f"{float(row.observed[name]):,.1f}" for name in names),
            f"{row.observed.get('passed', '')} of {row.repeats}",
        )
        for row in sorted(rows, key=lambda row: float(row.conditions["rate"]))
    ]
    return _table((*head, "#passed"), body)


def _law_parts(coefficients: Coefficients) -> list[str]:
    parts: list[str] = []
    laws = (
        (coefficients.cells, "cells at once", coefficients.machine.cores),
        (coefficients.clients, "clients, one command outstanding each", None),
    )
    for fit, what, cores in laws:
        if fit is None:
            continue
        if not parts:
            parts.append("<h2>Universal scalability law</h2>")
        peak = (
            "no peak: more always help"
            if fit.peak is None
            else f"peak at {fit.peak:,.1f}, {_n(fit.at(fit.peak))}/s"
        )
        if fit.peak is None and fit.limit is not None:
            peak = f"no peak, but never more than {_n(fit.limit)}/s"
        parts += _picture(draw_law(fit, what, cores))
        parts.append(f'<p class="note">R² {fit.r_squared:.4f}; {peak}.</p>')
    return parts


def _all_rows(results: Sequence[Result]) -> list[str]:
    rows = [
        (
            each.name,
            f"{each.median:,.6g}",
            each.unit,
            "" if each.ci95 is None else f"{each.ci95[0]:,.4g} to {each.ci95[1]:,.4g}",
            str(each.repeats),
            ", ".join(f"{key} {value}" for key, value in each.conditions.items()),
            "" if each.workload is None else f"{each.workload.name} {each.workload.sha256[:8]}",
            each.result_sha256[:8],
        )
        for each in results
    ]
    head = ("name", "#median", "unit", "#95 % interval of the mean", "#runs", "conditions")
    return [
        "<h2>All result lines</h2>",
        f"<details><summary>{len(rows)} lines</summary>",
        _table((*head, "input", "result"), rows),
        "</details>",
    ]


def _lines(lines: Iterable[Line]) -> str:
    rows = [(each.name, _n(each.value), each.unit, each.source) for each in lines]
    return _table(("", "#", "unit", "where it comes from"), rows)


def _picture(figure: Figure | None) -> list[str]:
    return [] if figure is None else [as_svg(figure)]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a heading that begins with # has its column set as numbers."""
    number = [name.startswith("#") for name in head]

    def cells(tag: str, texts: Sequence[str]) -> str:
        made = []
        for text, is_number in zip(texts, number, strict=True):
            mark = ' class="n"' if is_number else ""
            made.append(f"<{tag}{mark}>{_cell(text)}</{tag}>")
        return f"<tr>{''.join(made)}</tr>"

    body = "".join(cells("td", row) for row in rows)
    return f"<table>{cells('th', [name.removeprefix('#') for name in head])}{body}</table>"


def _cell(text: str) -> str:
    safe = html.escape(text)
    if text.startswith("https://"):
        return f'<a href="{safe}">{safe.split("/")[2]}</a>'
    return safe.replace("assumed:", '<span class="assumed">assumed:</span>')


def _e(text: str) -> str:
    return html.escape(text)


def _n(value: float) -> str:
    """Return a number as a person reads it: thousands separated, three digits below a thousand."""
    if abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
