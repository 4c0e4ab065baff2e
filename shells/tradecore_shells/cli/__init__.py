"""Commands of the `tradecore` program that need the services.

Each module has ``add(commands)`` and ``run(args, screen)`` like those of `tradecore.cli`. They are
found through the entry points of the distribution; `COMMANDS` serves a checkout that was not
installed, and a test compares both. Modules import what belongs to an extra only when they run.
"""

from __future__ import annotations

from typing import Final

__all__ = ["COMMANDS"]

COMMANDS: Final = (
    *("up", "order", "positions", "top", "serve"),
    *("reconcile", "statement", "admin", "risk"),
)
