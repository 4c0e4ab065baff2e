"""The environment passes gymnasium's own checker, repeats, and pays what was earned."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

pytest.importorskip("numba")
gymnasium = pytest.importorskip("gymnasium")

from gymnasium.utils.env_checker import check_env  # noqa: E402

from tradecore.errors import ConfigError  # noqa: E402
from tradecore.research.agents_market import Traders  # noqa: E402
from tradecore.research.gym_env import NO_QUOTE, QuotingEnv  # noqa: E402

SMALL = Traders(zero_intelligence=140, makers=12, momentum=28, informed=20)


def env(**more: float) -> QuotingEnv:
    return QuotingEnv(SMALL, steps=40, warm_up_s=5, **more)  # type: ignore[arg-type]


def test_environment_passes_the_checker() -> None:
    with warnings.catch_warnings():
        # It recommends spaces of -1..1 and a registered id; neither is a rule.
        warnings.simplefilter("ignore")
        check_env(env(), skip_render_check=True)


def test_rewards_add_up_to_what_the_account_is_worth() -> None:
    made = env()
    _, info = made.reset(seed=3)
    assert info["worth"] == 0
    total, truncated, steps = 0.0, False, 0
    while not truncated:
        _, reward, ended, truncated, info = made.step(np.array([1, 1]))
        assert not ended
        total += reward
        steps += 1
    assert steps == 40
    assert made.market is not None
    me = made.market.agents[-1]
    assert me["traded"] > 0, "quotes at the touch trade within 40 seconds"
    worth = int(me["cash"]) + int(me["position"]) * made.market.middle()
    assert total == pytest.approx(worth)
    assert abs(int(me["position"])) <= 50


def test_who_does_not_quote_earns_nothing() -> None:
    made = env()
    made.reset(seed=3)
    rewards = [made.step(np.array([NO_QUOTE, NO_QUOTE]))[1] for _ in range(10)]
    assert rewards == [0.0] * 10


def test_same_seed_and_actions_give_the_same_episode() -> None:
    stories = []
    for _ in range(2):
        made = env(aversion=0.1)
        seen, _ = made.reset(seed=9)
        story = [seen.tolist()]
        for number in range(10):
            seen, reward, *_ = made.step(np.array([number % 6, (number + 2) % 6]))
            story.append([*seen.tolist(), reward])
        stories.append(story)
    assert stories[0] == stories[1]


def test_stepping_before_reset_and_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="reset"):
        env().step(np.array([1, 1]))
    with pytest.raises(ConfigError, match="most"):
        QuotingEnv(most=1)
