"""Pictures of a run: book depth, prices, equity curves. Needs matplotlib (extra `research`).

Part of the library's edge: it writes files. Nothing here computes a number that a person would
quote; it draws what others computed.
"""

from __future__ import annotations

from tradecore.report.figure import Figure, check_target, save
from tradecore.report.market import MarketPicture, draw_market

__all__ = ["Figure", "MarketPicture", "check_target", "draw_market", "save"]
