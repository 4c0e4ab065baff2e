"""What would have happened: a recorded market continued with one more order in it.

Run it with ``python examples/research_counterfactual.py [JOURNAL]``; without one the market is a
workload of the library. The first fork changes nothing and must end in the same state.
"""

from __future__ import annotations

import sys

import numpy as np

from tradecore.data.flows import instrument_frames
from tradecore.dtypes import COMMAND
from tradecore.engine import EngineConfig
from tradecore.research import Outcome, Replay, replay


def made_up() -> Replay:
    """Return a small market of one instrument."""
    draw = np.random.default_rng(3)
    frames = np.zeros(2_000, COMMAND)
    frames["kind"], frames["ord_type"], frames["tif"] = 1, 2, 1
    frames["order_id"] = frames["ts_ns"] = np.arange(1, 2_001)
    frames["side"] = draw.integers(1, 3, 2_000)
    frames["px"] = 1_000 + draw.integers(-9, 10, 2_000)
    frames["order_qty"] = draw.integers(1, 9, 2_000)
    definition = instrument_frames(1).view(COMMAND)
    config = EngineConfig(max_instruments=1, max_orders=4_096)
    return replay([definition, frames], config)


def main(journal: str | None = None) -> tuple[Outcome, Outcome, Outcome]:
    """Fork a market in the middle, unchanged and changed."""
    market = replay(journal) if journal else made_up()
    recorded = market.outcome()
    at = recorded.commands // 2
    same = market.fork(at).run()
    fork = market.fork(at)
    instrument = 0 if not journal else 1
    best_bid, best_ask = fork.engine.best(instrument)
    fork.submit(instrument_id=instrument, account_id=1, side=1, px=best_ask or 1, order_qty=50)
    changed = fork.run()
    print(f"recorded   {recorded.events:,} events, state {recorded.state_hash[:16]}")
    print(f"unchanged  {same.events:,} events, state {same.state_hash[:16]}")
    print(f"one buy    {changed.events:,} events, state {changed.state_hash[:16]}")
    print(f"           at command {at:,}, market {best_bid} / {best_ask}")
    return recorded, same, changed


if __name__ == "__main__":
    main(*sys.argv[1:2])
