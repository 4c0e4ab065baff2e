"""Who lives in which layer of the library. DESIGN's table, as data; the tests beside it enforce it.

`pure` is the default: synchronous, deterministic, no files, no clocks. The others are named here.
"""

from __future__ import annotations

from repository import Module, is_within

# The edge touches files, clocks, a terminal or other libraries' tables; nothing pure may import it.
EDGE = (
    "tradecore.bench",
    "tradecore.capacity",
    "tradecore.cli",
    "tradecore.data",
    "tradecore.report",
    "tradecore.research",
    "tradecore.storage",
    "tradecore.tables",
    "tradecore.verify",
)
# Bulk kernels: the only home of numba, and only imported on request.
KERNELS = ("tradecore.kernels",)
# The shipped test kit: reads and writes workload files, draws from seeded generators; only the edge
# (demo, bench, verify) uses it.
TESTING = ("tradecore.testing",)

# Pure policy over events and arrays: like `pure`, and may ask the kernels for bulk numbers.
POLICY = ("tradecore.portfolio", "tradecore.risk")

LAYERS = {"edge": EDGE, "kernels": KERNELS, "testing": TESTING, "policy": POLICY}

# Which layers a layer may import besides itself and `pure`.
MAY_IMPORT = {
    "pure": set(),
    "kernels": set(),
    "policy": {"kernels"},
    "testing": {"edge"},
    "edge": {"kernels", "testing", "policy"},
}


def layer_of(name: str) -> str:
    """Return the layer of a module of the library, `pure` unless it is listed above."""
    for layer, packages in LAYERS.items():
        if any(is_within(name, package) for package in packages):
            return layer
    return "pure"


def of(module: Module) -> str:
    """Return the layer of a parsed module."""
    return layer_of(module.name)
