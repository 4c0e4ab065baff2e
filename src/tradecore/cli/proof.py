"""The audit at the end of a run: identities recomputed from what the engine shows.

`Engine.audit` recomputes every sum inside the kernel. Here the most important ones are computed a
second time, from the wallets and positions that the public functions return.
"""

from __future__ import annotations

import msgspec

from tradecore.engine import Engine

__all__ = ["Audit", "audit_engine"]


class Audit(msgspec.Struct, frozen=True):
    """What an audit found.

    Parameters
    ----------
    assets, accounts, wallets, live_orders : int
        How many were looked at.
    imbalance : int
        Largest absolute value, over assets, of: wallets + isolated margins + fees + clearing
        - deposits. 0 is right.
    held_by_orders : int
        Cash and coins held for orders; 0 is right when no order is alive.
    kernel_code : int
        Code of the first identity that failed inside the kernel; 0 is right.
    detail : str
        What failed there, empty when nothing.
    """

    assets: int
    accounts: int
    wallets: int
    live_orders: int
    imbalance: int
    held_by_orders: int
    kernel_code: int
    detail: str

    @property
    def holds_ok(self) -> bool:
        """Whether nothing is held for orders that do not exist."""
        return self.live_orders > 0 or self.held_by_orders == 0

    @property
    def ok(self) -> bool:
        """Whether everything is as it must be."""
        return self.imbalance == 0 and self.holds_ok and self.kernel_code == 0

    def words(self) -> str:
        """Return the audit as one line."""
        if self.assets:
            money = "conservation ok" if self.imbalance == 0 else f"imbalance {self.imbalance:,}"
            money += f" ({self.assets} assets, {self.accounts:,} accounts)"
            held = "holds ok" if self.holds_ok else f"holds {self.held_by_orders:,} without orders"
            if self.live_orders == 0 and self.holds_ok:
                held += f" (0 left in {self.wallets:,} wallets)"
            parts = [money, held]
        else:
            parts = ["no accounts"]
        books = "books ok" if self.kernel_code == 0 else f"FAILED {self.detail}"
        return ", ".join([*parts, books])


def audit_engine(engine: Engine) -> Audit:
    """Audit an engine. O(state); a Python call for every account."""
    code, observed, expected, where = engine.audit()
    detail = f"check {code} at {where}: {observed} where {expected} was expected" if code else ""
    totals: dict[int, int] = {}
    accounts = wallets = held = isolated = 0
    config = engine.config
    for account_id in range(config.max_accounts) if config.accounts else ():
        try:
            view = engine.account(account_id)
        except KeyError:
            continue
        accounts += 1
        for wallet in view.wallets:
            wallets += 1
            totals[wallet.asset_id] = totals.get(wallet.asset_id, 0) + wallet.total
            held += wallet.hold - wallet.initial_margin
        isolated += sum(position.iso_margin for position in view.positions)
    differences = []
    for asset_id, total in totals.items():
        own = engine.ledger(asset_id)
        differences.append(total + own["fees"] + own["clearing"] - own["deposits"])
    if isolated:
        # Money inside isolated positions is in none of the wallets, and a position does not say in
        # which asset; the sum over all assets still has to come out.
        differences = [sum(differences) + isolated]
    imbalance = max(map(abs, differences), default=0)
    return Audit(
        assets=len(totals),
        accounts=accounts,
        wallets=wallets,
        live_orders=engine.counters()["live_orders"],
        imbalance=imbalance,
        held_by_orders=held,
        kernel_code=code,
        detail=detail,
    )
