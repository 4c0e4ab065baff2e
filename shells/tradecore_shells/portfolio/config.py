"""Settings of the portfolio service."""

from __future__ import annotations

from typing import Annotated

import msgspec

from tradecore.catalog import Catalog
from tradecore.errors import ConfigError
from tradecore.portfolio.marks import MarkRule
from tradecore_shells.plumbing.config import (
    CacheSettings,
    CatalogSettings,
    LogSettings,
    ObserveSettings,
    Positive,
    Settings,
    StoreSettings,
)

__all__ = ["CatalogSettings", "PortfolioConfig", "PortfolioSettings", "equity_asset_of"]

Count = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]


class PortfolioSettings(Settings, frozen=True, kw_only=True):
    """How the portfolio works; nothing here changes a position or a balance.

    Parameters
    ----------
    batch_events : int
        About so many event frames go into one statement while there are more to read.
    fetch_bytes : int
        Most bytes of executions read at once.
    idle_commit_s : float
        How often the place is moved while nothing of anybody changes.
    equity_asset : str
        What equity is valued in, by its code; empty = the quote asset of the first instrument.
    equity_every_s : float
        Distance of equity samples in log time; 0 = none. One row a user and sample.
    mark : {'mid', 'last'}
        Price of positions in the cache: `tradecore.portfolio.marks` has the rules.
    mark_every_s : float
        How often documents follow the marks.
    cache_every_s : float
        How often changed documents are written to the cache.
    cache_batch : int
        Most documents in one round.
    cache_refresh_s : float
        Within this time every document is written again, whether it changed or not; what a cache
        lost, or a slow twin of this service wrote late, is healed by then. 0 = never.
    retry_s : float
        How long log or database may be unreachable before the process ends.
    """

    batch_events: Count = 16_384
    fetch_bytes: Count = 4 << 20
    idle_commit_s: Positive = 1.0
    equity_asset: str = ""
    equity_every_s: Seconds = 60.0
    mark: MarkRule = "mid"
    mark_every_s: Positive = 1.0
    cache_every_s: Positive = 0.05
    cache_batch: Count = 500
    cache_refresh_s: Seconds = 300.0
    retry_s: Positive = 30.0


class PortfolioConfig(Settings, frozen=True, kw_only=True):
    """All tables that the portfolio service reads."""

    log: LogSettings = LogSettings()
    store: StoreSettings = StoreSettings()
    cache: CacheSettings = CacheSettings()
    catalog: CatalogSettings = CatalogSettings()
    portfolio: PortfolioSettings = PortfolioSettings()
    observe: ObserveSettings = ObserveSettings()


def equity_asset_of(settings: PortfolioSettings, catalog: Catalog) -> int:
    """Return the asset in which equity is valued; ConfigError when the catalog lacks it."""
    if settings.equity_asset:
        return catalog.asset(settings.equity_asset, "[portfolio] equity_asset").asset_id
    if not catalog.instruments:
        raise ConfigError("the catalog has no instruments: nothing could be explained")
    return catalog.instruments[0].quote.asset_id
