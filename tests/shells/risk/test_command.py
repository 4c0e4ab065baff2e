"""`tradecore risk` against a running exchange: what it sends, shows, and refuses."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.command import Command
from risk_worlds import QUIET
from shells.small_exchange import CATALOG, exchange
from tradecore_shells.client import Client
from tradecore_shells.plumbing.catalogs import save_catalog
from tradecore_shells.plumbing.clock import SystemClock
from tradecore_shells.plumbing.filelog import FileLog
from tradecore_shells.plumbing.logserver import LogServer
from tradecore_shells.plumbing.observe import NoMetrics
from tradecore_shells.plumbing.ports import EXECUTIONS
from tradecore_shells.risk.service import RiskService

PATIENCE_S = 30.0


async def _trade(log: FileLog) -> None:
    """Let account 1 sell 2 BTC to account 2 at 50,000, and leave an order of 1 in the book."""
    orders = ((1, "sell", "2", "50000"), (2, "buy", "2", "50000"), (1, "sell", "1", "51000"))
    for session_id, (account, side, qty, px) in enumerate(orders, 101):
        client = Client(log, account_id=account, session_id=session_id, catalog=CATALOG)
        await client.start()
        order = await client.place(instrument="BTC-USD", side=side, order_qty=qty, px=px, tif="gtc")
        await asyncio.wait_for(order.answered(), PATIENCE_S)
        await client.close()


async def _serve(folder: Path, up: threading.Event, down: threading.Event) -> None:
    async with exchange(folder / "log") as log:
        await _trade(log)
        server = LogServer(log, f"unix:{folder}/sock")
        await server.start()
        risk = RiskService(
            QUIET, catalog=CATALOG, partition=0, log=log, clock=SystemClock(), metrics=NoMetrics()
        )
        task = asyncio.create_task(risk.run())
        end = (await log.bounds(EXECUTIONS, 0)).end
        try:
            while risk.state.offset < end:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.005)
            up.set()
            while not down.is_set():  # noqa: ASYNC110 - set by another thread
                await asyncio.sleep(0.01)
        finally:
            risk.stop()
            await task
            await server.close()


@pytest.fixture
def risk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Run `tradecore risk ...` as JSON on an exchange that another thread serves."""
    save_catalog(tmp_path / "catalog.json", CATALOG.instruments)
    (tmp_path / "x.toml").write_text(
        f'[log]\nurl = "unix:{tmp_path}/sock"\n[catalog]\nfile = "{tmp_path}/catalog.json"\n'
        f'[risk]\nsnapshots = "{tmp_path}/none"\n[risk.marks]\non = false\n',
        "utf-8",
    )
    up, down = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(tmp_path, up, down)))
    thread.start()
    try:
        assert up.wait(PATIENCE_S)
        command = Command(capsys)
        yield lambda *words: command("risk", *words, "--config", tmp_path / "x.toml", "--json")  # type: ignore[misc]
    finally:
        down.set()
        thread.join(PATIENCE_S)


def test_operator_stops_limits_and_looks(risk: Command) -> None:
    killed = risk("kill", "--account", 1)
    assert (killed.code, killed.document["done"], killed.document["canceled"]) == (0, True, 1)
    assert risk("release", "--account", 1).document["canceled"] == 0
    assert risk("reduce-only", "--account", 2).document["max_position_qty"] == 1
    assert risk("limit", "--account", 2, "--position", 7).document["max_position_qty"] == 7
    assert risk("restrict", "BTC-USD", "--account", 2).document["done"]
    halted = risk("halt", "BTC-USD")
    assert (halted.code, halted.document["phase"]) == (0, "halted")
    assert risk("resume", "BTC-USD", "--auction").document["phase"] == "auction"
    assert risk("resume", "BTC-USD").document["phase"] == "continuous"
    # Risk heard it all.
    told = risk("events", "-n", 100).document["events"]
    assert [one["event"] for one in told][-8:] == [
        "CANCELED", "DONE", "DONE", "DONE", "DONE", "DONE", "PHASE", "PHASE", "PHASE",
    ][-8:]  # fmt: skip

    shown = risk("show", "--account", 2).document
    firm, account = shown["nodes"]
    # 2 BTC at 50,000: in units of 10**-8 USD.
    assert (firm["gross"], firm["net"]) == (2 * 2 * 50_000 * 10**8, 0)
    assert account["net"] == 2 * 50_000 * 10**8
    stressed = risk("stress", "--shock", "BTC-USD=-20", "--account", 2).document
    assert stressed["nodes"][1]["stress"]["BTC-USD=-20"] == -2 * 10_000 * 10**8
    before = risk("show", "--at", 2).document
    assert (before["seq"] <= 2, before["nodes"][0]["gross"]) == (True, 0)


def test_refusals_and_bad_words(risk: Command) -> None:
    refused = risk("kill", "--account", 15)
    assert (refused.code, refused.document["status"]) == (1, "UNKNOWN_ACCOUNT")
    for words, text in (
        (("limit", "--account", 1), "which limit"),
        (("limit", "--burst", 3), "--rate"),
        (("halt", "NOPE"), "NOPE"),
        (("stress", "--shock", "BTC-USD"), "SYMBOL=PERCENT"),
        (("stress", "--shock", "BTC-USD=-200"), "100 %"),
        (("stress", "--shock", "NOPE=-20"), "NOPE"),
    ):
        found = risk(*words)
        assert found.code == 2
        assert text in found.err
