"""tradecore: a deterministic trading core in one compiled engine.

>>> import tradecore as tc
>>> engine = tc.Engine(max_instruments=8, max_orders=1024)
>>> _ = engine.define_instrument(1)
>>> engine.limit(1, 1, "sell", 101, 5).status
0

The names here are the library's public face. Kernels for bulk numbers are in `tradecore.kernels`
(Numba), the journal's files in `tradecore.storage`, readers of market data in `tradecore.data`,
tables in `tradecore.tables`; none of them is imported from here, so that `import tradecore` stays
light.
"""

from __future__ import annotations

from typing import Final

from tradecore.codes import (
    CommandKind,
    EventKind,
    FillFlag,
    OrderFlag,
    OrdType,
    Phase,
    Side,
    Stp,
    Tif,
)
from tradecore.dtypes import (
    ACCOUNT_EVENT,
    ADMIN,
    BALANCE_EVENT,
    COMMAND,
    EVENT,
    FILL_EVENT,
    INSTRUMENT,
    LIMITS,
    LIST,
    MARKET_EVENT,
    ORDER_EVENT,
    REJECT_EVENT,
    SETTLE_EVENT,
    TERMS,
)
from tradecore.engine import (
    AccountView,
    BookView,
    Engine,
    EngineConfig,
    EventBatch,
    LevelView,
    OrderResult,
    PositionView,
    WalletView,
    state_hash,
)
from tradecore.errors import (
    CapacityError,
    ConfigError,
    DataError,
    EngineFault,
    FrameError,
    JournalError,
    SnapshotError,
    TradecoreError,
)
from tradecore.status import Status
from tradecore_ext import get_include

__version__: Final = "0.1.0"

__all__ = [
    "ACCOUNT_EVENT",
    "ADMIN",
    "BALANCE_EVENT",
    "COMMAND",
    "EVENT",
    "FILL_EVENT",
    "INSTRUMENT",
    "LIMITS",
    "LIST",
    "MARKET_EVENT",
    "ORDER_EVENT",
    "REJECT_EVENT",
    "SETTLE_EVENT",
    "TERMS",
    "AccountView",
    "BookView",
    "CapacityError",
    "CommandKind",
    "ConfigError",
    "DataError",
    "Engine",
    "EngineConfig",
    "EngineFault",
    "EventBatch",
    "EventKind",
    "FillFlag",
    "FrameError",
    "JournalError",
    "LevelView",
    "OrdType",
    "OrderFlag",
    "OrderResult",
    "Phase",
    "PositionView",
    "Side",
    "SnapshotError",
    "Status",
    "Stp",
    "Tif",
    "TradecoreError",
    "WalletView",
    "get_include",
    "state_hash",
]
