"""Who sends commands in a simulated world, and the memory of what was acknowledged to them.

Traders send unnumbered envelopes and rely on their order ids; the operator numbers its envelopes.
Both write into the journal what the log has acknowledged, at that moment and not before: the
oracles hold the services to it.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import Final

from tradecore.codes import CommandKind, LimitField, Scope
from tradecore.envelope import encode, encode_compact, seal
from tradecore.portfolio.sessions import SessionOpened, encode_user_event
from tradecore.testing import build
from tradecore_shells.plumbing.ports import (
    TRADING_COMMANDS,
    USER_EVENTS,
    Clock,
    RetryableError,
)
from tradecore_shells.sim.faults import Faults
from tradecore_shells.sim.log import SimLog

__all__ = ["INSTRUMENTS", "MIDDLE", "OPERATOR", "QUOTE_ASSET", "Journal", "Operator", "Trader"]

OPERATOR: Final = 3 << 28 | 1
"""Source number of the operator: a client that numbers its envelopes."""
QUOTE_ASSET: Final = 0
INSTRUMENTS: Final = (0, 1)
"""0 is spot (asset 1 against asset 0), 1 is linear with margin."""
MIDDLE: Final = 1_000
_MIN_PAUSE_S: Final = 0.01


@dataclass
class Journal:
    """What the log has acknowledged.

    Attributes
    ----------
    orders : dict
        Order id to its quantity as first sent, of acknowledged orders.
    offered : dict
        The same for all orders that were ever sent, acknowledged or not.
    lists : dict
        Order id of a later member of a list to its id.
    deposits : dict
        Account to the sum of acknowledged deposits in the quote asset.
    sessions : list of int
        Acknowledged trading sessions.
    last_offset : int
        Highest offset that was told to anybody.
    garbage : int
        Unreadable records that were sent.
    """

    orders: dict[int, int] = field(default_factory=dict)
    offered: dict[int, int] = field(default_factory=dict)
    lists: dict[int, int] = field(default_factory=dict)
    deposits: dict[int, int] = field(default_factory=dict)
    sessions: list[int] = field(default_factory=list)
    last_offset: int = -1
    garbage: int = 0

    def heard(self, offset: int) -> None:
        """Note that somebody was told of a record at this offset."""
        self.last_offset = max(self.last_offset, offset)


class Trader:
    """One account that trades at random and resends what it is unsure of.

    Parameters
    ----------
    account : int
    session : int
        Trading session; its orders are ``session << 32 | n``.
    log : SimLog
    clock : Clock
        Of the trader's machine.
    faults : Faults
    journal : Journal
    rng : random.Random
    """

    def __init__(
        self,
        account: int,
        session: int,
        *,
        log: SimLog,
        clock: Clock,
        faults: Faults,
        journal: Journal,
        rng: random.Random,
        partition: int = 0,
    ) -> None:
        self.account = account
        self.session = session
        self.partition = partition
        self._log = log
        self._clock = clock
        self._faults = faults
        self._journal = journal
        self._rng = rng
        self._number = 0
        self._own: list[int] = []
        self._pace = rng.choice((0.02, 0.05, 0.1, 0.2))
        self.stopping = False

    async def run(self) -> None:
        """Open a session and trade until told to stop."""
        rng = self._rng
        await self._tell(SessionOpened(session_id=self.session, account_id=self.account))
        while not self.stopping:
            await asyncio.sleep(_MIN_PAUSE_S + rng.expovariate(1 / self._pace))
            if self._faults.strikes("garbage"):
                await self._send(self._garbage(), {})
                continue
            orders: dict[int, int] = {}
            frames = b"".join(self._command(orders) for _ in range(rng.choice((1, 1, 1, 2, 5))))
            pack = rng.choice((encode, encode, encode_compact))
            payload = pack(seal(frames, source=0, first_seq=1))
            self._journal.offered.update(orders)
            await self._send(payload, orders)
            if self._faults.strikes("client_retry"):
                await asyncio.sleep(rng.choice((0.0, 0.01, 0.5)))
                await self._send(payload, {})

    async def _tell(self, event: SessionOpened) -> None:
        for _ in range(8):
            try:
                await self._log.append(USER_EVENTS, self.partition, [encode_user_event(event)])
            except RetryableError:
                continue
            self._journal.sessions.append(event.session_id)
            return

    async def _send(self, payload: bytes, orders: dict[int, int]) -> None:
        for _ in range(self._rng.choice((1, 3, 8))):
            try:
                offset = await self._log.append(TRADING_COMMANDS, self.partition, [payload])
            except RetryableError:
                await asyncio.sleep(self._rng.uniform(0.01, 0.2))
                continue
            self._journal.heard(offset)
            self._journal.orders.update(orders)
            return

    def _garbage(self) -> bytes:
        """Return a record that is no envelope, or a damaged one."""
        rng = self._rng
        self._journal.garbage += 1
        frames = build.order(account_id=self.account, order_id=1)
        good = bytearray(encode(seal(frames, source=0, first_seq=1)))
        how = rng.choice(("noise", "cut", "flip", "schema", "empty"))
        if how == "noise":
            return rng.randbytes(rng.randint(1, 100))
        if how == "cut":
            return bytes(good[: rng.randint(1, len(good) - 1)])
        if how == "flip":
            good[rng.randrange(48, len(good))] ^= 1 << rng.randrange(8)
        elif how == "schema":
            good[6] = 200
        return bytes(good) if how != "empty" else b""

    def _command(self, orders: dict[int, int]) -> bytes:
        rng = self._rng
        what = rng.random()
        if self._own and what < 0.22:
            return build.cancel(
                account_id=self.account, order_id=rng.choice(self._own), session_id=self.session
            )
        if self._own and what < 0.32:
            return build.replace(
                account_id=self.account,
                order_id=rng.choice(self._own),
                session_id=self.session,
                px=self._px(),
                order_qty=rng.randint(1, 12),
            )
        if self._own and self._faults.strikes("other_terms"):
            return self._order(rng.choice(self._own), rng.randint(20, 30))
        self._number += 1
        order_id = self.session << 32 | self._number
        if self._faults.strikes("wrong_session"):
            return self._order(order_id, 1, session_id=self.session + 1)
        qty = rng.randint(1, 10)
        if self._faults.strikes("stale"):
            orders[order_id] = qty
            return self._order(order_id, qty, sent_ts_ns=self._clock.now_ns() - 60_000_000_000)
        self._own = [*self._own[-20:], order_id]
        if what < 0.37:
            other = order_id + 1
            self._number += 1
            orders |= {order_id: qty, other: qty}
            self._journal.lists[other] = order_id
            members = [self._order(order_id, qty, side=2, px=MIDDLE + 30)]
            stop = {"ord_type": 3, "px": MIDDLE - 60, "stop_px": MIDDLE - 30}
            members += [self._order(other, qty, side=2, **stop)]
            return build.order_list(
                members, contingency=1, account_id=self.account, instrument_id=1,
                list_id=order_id, session_id=self.session,
            )  # fmt: skip
        orders[order_id] = qty
        return self._order(order_id, qty)

    def _px(self) -> int:
        return MIDDLE + self._rng.randint(-12, 12)

    def _order(self, order_id: int, qty: int, **fields: int) -> bytes:
        rng = self._rng
        given: dict[str, int] = {
            "account_id": self.account,
            "instrument_id": rng.choice((0, 1, 1)),
            "order_id": order_id,
            "order_qty": qty,
            "px": self._px(),
            "side": rng.choice((1, 2)),
            "ord_type": 2,
            "tif": rng.choice((1, 1, 1, 1, 3, 4)),
            "stp": rng.choice((0, 0, 1, 2)),
            "session_id": self.session,
            "sent_ts_ns": self._clock.now_ns(),
        }
        if not fields and rng.random() < 0.06:
            given |= {"tif": 1, "display_qty": max(1, qty // 3)}
        elif not fields and rng.random() < 0.06:
            given |= {"tif": 6, "expire_ts_ns": self._clock.now_ns() + rng.randint(1, 10**9)}
        elif not fields and rng.random() < 0.05:
            given |= {"tif": 1, "ord_type": 4, "stop_px": self._px()}
        if "px" in fields:
            given |= {"tif": 1, "instrument_id": 1}
        return build.order(**(given | fields))


class Operator:
    """Sets the venue up, pays in, marks prices; numbers its envelopes and so may repeat them.

    Parameters
    ----------
    accounts : list of int
        Traders' accounts; the insurance account is the next number.
    log : SimLog
    faults : Faults
    journal : Journal
    rng : random.Random

    Attributes
    ----------
    wishes : list of bytes
        Commands that somebody wants sent.
    """

    def __init__(
        self,
        accounts: list[int],
        *,
        log: SimLog,
        faults: Faults,
        journal: Journal,
        rng: random.Random,
        partition: int = 0,
    ) -> None:
        self.accounts = accounts
        self.insurance = max(accounts) + 1
        self.partition = partition
        self.ready = asyncio.Event()
        self.stopping = False
        self.wishes: list[bytes] = []
        self._log = log
        self._faults = faults
        self._journal = journal
        self._rng = rng
        self._next_seq = 1
        self._sent: list[bytes] = []
        self._mark = MIDDLE

    async def run(self) -> None:
        """Open the venue, then act now and then until told to stop."""
        rng = self._rng
        await self._set_up()
        self.ready.set()
        while not self.stopping:
            await asyncio.sleep(rng.uniform(0.05, 0.4))
            if self._faults.strikes("sequenced_repeat") and self._sent:
                await self._append(rng.choice(self._sent))
            if self._faults.strikes("sequenced_gap"):
                await self._append(self._sealed(self._deposit(777), self._next_seq + 10_000))
            if self._faults.strikes("sequenced_other") and self._next_seq > 2:
                await self._append(self._sealed(self._deposit(555), self._next_seq - 1))
            while self.wishes:
                await self.send(self.wishes.pop(0))
            await self._act()

    async def send(self, *commands: bytes) -> None:
        """Send commands as the next envelope and wait until the log has them."""
        payload = self._sealed(b"".join(commands), self._next_seq)
        while True:
            if await self._append(payload):
                break
            await asyncio.sleep(self._rng.uniform(0.01, 0.2))
        self._next_seq += len(commands)
        self._sent.append(payload)

    def _sealed(self, frames: bytes, first_seq: int) -> bytes:
        return encode(seal(frames, source=OPERATOR, first_seq=first_seq))

    async def _append(self, payload: bytes) -> bool:
        try:
            offset = await self._log.append(TRADING_COMMANDS, self.partition, [payload])
        except RetryableError:
            return False
        self._journal.heard(offset)
        return True

    async def _set_up(self) -> None:
        rng, quote = self._rng, QUOTE_ASSET
        fees = {
            "maker_fee_ppm": rng.choice((0, -50, 100)),
            "taker_fee_ppm": rng.choice((0, 250, 7_777)),
        }
        await self.send(
            build.instrument(instrument_id=0, base_asset=1, quote_asset=quote, **fees),
            build.instrument(
                instrument_id=1, base_asset=2, quote_asset=quote, instrument_type=1, **fees,
                tiers0_im_ppm=100_000, tiers0_mm_ppm=50_000, liq_fee_ppm=rng.choice((0, 1_000)),
                liq_band_ppm=20_000, insurance_account=self.insurance,
            ),
        )  # fmt: skip
        for account in [*self.accounts, self.insurance]:
            amount = rng.choice((3_000, 20_000, 1_000_000))
            await self.send(
                build.admin(CommandKind.ACCOUNT, account_id=account, group_id=account % 3),
                self._deposit(amount, account),
                build.admin(CommandKind.DEPOSIT, account_id=account, asset_id=1, amount=200),
            )
            self._journal.deposits[account] = amount
        await self.send(
            build.limits(scope=Scope.FIRM, mask=LimitField.STALE, stale_ns=20_000_000_000)
        )
        await self.send(*self._marks())

    def _deposit(self, amount: int, account: int | None = None) -> bytes:
        who = self.accounts[0] if account is None else account
        return build.admin(CommandKind.DEPOSIT, account_id=who, asset_id=QUOTE_ASSET, amount=amount)

    async def _pay(self, account: int, amount: int) -> None:
        await self.send(self._deposit(amount, account))
        paid = self._journal.deposits
        paid[account] = paid.get(account, 0) + amount

    def _marks(self) -> list[bytes]:
        return [
            build.admin(CommandKind.MARK_PRICE, instrument_id=i, mark_px=self._mark)
            for i in INSTRUMENTS
        ]

    async def _act(self) -> None:
        rng = self._rng
        if self._faults.strikes("price_shock"):
            self._mark = rng.choice((600, 800, 1_250, 1_500))
            await self.send(*self._marks())
            await asyncio.sleep(rng.uniform(0.1, 0.5))
        what = rng.random()
        if what < 0.5:
            self._mark = MIDDLE + rng.randint(-15, 15)
            await self.send(*self._marks())
        elif what < 0.7:
            await self._pay(rng.choice(self.accounts), rng.randint(1, 5_000))
        elif what < 0.8:
            who = rng.choice(self.accounts)
            for state in (1, 0):
                await self.send(
                    build.admin(CommandKind.KILL_SWITCH, scope=1, account_id=who, state=state)
                )
        elif what < 0.9:
            for phase in (4, 1, 2):
                await self.send(build.admin(CommandKind.SET_PHASE, instrument_id=0, phase=phase))
        else:
            who = rng.choice(self.accounts)
            await self.send(
                build.admin(CommandKind.MASS_CANCEL, account_id=who, instrument_id=0xFFFFFFFF)
            )
