"""Instruments: the arithmetic between people's units and the engine's, and what is refused."""

from __future__ import annotations

import struct
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradecore.catalog import Catalog
from tradecore.errors import ConfigError, FrameError
from tradecore.instruments import AssetSpec, InstrumentSpec, MarginTier

BTC, USD, EUR = AssetSpec("BTC", 1), AssetSpec("USD", 0), AssetSpec("EUR", 2, 2)
SPOT = InstrumentSpec("BTC-USD", 0, BTC, USD, tick_size="0.01", lot_size="0.0001")
PERP = InstrumentSpec(
    "BTC-PERP",
    7,
    BTC,
    USD,
    instrument_type="linear",
    tick_size="0.5",
    lot_size="1",
    contract_size="0.001",
    px_unit="0.1",
    min_qty="2",
    max_qty="1000",
    min_notional="5",
    band_ref_px="100",
    band_up_ppm=100_000,
    static_band_ppm=50_000,
    halt_ns=10**9,
    auction_ns=2 * 10**9,
    maker_fee_ppm=-50,
    taker_fee_ppm=400,
    algo="prorata",
    alloc_top="best",
    min_alloc="2",
    stop_policy="accept",
    trigger="mark",
    phase="auction",
    tiers=(MarginTier("50000", 10_000, 5_000), MarginTier("0", 20_000, 10_000)),
    liq_fee_ppm=500,
    liq_band_ppm=2_000,
    insurance_account=3,
    mark_max_age_ms=5_000,
)


def test_spot_in_two_lines_has_exact_scales() -> None:
    assert SPOT.to_ticks("101.25") == 10_125
    assert SPOT.to_lots("0.3") == 3_000
    # One tick times one lot is 0.01 * 0.0001 = 0.000001 USD = 100 units of 1e-8.
    assert SPOT.multiplier == 100
    assert SPOT.base_per_lot == 10_000
    assert (SPOT.from_ticks(10_125), SPOT.from_lots(3_000)) == ("101.25", "0.3000")


def test_linear_frame_lies_as_the_header_says() -> None:
    frame = PERP.to_frame(ts_ns=99)
    assert len(frame) == 256
    assert struct.unpack_from("<QHBBIIIII", frame) == (99, 21, 3, 0, 0, 0, 7, 1, 0)
    # tick 0.50 in steps of 0.1; lot; min, max; 5 USD; 0.1 * 1 * 0.001 USD; no delivery; ref
    assert struct.unpack_from("<8q", frame, 32) == (5, 1, 2, 1000, 500_000_000, 10_000, 0, 1000)
    assert struct.unpack_from("<4I2Q", frame, 96) == (100_000, 0, 50_000, 0, 10**9, 2 * 10**9)
    assert struct.unpack_from("<iiIIq8B", frame, 128) == (-50, 400, 0, 0, 2, 1, 2, 0, 1, 1, 1, 1, 0)
    tiers = struct.unpack_from("<qIIqII", frame, 160)
    assert tiers == (50_000 * 10**8, 10_000, 5_000, 0, 20_000, 10_000)
    assert struct.unpack_from("<IIIIQQ", frame, 224) == (500, 2_000, 3, 5_000, 0, 0)


@pytest.mark.parametrize("spec", [SPOT, PERP], ids=lambda spec: spec.symbol)
def test_frame_reads_back_as_the_same_instrument(spec: InstrumentSpec) -> None:
    found = InstrumentSpec.from_frame(
        spec.to_frame(5),
        symbol=spec.symbol,
        base=BTC,
        quote=USD,
        px_unit=spec.px_unit or spec.tick_size,
        qty_unit=spec.qty_unit or spec.lot_size,
    )
    assert found.to_frame() == spec.to_frame()
    assert Decimal(found.contract_size) == Decimal(spec.contract_size)
    assert Decimal(found.tick_size) == Decimal(spec.tick_size)


def test_frame_with_other_units_is_refused() -> None:
    units = {"symbol": "X", "base": BTC, "quote": USD, "px_unit": "0.001", "qty_unit": "0.0001"}
    with pytest.raises(FrameError, match="does not agree with these assets and units"):
        InstrumentSpec.from_frame(SPOT.to_frame(), **units)  # type: ignore[arg-type]
    with pytest.raises(FrameError, match="not an INSTRUMENT command"):
        InstrumentSpec.from_frame(bytes(256), **units)  # type: ignore[arg-type]
    with pytest.raises(FrameError, match="needs 256 bytes"):
        InstrumentSpec.from_frame(bytes(64), **units)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"tick_size": "1e-2"}, "BTC-USD.px_unit: '1e-2' is written with an exponent"),
        ({"tick_size": "0"}, "not a positive step"),
        ({"px_unit": "0.1"}, "BTC-USD.tick_size: '0.01' has 2 decimals; the step 0.1 allows 1"),
        ({"qty_unit": "0.0003"}, "BTC-USD.lot_size: '0.0001' is not a multiple"),
        ({"quote": EUR}, "1e-6 x 1 EUR, but EUR has 2 decimals; give it 6"),
        ({"quote": EUR, "tick_size": "0.05", "lot_size": "0.5"}, "give it 3"),
        ({"base": AssetSpec("BTC", 1, 3)}, "BTC has 3 decimals; give it 4"),
        ({"min_qty": "0.00005"}, "BTC-USD.min_qty"),
        ({"min_notional": "-1"}, "BTC-USD.min_notional: '-1' is out of range"),
        ({"band_ref_px": "1.001"}, "BTC-USD.band_ref_px"),
        ({"algo": "lifo"}, "BTC-USD.algo: 'lifo'; one of fifo, prorata"),
        ({"phase": 2}, "BTC-USD.phase: 2; one of auction, continuous"),
        ({"maker_fee_ppm": 1_000_000}, "maker_fee_ppm: 1000000; between -999999 and 999999"),
        ({"taker_fee_ppm": 0.5}, "taker_fee_ppm: 0.5"),
        ({"taker_fee_ppm": True}, "taker_fee_ppm: True"),
        ({"halt_ns": -1}, "halt_ns"),
        ({"instrument_id": 0xFFFFFFFF}, "instrument_id"),
        ({"symbol": ""}, "symbol"),
        ({"symbol": "B\u00dcX"}, "symbol"),
        ({"tiers": (MarginTier("0", 1, 1),)}, "a spot instrument has no margin tiers"),
    ],
)
def test_spec_that_cannot_be_is_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        InstrumentSpec(**(msgspec.structs.asdict(SPOT) | change))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "tiers",
    [
        (),
        (MarginTier("0", 1, 2),),
        (MarginTier("0", 1_000_001, 1),),
        (MarginTier("5", 9, 1), MarginTier("5", 9, 1)),
        (MarginTier("0", 9, 1), MarginTier("5", 9, 1)),
        (MarginTier("1", 9, 1),) * 5,
    ],
)
def test_linear_tiers_that_cannot_be_are_refused(tiers: tuple[MarginTier, ...]) -> None:
    with pytest.raises(ConfigError, match="tiers"):
        InstrumentSpec(**(msgspec.structs.asdict(PERP) | {"tiers": tiers}))


@given(
    st.integers(1, 999),
    st.integers(0, 6),
    st.integers(1, 999),
    st.integers(0, 6),
    st.integers(0, 10**9),
    st.integers(0, 10**9),
)
def test_notional_in_the_engine_is_the_decimal_product(
    tick: int, tick_decimals: int, lot: int, lot_decimals: int, px: int, qty: int
) -> None:
    spec = InstrumentSpec(
        "A-B",
        1,
        AssetSpec("A", 1, 12),
        AssetSpec("B", 2, 12),
        tick_size=str(Decimal(tick).scaleb(-tick_decimals)) if tick_decimals < 6 else "0.000001",
        lot_size=str(Decimal(lot).scaleb(-lot_decimals)) if lot_decimals < 6 else "0.000001",
    )
    engine = Decimal(px * qty * spec.multiplier).scaleb(-12)
    assert engine == Decimal(spec.from_ticks(px)) * Decimal(spec.from_lots(qty))
    assert Decimal(qty * spec.base_per_lot).scaleb(-12) == Decimal(spec.from_lots(qty))


# ------------------------------------------------------------------------------------ catalog
def test_catalog_finds_by_name_and_id() -> None:
    catalog = Catalog([SPOT, PERP], [EUR])
    assert catalog.instrument("BTC-PERP") is catalog.instrument(7) is PERP
    assert catalog.asset("EUR") is catalog.asset(2) is EUR
    assert catalog.instruments == [SPOT, PERP]
    for wrong in ("X", 99):
        with pytest.raises(ConfigError, match="no instrument"):
            catalog.instrument(wrong)
        with pytest.raises(ConfigError, match="no asset"):
            catalog.asset(wrong)


def test_catalog_refuses_two_things_with_one_name() -> None:
    catalog = Catalog([SPOT])
    catalog.add(InstrumentSpec("BTC-USD", 0, BTC, USD, lot_size="0.0001", taker_fee_ppm=5))
    assert catalog.instrument(0).taker_fee_ppm == 5
    for other in (
        InstrumentSpec("BTC-USD", 1, BTC, USD),
        InstrumentSpec("X", 0, BTC, USD),
        InstrumentSpec("Y", 5, AssetSpec("BTC", 9), USD),
        InstrumentSpec("Z", 6, AssetSpec("XBT", 1), USD),
    ):
        with pytest.raises(ConfigError):
            catalog.add(other)


@pytest.mark.parametrize("values", [("", 1), ("A" * 17, 1), ("A", -1), ("A", 1, 19), ("\u00c4", 1)])
def test_asset_that_cannot_be_is_refused(values: tuple[str, int]) -> None:
    with pytest.raises(ConfigError):
        AssetSpec(*values)
