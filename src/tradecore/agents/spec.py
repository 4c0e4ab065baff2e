"""What a simulated market consists of: instruments, people, pace. Data, checked once."""

from __future__ import annotations

from typing import Final

import msgspec

from tradecore.codes import InstrumentType
from tradecore.errors import ConfigError

__all__ = ["CASH_DECIMALS", "QUOTE_ASSET", "InstrumentPlan", "MarketSpec", "default_plans"]

QUOTE_ASSET: Final = 0
"""The asset everything is paid in: US dollars, in units of 10**-CASH_DECIMALS."""

CASH_DECIMALS: Final = 6

MAX_INSTRUMENTS: Final = 64

# name, price in ticks, tick and lot in millionths: a lot is worth 60 dollars or so.
_COINS: Final = (
    ("BTC", 12_000, 5_000_000, 1_000),
    ("ETH", 12_000, 250_000, 20_000),
    ("SOL", 15_000, 10_000, 400_000),
    ("XRP", 10_000, 50, 100_000_000),
    ("ADA", 9_000, 50, 100_000_000),
    ("LTC", 8_500, 10_000, 700_000),
    ("DOT", 14_000, 500, 8_000_000),
    ("UNI", 11_000, 1_000, 5_000_000),
)


class InstrumentPlan(msgspec.Struct, frozen=True):
    """One instrument of the market.

    Parameters
    ----------
    instrument_id : int
    symbol : str
    kind : InstrumentType
        Spot, or linear (margined, perpetual: it never expires and pays funding).
    index_of : int
        Position, in the list of instruments, of the spot instrument whose price this one follows;
        its own position for a spot instrument.
    base_asset : int
        What a spot instrument delivers.
    first_px : int
        Price at which the market opens, ticks.
    tick_size, lot_size : int
        What a tick and a lot are worth, in millionths of a dollar and of a coin.
    """

    instrument_id: int
    symbol: str
    kind: InstrumentType
    index_of: int
    base_asset: int
    first_px: int
    tick_size: int
    lot_size: int

    @property
    def multiplier(self) -> int:
        """Cash units of one tick times one lot."""
        return self.tick_size * self.lot_size // 10**6

    @property
    def is_linear(self) -> bool:
        """Whether positions are margined instead of delivered."""
        return self.kind == InstrumentType.LINEAR

    def px_text(self, px: float) -> str:
        """Return a price of so many ticks in dollars, with the decimals of the tick."""
        decimals = 0
        while decimals < 6 and self.tick_size % 10 ** (6 - decimals):
            decimals += 1
        return f"{px * self.tick_size / 1e6:,.{max(decimals, 2)}f}"


def default_plans(count: int) -> list[InstrumentPlan]:
    """Return `count` instruments: pairs of a spot instrument and the perpetual that follows it.

    Raises
    ------
    ConfigError
        Not 1..64.
    """
    if not 1 <= count <= MAX_INSTRUMENTS:
        raise ConfigError(f"instruments is {count}; it must be 1..{MAX_INSTRUMENTS}")
    plans = []
    for position in range(count):
        coin, px, tick, lot = _COINS[position // 2 % len(_COINS)]
        series = position // 2 // len(_COINS)
        name = coin if series == 0 else f"{coin}{series + 1}"
        linear = position % 2 == 1
        plans.append(
            InstrumentPlan(
                instrument_id=position + 1,
                symbol=f"{name}-PERP" if linear else f"{name}-USD",
                kind=InstrumentType.LINEAR if linear else InstrumentType.SPOT,
                index_of=position - 1 if linear else position,
                base_asset=position // 2 + 1,
                first_px=px,
                tick_size=tick,
                lot_size=lot,
            )
        )
    return plans


class MarketSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Size and pace of a simulated market.

    Parameters
    ----------
    accounts : int
        Participants, 20..100,000. About 6 % are makers, 24 % informed takers, 20 % momentum
        traders, 50 % noise.
    instruments : int
        1..64, alternating spot and perpetual.
    batch_commands : int
        Commands of one step, at most; what everybody does in one step is decided on the prices at
        its beginning.
    step_ns : int
        Log time of one step.
    crash_step : int
        Step in which one account sells far too much of the first instrument at once, which trips
        the breaker; -1 for never.
    """

    accounts: int = 1_000
    instruments: int = 4
    batch_commands: int = 4_096
    step_ns: int = 1_000_000_000
    crash_step: int = -1

    def __post_init__(self) -> None:
        if not 20 <= self.accounts <= 100_000:
            raise ConfigError(f"accounts is {self.accounts}; it must be 20..100000")
        if not 64 <= self.batch_commands <= 1 << 16:
            raise ConfigError(f"batch_commands is {self.batch_commands}; it must be 64..65536")
        if not 1_000 <= self.step_ns <= 10**12:
            raise ConfigError(f"step_ns is {self.step_ns}; it must be 1,000..10**12")
        default_plans(self.instruments)

    @property
    def plans(self) -> list[InstrumentPlan]:
        """The instruments, in order of their ids."""
        return default_plans(self.instruments)

    @property
    def ids(self) -> list[int]:
        """The instrument ids, ascending."""
        return [plan.instrument_id for plan in self.plans]

    @property
    def insurance_account(self) -> int:
        """The account that takes over what nobody can pay; it stands behind the participants."""
        return self.accounts
