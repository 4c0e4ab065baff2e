"""`import tradecore` stays light: a person in a shell and a service at start both wait for it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

# Heavy, or belonging to another layer; none may come along with the core.
NOT_YET = {
    *("numba", "llvmlite", "matplotlib", "pandas", "polars", "pyarrow", "rich", "scipy"),
    *("asyncio", "socket", "ssl", "sqlite3", "http", "concurrent.futures", "multiprocessing"),
}

PROBE = """
import json, sys, time
before = set(sys.modules)
start = time.perf_counter_ns()
import tradecore
elapsed_ms = (time.perf_counter_ns() - start) / 1e6
print(json.dumps({"ms": elapsed_ms, "modules": sorted(set(sys.modules) - before)}))
"""


def test_import_brings_no_heavy_module(record_property: Callable[[str, object], None]) -> None:
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    # Printed, not asserted: a loaded machine is not a defect.
    print(f"import tradecore: {result['ms']:.0f} ms, {len(result['modules'])} modules")
    record_property("import_ms", result["ms"])
    assert not NOT_YET & set(result["modules"])
