"""A user's statement out of the store."""

from __future__ import annotations

from tradecore.portfolio.columns import Table
from tradecore.portfolio.statement import AssetStatement, Period, balances_of, make_statement
from tradecore.portfolio.terms import Terms
from tradecore_shells.portfolio.store import PortfolioStore

__all__ = ["statement_of"]


async def statement_of(
    store: PortfolioStore, terms: Terms, user_id: int, period: Period
) -> list[AssetStatement]:
    """Return what moved a user's cash in a period, by asset, over all cells.

    The closing balances are the balances table less what came after the period, so opening and
    lines are checked against rows that were kept independently of them.

    Raises
    ------
    DataError
        They do not add up; names the asset and the difference.
    """
    fills, ledger, balances = await store.read("fills", "ledger", "balances", user_id=user_id)
    since, before = period.since_ns, period.before_ns

    def part(table: Table, low: int, high: int) -> Table:
        return table[(table["ts_ns"] >= low) & (table["ts_ns"] < high)]

    opening = balances_of(part(fills, 0, since), part(ledger, 0, since), terms)
    later = balances_of(part(fills, before, 1 << 62), part(ledger, before, 1 << 62), terms)
    closing: dict[int, int] = {}
    for row in balances:
        asset = int(row["asset_id"])
        closing[asset] = closing.get(asset, 0) + int(row["amount"])
    for asset, amount in later.items():
        closing[asset] = closing.get(asset, 0) - amount
    return make_statement(
        part(fills, since, before),
        part(ledger, since, before),
        terms,
        opening=opening,
        closing=closing,
    )
