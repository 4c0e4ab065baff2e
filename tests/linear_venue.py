"""A small venue with one or two linear instruments, for tests that compute margin by hand.

Every command's events come back as short lines, and after every command the money is added up here,
in Python, from the engine's views: nothing may be lost, whatever the command did.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from tradecore import dtypes, frames
from tradecore.codes import AccountState, CommandKind, EventKind, OrdType, Tif
from tradecore.engine import Engine
from tradecore.status import Status

CASH = 0
COIN = 1
PERP = 1
OTHER = 2
INSURANCE = 9
ANY = 0xFFFFFFFF

FLAGS = {1: "t", 2: "m", 4: "U", 8: "L", 16: "A"}
"""Letters of fill flags: taker done, maker done, auction, liquidation, auto-deleverage."""


def line(event: dict[str, Any], kind: int) -> str:
    """Return one event as a line; ids of orders are left out, they are the caller's business."""
    name = EventKind(kind).name
    who = f"{name} {event['account_id']}"
    status = Status(event["status"]).name
    side = {0: "", 1: " buy", 2: " sell"}[event["side"]]
    match name:
        case "FILL":
            flags = "".join(letter for bit, letter in FLAGS.items() if event["flags"] & bit)
            maker, qty, px = (event[x] for x in ("maker_account_id", "last_qty", "last_px"))
            text = f"{who}/{maker}{side} {qty}@{px} {flags}"
            return f"{text} {status}" if event["status"] else text
        case "SETTLED":
            return (
                f"{who}{side} cash {event['cash_delta']} fee {event['fee']} "
                f"qty {event['position_qty']} realised {event['realised_pnl']}"
            )
        case "BALANCE":
            return f"{who} {event['amount']:+d} = {event['balance']} {status}"
        case "ACCOUNT_STATE":
            old, new = AccountState(event["previous_state"]), AccountState(event["state"])
            pool = (
                "cross" if event["instrument_id"] == ANY else f"isolated {event['instrument_id']}"
            )
            return (
                f"{who} {pool} {old.name} > {new.name} eq {event['equity']} "
                f"im {event['initial_margin']} mm {event['maintenance_margin']} {status}"
            )
        case "REJECTED" | "DONE" | "CANCEL_REJECTED" | "REPLACE_REJECTED":
            command = CommandKind(event["command_kind"]).name
            return f"{name} {command} {status} {event['observed']}/{event['limit']}"
        case "PHASE" | "AUCTION":
            return f"{name} {event['instrument_id']} {event['phase']} {status}"
        case _:
            return f"{who}{side} {event['leaves_qty']}@{event['px']} {status}"


class Venue:
    """An engine, its accounts, and the lines of what happened."""

    def __init__(self, accounts: dict[int, int], **fields: Any) -> None:
        self.engine = Engine(
            accounts=True,
            max_instruments=8,
            max_orders=512,
            max_accounts=32,
            max_assets=4,
            max_groups=4,
        )
        self.ids = itertools.count(1)
        self.accounts = sorted(accounts)
        for account in self.accounts:
            self.engine.open_account(account)
        self.linear(PERP, **fields)
        for account, cash in accounts.items():
            if cash:
                self.engine.deposit(account, CASH, cash)

    def linear(self, instrument_id: int, **fields: Any) -> list[str]:
        """Define or change a linear instrument: 10 % initial, 5 % maintenance margin, no fees."""
        base: dict[str, Any] = {
            "instrument_type": 1,
            "base_asset": COIN,
            "quote_asset": CASH,
            "liq_band_ppm": 10_000,
            "tiers": [(0, 100_000, 50_000)],
        }
        events = self.engine.define_instrument(instrument_id, **(base | fields))
        return self.lines(events)

    def lines(self, events: Any) -> list[str]:
        """Check the books, then tell the events."""
        self.check()
        out = []
        raw = events.tobytes()
        for i, kind in enumerate(events["kind"]):
            event = frames.unpack(frames.event_struct(int(kind)), raw, i * 64)
            out.append(line(event, int(kind)))
        return out

    def check(self) -> None:
        """Add up cash and quantities, and let the engine recompute its own sums."""
        self.engine.check()
        ledger = self.engine.ledger(CASH)
        cash = ledger["fees"] + ledger["clearing"] - ledger["deposits"]
        lots: dict[int, int] = {}
        for account in self.accounts:
            view = self.engine.account(account)
            cash += sum(w.total for w in view.wallets if w.asset_id == CASH)
            for p in view.positions:
                cash += p.iso_margin
                lots[p.instrument_id] = lots.get(p.instrument_id, 0) + p.qty
        assert cash == 0
        assert not any(lots.values())

    def admin(self, kind: CommandKind, **fields: int) -> list[str]:
        return self.lines(self.engine.admin(kind, **fields))

    def mark(self, px: int, instrument_id: int = PERP, ts_ns: int = 0) -> list[str]:
        return self.admin(
            CommandKind.MARK_PRICE, instrument_id=instrument_id, mark_px=px, ts_ns=ts_ns
        )

    def order(
        self, account: int, side: int, qty: int, px: int, instrument_id: int = PERP, **terms: int
    ) -> list[str]:
        """Send a limit order (tif GTC unless said); its id is the count of orders so far."""
        fields: dict[str, int] = {
            "order_id": next(self.ids),
            "account_id": account,
            "instrument_id": instrument_id,
            "side": side,
            "order_qty": qty,
            "px": px,
            "ord_type": OrdType.LIMIT,
            "tif": Tif.GTC,
        }
        return self.send(kind=CommandKind.NEW_ORDER, **(fields | terms))

    def send(self, **fields: int) -> list[str]:
        """Send one COMMAND frame as it is."""
        frame = np.zeros(1, dtypes.COMMAND)
        for name, value in fields.items():
            frame[name] = value
        return self.lines(self.engine.events(frame))

    def trade(self, buyer: int, seller: int, qty: int, px: int, instrument_id: int = PERP) -> None:
        """Let two accounts trade; both must be able to."""
        first = self.order(seller, 2, qty, px, instrument_id)
        assert first[0].startswith("ACCEPTED"), first
        second = self.order(buyer, 1, qty, px, instrument_id)
        assert second[0].startswith("ACCEPTED"), second
        assert second[1].startswith(f"FILL {buyer}/{seller} buy {qty}@{px}"), second

    def wallet(self, account: int) -> Any:
        return next(w for w in self.engine.account(account).wallets if w.asset_id == CASH)

    def position(self, account: int, instrument_id: int = PERP) -> Any:
        positions = self.engine.account(account).positions
        return next(p for p in positions if p.instrument_id == instrument_id)

    def state(self, account: int) -> str:
        return AccountState(self.wallet(account).state).name
