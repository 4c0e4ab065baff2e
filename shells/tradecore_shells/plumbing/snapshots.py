"""Snapshots of a cell beside its running process.

A snapshot has two moments: when the state is *captured*, and when the file gets its name, which
must wait until every output of that state is durable (a restart from it would never send them).
`ForkedSnapshots` captures by fork: the child has the whole state as it was, copy on write, and the
cell goes on after the milliseconds that copying page tables takes. The child waits for the word to
publish; when the parent dies first it hears the end of the pipe and leaves nothing behind.
`DirectSnapshots` copies the state in the process: for the simulator, small cells and the drain.
"""

from __future__ import annotations

import asyncio
import os
import time
import warnings
from typing import Any, Protocol

from tradecore.errors import SnapshotError, TradecoreError
from tradecore.storage import SnapshotStore

__all__ = ["Capture", "Captured", "DirectSnapshots", "ForkedSnapshots", "Snapshots"]


class Captured(Protocol):
    """What can be captured: a cell."""

    def snapshot_parts(self) -> tuple[Any, Any, bytes]:
        """Return info, sections and configuration for `SnapshotStore.save`."""


class Capture(Protocol):
    """A captured state that has no name yet."""

    async def publish(self) -> bytes:
        """Write it, read it back, give its state hash (32 bytes).

        Raises SnapshotError; older snapshots are untouched then.
        """

    def drop(self) -> None:
        """Forget it."""


class Snapshots(Protocol):
    """Where a cell's snapshots go."""

    store: SnapshotStore

    def capture(self, cell: Captured) -> Capture:
        """Capture the state as it is now."""


def _save(store: SnapshotStore, parts: tuple[Any, Any, bytes]) -> bytes:
    """Write and read back: a snapshot that cannot be loaded is found now, not at the restart."""
    path = store.save(*parts)
    state_hash: bytes = store.load(path).info.state_hash
    return state_hash


class _Copied:
    def __init__(self, store: SnapshotStore, cell: Captured) -> None:
        info, sections, config = cell.snapshot_parts()
        # The state goes on changing: views into it must become bytes now.
        self._parts = (info, [(name, bytes(data)) for name, data in sections], config)
        self._store = store

    async def publish(self) -> bytes:
        return _save(self._store, self._parts)

    def drop(self) -> None:
        self._parts = (None, [], b"")


class DirectSnapshots:
    """Copies in the process and writes in the call.

    Parameters
    ----------
    store : SnapshotStore
    """

    def __init__(self, store: SnapshotStore) -> None:
        self.store = store

    def capture(self, cell: Captured) -> Capture:
        """Copy the state."""
        return _Copied(self.store, cell)


class _Forked:
    def __init__(self, store: SnapshotStore, cell: Captured) -> None:
        go, self._say = os.pipe()
        self._hear, report = os.pipe()
        with warnings.catch_warnings():
            # Other threads of this process hold no lock that the child needs: it exports arrays,
            # writes a file and leaves by _exit.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
            os.close(self._say)
            os.close(self._hear)
            _child(store, cell, go, report)
        os.close(go)
        os.close(report)

    async def publish(self) -> bytes:
        os.write(self._say, b"g")
        os.close(self._say)
        self._say = -1
        answer = await asyncio.get_running_loop().run_in_executor(None, self._answer)
        if answer[:1] != b"=":
            raise SnapshotError(answer.decode("utf-8", "replace"))
        return answer[1:]

    def _answer(self) -> bytes:
        parts = []
        while piece := os.read(self._hear, 65536):
            parts.append(piece)
        os.close(self._hear)
        self._hear = -1
        _, status = os.waitpid(self.pid, 0)
        fallback = f"the process that wrote the snapshot ended with status {status}"
        return b"".join(parts) or fallback.encode()

    def drop(self) -> None:
        for end in (self._say, self._hear):
            if end >= 0:
                os.close(end)
        self._say = self._hear = -1
        os.waitpid(self.pid, 0)


def _close_all_but(*kept: int) -> None:
    """Let go of what was inherited: locks and sockets must end with the parent, not with us.

    Otherwise the process that is started in the place of a killed one finds the log locked and the
    port in use for as long as the child writes.
    """
    first = 3
    for fd in sorted(kept):
        os.closerange(first, fd)
        first = fd + 1
    os.closerange(first, os.sysconf("SC_OPEN_MAX"))


def _child(store: SnapshotStore, cell: Captured, go: int, report: int) -> None:
    """Be the child: never returns, touches neither the event loop nor what the parent owns."""
    _close_all_but(go, report)
    try:
        parts = cell.snapshot_parts()
        if os.read(go, 1) == b"g":
            os.write(report, b"=" + _save(store, parts))
    except TradecoreError as error:
        os.write(report, str(error).encode()[:60000])
    except BaseException as error:
        os.write(report, f"{type(error).__name__}: {error}".encode()[:60000])
    finally:
        os._exit(0)


class ForkedSnapshots:
    """Captures by fork; see the module.

    Parameters
    ----------
    store : SnapshotStore
    """

    def __init__(self, store: SnapshotStore) -> None:
        self.store = store
        self.pause_s = 0.0
        """How long the last capture stopped the process."""

    def capture(self, cell: Captured) -> Capture:
        """Fork."""
        begin = time.perf_counter()
        captured = _Forked(self.store, cell)
        self.pause_s = time.perf_counter() - begin
        return captured
