"""Research: strategies on the engine that runs in production, with recorded order flow.

Part of the library's edge: it reads files and may use the optional packages of the extra
``research``. Nothing in the pure part of the library imports it, and importing it loads neither
Numba nor pandas: names are loaded from their modules at first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tradecore.research.records import OrderState
    from tradecore.research.results import Result, RunInfo, read_result

# Where each public name lives; `__getattr__` reads it, and a test compares it with `__all__`.
_HOME = {
    "records": "OrderState",
    "results": "Result RunInfo read_result",
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names.split()}

__all__ = [
    "OrderState",
    "Result",
    "RunInfo",
    "read_result",
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
