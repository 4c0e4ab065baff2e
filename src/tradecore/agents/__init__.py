"""Simulated participants: a seeded market of makers, takers, momentum and noise traders.

Pure library code: it makes command frames and reads event frames, and never sees an engine. Whoever
drives it (the demo, a test, a study) owns the engine and the loop:

>>> import numpy as np, tradecore as tc
>>> from tradecore.agents import Market, MarketSpec
>>> market = Market(MarketSpec(accounts=100), np.random.Generator(np.random.PCG64(1)))
>>> engine = tc.Engine(market.engine_config())
>>> for frames in market.opening():
...     market.observe(engine.events(frames))
>>> market.observe(engine.events(market.batch([engine.best(i) for i in market.spec.ids])))

Everything random comes from the generator that is passed in, by its raw 64-bit words only, and
all arithmetic that reaches a command is on integers. So the commands of a seed are the same bytes
on every machine and with every numpy.
"""

from __future__ import annotations

from tradecore.agents.chance import Chance
from tradecore.agents.market import Market
from tradecore.agents.population import CLASSES, Population
from tradecore.agents.scoreboard import Scoreboard
from tradecore.agents.spec import InstrumentPlan, MarketSpec

__all__ = [
    "CLASSES",
    "Chance",
    "InstrumentPlan",
    "Market",
    "MarketSpec",
    "Population",
    "Scoreboard",
]
