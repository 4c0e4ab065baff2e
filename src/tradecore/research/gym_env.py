"""A `gymnasium` environment: one account that quotes in a market of simulated traders.

Needs the optional package gymnasium (extra ``gym``). An episode is a market of its own, seeded by
`reset`; a step is a stretch of the market's time, at whose beginning the account says how far from
the best prices its two quotes shall stand.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tradecore.errors import ConfigError
from tradecore.research.agents_market import AgentMarket, Traders

try:
    import gymnasium
except ImportError as error:
    raise ImportError("QuotingEnv needs gymnasium: pip install 'tradecore[gym]'") from error

__all__ = ["NO_QUOTE", "QuotingEnv"]

NO_QUOTE: Final = 0
"""The action of a side that is not quoted; action k > 0 quotes k - 1 ticks behind the touch."""

_CHOICES: Final = 6
_FIELDS: Final = 8
_FAR: Final = 1e4

Observation = npt.NDArray[np.float32]


class QuotingEnv(gymnasium.Env[Observation, npt.NDArray[np.int64]]):
    """Make markets for an episode, and be paid the change of what one is worth.

    Parameters
    ----------
    traders : Traders, optional
        The market; its seed is replaced by each `reset`, its outsiders by this one account.
    step_ns : int
        Time between two decisions.
    steps : int
        Decisions of an episode, which is then truncated.
    warm_up_s : float
        How long the others trade before the account comes.
    qty : int
        Lots of a quote.
    most : int
        Lots held at most, either way; a side that would go beyond is not quoted.
    aversion : float
        What a lot held costs a step, in ticks: reward is profit minus ``aversion * |position|``.

    Attributes
    ----------
    action_space : gymnasium.spaces.MultiDiscrete
        Buy side and sell side, 0..5: see `NO_QUOTE`.
    observation_space : gymnasium.spaces.Box
        float32, shape (8,): position / most, spread in ticks, lots at the bid and at the ask,
        their imbalance, change of the middle price since the last step in ticks, what the last
        step traded in lots, share of the episode that is left. Clipped to +-10,000.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - as the base class has it

    def __init__(
        self,
        traders: Traders | None = None,
        *,
        step_ns: int = 1_000_000_000,
        steps: int = 600,
        warm_up_s: float = 30.0,
        qty: int = 5,
        most: int = 50,
        aversion: float = 0.0,
    ) -> None:
        if step_ns < 1 or steps < 1 or qty < 1 or most < qty or warm_up_s < 0 or aversion < 0:
            raise ConfigError("step_ns, steps, qty >= 1, most >= qty, warm-up and aversion >= 0")
        self._plan = traders or Traders()
        self._step_ns, self._steps, self._warm_up_s = step_ns, steps, warm_up_s
        self._qty, self._most, self._aversion = qty, most, aversion
        self.action_space = gymnasium.spaces.MultiDiscrete([_CHOICES, _CHOICES])
        self.observation_space = gymnasium.spaces.Box(-_FAR, _FAR, (_FIELDS,), np.float32)
        self.market: AgentMarket | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Open a new market and return (observation, info); the same seed opens the same one."""
        super().reset(seed=seed)
        chosen = int(self.np_random.integers(0, 1 << 62))
        fields = {name: getattr(self._plan, name) for name in self._plan.__struct_fields__}
        traders = Traders(**(fields | {"seed": chosen, "outsiders": 1}))
        self.market = AgentMarket(traders)
        self.market.run(seconds=self._warm_up_s)
        self._me = traders.total - 1
        self._done = 0
        self._middle, self._worth, self._traded = self.market.middle(), 0.0, 0
        return self._observe(self.market), self._info(self.market)

    def step(
        self, action: npt.NDArray[np.int64]
    ) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Quote, let the market go on, and return (observation, reward, False, truncated, info)."""
        market = self.market
        if market is None:
            raise ConfigError("reset the environment before the first step")
        bid, ask = market.engine.best(0)
        position = self._position(market)
        for side, touch, choice, sign in ((1, bid, action[0], -1), (2, ask, action[1], 1)):
            room = self._most - position if side == 1 else self._most + position
            wanted = int(choice) != NO_QUOTE and touch is not None and room >= self._qty
            px = max((touch or 0) + sign * (int(choice) - 1), 1) if wanted else 0
            market.quote(self._me, side, px, self._qty)
        before, traded = self._middle, self._traded
        market.run_until(market.now_ns + self._step_ns)
        self._done += 1
        me = market.agents[self._me]
        self._middle = market.middle()
        worth = float(me["cash"]) + float(me["position"]) * self._middle
        reward = worth - self._worth - self._aversion * abs(int(me["position"]))
        self._worth, self._traded = worth, int(me["traded"])
        seen = self._observe(market, self._middle - before, self._traded - traded)
        return seen, reward, False, self._done >= self._steps, self._info(market)

    def _position(self, market: AgentMarket) -> int:
        return int(market.agents["position"][self._me])

    def _observe(self, market: AgentMarket, moved: float = 0.0, traded: int = 0) -> Observation:
        levels = [market.engine.depth(0, side, 1) for side in (1, 2)]
        bid, ask = (level[0][:2] if level else (0, 0) for level in levels)
        lots = bid[1] + ask[1]
        values = (
            self._position(market) / self._most,
            ask[0] - bid[0] if bid[0] and ask[0] else 0,
            bid[1],
            ask[1],
            (bid[1] - ask[1]) / lots if lots else 0,
            moved,
            traded,
            1 - self._done / self._steps,
        )
        return np.clip(np.array(values, np.float32), -_FAR, _FAR)

    def _info(self, market: AgentMarket) -> dict[str, Any]:
        return {
            "now_ns": market.now_ns,
            "position": self._position(market),
            "worth": self._worth,
            "middle": self._middle,
        }
