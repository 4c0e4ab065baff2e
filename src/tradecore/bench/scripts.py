"""Rows measured in processes of their own: import time, the journal, marking.

The journal and the marking kernels have their scenarios in the checkout (``bench/scenario``), with
their own arguments; the suite runs them as anybody would and takes their result lines. An installed
package without a checkout skips them and says so.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec

import tradecore
import tradecore_ext
from tradecore.bench.setting import Setting, Values
from tradecore.testing.results import Result

__all__ = ["child_environment", "importing", "journal", "mark"]

_IMPORT = "import time; t = time.perf_counter(); import tradecore; print(time.perf_counter() - t)"


def _paths() -> str:
    """Return where this package and its kernel come from, for another process."""
    places = [Path(tradecore.__file__).parents[1], Path(tradecore_ext.__file__).parents[1]]
    given = os.environ.get("PYTHONPATH")
    return os.pathsep.join([*dict.fromkeys(map(str, places)), *([given] if given else [])])


def child_environment() -> dict[str, str]:
    """Return the environment in which another interpreter finds this package and its kernel."""
    return dict(os.environ) | {"PYTHONPATH": _paths()}


def importing(setting: Setting) -> list[Result]:
    """Time `import tradecore` in a fresh interpreter, files in the page cache."""
    setting.say("import: fresh interpreters")
    environment = child_environment()

    def once() -> float:
        done = subprocess.run(
            [sys.executable, "-c", _IMPORT], env=environment, capture_output=True, check=True
        )
        return float(done.stdout) * 1e3

    once()
    values = [once() for _ in range(setting.repeats)]
    return [setting.result("import", "ms", values, conditions={"cache": "warm"})]


def _script(setting: Setting, name: str, arguments: list[str]) -> list[Result]:
    if setting.root is None:
        setting.say(f"{name}: skipped, needs a source checkout (bench/scenario/{name}.py)")
        return []
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join([str(setting.root), _paths()])
    command = [sys.executable, str(setting.root / "bench" / "scenario" / f"{name}.py")]
    setting.say(f"{name}: bench/scenario/{name}.py {' '.join(arguments)}")
    done = subprocess.run(
        [*command, "--json", "--time-utc", setting.time_utc, *arguments],
        env=environment,
        check=True,
        capture_output=True,
        cwd=setting.root,
    )
    found = [msgspec.json.decode(line, type=Result) for line in done.stdout.splitlines()]
    around: Values = {"load_1m": round(setting.load_1m, 2)}
    if setting.note:
        around["note"] = setting.note
    return [
        msgspec.structs.replace(each, observed=each.observed | around, commit=setting.commit)
        for each in found
    ]


def journal(setting: Setting) -> list[Result]:
    """Append with group commit, read back, replay through the pipeline; on the temporary folder."""
    repeats = min(setting.repeats, 5)
    arguments = ["--commands", str(setting.commands), "--repeats", str(repeats)]
    return _script(setting, "journal", arguments)


def mark(setting: Setting) -> list[Result]:
    """Mark 10 million positions beside the memory bandwidth of the same run."""
    count = setting.sized(10_000_000, 10_000)
    results = _script(
        setting, "mark", ["--positions", str(count), "--repeats", str(setting.repeats)]
    )
    return results + [
        msgspec.structs.replace(
            each,
            name="mark/of-bandwidth",
            unit="time/time",
            median=ratio,
            min=ratio,
            max=ratio,
            conditions={"positions": count, "threads": False},
        )
        for each in results
        if each.name == "mark/mark"
        for ratio in [float(each.observed["ratio_to_triad"])]
    ]
