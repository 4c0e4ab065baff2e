"""Capacities of the naive engine, by the names of the kernel's `EngineConfig`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class OracleConfig:
    """What an engine may hold; all numbers are counts.

    Attributes
    ----------
    accounts : bool
        Whether accounts, risk and settlement are kept.
    max_epoch : int
        Newest semantics this engine knows.
    """

    accounts: bool = False
    max_orders: int = 1 << 20
    max_instruments: int = 1024
    max_accounts: int = 1 << 16
    max_assets: int = 64
    max_groups: int = 1024
    max_wallets: int = 0
    max_positions: int = 0
    max_epoch: int = 1

    def __post_init__(self) -> None:
        if not self.max_wallets:
            object.__setattr__(self, "max_wallets", 4 * self.max_accounts)
        if not self.max_positions:
            object.__setattr__(self, "max_positions", 8 * self.max_accounts)

    @classmethod
    def like(cls, other: Any) -> OracleConfig:
        """Return the part of another configuration object that matters here."""
        if other is None:
            return cls()
        return cls(
            **{f.name: getattr(other, f.name) for f in fields(cls) if hasattr(other, f.name)}
        )
