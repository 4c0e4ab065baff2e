"""The two engines under comparison, and what to do with a stream that tells them apart."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tradecore
from tradecore.testing import scenario
from tradecore.testing.compare import compare, minimise
from tradecore.testing.oracle import OracleConfig, OracleEngine
from tradecore.testing.oracle.margin import Pool, wallet_hold, wallet_upnl
from tradecore.testing.show import command_line

# Small enough that refusals for capacity happen, large enough that they stay rare.
SIZES = {
    "max_orders": 4096,
    "max_instruments": 8,
    "max_accounts": 64,
    "max_groups": 8,
    "max_assets": 8,
}
# `make mutants` says another folder: what tells a mutant from the kernel is no finding.
FOUND = Path(os.environ.get("TRADECORE_FOUND") or Path(__file__).parents[1] / "scenarios" / "found")
AUDIT_EACH = bool(os.environ.get("TRADECORE_AUDIT"))


def kernel(accounts: bool) -> Any:
    # Fetching ahead reads guessed addresses: it is always on here, so that a wrong guess is found.
    return tradecore.Engine(accounts=accounts, prefetch="on", **SIZES)


def oracle(accounts: bool) -> OracleEngine:
    return OracleEngine(OracleConfig(accounts=accounts, **SIZES))


def report(commands: Sequence[bytes], accounts: bool, name: str, line: str) -> str:
    """Shorten a failing stream, keep it as a scenario file, and say how to see it again."""

    def fails(shorter: Sequence[bytes]) -> bool:
        return compare(shorter, kernel(accounts), oracle(accounts)) is not None

    if not fails(commands):
        return f"{line}\nonly in batches: fed one by one the engines agree"
    short = minimise(commands, fails, budget=400)
    found = compare(short, kernel(accounts), oracle(accounts))
    FOUND.mkdir(parents=True, exist_ok=True)
    path = FOUND / f"{name}.txt"
    steps = [scenario.Step(command_line(c), c) for c in short]
    case = scenario.Scenario(name, [f"# Found by {line}; review, rename, keep."], accounts, steps)
    path.write_text(scenario.render(case, scenario.run(case, oracle(accounts))))
    return f"{line}\n{found}\nsaved as {path}"


def observed(engine: Any, accounts: bool) -> dict[str, Any]:
    """Return what the kernel shows of its state: books by level, wallets, positions."""
    seen: dict[str, Any] = {}
    for number in range(SIZES["max_instruments"]):
        try:
            book = engine.book(number)
        except KeyError:
            continue
        sides = [[tuple(level) for level in side] for side in (book.bids, book.asks)]
        seen[f"book {number}"] = (int(book.phase), book.last_px, book.mark_px, *sides)
    for number in range(SIZES["max_accounts"] if accounts else 0):
        try:
            account = engine.account(number)
        except KeyError:
            continue
        seen[f"account {number}"] = {
            "wallets": {
                w.asset_id: (w.total, w.hold, w.upnl, w.initial_margin, w.maintenance_margin,
                             w.state)
                for w in account.wallets
            },
            "positions": {
                p.instrument_id: (p.qty, p.cost, p.realised, p.fees, p.open_buy, p.open_sell,
                                  p.iso_margin, p.mode, p.state)
                for p in account.positions
            },
        }  # fmt: skip
    return seen


def expected(engine: OracleEngine) -> dict[str, Any]:
    """Return the same of the oracle."""
    seen: dict[str, Any] = {}
    for number, inst in engine.instruments.items():
        sides = [
            [
                (px, sum(o.tip for o in inst.own(side)[px]), len(inst.own(side)[px]))
                for px in inst.outward(side)
            ]
            for side in (1, 2)
        ]
        seen[f"book {number}"] = (inst.phase, inst.last or 0, inst.mark or 0, *sides)
    if engine.accounts is None:
        return seen
    for number, a in engine.accounts.accounts.items():
        wallets = {}
        for asset, wallet in a.wallets.items():
            pool = Pool(a, asset)
            upnl = wallet_upnl(a, asset)
            wallets[asset] = (
                wallet.total, wallet_hold(a, asset), upnl, pool.im(), pool.mm(), wallet.state,
            )  # fmt: skip
        seen[f"account {number}"] = {
            "wallets": wallets,
            "positions": {
                i: (p.qty, p.cost, p.realised, p.fees, a.open(p.inst, 1), a.open(p.inst, 2),
                    p.iso_margin, p.mode, p.state)
                for i, p in a.positions.items()
            },
        }  # fmt: skip
    return seen


def same_state(engine: Any, naive: OracleEngine) -> str | None:
    """Return where the visible states differ, or None."""
    have, want = observed(engine, naive.accounts is not None), expected(naive)
    for key in sorted({*have, *want}):
        if have.get(key) != want.get(key):
            return f"{key}:\n  engine {have.get(key)}\n  oracle {want.get(key)}"
    return None
