"""Talk to an exchange: send commands into the log, hear what the cell made of them.

Everything goes through the Log port, so a program is the same against the embedded exchange of
`tradecore up` and against Kafka::

    async with connect("unix:data/log.sock", account_id=7, catalog=catalog) as client:
        order = await client.place(instrument="BTC-USD", side="buy", px="101.25", order_qty="0.3")
        await order.answered()            # accepted, rejected or repeated
        await order.ended()               # filled, canceled, expired

Three grades of certainty: `submit` returned: the command is durable (RECEIVED). `outcome` or
`Order.answered`: the engine has judged it. `Order.ended`: it cannot change any more.

A connection that breaks is made again, and reading goes on behind the last batch that was heard. A
repeated append cannot do an order twice, because its id is known (docs/concepts/services.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from tradecore import dtypes, envelope
from tradecore.buffers import BytesLike, byte_view
from tradecore.catalog import Catalog
from tradecore.cell import Batch, Position
from tradecore.codes import CommandKind, EventKind
from tradecore.edge import to_frames
from tradecore.errors import ConfigError
from tradecore.messages import CancelOrder, Message, NewOrder, ReplaceOrder
from tradecore.portfolio.sessions import (
    MAX_SESSION,
    SessionClosed,
    SessionOpened,
    UserEvent,
    encode_user_event,
)
from tradecore_shells.following import follow
from tradecore_shells.orders import Order, OrderBook
from tradecore_shells.plumbing.adapters import open_log
from tradecore_shells.plumbing.clock import SystemClock
from tradecore_shells.plumbing.ports import (
    EXECUTIONS,
    TRADING_COMMANDS,
    USER_EVENTS,
    Clock,
    FatalError,
    Log,
)
from tradecore_shells.plumbing.retry import retrying

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Client", "connect", "follow"]

_OUTCOMES: Final = 1024
T = TypeVar("T")
# A repeated append of these is recognised by the order's id.
_BY_ORDER_ID: Final = {
    *(CommandKind.NEW_ORDER, CommandKind.CANCEL_ORDER, CommandKind.REPLACE_ORDER),
    *(CommandKind.NEW_ORDER_LIST, CommandKind.TERMS),
}


class Client:
    """One trading session of one account on one cell.

    Parameters
    ----------
    log : Log
        The client reads `executions` through it; it stays the caller's.
    account_id : int
        Put into orders that are built here.
    session_id : int
        Of this run, 1 to 2**31 - 1, never used before: order ids are ``session_id << 32 | n``.
    partition : int
        Of `trading-commands`.
    catalog : Catalog, optional
        Needed by what speaks in symbols and decimal text.
    clock : Clock, optional
        For `sent_ts_ns`, which the account's stale rule looks at.
    source : int
        0, or ``3 << 28 | index`` for a client that numbers its envelopes: then every command,
        deposits included, may be repeated without doubling it. One client for each number.
    first_seq : int
        With a source: number of the next command, one more than the cell has applied.
    on_batches : callable, optional
        Called with every list of batches as it is read, before anything else is done with it; for
        programs that count and measure. It must not wait.
    patience_s : float
        How long the log may be out of reach before calls fail.
    """

    def __init__(
        self,
        log: Log,
        *,
        account_id: int,
        session_id: int,
        partition: int = 0,
        catalog: Catalog | None = None,
        clock: Clock | None = None,
        source: int = 0,
        first_seq: int = 1,
        on_batches: Callable[[list[Batch]], None] | None = None,
        patience_s: float = 60.0,
    ) -> None:
        if not 1 <= session_id <= MAX_SESSION:
            raise ConfigError(f"session_id {session_id}: from 1 to {MAX_SESSION}")
        self.account_id = account_id
        self.session_id = session_id
        self.partition = partition
        self.catalog = catalog or Catalog()
        self.orders = OrderBook()
        self._log = log
        self._clock = clock or SystemClock()
        self._source = source
        self._next_seq = first_seq
        self._on_batches = on_batches
        self._patience_s = patience_s
        self._count = 0
        self._reading: asyncio.Task[None] | None = None
        self._failure: Exception | None = None
        # By offset: what became of the records that were sent, and batches heard while appends are
        # under way, whose records may turn out to be ours. An append can only get an offset behind
        # what had been heard when it began, so that much of `_early` can be forgotten.
        self._outcomes: dict[int, asyncio.Future[Batch]] = {}
        self._early: dict[int, Batch] = {}
        self._heard = -1
        self._begun: dict[asyncio.Future[Batch], int] = {}
        self._numbered: dict[int, asyncio.Future[Batch]] = {}
        self._turn = asyncio.Lock()

    # ---------------------------------------------------------------------------- begin and end
    async def start(self, position: Position | None = None) -> None:
        """Begin to hear; from the present end of `executions` on, or from a position.

        Raises
        ------
        RetryableError, FatalError
            The log cannot be reached, or has no such position.
        """
        if position is None:
            end = (await self._patiently(lambda: self._log.bounds(EXECUTIONS, self.partition))).end
            position = Position(end, 0)
        self._reading = asyncio.create_task(self._read(position))

    async def close(self) -> None:
        """Stop hearing. Orders that have not ended stay in the market."""
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading
            self._reading = None
        self._fail(FatalError("the client is closed"))

    async def open_session(self, label: str = "") -> None:
        """Tell the portfolio that this session has begun, and what it is called."""
        now = self._clock.now_ns()
        ids: dict[str, Any] = {"session_id": self.session_id, "account_id": self.account_id}
        await self._tell(SessionOpened(**ids, label=label, ts_ns=now))

    async def close_session(self) -> None:
        """Tell the portfolio that this session has ended."""
        now = self._clock.now_ns()
        ids: dict[str, Any] = {"session_id": self.session_id, "account_id": self.account_id}
        await self._tell(SessionClosed(**ids, ts_ns=now))

    async def _tell(self, event: UserEvent) -> None:
        payload = encode_user_event(event)
        await self._patiently(lambda: self._log.append(USER_EVENTS, self.partition, [payload]))

    # ---------------------------------------------------------------------------------- sending
    def new_order_id(self) -> int:
        """Return the next order id of this session."""
        self._count += 1
        return self.session_id << 32 | self._count

    def stamp(self, orders: NDArray[np.void]) -> None:
        """Fill in ids, account, session and time of new orders, in place.

        Parameters
        ----------
        orders : array of `tradecore.COMMAND`
            One frame each, without continuations.
        """
        first = self.session_id << 32 | self._count + 1
        orders["order_id"] = np.arange(first, first + len(orders), dtype=np.uint64)
        orders["account_id"] = self.account_id
        orders["session_id"] = self.session_id
        orders["sent_ts_ns"] = self._clock.now_ns()
        self._count += len(orders)

    async def submit(self, frames: BytesLike) -> int:
        """Append commands as one envelope; return its offset: RECEIVED, durable, not yet judged.

        Parameters
        ----------
        frames : bytes-like
            Whole command frames; unchanged until the call returns.

        Raises
        ------
        FrameError
            Not whole frames.
        RetryableError
            The log was out of reach, and a repetition could do something twice (a deposit of an
            unnumbered source). It may still happen.
        FatalError
            The log refuses, or was out of reach for too long.
        """
        view = byte_view(frames)
        if not self._source:
            return await self._append(envelope.seal(view, source=0, first_seq=1))
        async with self._turn:  # numbers must reach the log in their order
            sealed = envelope.seal(view, source=self._source, first_seq=self._next_seq)
            offset = await self._append(sealed)
            self._next_seq += sealed.count
            return offset

    async def _append(self, sealed: envelope.Envelope) -> int:
        payload = envelope.encode(sealed)
        append = partial(self._log.append, TRADING_COMMANDS, self.partition, [payload])
        may_repeat = bool(self._source) or _kinds(sealed.frames) <= _BY_ORDER_ID
        outcome: asyncio.Future[Batch] = asyncio.get_running_loop().create_future()
        if self._source:
            # Whichever append of it reaches the cell first.
            self._numbered[sealed.first_seq] = outcome
        self._begun[outcome] = self._heard
        try:
            offset = await (self._patiently(append) if may_repeat else append())
        finally:
            del self._begun[outcome]
        if offset in self._early and not outcome.done():
            outcome.set_result(self._early.pop(offset))
        elif self._failure is not None:
            _fail(outcome, self._failure)
        self._outcomes[offset] = outcome
        while len(self._outcomes) > _OUTCOMES and next(iter(self._outcomes.values())).done():
            del self._outcomes[next(iter(self._outcomes))]
        return offset

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        return await retrying(call, f"cell {self.partition}", budget_s=self._patience_s)

    async def outcome(self, offset: int) -> Batch:
        """Return what the cell made of the record at an offset that `submit` has returned.

        Raises
        ------
        ConfigError
            The record was not sent by this client, or long ago: the last 1,024 are remembered.
        RetryableError, FatalError, StreamError
            Nothing will be heard any more.
        """
        if offset not in self._outcomes:
            raise ConfigError(
                f"record {offset} is none of the last {_OUTCOMES} that were sent here"
            )
        return await asyncio.shield(self._outcomes[offset])

    async def ask(self, message: Message) -> Batch:
        """Send any message of `tradecore.messages` and return what the cell made of it."""
        return await self.outcome(await self.submit(to_frames(message, self.catalog)))

    # ------------------------------------------------------------------------------- for people
    async def place(self, **terms: Any) -> Order:
        """Send a new order; return when it is RECEIVED.

        Parameters
        ----------
        **terms
            Fields of `tradecore.messages.NewOrder`: instrument, side, order_qty, px ... The ids of
            order, account and session are this client's.
        """
        order = self.orders.new(self.new_order_id())
        ids: dict[str, Any] = {"order_id": order.order_id, "account_id": self.account_id}
        terms = {"sent_ts_ns": self._clock.now_ns(), **terms}
        try:
            message = NewOrder(**ids, session_id=self.session_id, **terms)
            order.offset = await self.submit(to_frames(message, self.catalog))
        except BaseException:
            self.orders.forget(order.order_id)
            raise
        return order

    async def cancel(self, order_id: int) -> Batch:
        """Cancel an order of this session; return what the cell made of it."""
        return await self.ask(
            CancelOrder(order_id=order_id, account_id=self.account_id, session_id=self.session_id)
        )

    async def replace(self, order_id: int, **terms: Any) -> Batch:
        """Change an order of this session: instrument, px, order_qty ... of `ReplaceOrder`."""
        ids: dict[str, Any] = {"order_id": order_id, "account_id": self.account_id}
        terms = {"sent_ts_ns": self._clock.now_ns(), **terms}
        return await self.ask(ReplaceOrder(**ids, session_id=self.session_id, **terms))

    # ---------------------------------------------------------------------------------- hearing
    async def _read(self, position: Position) -> None:
        try:
            stream = follow(
                *(self._log,),
                partition=self.partition,
                position=position,
                patience_s=self._patience_s,
            )
            async for batches in stream:
                if self._on_batches is not None:
                    self._on_batches(batches)
                self._hear(batches)
        except Exception as error:
            self._fail(error)

    def _hear(self, batches: Iterable[Batch]) -> None:
        for batch in batches:
            outcome = self._outcomes.get(batch.in_offset)
            if self._source and batch.in_source == self._source:
                outcome = self._numbered.pop(batch.in_first_seq, outcome)
            if outcome is not None:
                if not outcome.done():
                    outcome.set_result(batch)
            elif self._begun:
                self._early[batch.in_offset] = batch
            self._heard = batch.in_offset
            if len(self.orders) and len(batch.events):
                self._hear_own(batch)
        # The oldest append under way stands first in `_begun`, the oldest batch in `_early`.
        floor = next(iter(self._begun.values()), self._heard)
        for offset in list(self._early):
            if offset > floor:
                break
            del self._early[offset]

    def _hear_own(self, batch: Batch) -> None:
        events = batch.events
        mine = events["order_id"] >> np.uint64(32) == self.session_id
        fills = events["kind"] == EventKind.FILL
        makers = events.view(dtypes.FILL_EVENT)["maker_order_id"]
        mine |= fills & (makers >> np.uint64(32) == self.session_id)
        for at in np.flatnonzero(mine):
            self.orders.take(int(events["kind"][at]), events[at].tobytes(), batch.ts_ns)

    def _fail(self, error: Exception) -> None:
        if self._failure is None:
            self._failure = error
        for outcome in self._outcomes.values():
            _fail(outcome, self._failure)
        self.orders.fail(error)


def _fail(outcome: asyncio.Future[Batch], error: Exception) -> None:
    if not outcome.done():
        outcome.set_exception(error)
        outcome.exception()  # nobody need be waiting


def _kinds(frames: memoryview) -> set[int]:
    """Return the kinds of all frames; tails of definitions give any numbers, which do no harm."""
    return set(np.unique(np.frombuffer(frames, dtypes.COMMAND)["kind"]).tolist())


@contextlib.asynccontextmanager
async def connect(
    url: str, *, account_id: int, session_id: int = 0, label: str | None = None, **settings: Any
) -> AsyncIterator[Client]:
    """Open a client on a log by its address, and close both at the end.

    Parameters
    ----------
    url : str
        ``unix:PATH``, ``tcp://127.0.0.1:PORT`` or ``kafka://HOST:PORT``.
    account_id : int
    session_id : int
        0 draws a number, so that programs that start at the same moment differ. Of n sessions
        that a log has seen, a new one meets one with a chance of n in two thousand million; its
        orders are then refused as repeated.
    label : str, optional
        Given, the session is announced to the portfolio and closed there at the end.
    **settings
        See `Client`.

    Raises
    ------
    ConfigError, RetryableError, FatalError
        No such address, nobody answers, or the log refuses.
    """
    clock = settings.setdefault("clock", SystemClock())
    session_id = session_id or 1 + secrets.randbelow(MAX_SESSION)
    log = open_log(url, clock)
    client = None
    try:
        client = Client(log, account_id=account_id, session_id=session_id, **settings)
        await client.start()
        if label is not None:
            await client.open_session(label)
        yield client
        if label is not None:
            await client.close_session()
    finally:
        if client is not None:
            await client.close()
        await log.close()
