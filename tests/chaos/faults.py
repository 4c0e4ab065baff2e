"""What is done to a running exchange, in a seeded order, until every class has had its share."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from chaos.rig import SHELLS, Rig

__all__ = ["FULL", "SHORT", "inflict"]

FULL: Final = {
    "kill trading": 80,
    "kill portfolio": 80,
    "kill risk": 40,
    "pause trading": 50,
    "kill kafka": 20,
    "stop postgres at once": 20,
    "kill postgres": 20,
    "kill redis": 20,
}
"""Numbers of faults of the whole thing."""

SHORT: Final = {
    "kill trading": 8,
    "kill portfolio": 8,
    "kill risk": 4,
    "pause trading": 4,
    "kill kafka": 2,
    "stop postgres at once": 2,
    "kill postgres": 2,
    "kill redis": 2,
}
"""Numbers of faults of the run that belongs to every test run."""


def inflict(
    rig: Rig, wanted: dict[str, int], seed: int, *, calm_s: float, say: Callable[[str], None]
) -> Counter[str]:
    """Inflict faults, each some random time after the one before; returns how many of each."""
    rng = random.Random(seed)
    left = Counter(wanted)
    done: Counter[str] = Counter()
    while left.total():
        names = sorted(name for name in left if left[name] > 0)
        name = rng.choices(names, [left[one] for one in names])[0]
        _ACTIONS[name](rig, rng)
        left[name] -= 1
        done[name] += 1
        say(f"{done.total():4d} {name}")
        time.sleep(rng.uniform(0.1, 2 * calm_s))
    return done


def _kill(kind: str) -> Callable[[Rig, random.Random], None]:
    victims = [name for name in SHELLS if name.startswith(kind)]

    def act(rig: Rig, rng: random.Random) -> None:
        rig.kill(rng.choice(victims))

    return act


def _pause(rig: Rig, rng: random.Random) -> None:
    # The one that is likely to be primary; what is longer than the takeover promotes the other.
    rig.pause("trading-a", rng.uniform(0.2, 2.0) if rng.random() < 0.8 else rng.uniform(2.0, 5.0))


def _kafka(rig: Rig, rng: random.Random) -> None:
    rig.kafka.kill()
    time.sleep(rng.uniform(0.0, 0.5))
    rig.kafka.start()


def _postgres(rig: Rig, rng: random.Random) -> None:
    rig.postgres.kill()
    time.sleep(rng.uniform(0.0, 1.0))
    rig.postgres.start()


def _postgres_at_once(rig: Rig, rng: random.Random) -> None:
    rig.postgres.stop_immediately()
    time.sleep(rng.uniform(0.0, 1.0))
    rig.postgres.start()


def _redis(rig: Rig, rng: random.Random) -> None:
    rig.redis.kill()
    time.sleep(rng.uniform(0.0, 0.5))
    rig.redis.start()


_ACTIONS: Final[dict[str, Callable[[Rig, random.Random], None]]] = {
    "kill trading": _kill("trading"),
    "kill portfolio": _kill("portfolio"),
    "kill risk": _kill("risk"),
    "pause trading": _pause,
    "kill kafka": _kafka,
    "stop postgres at once": _postgres_at_once,
    "kill postgres": _postgres,
    "kill redis": _redis,
}
