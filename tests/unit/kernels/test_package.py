"""The package as a whole: what importing it costs, what it names, what it does without Numba."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import tradecore.kernels as kernels

SOURCE = Path(kernels.__file__).parents[2]


def run(code: str, **environment: str) -> str:
    """Run Python code in a process of its own and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={"PYTHONPATH": str(SOURCE), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_package_loads_no_numba_and_no_kernel() -> None:
    code = """
import sys, tradecore.kernels
print([name for name in sys.modules if name.startswith(("numba", "tradecore.kernels."))])
"""
    assert run(code) == "[]"


def test_every_public_name_is_found_where_its_module_declares_it() -> None:
    assert sorted(kernels._MODULE_OF) == sorted(kernels.__all__) == sorted(dir(kernels))
    for name, module in kernels._MODULE_OF.items():
        home = import_module(f"tradecore.kernels.{module}")
        assert name in home.__all__
        assert getattr(kernels, name) is getattr(home, name)
    with pytest.raises(AttributeError):
        kernels.nothing  # noqa: B018


# Small inputs through every compiled kernel; the same code with and without Numba.
SAMPLE = """
import tradecore.kernels as k
from tradecore.kernels._jit import HAVE_NUMBA
big = 2**60
rows = [
    k.match_lots([4, 5, -7, -9, 3], [10, 12, 11, 15, 9], method=m).gain.tolist()
    for m in ("fifo", "lifo", "hifo", "lofo")
]
rows.append(k.allocate_by_qty([0, 0], [1, 2], [3], [10]).tolist())
rows.append(k.average_cost([big, 1 - big], [2**61, 2**61]).realised.tolist())
rows.append(k.inverse_value([7], [3], 10**12).tolist())
mark = k.mark_positions([2, -3, big, 1], [5, 6, 7, 8], [0, 1, 1, 9], [10, 20])
rows += [mark.pnl.tolist(), [mark.unmarked]]
rows.append(k.mark_positions([2], [5], [0], [10], parallel=True).pnl.tolist())
rows.append(k.mark_sorted([2, -3], [5, 6], [0, 1, 2], [10, 20]).pnl.tolist())
rows.append(k.sum_by_group([1, 2, 3], [0, 1, 0], 2)[0].tolist())
returns = [0.01, -0.02, 0.03, -0.01, 0.02]
rows += [[round(float(x), 12) for x in f(returns, 3)[2:]] for f in
         (k.rolling_return, k.rolling_vol, k.rolling_sharpe, k.rolling_max_drawdown)]
rows.append(k.drawdown_series(returns).round(12).tolist())
print(HAVE_NUMBA, rows)
"""


def test_without_numba_the_same_functions_give_the_same_results() -> None:
    compiled = run(SAMPLE)
    interpreted = run('import sys; sys.modules["numba"] = None\n' + SAMPLE)
    assert compiled.startswith("True ")
    assert interpreted.startswith("False ")
    assert compiled.split(" ", 1)[1] == interpreted.split(" ", 1)[1]


def test_disk_cache_is_opt_in(tmp_path: Path) -> None:
    code = "import tradecore.kernels as k; k.drawdown_series([0.1, -0.1])"
    run(code, NUMBA_CACHE_DIR=str(tmp_path))
    assert list(tmp_path.rglob("*.nbi")) == []
    run(code, NUMBA_CACHE_DIR=str(tmp_path), TRADECORE_NUMBA_CACHE="1")
    assert list(tmp_path.rglob("*.nbi")) != []
