"""Scenarios of the CoinTossX matching engine (rules of the Johannesburg Stock Exchange and MIT).

A scenario is a book built by entering orders (``init``), one or more further messages
(``aggressor``: cancels in the suite CancelOrder, replaces in ReplaceOrder, new orders elsewhere),
the trades that print and the orders that stay. Order types: 1 market, 2 limit, 3 stop,
4 stop-limit, 5 hidden limit with a minimum execution size. Stops are elected the most distant
first; a stop that is through at entry executes at once.

What this library does without: hidden orders. One of those is entered as an ordinary limit order,
and the scenario is judged only where that cannot matter: nobody ever could trade with it while it
rests, and what it takes itself meets its minimum in every execution. All other scenarios with
hidden orders are not applicable, and so are scenarios that contradict themselves, which is decided
by rules (`tradecore.verify.cointossx_case`), never by name. In a call auction a market order is
entered as a limit order at the worst limit price of the scenario and cancelled after the
uncrossing. An id that the file uses again while its order lives names another order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from tradecore.codes import (
    CommandKind,
    OrdType,
    Phase,
    Side,
    StopElection,
    StopPolicy,
    Tif,
)
from tradecore.testing import build
from tradecore.verify.cointossx_case import (
    HIDDEN,
    LIMIT,
    MARKET,
    STOP,
    NotApplicableError,
    Order,
    Scenario,
    contradiction,
    parse,
)
from tradecore.verify.jsonl import read_cases
from tradecore.verify.report import CASE_FAULTS, Failure, FileResult, Progress, summary
from tradecore.verify.session import Session

__all__ = ["judge"]

_NEEDS_HIDDEN: Final = "needs hidden orders with a minimum execution size, which this library lacks"
_TYPES: Final = {
    MARKET: OrdType.MARKET,
    LIMIT: OrdType.LIMIT,
    STOP: OrdType.STOP,
    4: OrdType.STOP_LIMIT,
    HIDDEN: OrdType.LIMIT,
}

Difference = tuple[str, str, str]


class _Run:
    """One scenario on an engine."""

    def __init__(self, scenario: Scenario, election: StopElection) -> None:
        self.scenario = scenario
        self.session = Session(1, len(scenario.init) + len(scenario.messages))
        self.session.define(
            tick=scenario.tick,
            stop_election=election,
            stop_policy=StopPolicy.ACCEPT,
            phase=Phase.AUCTION if scenario.auction else Phase.CONTINUOUS,
        )
        self._terms: dict[str, Order] = {}
        self._step = 0

    def carry_out(self) -> None:
        """Enter everything; NotApplicableError where a hidden order would matter."""
        for order in self.scenario.init:
            self._enter(order)
        for order in self.scenario.messages:
            if self.scenario.operation == "cancel":
                self._cancel(order.name)
            elif self.scenario.operation == "replace":
                self._replace(order)
            else:
                self._enter(order)
        if self.scenario.auction:
            self._send(build.admin(CommandKind.UNCROSS))
            for name, order in self._terms.items():
                if order.kind == MARKET and self._alive(name):
                    self._cancel(name)

    # ---- commands -----------------------------------------------------------------------------

    def _send(self, frames: bytes) -> None:
        self.session.send(self._step, frames)
        self._step += 1

    def _alive(self, name: str) -> bool:
        order = self.session.orders.get(name)
        return order is not None and order.status in ("NEW", "PARTIALLY_FILLED")

    def _enter(self, order: Order) -> None:
        name = order.name
        while self._alive(name):
            name += "'"  # the file uses a living order's id again: another order all the same
        ord_type, px = _TYPES[order.kind], order.px
        tif = Tif.GTD if order.expire_ts_ns else Tif.GTC
        rare = {"expire_ts_ns": order.expire_ts_ns} if order.expire_ts_ns else {}
        if order.kind == MARKET:
            tif = Tif.IOC
            if self.scenario.auction:
                ord_type, tif = OrdType.LIMIT, Tif.GTC
                px = self.scenario.worst_px(order.side)
        elif order.stop_px:
            rare["stop_px"] = order.stop_px
        self._guard(order)
        before = len(self.session.fills)
        self._terms[name] = order
        self._send(
            build.order(
                order_id=self.session.order_id(name),
                account_id=1,
                side=order.side,
                ord_type=ord_type,
                tif=tif,
                px=0 if ord_type in (OrdType.MARKET, OrdType.STOP) else px,
                order_qty=order.qty,
                **rare,
            )
        )
        self._check_minimum(before)

    def _cancel(self, name: str) -> None:
        self._send(build.cancel(order_id=self.session.order_id(name), account_id=1))

    def _replace(self, order: Order) -> None:
        old = self._terms.get(order.name)
        if old is None or not self._alive(order.name):
            self._send(
                build.replace(
                    order_id=self.session.order_id(order.name),
                    account_id=1,
                    px=order.px,
                    order_qty=order.qty,
                )
            )
            return
        if old.minimum != order.minimum:
            raise NotApplicableError("replaces a minimum execution size, " + _NEEDS_HIDDEN)
        if old.expire_ts_ns != order.expire_ts_ns:
            # REPLACE leaves the time in force alone; a client cancels and enters anew.
            self._cancel(order.name)
            self._enter(order)
            return
        self._guard(order)
        before = len(self.session.fills)
        dormant = self.session.orders[order.name].dormant
        terms = {}
        if dormant and order.stop_px != old.stop_px:
            terms["stop_px"] = order.stop_px
        self._terms[order.name] = order
        self._send(
            build.replace(
                order_id=self.session.order_id(order.name),
                account_id=1,
                px=0 if order.kind in (MARKET, STOP) else order.px,
                order_qty=order.qty,
                **terms,
            )
        )
        self._check_minimum(before)

    # ---- hidden orders ------------------------------------------------------------------------

    def _guard(self, order: Order) -> None:
        """Refuse to judge where a resting hidden order is within reach of what comes in."""
        for name, hidden in self._terms.items():
            if hidden.kind != HIDDEN or hidden.side == order.side or not self._alive(name):
                continue
            reach = order.px if order.kind in (LIMIT, HIDDEN, 4) else None
            if reach is None or (
                reach >= hidden.px if order.side == Side.BUY else reach <= hidden.px
            ):
                raise NotApplicableError(_NEEDS_HIDDEN)

    def _check_minimum(self, first: int) -> None:
        """Refuse to judge where an execution involves a hidden maker or misses a minimum."""
        for fill in self.session.fills[first:]:
            taker, maker = self._terms[fill.taker], self._terms[fill.maker]
            if maker.kind == HIDDEN or fill.qty < taker.minimum:
                raise NotApplicableError(_NEEDS_HIDDEN)

    # ---- outcome ------------------------------------------------------------------------------

    def differences(self) -> Iterator[Difference]:
        """Yield what differs from the expectation."""
        wanted_trades = self.scenario.trades
        actual_trades = [(fill.qty, int(fill.px)) for fill in self.session.fills]
        if self.scenario.auction:
            # Who is paired with whom differs by venue; what was done at which price does not.
            same = _per_price(wanted_trades) == _per_price(actual_trades)
        else:
            same = wanted_trades == actual_trades
        if not same:
            yield "trades", _show_trades(wanted_trades), _show_trades(actual_trades)
        wanted = sorted(order.shown() for order in self.scenario.expected)
        actual = sorted(self._resting())
        if wanted != actual:
            yield "book", "; ".join(wanted) or "empty", "; ".join(actual) or "empty"
        yield from self._expiries()

    def _resting(self) -> Iterator[str]:
        for name, state in self.session.orders.items():
            if not self._alive(name):
                continue
            live = self.session.engine.order(self.session.order_id(name))
            if live is None:
                raise ValueError(f"order {name} rests by its events and not in the book")
            entered = self._terms[name]
            yield Order(
                name=name.rstrip("'"),
                side=live["side"],
                kind=entered.kind,
                qty=live["leaves_qty"],
                px=live["px"] or live["stop_px"],
                stop_px=live["stop_px"] if state.dormant else 0,
            ).shown()

    def _expiries(self) -> Iterator[Difference]:
        """Check by log time that every order expires when the file says, not before, not later."""
        dated = sorted(
            (order.expire_ts_ns, order.name)
            for order in self.scenario.expected
            if order.expire_ts_ns
        )
        for ts_ns, name in dated:
            for at, alive in ((ts_ns - 1, True), (ts_ns, False)):
                self._send(build.admin(CommandKind.TIME, ts_ns=at))
                if self._alive(name) != alive:
                    yield f"order {name}", f"expires at {ts_ns}", f"alive at {at}: {not alive}"
                    return


def _per_price(trades: list[tuple[int, int]]) -> Counter[int]:
    sums: Counter[int] = Counter()
    for qty, px in trades:
        sums[px] += qty
    return sums


def _show_trades(trades: list[tuple[int, int]]) -> str:
    return "; ".join(f"{qty}@{px}" for qty, px in trades) or "no trades"


def _differences(scenario: Scenario, election: StopElection) -> list[Difference]:
    run = _Run(scenario, election)
    run.carry_out()
    return list(run.differences())


def _judge_scenario(name: str, value: dict[str, Any]) -> tuple[Failure | None, Failure | None]:
    """Return (failure, reason why it is not judged), at most one of them."""
    try:
        scenario = parse(value)
        found = contradiction(scenario)
        if found:
            raise NotApplicableError(f"contradicts itself: {found}")
        differences = _differences(scenario, StopElection.DISTANCE)
        promised = differences and scenario.promises_distance
        if promised and not _differences(scenario, StopElection.ENTRY):
            raise NotApplicableError(
                "contradicts itself: the text elects the most distant stop first, the expected "
                "trades the oldest"
            )
    except NotApplicableError as reason:
        return None, Failure(name, "a scenario that can be judged", str(reason))
    except CASE_FAULTS as error:
        text = f"cannot be judged: {type(error).__name__}: {error}"
        return Failure(name, "a scenario that can be judged", text), None
    if not differences:
        return None, None
    wanted = " | ".join(f"{what}: {text}" for what, text, _ in differences)
    actual = " | ".join(f"{what}: {text}" for what, _, text in differences)
    return Failure(name, wanted, actual), None


def judge(path: str, progress: Progress | None = None) -> FileResult:
    """Judge a file of CoinTossX scenarios.

    Raises
    ------
    DataError
        The file is damaged; a scenario that is not understood is a failure of that scenario.
    """
    failures: list[Failure] = []
    skipped: list[Failure] = []
    total = 0
    for case in read_cases(path):
        total += 1
        value = case.value
        name = f"{value.get('suite', 'scenario')} {value.get('n', case.number)}"
        failure, reason = _judge_scenario(name, value)
        failures.extend([failure] if failure else [])
        skipped.extend([reason] if reason else [])
        if progress:
            progress(path, total, 0)
    return summary("cointossx", path, total, failures, skipped)
