"""What large venues have reported in public: the scale beside a plan's answer.

Rates are as published; none was measured by us, and some are claims of the venue. Sources were
read in November 2026.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

__all__ = ["PUBLIC_RATES", "PublicRate"]


class PublicRate(msgspec.Struct, frozen=True):
    """One published rate.

    Attributes
    ----------
    venue : str
    per_second : float
        Orders or messages a second.
    what : str
        What was counted, over which time.
    kind : {'record', 'claim'}
        Something that happened, or a capacity that is claimed.
    source : str
        Where it was read.
    """

    venue: str
    per_second: float
    what: str
    kind: Literal["record", "claim"]
    source: str


PUBLIC_RATES: Final = (
    PublicRate(
        "NSE (India)",
        19.71e9 / 22_500,
        "orders, mean of the busiest day: 19.71 billion on 5 June 2024 in 6 h 15 min",
        "record",
        "https://www.business-standard.com/markets/news/"
        "nse-breaks-world-record-with-19-71-billion-single-day-orders-nse-ceo-124060500862_1.html",
    ),
    PublicRate(
        "Nasdaq (INET)",
        581_696,
        "orders, busiest second on record (messages: 1,134,640), as the venue lists its records",
        "record",
        "https://www.nasdaqtrader.com/snippets/inet2.html",
    ),
    PublicRate(
        "Binance",
        1_400_000,
        "orders, capacity the venue claims, as repeated by others; not a measured peak",
        "claim",
        "https://sharpservices.org/?p=4648",
    ),
)
