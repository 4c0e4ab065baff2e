"""The client: sends orders as fast as it is told and writes down what was acknowledged.

    python -m chaos.load FOLDER RATE SEED

Runs until SIGTERM. An envelope counts as acknowledged only after its line is in `acks.bin`, which
is opened for appending only: offset of its record, id of its first order, number of orders. Ids of
one session are dense, so a line names all of them.
"""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tradecore.codes import CommandKind, OrdType, Side, Tif
from tradecore.dtypes import COMMAND
from tradecore_shells.client import Client
from tradecore_shells.plumbing.adapters import open_log

ACK = struct.Struct("<QQQ")
SESSION = 77
_BATCH = 500
_UNDER_WAY = 16


class Flow:
    """Seeded orders of many accounts: most rest a little away, some take, some are cancelled."""

    def __init__(self, seed: int, accounts: int, first_px: dict[int, int]) -> None:
        self._rng = np.random.Generator(np.random.PCG64(seed))
        self._accounts = accounts
        self._px = first_px
        self._ids = np.array(sorted(first_px), np.uint32)
        self._mine: dict[int, int] = {}

    def next(self, first_id: int) -> npt.NDArray[np.void]:
        """Return the next orders, ids from `first_id` on; the last tenth cancels earlier ones."""
        rng, n = self._rng, _BATCH
        frames = np.zeros(n + n // 10, COMMAND)
        new = frames[:n]
        new["kind"], new["ord_type"] = CommandKind.NEW_ORDER, OrdType.LIMIT
        new["order_id"] = np.arange(first_id, first_id + n, dtype=np.uint64)
        new["account_id"] = rng.integers(0, self._accounts, n)
        new["instrument_id"] = rng.choice(self._ids, n)
        new["side"] = rng.integers(1, 3, n)
        new["tif"] = np.where(rng.random(n) < 0.6, Tif.IOC, Tif.GTC)
        centre = np.array([self._px[one] for one in new["instrument_id"].tolist()])
        away = rng.integers(-8, 20, n)
        new["px"] = np.where(new["side"] == Side.BUY, centre - away, centre + away)
        new["order_qty"] = rng.integers(1, 5, n)
        old = frames[n:]
        old["kind"] = CommandKind.CANCEL_ORDER
        old["order_id"] = new["order_id"][: len(old)]
        old["account_id"] = new["account_id"][: len(old)]
        frames["session_id"] = SESSION
        return frames


async def run(folder: Path, rate: float, seed: int) -> None:
    """Send until SIGTERM."""
    url, accounts, *prices = (folder / "load.txt").read_text("utf-8").split()
    first_px = {i: int(px) for i, px in (one.split(":") for one in prices)}  # type: ignore[misc]
    flow = Flow(seed, int(accounts), {int(key): px for key, px in first_px.items()})
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    acks = os.open(folder / "acks.bin", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    log = open_log(url)
    client = Client(log, account_id=0, session_id=SESSION, patience_s=120.0)
    begin = loop.time()
    sent = 0
    waiting: set[asyncio.Task[None]] = set()

    async def send(frames: npt.NDArray[np.void], first_id: int) -> None:
        offset = await client.submit(frames)
        os.write(acks, ACK.pack(offset, first_id, _BATCH))

    while not stopping.is_set():
        while len(waiting) >= _UNDER_WAY:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        first_id = SESSION << 32 | (sent + 1)
        waiting.add(asyncio.create_task(send(flow.next(first_id), first_id)))
        sent += _BATCH
        ahead = sent / rate - (loop.time() - begin)
        if ahead < -1.0:  # after an outage: go on at the rate, do not catch up
            begin -= ahead
        await asyncio.sleep(max(ahead, 0.0))
    if waiting:
        await asyncio.wait(waiting)
        for task in waiting:
            task.result()
    os.close(acks)
    await log.close()


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))
