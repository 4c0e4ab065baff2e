"""Settings of the risk service."""

from __future__ import annotations

from typing import Annotated

import msgspec

from tradecore.catalog import Catalog
from tradecore.errors import ConfigError, TradecoreError
from tradecore.risk.policy import (
    BreakerPolicy,
    FigurePolicy,
    MarkPolicy,
    NodePolicy,
    RiskPolicy,
)
from tradecore_shells.plumbing.config import (
    CatalogSettings,
    LogSettings,
    ObserveSettings,
    Positive,
    Settings,
)

__all__ = ["LimitSettings", "RiskConfig", "RiskSettings", "policy_of"]

Count = Annotated[int, msgspec.Meta(ge=1)]


class LimitSettings(Settings, frozen=True, kw_only=True):
    """Soft limits of accounts, groups and the firm; amounts in the reporting asset, "0" = off.

    Parameters
    ----------
    group_drawdown, firm_drawdown : str
        Loss since the best moment of the window at which the kill switch goes on.
    window_s : int
        The best moment is forgotten at multiples of this; 86,400 = at midnight UTC of log time.
    account_gross, group_gross, firm_gross : str
        Worth of all positions above which a node may only reduce them.
    release_ppm : int
        Share of a gross limit below which that ends.
    """

    group_drawdown: str = "0"
    firm_drawdown: str = "0"
    window_s: Count = 86_400
    account_gross: str = "0"
    group_gross: str = "0"
    firm_gross: str = "0"
    release_ppm: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 900_000


class RiskSettings(Settings, frozen=True, kw_only=True):
    """How risk works and what its rules are.

    Parameters
    ----------
    snapshots : str
        Folder of its own state; without one it starts from the first execution.
    snapshot_every_s : float
    fetch_bytes : int
        Most bytes of executions read at once.
    queue_bytes : int
        `risk-events` that may wait for the log; reading stops beyond.
    resend_s : float
        Commands that executions do not show after this are sent again, under the same numbers.
    refused_s : float
        A command that the engine refused is not tried again before this much log time.
    report_s : float
        Distance of the figures that are published as metrics.
    retry_s : float
        How long the log may be unreachable before the process ends.
    asset : str
        Reporting asset, by its code; empty = the quote asset of the first instrument.
    evaluate_ms : int
        Rules are looked at when log time passes a multiple of this.
    marks, breakers, limits, figures
        The rules; `tradecore.risk.policy` has all but `limits`, which is here.
    """

    snapshots: str = "data/risk"
    snapshot_every_s: Positive = 60.0
    fetch_bytes: Count = 4 << 20
    queue_bytes: Count = 8 << 20
    resend_s: Positive = 2.0
    refused_s: Positive = 10.0
    report_s: Positive = 1.0
    retry_s: Positive = 30.0
    asset: str = ""
    evaluate_ms: Count = 100
    marks: MarkPolicy = MarkPolicy()
    breakers: BreakerPolicy = BreakerPolicy()
    limits: LimitSettings = LimitSettings()
    figures: FigurePolicy = FigurePolicy()


class RiskConfig(Settings, frozen=True, kw_only=True):
    """All tables that the risk service reads."""

    log: LogSettings = LogSettings()
    catalog: CatalogSettings = CatalogSettings()
    risk: RiskSettings = RiskSettings()
    observe: ObserveSettings = ObserveSettings()


def policy_of(settings: RiskSettings, catalog: Catalog) -> RiskPolicy:
    """Return the policy in integers.

    Raises
    ------
    ConfigError
        The catalog is empty or lacks the reporting asset or a scenario's symbol, or an amount is
        no amount of the asset.
    """
    if not catalog.instruments:
        raise ConfigError("the catalog has no instruments: there is nothing to watch")
    asset = catalog.instruments[0].quote
    if settings.asset:
        asset = catalog.asset(settings.asset, "[risk] asset")
    for scenario in settings.figures.stress:
        for symbol in scenario.by_symbol:
            catalog.instrument(symbol, f"[risk.figures] scenario {scenario.name!r}")
    limits = settings.limits

    def amount(name: str) -> int:
        where = f"[risk.limits] {name}"
        try:
            return asset.unit.to_units(getattr(limits, name), where)
        except TradecoreError as error:
            raise ConfigError(str(error)) from None

    names = ("group_drawdown", "firm_drawdown", "account_gross", "group_gross", "firm_gross")
    return RiskPolicy(
        asset_id=asset.asset_id,
        evaluate_ms=settings.evaluate_ms,
        marks=settings.marks,
        breakers=settings.breakers,
        nodes=NodePolicy(
            window_ms=limits.window_s * 1000,
            release_ppm=limits.release_ppm,
            **{name: amount(name) for name in names},
        ),
        figures=settings.figures,
    )
