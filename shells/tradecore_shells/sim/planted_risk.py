"""Design bugs of the risk service: what it remembers and what it tells."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from tradecore.risk import RiskState
from tradecore_shells.risk.saved import info_of, save_state
from tradecore_shells.risk.service import RiskService
from tradecore_shells.sim.patches import Patches

__all__ = ["BUGS"]


def risk_state_is_newer_than_what_is_told(patches: Patches) -> None:
    """Plant: the state of risk is saved, and often, before what it told is durable."""

    async def save(self: Any, saved: int) -> int:
        state = self.state
        if self._snapshots is None or state.seq == saved:
            return saved
        info, sections, seq = info_of(state), state.sections(), state.seq
        return seq if await save_state(self._snapshots, info, sections) else saved

    async def save_all_the_time(self: Any) -> None:
        saved = self.state.seq
        while True:
            await asyncio.sleep(0.02)
            saved = await save(self, saved)

    patches.set(RiskService, "_save", save)
    patches.set(RiskService, "_save_now_and_then", save_all_the_time)


def risk_tells_what_it_reads_from_now_on(patches: Patches) -> None:
    """Plant: after a restart risk tells nothing of what it reads again."""
    original = RiskService._take

    def take(self: Any, batches: Sequence[Any], payloads: Sequence[Any]) -> None:
        if self.status == "running":
            original(self, batches, payloads)
        else:
            self.state.take(batches, payloads)

    patches.set(RiskService, "_take", take)


def risk_forgets_its_place_between_rules(patches: Patches) -> None:
    """Plant: the moment of the next evaluation is not saved."""
    original = RiskState.restore

    def restore(self: Any, sections: Any) -> None:
        original(self, sections)
        self._due_ns = 0

    patches.set(RiskState, "restore", restore)


BUGS: Final[dict[str, Callable[[Patches], None]]] = {
    plant.__name__: plant
    for plant in (
        risk_state_is_newer_than_what_is_told,
        risk_tells_what_it_reads_from_now_on,
        risk_forgets_its_place_between_rules,
    )
}
