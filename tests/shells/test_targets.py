"""The embedded exchange as a target of `tradecore bench capacity`: a real process, a real log."""

from __future__ import annotations

from pathlib import Path

import pytest

from tradecore.bench.inputs import funded
from tradecore.bench.load import drive
from tradecore.bench.saturate import Bench
from tradecore.bench.targets import TargetSpec, open_target, target_names
from tradecore.errors import ConfigError


def test_names_are_known_without_an_installation() -> None:
    assert {"embedded", "kafka"} <= set(target_names())


@pytest.mark.slow
def test_embedded_answers_every_command_it_was_sent(tmp_path: Path) -> None:
    work = funded("busy", 3_000, accounts=50)
    with open_target("embedded", TargetSpec(work, tmp_path)) as target:
        load = drive(target, work.commands, 20_000, give_up_ns=60_000_000_000)
        assert (load.sent, load.finished, load.gave_up) == (3_000, 3_000, False)
        assert len(load.histogram) == 3_000
        # Durable before it is answered: nothing is faster than the disk, and not 0.
        assert load.histogram.min > 10_000
        target.send(work.commands[:1])  # an id that is known: answered, and not done twice
        while target.poll() < 3_001:
            pass
    assert list(tmp_path.iterdir()) == [], "the folder of the exchange is left behind"


def test_kafka_needs_an_address() -> None:
    work = Bench("engine", commands=100, workload="busy").work
    with (
        pytest.raises(ConfigError, match="--option log=kafka://"),
        open_target("kafka", TargetSpec(work)),
    ):
        pass
