"""The instruments of every simulated world: one spot, one linear with margin."""

from __future__ import annotations

from typing import Final

from tradecore.catalog import Catalog
from tradecore.instruments import AssetSpec, InstrumentSpec, MarginTier

__all__ = ["CATALOG"]

_CASH = AssetSpec("CASH", 0, 0)

CATALOG: Final = Catalog(
    [
        InstrumentSpec("COIN-CASH", 0, AssetSpec("COIN", 1, 0), _CASH, tick_size="1", lot_size="1"),
        InstrumentSpec(
            "INDEX-CASH",
            1,
            AssetSpec("INDEX", 2, 0),
            _CASH,
            tick_size="1",
            lot_size="1",
            instrument_type="linear",
            tiers=(MarginTier("0", 100_000, 50_000),),
        ),
    ]
)
"""What the portfolio service needs to know of them; the operator's commands define them."""
