"""Servers, shells and the client of a chaos run: kept running, and broken when told."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from services.kafka.broker import Broker
from services.postgres_server import PostgresServer
from services.redis_server import RedisServer

from tradecore.agents import Market, MarketSpec
from tradecore_shells.admin.topics import create_topics, plan_topics
from tradecore_shells.client import Client
from tradecore_shells.plumbing.adapters import open_log
from tradecore_shells.plumbing.catalogs import save_catalog
from tradecore_shells.plumbing.processes import ProcessRef, spawn
from tradecore_shells.up.venue import GENESIS_SOURCE, cell_config, genesis, specs

__all__ = ["SHELLS", "Rig"]

ROOT: Final = Path(__file__).resolve().parents[2]
ENV: Final = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("src", "shells", "tests", ".")),
}
SPEC: Final = MarketSpec(accounts=400, instruments=4)
SHELLS: Final = {
    "trading-a": "tradecore_shells.trading",
    "trading-b": "tradecore_shells.trading",
    "portfolio-a": "tradecore_shells.portfolio",
    "portfolio-b": "tradecore_shells.portfolio",
    "risk": "tradecore_shells.risk",
}
_RESTART_S: Final = 0.1


class Rig:
    """Everything of one run, in one folder.

    Parameters
    ----------
    folder : Path
    seed : int
        Of the client's orders.
    rate : float
        Orders a second.
    """

    def __init__(self, folder: Path, seed: int, rate: float) -> None:
        self.folder = folder
        self.seed = seed
        self.rate = rate
        self.kafka = Broker(folder / "kafka")
        self.postgres = PostgresServer(folder / "postgres")
        self.redis = RedisServer(folder / "redis")
        self.market = Market(SPEC, np.random.Generator(np.random.PCG64(1)))
        self.cell = cell_config(SPEC)
        self.shells: dict[str, ProcessRef] = {}
        self.restarts = dict.fromkeys(SHELLS, 0)
        self.load: ProcessRef | None = None
        self._wanted: set[str] = set()
        self._lock = threading.RLock()
        self._keeper: threading.Thread | None = None
        self._over = threading.Event()

    @property
    def log_url(self) -> str:
        """Address of the log."""
        return f"kafka://{self.kafka.url}"

    # ------------------------------------------------------------------------------ beginning
    def start(self) -> None:
        """Start servers, make the venue, start shells and the client."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for server in (self.kafka, self.postgres, self.redis):
            server.start()
        asyncio.run(create_topics(self.kafka.url, plan_topics(1)))
        save_catalog(self.folder / "catalog.json", specs(self.market))
        for name in SHELLS:
            self._settings(name).write_text(_toml(self._tables(name)), "utf-8")
        self._wanted = set(SHELLS)
        for name in SHELLS:
            self._spawn(name)
        asyncio.run(self._found())
        prices = " ".join(f"{plan.instrument_id}:{plan.first_px}" for plan in self.market.plans)
        (self.folder / "load.txt").write_text(f"{self.log_url} {SPEC.accounts} {prices}\n", "utf-8")
        self.load = spawn(
            [sys.executable, "-m", "chaos.load", str(self.folder), str(self.rate), str(self.seed)],
            log=self.folder / "load.log",
            env=ENV,
        )
        self._keeper = threading.Thread(target=self._keep, name="keeper")
        self._keeper.start()

    def _settings(self, name: str) -> Path:
        return self.folder / f"{name}.toml"

    def _tables(self, name: str) -> dict[str, Any]:
        role = "standby" if name == "trading-b" else "primary"
        return {
            "log": {"url": self.log_url},
            "store": {"dsn": self.postgres.url},
            "cache": {"url": self.redis.url},
            "catalog": {"file": str(self.folder / "catalog.json")},
            "cell": msgspec.to_builtins(self.cell),
            "trading": {
                "role": role,
                "snapshots": str(self.folder / f"snapshots-{name}"),
                "snapshot_every_s": 3.0,
                "takeover_s": 0.5,
            },
            "risk": {"snapshots": str(self.folder / "snapshots-risk")},
        }

    def _spawn(self, name: str) -> None:
        self.shells[name] = spawn(
            [sys.executable, "-m", SHELLS[name], str(self._settings(name))],
            log=self.folder / f"{name}.log",
            env=ENV,
        )

    async def _found(self) -> None:
        log = open_log(self.log_url)
        client = Client(log, account_id=0, session_id=1, source=GENESIS_SOURCE, patience_s=60.0)
        await client.start()
        try:
            for batch in genesis(self.market):
                await client.outcome(await client.submit(batch))
        finally:
            await client.close()
            await log.close()

    def _keep(self) -> None:
        """Start again what has ended; every end is on the record."""
        while not self._over.wait(_RESTART_S):
            with self._lock:
                for name in sorted(self._wanted):
                    if not self.shells[name].alive():
                        self.restarts[name] += 1
                        self._spawn(name)

    # --------------------------------------------------------------------------------- faults
    def kill(self, name: str) -> None:
        """SIGKILL a shell; the keeper starts it again."""
        self.shells[name].send(signal.SIGKILL)

    def pause(self, name: str, seconds: float) -> None:
        """SIGSTOP a shell for a while."""
        victim = self.shells[name]
        if victim.send(signal.SIGSTOP):
            time.sleep(seconds)
            victim.send(signal.SIGCONT)

    # --------------------------------------------------------------------------------- ending
    def stop_load(self) -> None:
        """Let the client finish what it has sent."""
        assert self.load is not None
        self.load.send(signal.SIGTERM)
        if not self.load.wait(150.0):
            raise AssertionError("the client could not finish: appends never came back")
        text = (self.folder / "load.log").read_text("utf-8", "replace")
        if "Error" in text:
            raise AssertionError(f"the client failed:\n{text[-2000:]}")

    def heal(self) -> None:
        """Bring everything up."""
        for server in (self.kafka, self.postgres, self.redis):
            server.start()

    def drain(self, timeout_s: float = 60.0) -> None:
        """End the shells in order: they must leave with 0 after writing everything."""
        with self._lock:
            self._wanted.clear()
        for name in ("risk", "trading-a", "trading-b", "portfolio-a", "portfolio-b"):
            process = self.shells[name]
            process.send(signal.SIGTERM)
            if not process.wait(timeout_s):
                tail = (self.folder / f"{name}.log").read_text("utf-8", "replace")[-2000:]
                raise AssertionError(f"{name} does not drain within {timeout_s:g} s:\n{tail}")

    def close(self) -> None:
        """End everything that this rig has started."""
        self._over.set()
        if self._keeper is not None:
            self._keeper.join()
        for process in (*self.shells.values(), *([self.load] if self.load else [])):
            process.send(signal.SIGCONT)
            process.send(signal.SIGKILL)
            process.wait(10.0)
        for server in (self.kafka, self.postgres, self.redis):
            server.kill()


def _toml(tables: dict[str, Any], prefix: str = "") -> str:
    plain = [f"{k} = {json.dumps(v)}" for k, v in tables.items() if not isinstance(v, dict)]
    parts = ["\n".join(plain)]
    for key, value in tables.items():
        if isinstance(value, dict):
            parts.append(f"[{prefix}{key}]\n{_toml(value, f'{prefix}{key}.')}")
    return "\n".join(parts)
