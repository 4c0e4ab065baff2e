"""The naive oracle engine: the same bytes in, the same bytes out, in plain Python.

It follows ``docs/reference/semantics.md``, ``accounts.md`` and ``margin.md`` and nothing else, so a
difference from the kernel is an error in one of three places: kernel, oracle or document.
"""

from tradecore.testing.oracle.config import OracleConfig
from tradecore.testing.oracle.engine import OracleEngine

__all__ = ["OracleConfig", "OracleEngine"]
