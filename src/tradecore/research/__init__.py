"""Research: strategies on the engine that runs in production, with recorded order flow.

Part of the library's edge: it reads files and may use the optional packages of the extra
``research``. Nothing in the pure part of the library imports it, and importing it loads neither
Numba nor pandas: names are loaded from their modules at first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tradecore.research.compiled import run_compiled
    from tradecore.research.context import Book, Context, Fill, OrderUpdate, Trade
    from tradecore.research.convert import (
        Source,
        from_itch,
        from_journal,
        from_lobster,
        from_workload,
        record,
    )
    from tradecore.research.convert_dbn import from_dbn
    from tradecore.research.convert_levels import coarser, from_bars, from_binance, from_quotes
    from tradecore.research.counterfactual import Fork, Outcome, Replay, replay
    from tradecore.research.errors import LookaheadError, StrategyError
    from tradecore.research.events import open_events, write_events
    from tradecore.research.fidelity import QueueModel
    from tradecore.research.latency import Delay, Latency
    from tradecore.research.market import Market, Setup
    from tradecore.research.metrics import fill_ratio, markouts, performance, returns, slippage
    from tradecore.research.parity import Certificate, certify
    from tradecore.research.recording import InstrumentInfo, Recording
    from tradecore.research.records import OrderState
    from tradecore.research.results import Result, RunInfo, read_result
    from tradecore.research.runner import backtest
    from tradecore.research.series import Series
    from tradecore.research.strategy import Strategy
    from tradecore.research.tearsheet import draw_tear_sheet, tear_sheet_text, write_tear_sheet

# Where each public name lives; `__getattr__` reads it, and a test compares it with `__all__`.
_HOME = {
    "compiled": "run_compiled",
    "context": "Book Context Fill OrderUpdate Trade",
    "convert": "Source from_itch from_journal from_lobster from_workload record",
    "convert_dbn": "from_dbn",
    "convert_levels": "coarser from_bars from_binance from_quotes",
    "counterfactual": "Fork Outcome Replay replay",
    "errors": "LookaheadError StrategyError",
    "events": "open_events write_events",
    "fidelity": "QueueModel",
    "latency": "Delay Latency",
    "market": "Market Setup",
    "metrics": "fill_ratio markouts performance returns slippage",
    "parity": "Certificate certify",
    "recording": "InstrumentInfo Recording",
    "records": "OrderState",
    "results": "Result RunInfo read_result",
    "runner": "backtest",
    "series": "Series",
    "strategy": "Strategy",
    "tearsheet": "draw_tear_sheet tear_sheet_text write_tear_sheet",
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names.split()}

__all__ = [
    "Book",
    "Certificate",
    "Context",
    "Delay",
    "Fill",
    "Fork",
    "InstrumentInfo",
    "Latency",
    "LookaheadError",
    "Market",
    "OrderState",
    "OrderUpdate",
    "Outcome",
    "QueueModel",
    "Recording",
    "Replay",
    "Result",
    "RunInfo",
    "Series",
    "Setup",
    "Source",
    "Strategy",
    "StrategyError",
    "Trade",
    "backtest",
    "certify",
    "coarser",
    "draw_tear_sheet",
    "fill_ratio",
    "from_bars",
    "from_binance",
    "from_dbn",
    "from_itch",
    "from_journal",
    "from_lobster",
    "from_quotes",
    "from_workload",
    "markouts",
    "open_events",
    "performance",
    "read_result",
    "record",
    "replay",
    "returns",
    "run_compiled",
    "slippage",
    "tear_sheet_text",
    "write_events",
    "write_tear_sheet",
]


def __getattr__(name: str) -> object:
    """Import the module of a public name at its first use."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return __all__
