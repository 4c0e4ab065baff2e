"""The embedded exchange as a target of `tradecore bench capacity`: a real process, a real log."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tradecore.bench.inputs import funded
from tradecore.bench.load import drive
from tradecore.bench.saturate import Bench
from tradecore.bench.targets import TargetSpec, open_target, target_names
from tradecore.dtypes import COMMAND
from tradecore.errors import ConfigError
from tradecore_shells import under_load
from tradecore_shells.plumbing.ports import RetryableError
from tradecore_shells.under_load import whole_commands


def test_names_are_known_without_an_installation() -> None:
    wanted = {"embedded", "embedded-postgres", "kafka", "kafka-postgres"}
    assert wanted <= set(target_names())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["embedded", "embedded-postgres"])
def test_embedded_finishes_every_command_it_was_sent(name: str, tmp_path: Path) -> None:
    work = funded("busy", 3_000, accounts=50)
    with open_target(name, TargetSpec(work, tmp_path)) as target:
        load = drive(target, work.commands, 20_000, give_up_ns=60_000_000_000)
        assert (load.sent, load.finished, load.gave_up) == (3_000, 3_000, False)
        assert len(load.histogram) == 3_000
        # Durable before it is answered: nothing is faster than the disk, and not 0.
        assert load.histogram.min > 10_000
        target.send(work.commands[:1])  # an id that is known: answered, and not done twice
        while target.poll() < 3_001:
            pass
    assert list(tmp_path.iterdir()) == [], "the folder of the exchange is left behind"


def test_service_that_does_not_start_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADECORE_TRADING__ROLE", '"nonsense"')
    monkeypatch.setattr("tradecore_shells.under_load._PATIENCE_NS", 3_000_000_000)
    work = funded("busy", 3_000, accounts=50)
    with (
        pytest.raises(ConfigError, match=r"trading ended under load: .*role"),
        open_target("embedded", TargetSpec(work, tmp_path)),
    ):
        pass


def test_whole_commands_are_never_torn() -> None:
    setup = funded("busy", 3_000, accounts=50).setup
    for size in (1, 2, 3, 7, 50, 10_000):
        cuts = whole_commands(setup, size)
        assert [first for first, _ in cuts[1:]] == [last for _, last in cuts[:-1]]
        assert (cuts[0][0], cuts[-1][1]) == (0, len(setup))
        # An instrument is four frames: what begins a cut is a command of its own.
        assert min(cut[1] - cut[0] for cut in cuts) > 0
        assert not any(0 < first < 4 for first, _ in cuts)


def test_kafka_needs_an_address() -> None:
    work = Bench("engine", commands=100, workload="busy").work
    with (
        pytest.raises(ConfigError, match="--option log=kafka://"),
        open_target("kafka", TargetSpec(work)),
    ):
        pass


def test_load_that_cannot_begin_leaves_no_loop_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_load, "_PATIENCE_NS", 0)
    load = under_load.UnderLoad(f"unix:{tmp_path}/nobody", 0, np.zeros(0, COMMAND), None)
    with pytest.raises(RetryableError):
        load.__enter__()
    assert load._loop.is_closed()
