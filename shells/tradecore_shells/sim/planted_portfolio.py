"""Design bugs of the portfolio service and of the readers of executions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tradecore_shells.sim.patches import Patches

__all__ = ["BUGS"]

BUGS: Final[dict[str, Callable[[Patches], None]]] = {}
