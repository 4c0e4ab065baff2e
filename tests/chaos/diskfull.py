"""A disk that fills up under an embedded exchange: it stops, says so, and goes on later.

A small tmpfs holds the log and the snapshots of one trading service with its own file log. A filler
file takes the rest of it at a random moment; the service is expected to end with a sentence. After
the filler has gone it is started again: everything that was acknowledged must be there.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from chaos.rig import ENV, SPEC
from tradecore.agents import Market
from tradecore.codes import CommandKind
from tradecore.dtypes import COMMAND
from tradecore.envelope import encode, seal
from tradecore_shells.plumbing.adapters import open_log
from tradecore_shells.plumbing.ports import TRADING_COMMANDS, FatalError, RetryableError
from tradecore_shells.plumbing.processes import ProcessRef, spawn
from tradecore_shells.up.venue import cell_config, genesis

__all__ = ["fill_disks"]

_SIZE_MB = 96
# Appends before the filler: counted, not timed, or a fast machine fills the disk by itself.
_APPENDS = (50, 600)


def fill_disks(folder: Path, seed: int, times: int) -> tuple[int, list[str]]:
    """Do it `times` times; return how often, and what was wrong."""
    rng = random.Random(seed)
    wrong: list[str] = []
    done = 0
    for number in range(times):
        place = folder / f"disk-{number}"
        place.mkdir(parents=True)
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={_SIZE_MB}m", "tmpfs", str(place)], check=True
        )
        try:
            wrong += _once(place, folder / f"disk-{number}.log", rng)
            done += 1
        finally:
            subprocess.run(["umount", "-l", str(place)], check=True)
    return done, wrong


def _start(place: Path, log: Path) -> ProcessRef:
    settings = log.with_suffix(".toml")
    market = Market(SPEC, np.random.Generator(np.random.PCG64(1)))
    engine = cell_config(SPEC).engine
    settings.write_text(
        f'[log]\nurl = "file:{place}/log"\nserve = "unix:{log.parent}/{log.stem}.sock"\n'
        f'[trading]\nsnapshots = "{place}/snapshots"\nsnapshot_every_s = 0.3\n[cell.engine]\n'
        f"accounts = true\nmax_accounts = {engine.max_accounts}\nmax_orders = 65536\n"
        f"max_instruments = {engine.max_instruments}\nmax_assets = {engine.max_assets}\n",
        "utf-8",
    )
    del market
    return spawn(
        [sys.executable, "-m", "tradecore_shells.trading", str(settings)], log=log, env=ENV
    )


async def _send(address: str, appends: int, filler: Path) -> list[tuple[int, bytes]]:
    """Append, fill the disk, append until the log refuses; return what was acknowledged."""
    log = open_log(address)
    acknowledged: list[tuple[int, bytes]] = []
    deadline = time.monotonic() + 30.0
    while True:
        try:
            await log.bounds(TRADING_COMMANDS, 0)
            break
        except RetryableError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
    market = Market(SPEC, np.random.Generator(np.random.PCG64(1)))
    payloads = [encode(seal(batch, source=0, first_seq=1)) for batch in genesis(market)]
    number = 0
    begin = time.monotonic()
    try:
        while time.monotonic() < begin + 20.0:
            if not payloads:
                frames = np.zeros(256, COMMAND)
                frames["kind"], frames["ord_type"], frames["tif"] = CommandKind.NEW_ORDER, 2, 3
                frames["order_id"] = 1 << 32 | np.arange(number + 1, number + 257, dtype=np.uint64)
                frames["session_id"], frames["instrument_id"] = 1, 1
                frames["side"], frames["px"], frames["order_qty"] = 1, 100, 1
                number += 256
                payloads.append(encode(seal(frames, source=0, first_seq=1)))
            payload = payloads.pop(0)
            offset = await log.append(TRADING_COMMANDS, 0, [payload])
            acknowledged.append((offset, payload))
            if len(acknowledged) == appends:
                _fill(filler)
    except (FatalError, RetryableError):
        pass
    finally:
        await log.close()
    return acknowledged


def _fill(path: Path) -> None:
    """Take all room that is left, to the last byte."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        while True:
            os.write(fd, bytes(1 << 16))
    except OSError:
        os.close(fd)


def _once(place: Path, log: Path, rng: random.Random) -> list[str]:
    address = f"unix:{log.parent}/{log.stem}.sock"
    process = _start(place, log)
    acknowledged = asyncio.run(_send(address, rng.randint(*_APPENDS), place / "filler"))
    wrong = []
    if not process.wait(30.0):
        wrong.append(f"{place.name}: still running on a full disk")
        process.send(9)
    said = log.read_text("utf-8", "replace")
    if "No space left" not in said:
        wrong.append(f"{place.name}: the full disk was not named: {said[-500:]}")
    os.unlink(place / "filler")
    process = _start(place, log)
    try:
        wrong += asyncio.run(_check(address, acknowledged, place))
    finally:
        process.stop(30.0)
    return wrong


async def _check(address: str, acknowledged: list[tuple[int, bytes]], place: Path) -> list[str]:
    log = open_log(address)
    deadline = time.monotonic() + 30.0
    while True:
        try:
            bounds = await log.bounds(TRADING_COMMANDS, 0)
            break
        except RetryableError:
            if time.monotonic() > deadline:
                return [f"{place.name}: does not start again with room on the disk"]
            await asyncio.sleep(0.05)
    held: dict[int, bytes] = {}
    offset = bounds.start
    while offset < bounds.end:
        for record in await log.fetch(TRADING_COMMANDS, 0, offset, max_bytes=8 << 20, wait_s=1.0):
            held[record.offset] = bytes(record.payload)
            offset = record.offset + 1
    lost = [at for at, payload in acknowledged if held.get(at) != payload]
    await log.close()
    if lost:
        return [f"{place.name}: {len(lost)} acknowledged records are lost, the first at {lost[0]}"]
    if not acknowledged:
        return [f"{place.name}: nothing was acknowledged at all"]
    return []
