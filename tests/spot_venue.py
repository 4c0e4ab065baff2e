"""A small spot venue for tests that work out money by hand.

Asset 0 is cash, asset 1 the coin of instrument 1. Commands are sent as bytes, events come back as
short lines, and after every command the engine recomputes its own sums while the conservation of
every asset is added up here from the engine's views.
"""

from __future__ import annotations

from typing import Any

from linear_venue import line
from tradecore import frames
from tradecore.codes import CommandKind, OrdType, Tif
from tradecore.engine import Engine, PositionView, WalletView
from tradecore.testing import build

CASH, COIN = 0, 1
SPOT = 1
BUY, SELL = 1, 2
ANY = 0xFFFFFFFF
ASSETS = 3


class SpotVenue:
    """An engine with accounts, one spot instrument, and the lines of what happened.

    Parameters
    ----------
    funds : dict
        ``{account: (cash, coins)}``, all opened, without a group unless `groups` names one.
    groups : dict, optional
        ``{account: group}``.
    capacities : dict, optional
        Settings of the engine.
    **fields : int
        Fields of the instrument; 0.1 % maker and 0.3 % taker fee unless said.
    """

    def __init__(
        self,
        funds: dict[int, tuple[int, int]],
        groups: dict[int, int] | None = None,
        capacities: dict[str, int] | None = None,
        **fields: int,
    ) -> None:
        settings: dict[str, Any] = {
            "max_instruments": 4,
            "max_orders": 256,
            "max_accounts": 32,
            "max_groups": 4,
            "max_assets": ASSETS,
        }
        self.engine = Engine(accounts=True, **(settings | (capacities or {})))
        self.next_id = 0
        self.open: list[int] = []
        self.instrument(SPOT, **fields)
        for account, (cash, coins) in funds.items():
            self.account(account, (groups or {}).get(account, 0))
            if cash:
                self.deposit(account, CASH, cash)
            if coins:
                self.deposit(account, COIN, coins)

    # ---- sending ------------------------------------------------------------------------------

    def send(self, command: bytes) -> list[str]:
        """Apply one command, check every sum, return the events as lines."""
        raw = bytes(self.engine.apply(command))
        self.check()
        out = []
        for at in range(0, len(raw), 64):
            kind = raw[at + 24]
            out.append(line(frames.unpack(frames.event_struct(kind), raw, at), kind))
        return out

    def admin(self, kind: CommandKind, **fields: int) -> list[str]:
        return self.send(build.admin(kind, **fields))

    def instrument(self, instrument_id: int, **fields: int) -> list[str]:
        given = {"quote_asset": CASH, "base_asset": COIN, "maker_fee_ppm": 1_000}
        given["taker_fee_ppm"] = 3_000
        return self.send(build.instrument(instrument_id=instrument_id, **(given | fields)))

    def account(self, account: int, group: int = 0, trade_group: int = 0) -> list[str]:
        if account not in self.open:
            self.open.append(account)
        return self.admin(
            CommandKind.ACCOUNT, account_id=account, group_id=group, contra_account_id=trade_group
        )

    def deposit(self, account: int, asset: int, amount: int) -> list[str]:
        return self.admin(CommandKind.DEPOSIT, account_id=account, asset_id=asset, amount=amount)

    def order(self, account: int, side: int, qty: int, px: int, **terms: int) -> list[str]:
        """Send a limit order (GTC unless said); its id is the count of orders so far."""
        self.next_id += 1
        fields = {
            "order_id": self.next_id,
            "account_id": account,
            "instrument_id": SPOT,
            "side": side,
            "order_qty": qty,
            "px": px,
            "ord_type": OrdType.LIMIT,
            "tif": Tif.GTC,
        }
        return self.send(build.order(**(fields | terms)))

    def cancel(self, account: int, order_id: int) -> list[str]:
        return self.send(build.cancel(account_id=account, order_id=order_id))

    def limits(self, mask: int, **fields: int) -> list[str]:
        given = {"scope": 1, "mask": mask}
        return self.send(build.limits(**(given | fields)))

    # ---- looking ------------------------------------------------------------------------------

    def wallet(self, account: int, asset: int) -> WalletView:
        """Return a wallet; zeros where there is none."""
        for wallet in self.engine.account(account).wallets:
            if wallet.asset_id == asset:
                return wallet
        return WalletView(asset, 0, 0, 0, 0, 0, 0)

    def money(self, account: int, asset: int = CASH) -> tuple[int, int]:
        """Return (total, hold)."""
        wallet = self.wallet(account, asset)
        return wallet.total, wallet.hold

    def position(self, account: int) -> PositionView:
        return next(p for p in self.engine.account(account).positions if p.instrument_id == SPOT)

    def check(self) -> None:
        """Nothing is lost: per asset, wallets + fees + clearing = deposits."""
        self.engine.check()
        for asset in range(ASSETS):
            books = self.engine.ledger(asset)
            held = sum(self.wallet(account, asset).total for account in self.open)
            assert held + books["fees"] + books["clearing"] == books["deposits"]
