"""Readers of market data and order flow: LOBSTER, binary workloads, ITCH 5.0, Binance captures.

Part of the library's edge: the only code besides the command line and the file journal that
touches files. Nothing in the pure part of the library imports it. Every reader streams with
bounded memory, keeps prices and quantities as integers, and answers damaged input with one
`tradecore.errors.DataError` that names file, offset and reason.
"""

from __future__ import annotations

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
    "WORKLOAD_HEADER",
    "WORKLOAD_RECORD",
    "decode_workload",
    "encode_workload",
    "iter_workload",
    "read_workload",
    "write_workload",
]
