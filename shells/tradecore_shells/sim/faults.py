"""Which faults a seed has, how often they strike, and how often they did.

Swarm testing: a tenth of the seeds is free of faults; in the others each class is absent with
probability 0.4 and else has a rate of its own. A fault that never happens tests nothing, so every
strike is counted, and a run of many seeds with a class that never struck fails.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Final

__all__ = ["CLASSES", "Faults"]

# What can go wrong, and the highest rate: strikes per call for the ports, per virtual second and
# world for the rest, per world for what happens in the end.
CLASSES: Final = {
    "append_lost": 0.25,  # the request never arrives; the caller hears of it after a while
    "ack_lost": 0.25,  # the records are there, the answer is not
    "late_append": 0.15,  # as append_lost, but the records arrive after all, later
    "broker_stall": 0.5,  # nobody reaches the log for a while
    "fetch_failed": 0.05,  # a read is answered by an error
    "clock_step": 1.0,  # the log's clock jumps back or forth
    "retention": 2.0,  # the log forgets what lies before the oldest snapshot that is kept
    "kill": 1.2,  # a process ends between two awaits
    "kill_in_disk": 0.02,  # a process ends in the middle of its work on files
    "power_loss": 0.7,  # a machine loses what was not synced
    "pause": 0.6,  # a process stands still and goes on
    "zombie": 0.5,  # a second primary beside the first
    "snapshot_flip": 1.5,  # one bit of a snapshot that is kept turns round
    "disk_full": 0.02,  # a write runs out of space
    "sync_failed": 0.06,  # fsync answers with an error, and what was to be synced may be gone
    "store_down": 0.4,  # nobody reaches the database for a while
    "store_lost": 0.06,  # a statement is not carried out
    "store_late": 0.05,  # a statement is carried out after its sender has given up
    "store_ack_lost": 0.10,  # a statement is carried out, its answer lost
    "cache_failed": 0.10,  # a round trip to the cache fails
    "cache_late": 0.05,  # a write reaches the cache after its sender has given up
    "cache_lost": 0.3,  # the cache forgets everything
    "client_retry": 0.12,  # a client sends again what it has sent
    "other_terms": 0.03,  # a client uses an order id twice
    "wrong_session": 0.02,  # a command names a session that is not its order's
    "garbage": 0.05,  # a record that nobody can read
    "sequenced_repeat": 0.15,  # a numbered source sends an envelope again
    "sequenced_gap": 0.06,  # a numbered source leaves something out
    "sequenced_other": 0.05,  # a numbered source says something else under a number it has used
    "stale": 0.04,  # a command that was sent too long ago
    "slow_reader": 0.5,  # some process reads slowly
    "price_shock": 0.5,  # the mark price jumps, accounts are liquidated
    "upgrade": 0.3,  # an epoch comes that a forgotten node of an older build does not know
    "log_lost_tail": 0.8,  # in the end: the log lost what the snapshots have seen
    "log_of_others": 0.8,  # in the end: where the snapshots have seen one record there is another
    "epoch_of_tomorrow": 0.8,  # in the end: an epoch that no build knows
}


class Faults:
    """The faults of one seed.

    Parameters
    ----------
    seed : int
    hits : Counter, optional
        Where strikes are counted; a new one by default.

    Attributes
    ----------
    rates : dict
        Rate of every class in this seed; 0 where it is absent.
    active : bool
        False after healing: nothing strikes any more.
    """

    def __init__(self, seed: int, hits: Counter[str] | None = None) -> None:
        self.rng = random.Random(f"faults-{seed}")
        self.hits: Counter[str] = Counter() if hits is None else hits
        self.free = self.rng.random() < 0.1
        self.active = not self.free
        self.rates = {
            name: 0.0 if self.free or self.rng.random() < 0.4 else self.rng.random() * top
            for name, top in CLASSES.items()
        }

    def strikes(self, name: str) -> bool:
        """Tell whether a fault of this class strikes now, and count it."""
        if not self.active or self.rng.random() >= self.rates[name]:
            return False
        self.hits[name] += 1
        return True

    def pause_until(self, name: str) -> float | None:
        """Return the virtual seconds to the next strike of a class that has a rate per second."""
        rate = self.rates[name]
        return self.rng.expovariate(rate) if self.active and rate > 0 else None
