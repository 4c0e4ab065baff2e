"""The message table of NASDAQ TotalView-ITCH 5.0: every type, its fields and its two layouts.

One table is the only place where the format is written down; wire layout, columns and records are
derived from it. All integers of the wire are big-endian and unsigned, text is padded with spaces,
and the time is a 48-bit count of nanoseconds after midnight. Prices are dollars times 10,000
(times 100,000,000 in the market-wide breaker message `V`). Source: NASDAQ TotalView-ITCH 5.0
specification, section 1.
"""

from __future__ import annotations

import collections
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

__all__ = ["ITCH_MESSAGES", "LENGTH_OF_TYPE", "ItchMessage"]

# u1..u8: unsigned integer of that many bytes; a1..a8: text of that many bytes.
_HEADER = "stock_locate:u2 tracking_number:u2 ts_ns:u6"

_TABLE = """
S SystemEvent           event_code:a1
R StockDirectory        stock:a8 market_category:a1 financial_status:a1 round_lot_size:u4 \
                        round_lots_only:a1 issue_classification:a1 issue_subtype:a2 \
                        authenticity:a1 short_sale_threshold:a1 ipo_flag:a1 luld_tier:a1 \
                        etp_flag:a1 etp_leverage:u4 inverse:a1
H StockTradingAction    stock:a8 trading_state:a1 reserved:a1 reason:a4
Y RegShoRestriction     stock:a8 action:a1
L ParticipantPosition   mpid:a4 stock:a8 primary_market_maker:a1 market_maker_mode:a1 \
                        participant_state:a1
V BreakerLevels         level1_px:u8 level2_px:u8 level3_px:u8
W BreakerStatus         breached_level:a1
K IpoQuotingPeriod      stock:a8 release_time_s:u4 release_qualifier:a1 ipo_px:u4
J LuldAuctionCollar     stock:a8 reference_px:u4 upper_px:u4 lower_px:u4 extension:u4
h OperationalHalt       stock:a8 market_code:a1 action:a1
A AddOrder              order_id:u8 side:a1 order_qty:u4 stock:a8 px:u4
F AddOrderAttributed    order_id:u8 side:a1 order_qty:u4 stock:a8 px:u4 mpid:a4
E OrderExecuted         order_id:u8 last_qty:u4 match_number:u8
C OrderExecutedAtPrice  order_id:u8 last_qty:u4 match_number:u8 printable:a1 last_px:u4
X OrderReduced          order_id:u8 canceled_qty:u4
D OrderDeleted          order_id:u8
U OrderReplaced         order_id:u8 new_order_id:u8 order_qty:u4 px:u4
P HiddenTrade           order_id:u8 side:a1 last_qty:u4 stock:a8 last_px:u4 match_number:u8
Q CrossTrade            cross_qty:u8 stock:a8 cross_px:u4 match_number:u8 cross_type:a1
B BrokenTrade           match_number:u8
I OrderImbalance        paired_qty:u8 imbalance_qty:u8 direction:a1 stock:a8 far_px:u4 \
                        near_px:u4 reference_px:u4 cross_type:a1 price_variation:a1
N RetailInterest        stock:a8 interest_flag:a1
O DirectListing         stock:a8 open_eligibility:a1 minimum_px:u4 maximum_px:u4 near_px:u4 \
                        near_time_ns:u8 lower_collar_px:u4 upper_collar_px:u4
"""


class ItchMessage(NamedTuple):
    """One message type.

    Attributes
    ----------
    kind : str
        The type letter, first byte on the wire.
    name : str
        What the specification means by it, in CamelCase.
    fields : tuple of str
        Field names after the type letter, in wire order.
    wire : numpy.dtype
        Packed big-endian layout including the type byte; the 48-bit time is split into `ts_high`
        and `ts_low`.
    columns : numpy.dtype
        The same fields in the machine's byte order, without the type byte and with one `ts_ns`.
        Text stays bytes, padding included, so that encoding gives back what was decoded.
    record : type
        A named tuple of the fields, for code that handles one message at a time.
    """

    kind: str
    name: str
    fields: tuple[str, ...]
    wire: np.dtype[np.void]
    columns: np.dtype[np.void]
    record: Any

    @property
    def size(self) -> int:
        """Bytes on the wire, type letter included."""
        return self.wire.itemsize


def _build(line: str) -> ItchMessage:
    """Derive the layouts of one table line."""
    kind, name, *specs = line.split()
    wire: list[tuple[str, str]] = [("kind", "S1")]
    columns: list[tuple[str, str]] = []
    for spec in (*_HEADER.split(), *specs):
        field, _, code = spec.partition(":")
        form, width = code[0], int(code[1:])
        if form == "a":
            wire.append((field, f"S{width}"))
            columns.append((field, f"S{width}"))
        elif width == 6:
            wire += [("ts_high", ">u2"), ("ts_low", ">u4")]
            columns.append((field, "=u8"))
        else:
            wire.append((field, f">u{width}"))
            columns.append((field, f"=u{width}"))
    fields = tuple(field for field, _ in columns)
    record = collections.namedtuple(name, fields)  # type: ignore[misc]
    return ItchMessage(kind, name, fields, np.dtype(wire), np.dtype(columns), record)


ITCH_MESSAGES: Mapping[str, ItchMessage] = MappingProxyType(
    {message.kind: message for message in map(_build, _TABLE.strip().splitlines())}
)
"""All 23 message types by their letter."""

LENGTH_OF_TYPE: tuple[int, ...] = tuple(
    ITCH_MESSAGES[chr(code)].size if chr(code) in ITCH_MESSAGES else 0 for code in range(256)
)
"""Wire length by the value of the first byte; 0 where no such type exists."""
