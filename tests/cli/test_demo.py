"""The demonstration: one seed, one outcome, and books that balance."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from cli.command import Command
from tradecore.agents import MarketSpec
from tradecore.cli.proof import audit_engine
from tradecore.cli.session import Session

SMALL = ("--seconds", "8", "--accounts", "80", "--instruments", "4", "--plot", "none")


def test_demo_balances_and_repeats(tradecore: Command) -> None:
    done = tradecore("demo", *SMALL, "--json")
    assert done.code == 0
    document = done.document
    assert document["ok"]
    assert document["state_hash"] == document["second_state_hash"]
    assert document["pnl_plus_fees"] == 0
    assert document["conservation_ok"]
    assert document["holds_ok"]
    assert sum(each["accounts"] for each in document["participants"]) == 80
    assert len(document["instruments"]) == 4
    assert all(each["fills"] > 0 for each in document["instruments"])


def test_other_seed_is_another_market(tradecore: Command) -> None:
    one = tradecore("demo", *SMALL, "--json", "--seed", "1").document
    other = tradecore("demo", *SMALL, "--json", "--seed", "2").document
    assert one["state_hash"] != other["state_hash"]


def test_report_ends_with_the_audit_line(tradecore: Command) -> None:
    done = tradecore("demo", *SMALL)
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == "tradecore demo: 4 instruments, 80 accounts, seed 7"
    assert lines[-1].startswith("audit: conservation ok (3 assets, 81 accounts), holds ok (0 left")
    assert lines[-1].endswith("second run equal")
    assert "\x1b" not in done.out


@pytest.mark.slow
def test_hash_does_not_depend_on_the_process() -> None:
    hashes = set()
    for hash_seed in ("0", "12345"):
        done = subprocess.run(
            [sys.executable, "-m", "tradecore.cli", "demo", *SMALL, "--json"],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
        )
        hashes.add(msgspec.json.decode(done.stdout)["state_hash"])
    assert len(hashes) == 1


@pytest.mark.parametrize("kind", ["png", "html", "svg"])
def test_plot_is_written(tradecore: Command, tmp_path: Path, kind: str) -> None:
    pytest.importorskip("matplotlib")
    target = tmp_path / f"run.{kind}"
    done = tradecore("demo", *SMALL[:-2], "--plot", target, "--json")
    assert done.document["plot"] == str(target)
    data = target.read_bytes()
    if kind == "png":
        assert data.startswith(b"\x89PNG")
    else:
        text = data.decode()
        assert "<svg" in text
        # Self-contained: nothing is fetched from anywhere.
        assert 'src="http' not in text
        assert "<script" not in text
    if kind == "html":
        assert done.document["state_hash"] in text


def test_missing_matplotlib_is_said_once_and_no_failure(
    tradecore: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "matplotlib" else real(name, *rest),
    )
    done = tradecore("demo", *SMALL[:-2], "--json")
    assert done.code == 0
    assert "matplotlib" in done.complaint
    assert "plot" not in done.document


# ------------------------------------------------------------------------------------ the parts
@pytest.fixture(scope="module")
def session() -> Session:
    """Eighty steps with a crash in the middle, before the close."""
    session = Session(MarketSpec(accounts=120, crash_step=40), seed=3, steps=80)
    for _ in session.run():
        pass
    return session


def test_score_keeper_agrees_with_the_engine(session: Session) -> None:
    """What is read off the events equals the books of the engine, account by account."""
    engine, score = session.engine, session.score
    assert int(score.fees.sum()) == engine.ledger(0)["fees"]
    plans = session.market.plans
    for account_id in range(0, 121, 7):
        view = engine.account(account_id)
        for position in view.positions:
            at = position.instrument_id - 1
            assert position.qty == score.position[account_id, at]
        paid_in = int(session.market.people.cash[account_id])
        # Linear positions settle profit, not the price: the value at cost is not cash.
        at_cost = sum(p.cost for p in view.positions if plans[p.instrument_id - 1].is_linear)
        cash = next(wallet.total for wallet in view.wallets if wallet.asset_id == 0)
        flow = int(score.flow[account_id] - score.fees[account_id])
        assert cash == paid_in + flow + at_cost


def test_orders_that_participants_believe_in_are_alive(session: Session) -> None:
    slots = session.market.slots
    believed = slots.live.nonzero()[0]
    assert len(believed) > 100
    for slot in believed[::17].tolist():
        order_id = int(slots.ids(believed[believed == slot])[0])
        assert session.engine.order(order_id) is not None


def test_crash_trips_the_breaker_and_trading_resumes(session: Session) -> None:
    phases = [phase for step, at, phase in session.history.halts if at == 0 and step >= 30]
    assert phases == [4, 1, 2]  # halted, call auction, continuous


def test_audit_sees_the_same_as_the_kernel(session: Session) -> None:
    audit = audit_engine(session.engine)
    assert audit.ok
    assert audit.accounts == 121
    assert audit.live_orders > 0


@pytest.mark.parametrize(("width", "height"), [(100, 30), (80, 24), (140, 50), (60, 20)])
def test_live_view_fits_the_terminal(session: Session, width: int, height: int) -> None:
    pytest.importorskip("rich")
    from rich.console import Console

    from tradecore.cli.live import LiveView

    console = Console(file=io.StringIO(), width=width, height=height)
    with console.capture() as captured:
        console.print(LiveView(console, "demo")._layout(session, 40, 1.0))
    lines = captured.get().splitlines()
    assert len(lines) == height
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for word in ("BTC-USD", "participants", "makers", "throughput" if width > 72 else "PnL"):
        assert word in text


def test_replay_view_fits_the_terminal(tmp_path: Path, workload: Path) -> None:
    pytest.importorskip("rich")
    from rich.console import Console

    from tradecore.cli.feeds import Until, open_feed
    from tradecore.cli.live_replay import ReplayView
    from tradecore.cli.replay_run import Replay

    replay = Replay(open_feed(str(workload), Until()))
    replay.run(lambda _: None)
    console = Console(file=io.StringIO(), width=80, height=24)
    with console.capture() as captured:
        console.print(ReplayView(console, replay, 10)._layout(replay))
    lines = captured.get().splitlines()
    assert len(lines) == 24
    assert max(map(len, lines)) <= 80
    assert "fills: 1" in captured.get()
