"""Instruments and assets by name and by id."""

from __future__ import annotations

from collections.abc import Iterable

from tradecore.errors import ConfigError
from tradecore.instruments import AssetSpec, InstrumentSpec

__all__ = ["Catalog"]


class Catalog:
    """Instruments and assets by name and by id: what an edge needs to speak with people.

    Parameters
    ----------
    instruments : iterable of InstrumentSpec
    assets : iterable of AssetSpec
        Assets that belong to no instrument.

    Raises
    ------
    ConfigError
        One name or id for two different things.
    """

    def __init__(
        self, instruments: Iterable[InstrumentSpec] = (), assets: Iterable[AssetSpec] = ()
    ) -> None:
        self._by_symbol: dict[str, InstrumentSpec] = {}
        self._by_id: dict[int, InstrumentSpec] = {}
        self._assets: dict[str, AssetSpec] = {}
        self._assets_by_id: dict[int, AssetSpec] = {}
        for asset in assets:
            self._add_asset(asset)
        for spec in instruments:
            self.add(spec)

    def add(self, spec: InstrumentSpec) -> None:
        """Add an instrument with its assets, or replace its definition (same symbol and id)."""
        same_symbol = self._by_symbol.get(spec.symbol)
        same_id = self._by_id.get(spec.instrument_id)
        if (same_symbol or spec).instrument_id != spec.instrument_id or (
            same_id or spec
        ).symbol != spec.symbol:
            raise ConfigError(f"{spec.symbol}: id {spec.instrument_id} or the symbol is taken")
        for asset in (spec.base, spec.quote):
            self._add_asset(asset)
        self._by_symbol[spec.symbol] = spec
        self._by_id[spec.instrument_id] = spec

    def _add_asset(self, asset: AssetSpec) -> None:
        known = (self._assets.get(asset.code, asset), self._assets_by_id.get(asset.asset_id, asset))
        if known != (asset, asset):
            raise ConfigError(f"asset {asset.code} with id {asset.asset_id} is defined differently")
        self._assets[asset.code] = asset
        self._assets_by_id[asset.asset_id] = asset

    @property
    def instruments(self) -> list[InstrumentSpec]:
        """All instruments, by id."""
        return [self._by_id[key] for key in sorted(self._by_id)]

    def instrument(self, key: str | int, where: str = "instrument") -> InstrumentSpec:
        """Return an instrument by symbol or id; ConfigError if there is none."""
        found = self._by_symbol.get(key) if isinstance(key, str) else self._by_id.get(key)
        if found is None:
            shown = ascii(key)[:40]
            raise ConfigError(f"{where}: no instrument {shown} is known")
        return found

    def asset(self, key: str | int, where: str = "asset") -> AssetSpec:
        """Return an asset by code or id; ConfigError if there is none."""
        found = self._assets.get(key) if isinstance(key, str) else self._assets_by_id.get(key)
        if found is None:
            shown = ascii(key)[:40]
            raise ConfigError(f"{where}: no asset {shown} is known")
        return found
