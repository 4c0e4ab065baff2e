"""Kernel and oracle through price shocks: every event equal, every sum right after every command.

TRADECORE_MARGIN_STREAMS sets the number of streams of each kind (default 60).
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter

import pytest

from property.engines import kernel, oracle, report
from property.margin_flows import MarginFlow
from tradecore.codes import EventKind
from tradecore.engine import Engine
from tradecore.status import Status
from tradecore.testing.compare import Coverage, compare

STREAMS = int(os.environ.get("TRADECORE_MARGIN_STREAMS", "60"))
MUST_HAPPEN = {
    ("ACCOUNT_STATE", "STATE_EQUITY"),
    ("ACCOUNT_STATE", "STATE_DONE"),
    ("ACCOUNT_STATE", "MARK_STALE"),
    ("BALANCE", "LIQUIDATION_FEE"),
    ("BALANCE", "BACKSTOP"),
    ("BALANCE", "ADL"),
    ("BALANCE", "FUNDING"),
    ("CANCELED", "LIQUIDATION_CLOSE"),
    ("FILL", "BACKSTOP"),
    ("FILL", "ADL"),
    ("REJECTED", "ACCOUNT_REDUCE_ONLY"),
    ("REJECTED", "LIQUIDATION"),
    ("REJECTED", "MARGIN_CHANGE"),
}


@pytest.mark.slow
@pytest.mark.parametrize("absurd", [False, True], ids=["market", "absurd_marks"])
def test_kernel_and_oracle_agree_on_margin(
    absurd: bool, record_property: pytest.RecordProperty
) -> None:
    coverage = Coverage()
    for seed in range(STREAMS):
        commands = MarginFlow(seed, absurd=absurd).stream(500)
        found = compare(commands, kernel(True), oracle(True), audit_each=True, coverage=coverage)
        if found is not None:
            line = f"margin flow of seed {seed}, absurd={absurd}"
            told = report(commands[: found.index + 1], True, f"margin_{seed}", line)
            pytest.fail(f"{told}\n{found}")
    hits = {(EventKind(k).name, Status(s).name): n for (k, s), n in coverage.hits.items()}
    record_property("coverage", json.dumps(Counter({"/".join(k): n for k, n in hits.items()})))
    assert not MUST_HAPPEN - hits.keys()


def test_restored_engine_goes_on_through_liquidation() -> None:
    """A snapshot in the middle of rounds, suspensions and debts continues event for event."""
    for seed in range(40):
        commands = MarginFlow(seed).stream(400)
        cut = random.Random(seed).randrange(50, 400)
        whole = kernel(True)
        for command in commands[:cut]:
            whole.apply(command)
        restored = Engine.restore(whole.snapshot())
        assert restored.state_hash() == whole.state_hash(), f"seed {seed} at {cut}"
        for i, command in enumerate(commands[cut:], cut):
            assert bytes(restored.apply(command)) == bytes(whole.apply(command)), (
                f"seed {seed}: {i}"
            )
        assert restored.state_hash() == whole.state_hash(), f"seed {seed}"
        restored.check()
