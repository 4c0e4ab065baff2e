"""Offers a log of this process to other processes of the machine, over a socket.

Any adapter of the Log port can be behind it; `tradecore up` puts a `FileLog` there. The other side
is `tradecore_shells.plumbing.logclient.LogClient`. A unix socket is readable by its owner only; TCP
is for loopback.

Requests of one connection overlap: an append waits for the disk and a fetch for records while
others go on. A connection that asks for more than it may (`_MAX_PENDING`) is not read until it has
its answers; one that sends garbage is closed with one line in the log of the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from tradecore.errors import TradecoreError
from tradecore_shells.plumbing import logwire as wire
from tradecore_shells.plumbing.ports import FatalError, Log, RetryableError

__all__ = ["LogServer", "ServedLog"]

_LOGGER: Final = logging.getLogger("tradecore.logserver")
_MAX_PENDING: Final = 1024
_MAX_PENDING_BYTES: Final = 128 << 20
# One answer: enough to keep both sides busy, little enough to be made without a pause.
_MAX_FETCH_BYTES: Final = 8 << 20
_MAX_FETCH_RECORDS: Final = 100_000


class ServedLog(Log, Protocol):
    """What the server needs of a log: the port, and the list of topics."""

    async def topics(self) -> dict[str, int]:
        """Return topics and their numbers of partitions."""


class LogServer:
    """Serves a log on one address.

    Parameters
    ----------
    log : ServedLog
        Stays the caller's: close it after the server.
    address : str
        ``unix:PATH`` or ``tcp://127.0.0.1:PORT``; port 0 takes a free one, see `address`.
    """

    def __init__(self, log: ServedLog, address: str) -> None:
        self._log = log
        self._place = wire.parse_address(address)
        self._server: asyncio.Server | None = None
        self._peers: set[_Peer] = set()
        self.address = address

    async def start(self) -> None:
        """Listen.

        Raises
        ------
        FatalError
            Somebody else answers there, or the system refuses.
        """
        loop = asyncio.get_running_loop()
        try:
            if isinstance(self._place, str):
                listening = _bind(Path(self._place))
                self._server = await loop.create_unix_server(self._connect, sock=listening)
            else:
                host, port = self._place
                self._server = await loop.create_server(self._connect, host, port)
                port = self._server.sockets[0].getsockname()[1]
                self.address = f"tcp://{host}:{port}"
        except OSError as error:
            raise FatalError(
                f"{self.address}: cannot listen: {error.strerror or error}; stop what uses it, or "
                "choose another address"
            ) from error

    async def close(self) -> None:
        """Stop listening, drop the connections, wait until what they asked for has ended."""
        if self._server is None:
            return
        self._server.close()
        peers = list(self._peers)
        for peer in peers:
            peer.close()
        for peer in peers:
            await peer.closed.wait()
        await self._server.wait_closed()
        self._server = None
        if isinstance(self._place, str):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._place)

    def _connect(self) -> asyncio.BaseProtocol:
        peer = _Peer(self._log, self._peers.discard)
        self._peers.add(peer)
        return peer.connection


def _bind(path: Path) -> socket.socket:
    """Return a socket with that name, which only this user may connect to."""
    _remove_stale(path)
    listening = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o177)  # applied at bind: nobody else may connect, not even for a moment
    try:
        listening.bind(str(path))
    except BaseException:
        listening.close()
        raise
    finally:
        os.umask(mask)
    return listening


def _remove_stale(path: Path) -> None:
    """Remove a socket that a killed process left; refuse one that answers."""
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise FatalError(f"{path} exists and is no socket; choose another address")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise FatalError(f"unix:{path}: another process serves a log there; stop it first")


class _Peer:
    """One connection of the server and what it waits for."""

    def __init__(self, log: ServedLog, on_end: Callable[[_Peer], None]) -> None:
        self._log = log
        self._on_end = on_end
        self._tasks: set[asyncio.Task[None]] = set()
        self._pending_bytes = 0
        self._stopped = False
        self.closed = asyncio.Event()
        self.connection: wire.Connection[wire.Request] = wire.Connection(
            wire.Request, self._take, self._end
        )

    def _take(self, request: wire.Request, data: memoryview) -> None:
        payloads = wire.split(data, request.sizes if isinstance(request, wire.Append) else ())
        size = len(data)
        self._pending_bytes += size
        # Tasks start in the order in which they were made, so appends keep theirs.
        task = asyncio.create_task(self._answer(request, payloads))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._done(done, size))
        if len(self._tasks) >= _MAX_PENDING or self._pending_bytes >= _MAX_PENDING_BYTES:
            self._stopped = True
            self.connection.pause_reading()

    def _done(self, task: asyncio.Task[None], size: int) -> None:
        self._tasks.discard(task)
        self._pending_bytes -= size
        if self._stopped and len(self._tasks) < _MAX_PENDING // 2:
            self._stopped = self._pending_bytes >= _MAX_PENDING_BYTES
            if not self._stopped:
                self.connection.resume_reading()
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOGGER.error("a request ended in %s: %s", type(error).__name__, error)
            self.connection.close()

    async def _answer(self, request: wire.Request, payloads: list[memoryview]) -> None:
        number = request.request
        try:
            if isinstance(request, wire.Append):
                offset = await self._log.append(request.topic, request.partition, payloads)
                self.connection.send(wire.Done(number, offset))
            elif isinstance(request, wire.Fetch):
                await self._fetch(request)
            elif isinstance(request, wire.BoundsOf):
                bounds = await self._log.bounds(request.topic, request.partition)
                self.connection.send(wire.Bounds(number, bounds.start, bounds.end))
            else:
                self.connection.send(wire.Topics(number, await self._log.topics()))
        except TradecoreError as error:
            self.connection.send(wire.Failed(number, isinstance(error, RetryableError), str(error)))

    async def _fetch(self, request: wire.Fetch) -> None:
        records = await self._log.fetch(
            *(request.topic, request.partition, request.offset),
            max_bytes=min(request.max_bytes, _MAX_FETCH_BYTES),
            wait_s=request.wait_s,
        )
        del records[_MAX_FETCH_RECORDS:]
        heads = [(each.offset, each.ts_ns, each.payload.nbytes) for each in records]
        self.connection.send(
            wire.Fetched(request.request, heads), [each.payload for each in records]
        )

    def _end(self, error: Exception | None) -> None:
        if isinstance(error, wire.WireError):
            _LOGGER.warning("closed a connection that does not speak the log's protocol: %s", error)
        for task in self._tasks:
            task.cancel()
        self._on_end(self)
        self.closed.set()

    def close(self) -> None:
        """Drop the connection."""
        self.connection.abort()
