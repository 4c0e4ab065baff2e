"""The one-machine exchange as a person uses it: start, trade, stop, start again, kill, refuse."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
ENV = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'shells'}"}
SMALL = ("--accounts", "60", "--instruments", "2", "--pace", "200")
PATIENCE_S = 60.0


def tradecore(*words: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tradecore.cli", *words],
        env=ENV,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


class Up:
    """A running `tradecore up`; its output is read until it says that it serves."""

    def __init__(self, data: Path, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "tradecore.cli", "up", "--data", str(data), *words],
            env=ENV,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        self.greeting = ""
        while "try: tradecore" not in self.greeting:
            line = self.process.stdout.readline()
            if not line:
                raise AssertionError(f"it ended: {self.greeting}")
            self.greeting += line

    def end(self, number: signal.Signals, code: int) -> str:
        self.process.send_signal(number)
        out, _ = self.process.communicate(timeout=PATIENCE_S)
        assert self.process.returncode == code, self.greeting + out
        return out


@pytest.fixture
def running() -> Iterator[list[Up]]:
    started: list[Up] = []
    yield started
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate()


@pytest.mark.slow
def test_a_day_in_the_life(tmp_path: Path, running: list[Up]) -> None:
    data = tmp_path / "x"
    running.append(first := Up(data, *SMALL, "--no-demo"))
    assert "resumed" not in first.greeting
    at = ("--data", str(data))

    # Alone in the market: an order rests, and is known by its id from another process.
    placed = json.loads(
        tradecore("order", "sell", "BTC-USD", "0.01", "--at", "70000", *at, "--json")
    )
    assert placed["state"] == "accepted"
    assert placed["leaves_qty"] == 10
    # The other side of it from an account that also has money: a participant's.
    bought = json.loads(
        tradecore("order", "buy", "BTC-USD", "0.004", *at, "--account", "3", "--json")
    )
    assert bought["state"] == "filled"
    assert [(fill["px"], fill["qty"]) for fill in bought["fills"]] == [(14_000, 4)]

    # 4 lots of 0.001 BTC sold at 70,000: 280 USD, and the maker's rebate of 0.005 %.
    deadline = time.monotonic() + PATIENCE_S
    while True:
        mine = json.loads(tradecore("positions", *at, "--json"))
        if mine["positions"]:
            break
        assert time.monotonic() < deadline, "the portfolio never wrote the fill"
    assert mine["positions"][0]["quantity"] == "-0.004"
    cash = {one["asset"]: one["amount"] for one in mine["balances"]}
    assert cash["USD"] == "1000280.014000"
    assert cash["BTC"] == "0.996000"

    sessions = json.loads(tradecore("sessions", *at, "--json"))
    assert [one["label"] for one in sessions] == ["tradecore order"]
    seen = json.loads(tradecore("top", *at, "--json", "--seconds", "1"))
    assert seen["quotes"]["BTC-USD"]["ask_qty"] == 6

    # A second one must not touch the folder.
    refused = tradecore("up", *at, code=70)
    assert "another process" in refused
    out = first.end(signal.SIGTERM, 0)
    assert "reconciled: log = Postgres = cache" in out

    # What rested when it ended rests when it goes on.
    running.append(second := Up(data, "--no-demo"))
    assert "resumed at log offset" in second.greeting
    cancel = ("order", "cancel", str(placed["order_id"]))
    assert json.loads(tradecore(*cancel, *at, "--json"))["canceled"]
    assert "UNKNOWN_ORDER" in tradecore(*cancel, *at, code=1)
    second.end(signal.SIGTERM, 0)

    # Killed in the middle of everybody's trading: nothing is lost, nothing is there twice.
    running.append(third := Up(data))
    tradecore("top", *at, "--seconds", "2")
    third.end(signal.SIGKILL, -signal.SIGKILL)
    running.append(last := Up(data, "--no-demo"))
    assert "reconciled: log = Postgres = cache" in last.end(signal.SIGINT, 0)
    assert "no log" in tradecore(*cancel, *at, code=2)

    # Four lives, one of them ended by force, and the library says what the exchange said.
    log = str(data / "log" / "trading-commands-0")
    certificate = json.loads(tradecore("parity", log, "--json"))
    assert certificate["equal"]
    compared = [line["what"].split(" (")[0] for line in certificate["lines"]]
    assert compared[0] == "event hash, as published"
    assert {"ledger", "positions", "PnL", "risk: working lots", "risk: margins"} <= set(compared)
    # Ticks behind the last answer are no news.
    assert all("not answered (yet)" in note for note in certificate["notes"])


def test_no_exchange_is_one_sentence(tmp_path: Path) -> None:
    for words in (("positions",), ("order", "buy", "BTC-USD", "1"), ("top",), ("sessions",)):
        said = tradecore(*words, "--data", str(tmp_path / "none"), code=2)
        assert "holds no exchange: start one with 'tradecore up" in said
        assert len(said.strip().splitlines()) == 1


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    said = tradecore("up", "--data", str(tmp_path), code=2)
    assert "not empty and holds no exchange" in said
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_a_folder_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "exchange.json").write_text(
        '{"format": 99, "accounts": 20, "instruments": 2, "own_account": 21, "cell": {}}'
    )
    assert "written by another version" in tradecore("up", "--data", str(tmp_path), code=2)
