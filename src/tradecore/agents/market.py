"""The market as a whole: whose turn it is, step by step, and what everybody learns from the events.

The driver applies what `opening`, `batch` and `closing` hand out, and gives every step's events to
`observe`. Time is log time only: a step is `MarketSpec.step_ns` long whatever the machine does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from tradecore.agents.chance import Chance
from tradecore.agents.fair import SCALE, FairPrices
from tradecore.agents.makers import Makers
from tradecore.agents.noise import Noise
from tradecore.agents.population import Population
from tradecore.agents.rows import Rows
from tradecore.agents.seen import Seen
from tradecore.agents.slots import Slots
from tradecore.agents.spec import MarketSpec
from tradecore.agents.traders import Momentum, Takers
from tradecore.agents.view import Part, View
from tradecore.codes import CommandKind, OrdType, Phase, Side, Tif
from tradecore.dtypes import ADMIN, COMMAND
from tradecore.engine import EngineConfig

__all__ = ["FIRST_TS_NS", "Market"]

FIRST_TS_NS: Final = 1_767_600_000_000_000_000
"""Log time at which every simulated market opens: 5 January 2026, 08:00 UTC."""

_AUCTION_STEPS: Final = 3
_FUNDING_STEPS: Final = 120
# Shares of a step's rows in per mille: makers, takers, momentum; noise gets the rest.
_SHARES: Final = (580, 120, 80)
_CRASH_LOTS: Final = 40_000

Frames = npt.NDArray[np.void]


class Actor(Protocol):
    """A trader class: takes its turn once a step."""

    def act(self, part: Part) -> None:
        """Fill this class's rows of the step."""


class Market:
    """A seeded market.

    Parameters
    ----------
    spec : MarketSpec
    rng : numpy.random.Generator
        Where everything random comes from.

    Attributes
    ----------
    people : Population
    view : View
        What the participants see.
    steps : int
        Steps handed out so far.
    """

    def __init__(self, spec: MarketSpec, rng: np.random.Generator) -> None:
        self.spec = spec
        self.plans = spec.plans
        self._chance = chance = Chance(rng)
        self.people = Population(spec, chance)
        self.fair = FairPrices(spec, chance)
        n = len(self.plans)
        self._makers = Makers(self.people, n, 0, chance)
        self._momentum = Momentum(self.people, n, self._makers.slots)
        first = self._makers.slots + self._momentum.slots
        self._noise = Noise(self.people, n, first, spec.step_ns, chance)
        self._takers = Takers(self.people)
        self.slots = Slots(first + self._noise.slots)
        self.view = View(self.plans, spec.accounts + 1)
        self.view.now_ns = FIRST_TS_NS
        self._rows = Rows(spec.batch_commands)
        sizes = [spec.batch_commands * share // 1000 for share in _SHARES]
        ends = [*np.cumsum(sizes).tolist(), spec.batch_commands]
        self._spans = [slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True)]
        self.steps = 0

    def engine_config(self) -> EngineConfig:
        """Return the configuration of an engine with room for this market."""
        room = 2 * len(self.slots) + self.spec.batch_commands
        assets = max(plan.base_asset for plan in self.plans) + 1
        accounts = self.spec.accounts + 1
        return EngineConfig(
            accounts=True,
            max_instruments=len(self.plans) + 1,
            max_orders=1 << max(room - 1, 1).bit_length(),
            max_accounts=accounts,
            max_groups=2,
            max_assets=assets,
            max_wallets=accounts * assets,
            max_positions=accounts * len(self.plans),
        )

    # ---- what to send ----------------------------------------------------------------------------
    def opening(self) -> Iterator[Frames]:
        """Yield what makes the venue and opens it: definitions, funds, an opening auction."""
        yield self.people.instrument_frames()
        yield self.people.account_frames()
        yield self._mark_frames()
        for _ in range(_AUCTION_STEPS):
            yield self._step()
        yield self._phase_frames(Phase.CONTINUOUS)

    def batch(self, quotes: list[tuple[int | None, int | None]]) -> Frames:
        """Return the commands of the next step.

        Parameters
        ----------
        quotes : list of (int or None, int or None)
            Best bid and ask of every instrument now, in the order of ``spec.ids``.
        """
        self.view.quote(quotes)
        parts = [self._mark_frames()]
        if self.steps % _FUNDING_STEPS == _FUNDING_STEPS - 1:
            parts.append(self._funding_frames())
        if self.steps == self.spec.crash_step:
            parts.append(self._crash_frames())
        parts.append(self._step())
        return np.concatenate([part.view(COMMAND) for part in parts])

    def closing(self) -> Iterator[Frames]:
        """Yield what ends the session: a closing auction, then the close, which ends day orders."""
        yield self._phase_frames(Phase.AUCTION)
        yield self._step()
        yield self._phase_frames(Phase.CONTINUOUS)
        yield self._phase_frames(Phase.CLOSED)

    def drain(self) -> Frames:
        """Return the command after which no order is alive and no order holds money."""
        return self.people.drain_frame()

    # ---- what was heard --------------------------------------------------------------------------
    def observe(self, events: Frames | Seen) -> None:
        """Let everybody learn from the events of what was sent."""
        seen = events if isinstance(events, Seen) else Seen(events)
        self.slots.observe(seen)
        for event in seen.phases:
            at = int(event["instrument_id"]) - 1
            self.view.phase(at, int(event["phase"]))
        fills = seen.fills
        if len(fills):
            instrument = fills["instrument_id"].astype(np.int64) - 1
            qty = fills["last_qty"]
            signed = np.where(fills["side"] == Side.BUY, qty, -qty)
            np.add.at(self.view.position, (fills["account_id"], instrument), signed)
            np.add.at(self.view.position, (fills["maker_account_id"], instrument), -signed)

    # ---- pieces ----------------------------------------------------------------------------------
    def _step(self) -> Frames:
        view, chance, rows = self.view, self._chance, self._rows
        self.fair.step()
        view.fair = self.fair.value // SCALE
        rows.clear()
        actors: tuple[Actor, ...] = (self._makers, self._takers, self._momentum, self._noise)
        for actor, span in zip(actors, self._spans, strict=True):
            actor.act(Part(rows, span, view, self.slots, chance))
        order = np.argsort(chance.bits(rows.capacity))
        frames = rows.frames(order, view.now_ns, self.spec.step_ns)
        view.now_ns += self.spec.step_ns
        self.steps += 1
        return frames

    def _admin(self, kind: CommandKind, count: int) -> Frames:
        frames = np.zeros(count, ADMIN)
        frames["kind"], frames["ts_ns"] = kind, self.view.now_ns
        return frames

    def _mark_frames(self) -> Frames:
        linear = [i for i, plan in enumerate(self.plans) if plan.is_linear]
        frames = self._admin(CommandKind.MARK_PRICE, len(linear))
        frames["instrument_id"] = self.view.ids[linear]
        frames["mark_px"] = np.maximum(self.fair.marks()[linear], 1)
        return frames

    def _funding_frames(self) -> Frames:
        """Who holds the dearer side pays: the perpetual's premium over its index, per lot."""
        linear = [i for i, plan in enumerate(self.plans) if plan.is_linear]
        frames = self._admin(CommandKind.FUNDING, len(linear))
        frames["instrument_id"] = self.view.ids[linear]
        premium = self.view.mid - self.fair.marks()
        multiplier = np.array([plan.multiplier for plan in self.plans])
        frames["amount"] = (np.clip(premium, -20, 20) * multiplier)[linear] // 8
        return frames

    def _phase_frames(self, phase: Phase) -> Frames:
        frames = self._admin(CommandKind.SET_PHASE, len(self.plans))
        frames["instrument_id"], frames["phase"] = self.view.ids, phase
        return frames

    def _crash_frames(self) -> Frames:
        """One taker sells far more than the book can bear, at any price; then bad news is out."""
        self.fair.shock(0)
        frame = np.zeros(1, COMMAND)
        frame["ts_ns"], frame["kind"] = self.view.now_ns, CommandKind.NEW_ORDER
        frame["account_id"] = self.people.first[0]
        frame["instrument_id"] = self.view.ids[0]
        frame["order_id"] = self.slots.passing(1)
        frame["side"], frame["ord_type"], frame["tif"] = Side.SELL, OrdType.LIMIT, Tif.IOC
        frame["px"] = max(int(self.view.mid[0]) * 9 // 10, 1)
        frame["order_qty"] = _CRASH_LOTS
        return frame
