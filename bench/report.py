"""Tables and pictures out of a result file: what docs/benchmarks.md shows.

    python bench/report.py bench/baselines/NAME.jsonl            the tables, as Markdown
    python bench/report.py ... --img docs/img                    and the plots (needs matplotlib)

Of several results with one key the newest counts. Nothing is measured here and nothing is chosen:
every row with a goal is shown, met or missed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from tradecore.bench.goals import goal_of, met  # noqa: E402
from tradecore.errors import DataError  # noqa: E402
from tradecore.testing.results import Result, read_results  # noqa: E402

WORKLOADS = ("busy", "static", "normal", "swing-25", "swing-40", "flash-crash", "zipf", "moves")
ENGINES = ("tradecore", "stdmap", "minimal-hashed", "minimal-hashed-prefetch")
VIEWS = {
    "": "every command",
    "repeatable-": "the engine's own (median of each command)",
    "machine-": "machine: gaps of a loop that reads the clock",
}


def newest(results: list[Result]) -> list[Result]:
    """Keep the last result of every key, in the order of first appearance."""
    found: dict[tuple[str, ...], Result] = {}
    for each in results:
        found[each.key] = each
    return list(found.values())


def number(value: float) -> str:
    """Return a value with as many digits as it deserves."""
    if value >= 1_000_000:
        return f"{value / 1e6:,.2f} M"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def goal_table(results: list[Result]) -> list[str]:
    """Return the rows that have a goal, as Markdown."""
    lines = ["| benchmark | median | min - max | unit | goal | |", "|---|---:|---:|---|---|---|"]
    for each in results:
        goal = goal_of(each)
        if goal is not None:
            spread = f"{number(each.min)} - {number(each.max)}" if each.repeats > 1 else ""
            verdict = "met" if met(each) else "**missed**"
            cells = (f"`{each.name}`", number(each.median), spread, each.unit, goal.text, verdict)
            lines.append("| " + " | ".join(cells) + " |")
    return lines


def engine_table(results: list[Result]) -> list[str]:
    """Return nanoseconds a command of every engine on every workload, as Markdown."""
    engines = sorted({str(each.conditions["engine"]) for each in _matching(results)})
    engines.sort(key=lambda name: (name != "tradecore", name != "stdmap", name))
    lines = [
        "| workload | " + " | ".join(f"`{name}`" for name in engines) + " |",
        "|---|" + "---:|" * len(engines),
    ]
    for workload in WORKLOADS:
        cells = {
            str(each.conditions["engine"]): f"{each.median:.1f}"
            for each in _matching(results)
            if each.name == f"matching/{workload}"
        }
        if cells:
            row = [cells.get(name, "-") for name in engines]
            lines.append(f"| `{workload}` | " + " | ".join(row) + " |")
    return lines


def latency_table(results: list[Result], rate: int) -> list[str]:
    """Return percentiles of the three views at a rate, in microseconds, as Markdown."""
    rows = {each.name: each for each in results if each.conditions.get("rate") == rate}
    points = [name.removeprefix("latency/") for name in rows if name.startswith("latency/p")]
    points += ["max"]
    lines = ["| caller | | " + " | ".join(points) + " |", "|---|---|" + "---:|" * len(points)]
    for caller, row in (("compiled", "latency"), ("Python", "latency-python")):
        for view, title in VIEWS.items():
            found = [rows.get(f"{row}/{view}{p}") for p in points]
            cells = ["-" if each is None else f"{each.median / 1e3:,.2f}" for each in found]
            lines.append(f"| {caller} | {title} | " + " | ".join(cells) + " |")
    return lines


def peer_table(results: list[Result]) -> list[str]:
    """Return nanoseconds a call of the Python packages, as Markdown."""
    phases = ("add", "match", "cancel")
    found = {
        (r.conditions["peer"], r.name.partition("/")[2]): r
        for r in results
        if "peer" in r.conditions
    }
    lines = ["| package | " + " | ".join(phases) + " |", "|---|" + "---:|" * len(phases)]
    for peer in dict.fromkeys(name for name, _ in found):
        cells = [
            f"{found[peer, phase].median:,.0f}" if (peer, phase) in found else "-"
            for phase in phases
        ]
        lines.append(f"| {peer} | " + " | ".join(cells) + " |")
    return lines


def other_table(results: list[Result]) -> list[str]:
    """Return everything that stands in no other table."""
    lines = ["| benchmark | median | unit | conditions |", "|---|---:|---|---|"]
    for each in results:
        if goal_of(each) is None and not each.name.startswith(_ELSEWHERE):
            said = ", ".join(f"{k} {v}" for k, v in sorted(each.conditions.items()))
            lines.append(f"| `{each.name}` | {number(each.median)} | {each.unit} | {said} |")
    return lines


_ELSEWHERE = ("latency/", "latency-python/", "matching/", "peers/")


def _matching(results: list[Result]) -> list[Result]:
    return [r for r in results if r.name.startswith("matching/") and "engine" in r.conditions]


def plot_engines(results: list[Result], path: Path) -> None:
    """Draw nanoseconds a command as bars, one group a workload."""
    plt = _pyplot()
    figure, axes = plt.subplots(figsize=(9, 4))
    rows = _matching(results)
    named = [w for w in WORKLOADS if any(r.name == f"matching/{w}" for r in rows)]
    width = 0.8 / len(ENGINES)
    for i, engine in enumerate(ENGINES):
        found = {r.name: r for r in rows if r.conditions["engine"] == engine}
        values = [found[f"matching/{w}"].median if f"matching/{w}" in found else 0 for w in named]
        places = [at + (i - (len(ENGINES) - 1) / 2) * width for at in range(len(named))]
        axes.bar(places, values, width, label=engine)
    axes.set_xticks(range(len(named)), named)
    axes.set_ylabel("ns per command (lower is better)")
    axes.set_title("matching only, batches of 4,096, every event written")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=130)


def plot_latency(results: list[Result], rate: int, path: Path) -> None:
    """Draw the percentile spectrum: latency over the share of commands that take longer."""
    plt = _pyplot()
    figure, axes = plt.subplots(figsize=(9, 4.5))
    for view, title in VIEWS.items():
        points = []
        for each in results:
            prefix = f"latency/{view}p"
            if each.name.startswith(prefix) and each.conditions.get("rate") == rate:
                percentile = float(each.name.removeprefix(prefix))
                points.append((1 / (1 - percentile / 100), each.median / 1e3))
        points.sort()
        axes.plot(*zip(*points, strict=True), marker="o", label=title)
    for share, bound in ((2, 0.5), (100, 4), (1_000, 20)):
        axes.plot([share], [bound], "k_", markersize=18)
    ticks = [2, 10, 100, 1_000, 10_000, 100_000]
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(ticks, ["50 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %"])
    axes.set_xlabel("percentile of commands")
    axes.set_ylabel("microseconds from the scheduled time")
    axes.set_title(f"whole pipeline, open loop, {rate:,} commands a second (bars: goals)")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=130)


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("results", help="result file")
    parser.add_argument("--img", type=Path, metavar="FOLDER", help="draw the plots into FOLDER")
    parser.add_argument("--rate", type=int, default=1_000_000, help="rate of the latency table")
    options = parser.parse_args(argv)
    try:
        results = newest(read_results(options.results))
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    tables = [goal_table(results), engine_table(results)]
    has_latency = any(each.conditions.get("rate") == options.rate for each in results)
    if has_latency:
        tables.append(latency_table(results, options.rate))
    if any("peer" in each.conditions for each in results):
        tables.append(peer_table(results))
    print("\n\n".join("\n".join(table) for table in [*tables, other_table(results)]))
    if options.img is not None:
        options.img.mkdir(parents=True, exist_ok=True)
        if _matching(results):
            plot_engines(results, options.img / "bench-matching.png")
        if has_latency:
            plot_latency(results, options.rate, options.img / "bench-latency.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
