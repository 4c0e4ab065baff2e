"""What the one-machine exchange trades, and the commands that begin it.

The venue of `tradecore.agents`, with names and units, so that people and services can speak of it.
Genesis is a fixed list of commands of one numbering source: sent again after any interruption, it
changes nothing the second time.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from tradecore.agents import Market, MarketSpec
from tradecore.agents.spec import CASH_DECIMALS, QUOTE_ASSET
from tradecore.cell import CellConfig
from tradecore.codes import CommandKind, LimitField, Phase, Scope
from tradecore.dtypes import ADMIN, COMMAND, LIMITS
from tradecore.instruments import AssetSpec, InstrumentSpec
from tradecore.units import Unit

__all__ = [
    *(
        "BOLD_CASH",
        "GENESIS_SOURCE",
        "STALE_NS",
        "bold_account",
        "cell_config",
        "genesis",
        "own_account",
    ),
    "specs",
]

GENESIS_SOURCE: Final = 3 << 28
"""Numbers the commands of `genesis`: client 0."""

_COIN_DECIMALS: Final = 6
BOLD_CASH: Final = 1_000 * 10**CASH_DECIMALS
"""What the bold account has: a twelfth of what it buys before a shock."""

STALE_NS: Final = 30_000_000_000
"""Older orders are refused: so long may a client send again an order whose answer was lost."""

_OWN_CASH: Final = 1_000_000 * 10**CASH_DECIMALS
_OWN_LOTS: Final = 1_000
_SEED: Final = 1

Frames = npt.NDArray[np.void]


def own_account(spec: MarketSpec) -> int:
    """Return the account of the person at the keyboard: the first behind the participants."""
    return spec.accounts + 1


def bold_account(spec: MarketSpec) -> int:
    """Return the account that will be in debt when the market falls: little cash, much leverage."""
    return spec.accounts + 2


def cell_config(spec: MarketSpec) -> CellConfig:
    """Return a cell with room for the market, and for the same again of other people."""
    engine = Market(spec, np.random.Generator(np.random.PCG64(_SEED))).engine_config()
    accounts = 2 * engine.max_accounts
    roomy = msgspec.structs.replace(
        engine,
        max_orders=2 * engine.max_orders,
        max_accounts=accounts,
        max_groups=16,
        max_wallets=accounts * engine.max_assets,
        max_positions=accounts * (engine.max_instruments - 1),
    )
    return CellConfig(engine=roomy)


def specs(market: Market) -> list[InstrumentSpec]:
    """Return the instruments of a market with their names and units."""
    frames = market.people.instrument_frames()
    usd = AssetSpec("USD", QUOTE_ASSET, CASH_DECIMALS)
    found = []
    for frame, plan in zip(frames, market.plans, strict=True):
        if plan.is_linear:
            frame["base_per_lot"] = 0  # nothing is delivered
        coin = AssetSpec(plan.symbol.split("-")[0], plan.base_asset, _COIN_DECIMALS)
        found.append(
            InstrumentSpec.from_frame(
                frame.tobytes(),
                symbol=plan.symbol,
                base=coin,
                quote=usd,
                px_unit=Unit(1, 6).to_text(plan.tick_size),
                qty_unit=Unit(1, 6).to_text(plan.lot_size),
            )
        )
    return found


def genesis(market: Market) -> list[Frames]:
    """Return the batches that make the venue, its accounts and its opening; times are the log's.

    The participants of `tradecore.agents`, the insurance account, one account with money and coins
    for the person at the keyboard, the bold one of `bold_account`, and the window of the stale
    rule. What is new stands at the end, so that a folder of an older build gets it too.
    """
    mine = own_account(market.spec)
    bold = bold_account(market.spec)
    daring = np.zeros(2, ADMIN)
    daring["kind"] = CommandKind.ACCOUNT, CommandKind.DEPOSIT
    daring["account_id"] = bold
    daring["asset_id"][1], daring["amount"][1] = QUOTE_ASSET, BOLD_CASH
    coins = {plan.base_asset: plan.lot_size for plan in market.plans if not plan.is_linear}
    own = np.zeros(2 + len(coins), ADMIN)
    own["kind"] = CommandKind.DEPOSIT
    own["account_id"] = mine
    own["kind"][0] = CommandKind.ACCOUNT
    own["asset_id"][1], own["amount"][1] = QUOTE_ASSET, _OWN_CASH
    for row, (coin, lot) in zip(own[2:], sorted(coins.items()), strict=True):
        row["asset_id"], row["amount"] = coin, _OWN_LOTS * lot
    linear = [plan for plan in market.plans if plan.is_linear]
    marks = np.zeros(len(linear), ADMIN)
    marks["kind"] = CommandKind.MARK_PRICE
    marks["instrument_id"] = [plan.instrument_id for plan in linear]
    marks["mark_px"] = [plan.first_px for plan in linear]
    opening = np.zeros(len(market.plans), ADMIN)
    opening["kind"], opening["phase"] = CommandKind.SET_PHASE, Phase.CONTINUOUS
    opening["instrument_id"] = [plan.instrument_id for plan in market.plans]
    window = np.zeros(1, LIMITS)
    window["kind"], window["cont"], window["scope"] = CommandKind.LIMITS, 1, Scope.FIRM
    window["mask"], window["stale_ns"] = LimitField.STALE, STALE_NS
    accounts = market.people.account_frames()
    # Makers, takers, momentum and noise are groups of risk; the insurance account is in none.
    opened = accounts["kind"] == CommandKind.ACCOUNT
    accounts["group_id"][opened] = _groups(market)[accounts["account_id"][opened]]
    # No times: the cell stamps the log's, and the batches are the same bytes every time.
    return [
        np.frombuffer(b"".join(spec.to_frame() for spec in specs(market)), COMMAND).copy(),
        *np.array_split(accounts.view(COMMAND), 4),
        own.view(COMMAND),
        daring.view(COMMAND),
        marks.view(COMMAND),
        opening.view(COMMAND),
        np.frombuffer(window.tobytes(), COMMAND).copy(),
    ]


def _groups(market: Market) -> npt.NDArray[np.uint32]:
    """Return the risk group of every account that the agents' venue opens: its class, from 1."""
    count = market.spec.accounts + 1
    groups = np.zeros(count, np.uint32)
    known = np.asarray(market.people.class_of)[:count]
    groups[: len(known)] = known + 1
    groups[market.spec.insurance_account] = 0
    return groups
