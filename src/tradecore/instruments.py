"""What is traded, in the words of people, and the frames that tell the engine.

An `InstrumentSpec` holds everything once: names, price and size steps as decimal text, the scales
of its assets, fees, bands, breaker, algorithm, margin. It is checked when it is made; afterwards
prices and quantities convert without further questions. The engine itself sees only integers; the
arithmetic that connects both is here:

- a price counts steps of ``px_unit`` (the tick, unless said otherwise), a quantity of ``qty_unit``;
- ``multiplier`` = ``px_unit * qty_unit * contract_size`` in the smallest unit of the quote asset;
- ``base_per_lot`` = ``qty_unit`` in the smallest unit of the base asset.

Both must be whole numbers, or money would have to be rounded: an asset needs enough decimals.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from tradecore import frames
from tradecore.codes import (
    MAX_CASH,
    MAX_PX,
    MAX_QTY,
    AllocationAlgorithm,
    CommandKind,
    InstrumentType,
    Phase,
    StopElection,
    StopPolicy,
    TopOrder,
    Trigger,
)
from tradecore.errors import ConfigError, FrameError
from tradecore.units import MAX_DECIMALS, Unit

__all__ = ["AssetSpec", "InstrumentSpec", "MarginTier"]

_PPM: Final = 1_000_000
_MAX_NS: Final = (1 << 62) - 1
PhaseName = Literal["auction", "continuous", "cancel_only", "halted", "closed"]


class AssetSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A currency, coin or other asset.

    Parameters
    ----------
    code : str
        Its name: ``"USD"``.
    asset_id : int
        The engine's dense id.
    decimals : int
        Decimals of its smallest unit, 0 to 18; 8 suits prices to a cent with sizes to 0.000001.
        An engine's cash is at most 2**62 of these units.
    """

    code: str
    asset_id: int
    decimals: int = 8

    def __post_init__(self) -> None:
        """Refuse what no engine could hold."""
        if not self.code or len(self.code) > 16 or not self.code.isascii():
            raise ConfigError(f"asset code {self.code!r}: 1 to 16 ASCII characters")
        if not 0 <= self.asset_id <= 0xFFFFFFFF:
            raise ConfigError(f"asset {self.code}: id {self.asset_id} does not fit 32 bits")
        if not 0 <= self.decimals <= MAX_DECIMALS:
            raise ConfigError(f"asset {self.code}: {self.decimals} decimals, 0 to {MAX_DECIMALS}")

    @property
    def unit(self) -> Unit:
        """The smallest unit."""
        return Unit(1, self.decimals)


class MarginTier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A slice of notional with its margin rates.

    Parameters
    ----------
    max_notional : str
        Upper bound of the slice in the quote asset; ``"0"`` = no bound, last tier only.
    im_ppm, mm_ppm : int
        Initial and maintenance margin rate in parts per million, ``mm_ppm <= im_ppm``.
    """

    max_notional: str
    im_ppm: int
    mm_ppm: int


class InstrumentSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An instrument. Amounts are decimal text in natural notation; rates are parts per million.

    Parameters
    ----------
    symbol : str
        Its name: ``"BTC-USD"``.
    instrument_id : int
        The engine's dense id.
    base, quote : AssetSpec
        What is traded and what is paid; `quote` also settles a linear instrument.
    tick_size, lot_size : str
        Price and quantity steps that orders must respect.
    instrument_type : {'spot', 'linear'}
        Linear instruments are margined and settle profit and loss in `quote`.
    contract_size : str
        Linear: units of `base` in a quantity of 1.
    px_unit, qty_unit : str
        What the engine's integers count; empty = `tick_size`, `lot_size`. Finer units leave room
        for a smaller tick later.
    min_qty, max_qty, min_notional : str
        Filters; empty = none.
    band_ref_px : str
        Static reference price of filter and static breaker; empty = none.
    band_up_ppm, band_down_ppm : int
        Limit prices further above or below the reference are refused; 0 = off.
    static_band_ppm, dynamic_band_ppm : int
        Breaker: trades further from the reference, or from the last trade, halt the instrument.
    halt_ns, auction_ns : int
        Breaker: duration of the halt and of the reopening auction.
    maker_fee_ppm, taker_fee_ppm : int
        Of the notional; negative = rebate.
    max_iceberg_parts, max_trailing : int
        0 = 100 display parts an order, 256 trailing stops alive.
    algo : {'fifo', 'prorata'}
    alloc_top : {'none', 'flag', 'best'}
        Pro-rata: which order has the top-order right.
    min_alloc : str
        Pro-rata: smaller shares become 0; a quantity.
    stop_election : {'entry', 'distance'}
    stop_policy : {'refuse', 'accept'}
        Stops that are already through at entry.
    trigger : {'last', 'mark', 'quote'}
        What elects stops.
    phase : str
        Initial trading phase.
    tiers : tuple of MarginTier
        Linear: 1 to 4, ascending.
    liq_fee_ppm, liq_band_ppm : int
        Liquidation: fee to the insurance account; width of the first closing order's price band.
    insurance_account : int
        0 = none.
    mark_max_age_ms : int
        Older marks suspend liquidation; 0 = never.

    Raises
    ------
    ConfigError
        Naming the field, the value and what to write instead.

    Examples
    --------
    >>> btc, usd = AssetSpec("BTC", 1), AssetSpec("USD", 0)
    >>> spec = InstrumentSpec("BTC-USD", 0, btc, usd, tick_size="0.01", lot_size="0.0001")
    >>> spec.to_ticks("101.25"), spec.to_lots("0.3"), spec.multiplier
    (10125, 3000, 100)
    """

    symbol: str
    instrument_id: int
    base: AssetSpec
    quote: AssetSpec
    tick_size: str = "0.01"
    lot_size: str = "1"
    instrument_type: Literal["spot", "linear"] = "spot"
    contract_size: str = "1"
    px_unit: str = ""
    qty_unit: str = ""
    min_qty: str = ""
    max_qty: str = ""
    min_notional: str = ""
    band_ref_px: str = ""
    band_up_ppm: int = 0
    band_down_ppm: int = 0
    static_band_ppm: int = 0
    dynamic_band_ppm: int = 0
    halt_ns: int = 0
    auction_ns: int = 0
    maker_fee_ppm: int = 0
    taker_fee_ppm: int = 0
    max_iceberg_parts: int = 0
    max_trailing: int = 0
    algo: Literal["fifo", "prorata"] = "fifo"
    alloc_top: Literal["none", "flag", "best"] = "none"
    min_alloc: str = ""
    stop_election: Literal["entry", "distance"] = "entry"
    stop_policy: Literal["refuse", "accept"] = "refuse"
    trigger: Literal["last", "mark", "quote"] = "last"
    phase: PhaseName = "continuous"
    tiers: tuple[MarginTier, ...] = ()
    liq_fee_ppm: int = 0
    liq_band_ppm: int = 0
    insurance_account: int = 0
    mark_max_age_ms: int = 0

    def __post_init__(self) -> None:
        """Compute the frame once, which checks every field."""
        if not self.symbol or len(self.symbol) > 32 or not self.symbol.isascii():
            raise ConfigError(f"instrument symbol {self.symbol!r}: 1 to 32 ASCII characters")
        for name in ("algo", "alloc_top", "stop_election", "stop_policy", "trigger", "phase"):
            _code(self, name)
        self._check_rates()
        self._check_tiers()
        self.to_frame()

    # ----------------------------------------------------------------------------- units
    @property
    def px_step(self) -> Unit:
        """What one tick of the engine is worth, in natural notation."""
        return Unit.parse(self.px_unit or self.tick_size, self._at("px_unit"))

    @property
    def qty_step(self) -> Unit:
        """What one lot of the engine is, in natural notation."""
        return Unit.parse(self.qty_unit or self.lot_size, self._at("qty_unit"))

    @property
    def multiplier(self) -> int:
        """Smallest quote units per (tick times lot)."""
        size = Unit.parse(self.contract_size, self._at("contract_size"))
        px, qty = self.px_step, self.qty_step
        return self._whole(
            px.step * qty.step * size.step,
            px.decimals + qty.decimals + size.decimals,
            self.quote,
            "one tick times one lot",
        )

    @property
    def base_per_lot(self) -> int:
        """Smallest base units per lot; 0 for a linear instrument, which delivers nothing."""
        if self.instrument_type == "linear":
            return 0
        qty = self.qty_step
        return self._whole(qty.step, qty.decimals, self.base, "one lot")

    def to_ticks(self, px: str | int, where: str = "px") -> int:
        """Return a price in ticks; see `tradecore.units.Unit.to_units` for what is refused."""
        return self.px_step.to_units(px, where, high=MAX_PX)

    def to_lots(self, qty: str | int, where: str = "order_qty") -> int:
        """Return a quantity in lots."""
        return self.qty_step.to_units(qty, where, high=MAX_QTY)

    def from_ticks(self, px: int) -> str:
        """Return a price in natural notation."""
        return self.px_step.to_text(px)

    def from_lots(self, qty: int) -> str:
        """Return a quantity in natural notation."""
        return self.qty_step.to_text(qty)

    # ---------------------------------------------------------------------------- frames
    def to_frame(self, ts_ns: int = 0) -> bytes:
        """Return the INSTRUMENT command: 256 bytes, four frames."""
        cash = self.quote.unit
        tiers = [
            (
                cash.to_units(tier.max_notional, self._at(f"tiers[{number}].max_notional")),
                tier.im_ppm,
                tier.mm_ppm,
            )
            for number, tier in enumerate(self.tiers)
        ]
        return frames.pack(
            "tc_instrument",
            ts_ns=ts_ns,
            kind=CommandKind.INSTRUMENT,
            cont=3,
            instrument_id=self.instrument_id,
            base_asset=self.base.asset_id,
            quote_asset=self.quote.asset_id,
            tick=self.px_step.to_units(self.tick_size, self._at("tick_size"), low=1, high=MAX_PX),
            lot=self.qty_step.to_units(self.lot_size, self._at("lot_size"), low=1, high=MAX_QTY),
            min_order_qty=self._qty("min_qty"),
            max_order_qty=self._qty("max_qty"),
            min_notional=cash.to_units(self.min_notional or "0", self._at("min_notional")),
            multiplier=self.multiplier,
            base_per_lot=self.base_per_lot,
            band_ref_px=self.to_ticks(self.band_ref_px or "0", self._at("band_ref_px")),
            min_alloc=self._qty("min_alloc"),
            instrument_type=InstrumentType[self.instrument_type.upper()],
            tiers=tiers,
            **{name: getattr(self, name) for name in _PLAIN},
            **{name: _code(self, name) for name in _CODED},
        )

    @classmethod
    def from_frame(
        cls,
        data: bytes | memoryview,
        *,
        symbol: str,
        base: AssetSpec,
        quote: AssetSpec,
        px_unit: str,
        qty_unit: str,
    ) -> InstrumentSpec:
        """Read an INSTRUMENT command back; names and units are not in the frame.

        Raises
        ------
        FrameError
            The frame is no instrument, or does not agree with the assets and units.
        """
        raw = frames.unpack("tc_instrument", data)
        if raw["kind"] != CommandKind.INSTRUMENT or raw["cont"] != 3:
            raise FrameError(f"kind {raw['kind']}, cont {raw['cont']}: not an INSTRUMENT command")
        px, qty = Unit.parse(px_unit, "px_unit"), Unit.parse(qty_unit, "qty_unit")
        try:
            values: dict[str, Any] = {name: raw[name] for name in _PLAIN}
            values |= {
                name: enum(raw[name]).name.lower()
                for name, enum in (_CODED | {"instrument_type": InstrumentType}).items()
            }
            linear = raw["instrument_type"] == InstrumentType.LINEAR
            if linear:
                values["contract_size"] = _ratio(raw["multiplier"], quote, px, qty)
            spec = cls(
                symbol=symbol,
                instrument_id=raw["instrument_id"],
                base=base,
                quote=quote,
                px_unit=px_unit,
                qty_unit=qty_unit,
                tick_size=px.to_text(raw["tick"]),
                lot_size=qty.to_text(raw["lot"]),
                min_qty=qty.to_text(raw["min_order_qty"]) if raw["min_order_qty"] else "",
                max_qty=qty.to_text(raw["max_order_qty"]) if raw["max_order_qty"] else "",
                min_alloc=qty.to_text(raw["min_alloc"]) if raw["min_alloc"] else "",
                min_notional=quote.unit.to_text(raw["min_notional"]) if raw["min_notional"] else "",
                band_ref_px=px.to_text(raw["band_ref_px"]) if raw["band_ref_px"] else "",
                tiers=tuple(
                    MarginTier(
                        quote.unit.to_text(row["max_notional"]), row["im_ppm"], row["mm_ppm"]
                    )
                    for row in raw["tiers"]
                    if any(row.values())
                ),
                **values,
            )
        except (ValueError, ConfigError) as error:
            raise FrameError(f"not an instrument definition: {error}") from None
        if spec.to_frame(raw["ts_ns"]) != bytes(data[:256]):
            raise FrameError("the instrument frame does not agree with these assets and units")
        return spec

    # ---------------------------------------------------------------------------- checks
    def _at(self, field: str) -> str:
        return f"{self.symbol}.{field}"

    def _qty(self, field: str) -> int:
        return self.to_lots(getattr(self, field) or "0", self._at(field))

    def _whole(self, digits: int, decimals: int, asset: AssetSpec, what: str) -> int:
        scale: int = 10 ** max(asset.decimals - decimals, 0)
        divisor: int = 10 ** max(decimals - asset.decimals, 0)
        units, rest = divmod(digits * scale, divisor)
        if rest or not units:
            raise ConfigError(
                f"{self.symbol}: {what} is 1e-{decimals} x {digits} {asset.code}, but {asset.code} "
                f"has {asset.decimals} decimals; give it {decimals}"
            )
        if units > MAX_CASH:
            raise ConfigError(f"{self.symbol}: {what} is {units} units, more than 2**62")
        return units

    def _check_rates(self) -> None:
        for name, (low, high) in _BOUNDS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise ConfigError(f"{self._at(name)}: {value!r}; between {low} and {high}")

    def _check_tiers(self) -> None:
        if self.instrument_type == "spot" and self.tiers:
            raise ConfigError(f"{self._at('tiers')}: a spot instrument has no margin tiers")
        if self.instrument_type == "linear" and not 1 <= len(self.tiers) <= 4:
            raise ConfigError(f"{self._at('tiers')}: a linear instrument has 1 to 4 margin tiers")
        bound = 0
        for number, tier in enumerate(self.tiers):
            where = self._at(f"tiers[{number}]")
            if not 0 <= tier.mm_ppm <= tier.im_ppm <= _PPM:
                raise ConfigError(f"{where}: rates must be 0 <= mm_ppm <= im_ppm <= {_PPM}")
            top = self.quote.unit.to_units(tier.max_notional, f"{where}.max_notional")
            if top <= bound and (top or number + 1 < len(self.tiers)):
                raise ConfigError(f"{where}.max_notional: tiers ascend, only the last may be '0'")
            bound = top


_CODED: Final[dict[str, Any]] = {
    "algo": AllocationAlgorithm,
    "alloc_top": TopOrder,
    "stop_election": StopElection,
    "stop_policy": StopPolicy,
    "trigger": Trigger,
    "phase": Phase,
}
_BOUNDS: Final = {
    "instrument_id": (0, 0xFFFFFFFE),
    "band_up_ppm": (0, 0xFFFFFFFF),
    "band_down_ppm": (0, _PPM),
    "static_band_ppm": (0, 0xFFFFFFFF),
    "dynamic_band_ppm": (0, 0xFFFFFFFF),
    "halt_ns": (0, _MAX_NS),
    "auction_ns": (0, _MAX_NS),
    "maker_fee_ppm": (1 - _PPM, _PPM - 1),
    "taker_fee_ppm": (1 - _PPM, _PPM - 1),
    "max_iceberg_parts": (0, 0xFFFFFFFF),
    "max_trailing": (0, 0xFFFFFFFF),
    "liq_fee_ppm": (0, _PPM),
    "liq_band_ppm": (0, _PPM),
    "insurance_account": (0, 0xFFFFFFFF),
    "mark_max_age_ms": (0, 0xFFFFFFFF),
}
_PLAIN: Final = tuple(name for name in _BOUNDS if name != "instrument_id")


def _code(spec: InstrumentSpec, name: str) -> int:
    value = getattr(spec, name)
    try:
        return int(_CODED[name][value.upper()])
    except (KeyError, AttributeError):
        known = ", ".join(member.name.lower() for member in _CODED[name])
        raise ConfigError(f"{spec.symbol}.{name}: {value!r}; one of {known}") from None


def _ratio(multiplier: int, quote: AssetSpec, px: Unit, qty: Unit) -> str:
    """Return the contract size that gives a multiplier, as decimal text."""
    decimals = quote.decimals - px.decimals - qty.decimals
    digits, rest = divmod(multiplier * 10**MAX_DECIMALS, px.step * qty.step)
    if rest:
        raise ConfigError("its multiplier is not a decimal number of contracts in these units")
    shift = MAX_DECIMALS + decimals
    if shift < 0:
        return str(digits * 10**-shift)
    text = str(digits).rjust(shift + 1, "0")
    whole, fraction = text[: len(text) - shift], text[len(text) - shift :].rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole
