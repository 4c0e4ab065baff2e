"""Metrics of all services live in one process in `tradecore up`: one name, one set of labels."""

from __future__ import annotations

import ast
from collections import defaultdict

from repository import ROOT

SHELLS = ROOT / "shells" / "tradecore_shells"
# The amount is no label, though it may be given by name.
NOT_LABELS = {"amount", "value", "seconds"}


def uses() -> dict[str, set[tuple[str, ...]]]:
    """Return the sets of labels under which every metric is used; ``*`` = not known here."""
    found: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for file in sorted(SHELLS.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if node.func.attr not in {"count", "set", "observe"} or not node.args:
                continue
            owner = ast.unparse(node.func.value)
            name = node.args[0]
            if not owner.endswith("metrics") or not isinstance(name, ast.Constant):
                continue
            labels = {one.arg or "*" for one in node.keywords} - NOT_LABELS
            if "*" not in labels:
                found[str(name.value)].add(tuple(sorted(labels)))
    return found


def test_a_metric_has_one_set_of_labels() -> None:
    found = uses()
    assert {"records_total", "duplicates_total", "risk_var"} <= found.keys()
    assert {name: sets for name, sets in found.items() if len(sets) > 1} == {}
