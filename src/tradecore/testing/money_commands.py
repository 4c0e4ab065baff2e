"""The part of the random streams that is about money; filled in by docs/reference/accounts.md."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tradecore.codes import CommandKind as C
from tradecore.testing import build

if TYPE_CHECKING:
    from tradecore.testing.strategies import CommandSource


class MoneyCommands:
    """Draws account, limit, cash and margin commands for one stream.

    Parameters
    ----------
    source : CommandSource
        The stream that these commands belong to; its draws and its clock are used.
    """

    def __init__(self, source: CommandSource) -> None:
        self.source = source
        self.rng = source.rng

    @staticmethod
    def extend_spec(rng: random.Random, spec: dict[str, int], people: int) -> None:
        """Add fees, margin tiers and liquidation terms to the definition of an instrument."""

    def setup(self) -> list[bytes]:
        """Return the commands that open and fund the accounts."""
        return []

    def next(self) -> bytes:
        """Return the next command about money."""
        return build.admin(C.DEPOSIT, ts_ns=self.source.now, account_id=0, amount=5)
