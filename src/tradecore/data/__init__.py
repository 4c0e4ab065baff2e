"""Readers of market data and order flow: LOBSTER, binary workloads, ITCH 5.0, Binance captures.

Part of the library's edge: the only code besides the command line and the file journal that touches
files. Nothing in the pure part of the library imports it. Every reader streams with bounded memory,
keeps prices and quantities as integers, and answers damaged input with one
`tradecore.errors.DataError` that names file, offset and reason.
"""

from __future__ import annotations

from tradecore.data.binance import (
    BookTicker,
    DepthSnapshot,
    DepthUpdate,
    TradePrint,
    iter_capture,
)
from tradecore.data.depth import DepthBook, DepthGapError, DepthRebuild, Quote
from tradecore.data.itch import (
    ItchBatch,
    decode_itch,
    encode_columns,
    encode_itch,
    encode_message,
    iter_itch,
    iter_itch_messages,
)
from tradecore.data.itch_spec import ITCH_MESSAGES, ItchMessage
from tradecore.data.lobster import (
    LOBSTER_MESSAGE,
    LobsterBlock,
    LobsterDay,
    aggressor_runs,
    iter_lobster,
    read_lobster,
)
from tradecore.data.workload import (
    WORKLOAD_HEADER,
    WORKLOAD_RECORD,
    decode_workload,
    encode_workload,
    iter_workload,
    read_workload,
    write_workload,
)

__all__ = [
    "ITCH_MESSAGES",
    "LOBSTER_MESSAGE",
    "WORKLOAD_HEADER",
    "WORKLOAD_RECORD",
    "BookTicker",
    "DepthBook",
    "DepthGapError",
    "DepthRebuild",
    "DepthSnapshot",
    "DepthUpdate",
    "ItchBatch",
    "ItchMessage",
    "LobsterBlock",
    "LobsterDay",
    "Quote",
    "TradePrint",
    "aggressor_runs",
    "decode_itch",
    "decode_workload",
    "encode_columns",
    "encode_itch",
    "encode_message",
    "encode_workload",
    "iter_capture",
    "iter_itch",
    "iter_itch_messages",
    "iter_lobster",
    "iter_workload",
    "read_lobster",
    "read_workload",
    "write_workload",
]
