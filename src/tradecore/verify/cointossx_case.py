"""One CoinTossX scenario: its columns as integers, and whether it agrees with itself.

The files were kept by hand in spreadsheets. Two rules find the ones that cannot be met by any
engine: an order that nobody touched must be expected as it was entered, and what was entered on a
side must be what traded plus what is expected to rest.
"""

from __future__ import annotations

import datetime
from typing import Any, Final, NamedTuple

from tradecore.codes import Side

__all__ = [
    "HIDDEN",
    "LIMIT",
    "MARKET",
    "STOP",
    "STOP_LIMIT",
    "NotApplicableError",
    "Order",
    "Scenario",
    "contradiction",
    "parse",
]

MARKET, LIMIT, STOP, STOP_LIMIT, HIDDEN = 1, 2, 3, 4, 5

_SIDES: Final = {"B": Side.BUY, "O": Side.SELL, "S": Side.SELL}
_OPERATIONS: Final = {"CancelOrder": "cancel", "ReplaceOrder": "replace"}


class NotApplicableError(Exception):
    """The scenario cannot be judged here; the text says why."""


class Order(NamedTuple):
    """One row of a scenario.

    Attributes
    ----------
    name : str
    side : int
        0 where the file names no side and the id is of no order entered.
    kind : int
        1 market, 2 limit, 3 stop, 4 stop-limit, 5 hidden.
    qty, px, stop_px : int
        A stop of kind 3 has its trigger in the price column.
    minimum : int
        Minimum execution size of a hidden order.
    expire_ts_ns : int
        0 where it does not expire.
    """

    name: str
    side: int
    kind: int
    qty: int
    px: int
    stop_px: int = 0
    minimum: int = 0
    expire_ts_ns: int = 0

    def shown(self) -> str:
        """Return what is compared of a resting order, as text."""
        side = {Side.BUY: "buy", Side.SELL: "sell"}.get(Side(self.side), "?")
        stop = f" stop {self.stop_px}" if self.kind in (STOP, STOP_LIMIT) and self.stop_px else ""
        return f"{self.name} {side} {self.qty}@{self.px}{stop}"


class Scenario(NamedTuple):
    """A scenario, read.

    Attributes
    ----------
    operation : str
        What the messages are: ``new``, ``cancel`` or ``replace``.
    auction : bool
        Everything is entered in a call phase and uncrossed.
    trades : list of (qty, px)
    promises_distance : bool
        The text says that the most distant stop is elected first.
    """

    operation: str
    auction: bool
    tick: int
    init: list[Order]
    messages: list[Order]
    expected: list[Order]
    trades: list[tuple[int, int]]
    promises_distance: bool

    def worst_px(self, side: int) -> int:
        """Return the limit price at which an order of `side` trades with anything entered."""
        prices = [order.px for order in (*self.init, *self.messages) if order.px]
        return max(prices) if side == Side.BUY else min(prices)


def _whole(row: dict[str, Any], name: str) -> int:
    text = str(row.get(name) or "0").strip()
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"{name} is {text!r}, a whole number is needed")
    return int(text)


def _expiry(row: dict[str, Any]) -> int:
    text = str(row.get("ExpireTime") or "0").strip()
    if text == "0":
        return 0
    moment = datetime.datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=datetime.UTC)
    return int(moment.timestamp()) * 1_000_000_000


def _order(row: dict[str, Any]) -> Order:
    kind = _whole(row, "Type")
    if kind not in (MARKET, LIMIT, STOP, STOP_LIMIT, HIDDEN):
        raise NotApplicableError(f"order type {kind} does not exist here")
    px, stop_px = _whole(row, "Price"), _whole(row, "StopPrice")
    if kind in (STOP, STOP_LIMIT):
        # A stop's trigger stands in the price column; some stop-limits leave theirs out.
        stop_px = stop_px or px
    return Order(
        name=str(row["OrderID"]),
        side=_SIDES.get(str(row.get("Side")), Side.NONE),
        kind=kind,
        qty=_whole(row, "Size"),
        px=px,
        stop_px=stop_px if kind in (STOP, STOP_LIMIT) else 0,
        minimum=_whole(row, "MES"),
        expire_ts_ns=_expiry(row),
    )


def parse(value: dict[str, Any]) -> Scenario:
    """Read a scenario.

    Raises
    ------
    NotApplicableError
        The suite has no data for it, or it uses an order type that is unknown.
    ValueError, KeyError
        A column is not what it should be.
    """
    if value.get("missing_file"):
        raise NotApplicableError("the suite names this scenario but holds no data for it")
    suite = str(value.get("suite", ""))
    init = [_order(row) for row in value["init"]]
    messages = [_order(row) for row in value["aggressor"]]
    entered = {order.name: order for order in (*init, *messages)}
    expected = []
    for row in value["expected_book"]:
        order = _order(row)
        if (known := entered.get(order.name)) is not None:
            # An order's id tells its side and type; where these columns of the expected book say
            # otherwise, or nothing ("BO"), it is their slip.
            order = order._replace(side=known.side, kind=known.kind)
            if known.kind in (STOP, STOP_LIMIT):
                order = order._replace(stop_px=_whole(row, "StopPrice") or order.px)
        expected.append(order)
    stock = (value.get("stock") or [{}])[0]
    trades = [(_whole(t, "Quantity"), _whole(t, "Price")) for t in value["expected_trades"]]
    return Scenario(
        operation=_OPERATIONS.get(suite, "new"),
        auction=suite == "Auction",
        tick=_whole(stock, "TickSize") or 1,
        init=init,
        messages=messages,
        expected=expected,
        trades=trades,
        promises_distance="greatest difference" in str(value.get("description", "")).lower(),
    )


def contradiction(scenario: Scenario) -> str:
    """Return why no engine can meet a scenario's expectation, or nothing."""
    return _changed_untouched(scenario) or _unbalanced(scenario)


def _changed_untouched(scenario: Scenario) -> str:
    touched = {order.name for order in scenario.messages}
    for order in scenario.expected:
        # Several where the file uses an id again.
        before = [entered for entered in scenario.init if entered.name == order.name]
        if not before or order.name in touched:
            continue
        if not any(_may_be_left_of(order, entered) for entered in before):
            return f"order {order.name}, which nothing touches, is expected as another order"
    return ""


def _may_be_left_of(order: Order, entered: Order) -> bool:
    """Tell whether a resting order can be what executions left of an entered one."""
    fields = ("px", "stop_px", "minimum", "expire_ts_ns")
    same = all(getattr(entered, name) == getattr(order, name) for name in fields)
    return same and order.qty <= entered.qty


def _unbalanced(scenario: Scenario) -> str:
    """Compare per side: entered = traded + resting, where nothing else can end an order."""
    if scenario.operation == "cancel":
        return ""
    traded = sum(qty for qty, _ in scenario.trades)
    orders = [*scenario.init, *(scenario.messages if scenario.operation == "new" else ())]
    if scenario.operation == "replace":
        changed = {order.name: order for order in scenario.messages}
        orders = [changed.get(order.name, order) for order in orders]
    for side, word in ((Side.BUY, "buy"), (Side.SELL, "sell")):
        mine = [order for order in orders if order.side == side]
        # What a market order or an unmet minimum leaves over expires and stands nowhere.
        if any(order.kind in (MARKET, STOP, HIDDEN) for order in mine):
            continue
        entered = sum(order.qty for order in mine)
        resting = sum(order.qty for order in scenario.expected if order.side == side)
        if entered != traded + resting:
            return (
                f"{entered} were entered to {word}, {traded} traded, "
                f"and {resting} are expected to rest"
            )
    return ""
