"""Risk as policy: what positions could lose, when to step in, and what to tell the engine.

Pure functions of the log, for the risk service and for everybody who wants to look at its past:

- `policy`: all settings, and the codes of the rules;
- `facts`, `values`, `history`: what the log says, what it is worth, what it was worth;
- `breakers`, `limits`: rules, each turning facts into findings and wishes;
- `marks`: mark prices from quotes;
- `figures`: VaR, ES and stress;
- `state`: all of it as one state that eats the log.

docs/reference/risk.md has the rules.
"""

from __future__ import annotations

from tradecore.risk.frames import FINDING, Finding, Wish
from tradecore.risk.marks import Quotes
from tradecore.risk.policy import RiskPolicy, Rule
from tradecore.risk.state import RiskState, risk_source

__all__ = [
    "FINDING",
    "Finding",
    "Quotes",
    "RiskPolicy",
    "RiskState",
    "Rule",
    "Wish",
    "risk_source",
]
