"""Rules for cases about positions: average cost, inverse contracts, tax lots.

Each rule reads the inputs of a case and offers named answers, computed only when the case expects
them. Average cost runs on exact fractions; lots run on the integer kernel, with quantities and
prices scaled to integers by their common denominator, which is exact as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, cast

from tradecore.kernels.exact import Leg, Position
from tradecore.kernels.lots import LotMatches, LotMethod, match_lots
from tradecore.verify.pnl_case import Answers, CannotExpressError, Inputs, Value, to_fraction

__all__ = ["fills_rule", "lots_rule", "pool_rule", "repurchase_rule", "transaction_rule"]

_SIDES = {"b": 1, "buy": 1, "bid": 1, "long": 1, "1": 1, "s": -1, "sell": -1, "ask": -1}
_SIDES |= {"short": -1, "2": -1}
_METHODS = ("fifo", "lifo", "hifo", "lofo")
_AVERAGE = ("average", "avg", "acb", "average_cost", "avg_cost", "wac")


def side_sign(value: Any) -> int:
    """Return +1 for a buy or long side, -1 for a sale or short one."""
    sign = _SIDES.get(str(value).lower())
    if sign is None:
        raise CannotExpressError(f"side {value!r} is not known")
    return sign


def _fields(row: Any, known: Sequence[str], what: str) -> dict[str, Any]:
    """Return a row of a list after checking that each of its fields is known."""
    if not isinstance(row, dict):
        raise CannotExpressError(f"{what}: an object is needed")
    unknown = sorted(set(row) - set(known))
    if unknown:
        raise CannotExpressError(f"{what}: field {unknown[0]!r} is not known")
    return row


def _fills(inputs: Inputs, name: str) -> list[tuple[Fraction, Fraction, Fraction | None]]:
    """Return (signed quantity, price, own fee or None) of each fill."""
    result = []
    for row in inputs.rows(name):
        fill = _fields(row, ("side", "qty", "px", "price", "fee", "commission", "date", "ts"), name)
        qty = to_fraction("qty", fill.get("qty"))
        px = to_fraction("px", fill.get("px", fill.get("price")))
        fee = fill.get("fee", fill.get("commission"))
        if "side" in fill:
            qty *= side_sign(fill["side"])
        result.append((qty, px, None if fee is None else to_fraction("fee", fee)))
    return result


def _fees(
    inputs: Inputs,
    name: str,
    rate: Fraction,
    fills: Sequence[tuple[Fraction, Fraction, Fraction | None]],
    position: Position,
) -> list[Fraction]:
    """Return the fee of each fill: listed, its own, or rate times value."""
    listed = inputs.raw(name)
    if listed is None:
        return [rate * position.value(qty, px) if own is None else own for qty, px, own in fills]
    if not isinstance(listed, list) and fills:
        # One number is the fee of all fills together: it is charged with the last of them.
        return [Fraction(0)] * (len(fills) - 1) + [to_fraction(name, listed)]
    if not isinstance(listed, list) or len(listed) != len(fills):
        raise CannotExpressError(f"{name!r}: one fee per fill is needed")
    return [to_fraction(name, fee) for fee in listed]


def fills_rule(inputs: Inputs) -> Answers:
    """Average cost over fills, linear or inverse, with fees, funding and a second run of fills."""
    contract = inputs.text("contract", "contract_type")
    position = Position(
        inverse=inputs.flag("inverse") or contract == "inverse",
        multiplier=inputs.number("multiplier", "contract_size", "con_mult", default=1),
    )
    rate = inputs.number("fee_rate", "commission_rate", default=0)
    flip_fee = inputs.number("flip_fee_second_leg", default=0)
    after: list[tuple[Fraction, Fraction, Fraction | None]] = []
    closed: Leg | None = None
    gross = Fraction(0)
    for name, fee_name in (("fills", "fees"), ("then", "then_fees")):
        fills = _fills(inputs, name)
        fees = _fees(inputs, fee_name, rate, fills, position)
        for (qty, px, _), fee in zip(fills, fees, strict=True):
            position.fill(qty, px, fee, flip_fee)
            after.append((position.realised, position.leg.qty, position.avg_px))
        if name == "fills":
            flat = position.leg.qty == 0
            closed = position.leg if flat else position.legs[-2] if len(position.legs) > 1 else None
    gross = position.realised + position.fees
    paid = _sum(inputs, "funding_paid", "funding") - _sum(inputs, "funding_received")
    mark = inputs.raw("mark", "mark_px", "last")
    mark_px = None if mark is None else to_fraction("mark", mark)

    def marked() -> Fraction:
        if mark_px is None:
            raise CannotExpressError("input 'mark' is needed for the unrealised PnL")
        return position.unrealised(mark_px)

    def value() -> Fraction:
        px = position.avg_px if mark_px is None else mark_px
        return Fraction(0) if px is None else position.value(position.leg.qty, px)

    def closed_leg() -> Fraction:
        if closed is None:
            raise CannotExpressError("no leg was closed by 'fills'")
        return closed.realised

    def simple_return() -> Fraction:
        entry, leave = position.avg_px_open, position.avg_px_close
        if entry is None or leave is None:
            return Fraction(0)
        return (leave - entry) / entry if after[0][1] > 0 else (entry - leave) / entry

    realised = position.realised
    net = realised - paid
    answers: dict[str, Any] = {
        "realized_after": lambda: [row[0] for row in after],
        "qty_after": lambda: [row[1] for row in after],
        "avg_px_after": lambda: [row[2] for row in after],
        "realized": lambda: realised,
        "realized_gross": lambda: gross,
        "realized_net": lambda: net,
        "unrealized": marked,
        "total": lambda: net + (marked() if position.leg.qty else 0),
        "notional": value,
        "closed_leg_realized": closed_leg,
        "new_leg_realized_after_close": lambda: position.leg.realised,
        "avg_px": lambda: position.avg_px,
        "avg_px_open": lambda: position.avg_px_open,
        "avg_px_close": lambda: position.avg_px_close,
        "qty": lambda: position.leg.qty,
        "peak_qty": lambda: position.leg.peak_qty,
        "fees": lambda: position.fees,
        "realized_return": simple_return,
        "side": lambda: _side_name(position.leg.qty),
    }
    return answers


def _sum(inputs: Inputs, *names: str) -> Fraction:
    """Return a number, or the sum of a list of them; 0 where it is not given."""
    if isinstance(inputs.raw(*names), list):
        return sum(inputs.numbers(*names), Fraction(0))
    return inputs.number(*names, default=0)


def _side_name(qty: Fraction) -> str:
    """Return LONG, SHORT or FLAT."""
    return "FLAT" if qty == 0 else "LONG" if qty > 0 else "SHORT"


def _common(values: Sequence[Fraction]) -> int:
    """Return the smallest number that makes all the fractions whole."""
    return math.lcm(1, *(value.denominator for value in values))


def _run_lots(
    fills: Sequence[tuple[Fraction, Fraction]], method: str, short: bool
) -> tuple[LotMatches, int, int]:
    """Run exact fills through the integer kernel; returns the matches and the two scales."""
    qty_scale = _common([qty for qty, _ in fills])
    px_scale = _common([px for _, px in fills])
    found = match_lots(
        [int(qty * qty_scale) for qty, _ in fills],
        [int(px * px_scale) for _, px in fills],
        method=cast("LotMethod", method),
        oversell="short" if short else "error",
    )
    return found, qty_scale, px_scale


def _method(inputs: Inputs) -> str:
    """Return the lot method: the input, or the word the case uses for it."""
    named = inputs.text("method", "booking")
    method = named or inputs.word({name: name for name in _METHODS}) or "fifo"
    if method in _AVERAGE:
        return "average"
    if method not in _METHODS:
        raise CannotExpressError(f"lot method {method!r} is not known")
    return method


def lots_rule(inputs: Inputs) -> Answers:
    """Sell from a list of open lots, or run a list of fills, under a lot method."""
    method = _method(inputs)
    sell_px = inputs.raw("sell_px", "px", "sell_price")
    close_px = None if sell_px is None else to_fraction("sell_px", sell_px)
    short = inputs.flag("allow_short") or inputs.text("oversell") in ("short", "allow")
    if "lots" in inputs:
        fields = ("date", "qty", "px", "price", "cost", "id", "label")
        rows = [_fields(row, fields, "lots") for row in inputs.rows("lots")]
        if all("date" in row for row in rows):
            rows.sort(key=lambda row: str(row["date"]))
        fills = [
            (
                to_fraction("qty", row.get("qty")),
                to_fraction("px", row.get("px", row.get("price", row.get("cost")))),
            )
            for row in rows
        ]
        sold = inputs.number("sell", "sell_qty", "qty")
        fills.append((-sold, close_px if close_px is not None else fills[-1][1] if fills else sold))
    else:
        fills = [(qty, px) for qty, px, _ in _fills(inputs, "fills")]
        short = True
    fee = inputs.number("sell_fee", "fee", default=0)
    if method == "average":
        return _average_lots(fills, close_px, fee)
    found, qty_scale, px_scale = _run_lots(fills, method, short)
    money = qty_scale * px_scale

    def removed() -> Fraction:
        return Fraction(int((found.qty * found.open_px).sum()), money)

    def gain() -> Fraction:
        if "lots" in inputs and close_px is None:
            raise CannotExpressError("input 'sell_px' is needed for a gain")
        return Fraction(int(found.gain.sum()), money) - fee

    def matched() -> Value:
        return [
            {
                "qty": Fraction(int(qty), qty_scale),
                "px": Fraction(int(px), px_scale),
                "gain": Fraction(int(won), money),
            }
            for qty, px, won in zip(found.qty, found.open_px, found.gain, strict=True)
        ]

    def remaining() -> Value:
        return [
            {"qty": Fraction(int(qty), qty_scale), "px": fills[int(lot)][1]}
            for lot, qty in zip(found.open_lot, found.open_qty, strict=True)
            if qty > 0
        ]

    return {
        "error": lambda: "NOT_ENOUGH_LOTS" if len(found.refused) else None,
        "matched": matched,
        "cost_removed": removed,
        "qty_closed": lambda: Fraction(int(found.qty.sum()), qty_scale),
        "closed": lambda: Fraction(int(found.qty.sum()), qty_scale),
        "gain": gain,
        "gains": lambda: [row["gain"] for row in matched()],
        "realized": gain,
        "remaining": remaining,
        "remaining_qty": lambda: Fraction(int(found.open_qty.sum()), qty_scale),
        "remaining_cost": lambda: sum((row["qty"] * row["px"] for row in remaining()), Fraction(0)),
        "short": lambda: Fraction(-int(found.open_qty[found.open_qty < 0].sum()), qty_scale),
    }


def _average_lots(
    fills: Sequence[tuple[Fraction, Fraction]], close_px: Fraction | None, fee: Fraction
) -> Answers:
    """Sell at average cost; the last of the fills is the sale."""
    position = Position()
    for qty, px in fills[:-1]:
        position.fill(qty, px)
    held, average = position.leg.qty, position.avg_px
    sold = -fills[-1][0]
    if average is None or sold > held:
        return {"error": lambda: "NOT_ENOUGH_LOTS"}
    removed = average * sold

    def gain() -> Fraction:
        if close_px is None:
            raise CannotExpressError("input 'sell_px' is needed for a gain")
        return close_px * sold - fee - removed

    return {
        "error": lambda: None,
        "matched": lambda: [{"qty": sold, "px": average}],
        "avg_cost": lambda: average,
        "cost_removed": lambda: removed,
        "gain": gain,
        "remaining_qty": lambda: held - sold,
        "remaining_cost": lambda: average * (held - sold),
    }


def pool_rule(inputs: Inputs) -> Answers:
    """Purchases given as (quantity, total cost), one sale, pooled at average cost."""
    qty = Fraction(0)
    cost = Fraction(0)
    for row in inputs.rows("buys"):
        if not isinstance(row, list) or len(row) not in (2, 3):
            raise CannotExpressError("'buys': [quantity, total cost] or [.., .., fee] is needed")
        parts = [to_fraction("buys", item) for item in row]
        qty += parts[0]
        cost += sum(parts[1:], Fraction(0))
    sold = inputs.number("sell_qty", "sell", default=0)
    if qty <= 0 or sold > qty:
        return {"error": lambda: "NOT_ENOUGH_LOTS"}
    average = cost / qty
    fee = inputs.number("sell_fee", default=0)
    px = inputs.raw("sell_px", "sell_price")
    whole = inputs.raw("proceeds", "sell_value")
    left = qty - sold

    def proceeds() -> Fraction:
        if whole is not None:
            return to_fraction("proceeds", whole) - fee
        if px is None:
            raise CannotExpressError("input 'sell_px' or 'proceeds' is needed")
        return to_fraction("sell_px", px) * sold - fee

    return {
        "avg_cost": lambda: average,
        "cost_removed": lambda: average * sold,
        "avg_cost_after": lambda: average if left else None,
        "qty_after": lambda: left,
        "cost_after": lambda: average * left,
        "proceeds": proceeds,
        "gain": lambda: proceeds() - average * sold,
    }


def transaction_rule(inputs: Inputs) -> Answers:
    """Average cost of a position after one transaction, from summary figures (as blotter)."""
    held = inputs.number("prev_qty")
    average = inputs.number("prev_avg", "prev_avg_cost")
    value = inputs.number("txn_value")
    new = inputs.number("new_qty", "pos_qty")
    multiplier = inputs.number("con_mult", "multiplier", default=1)
    traded = new - held
    px = average if traded == 0 else value / traded / multiplier
    position = Position(multiplier=multiplier)
    if held:
        position.fill(held, average)
    if traded:
        position.fill(traded, px)
    return {
        "avg_cost": lambda: position.avg_px or Fraction(0),
        "realized": lambda: position.realised,
    }


def repurchase_rule(inputs: Inputs) -> Answers:
    """Gain of a sale whose cost is given: the repurchase within 30 days, or the allowable cost."""
    gain = inputs.number("proceeds") - inputs.number("repurchase_cost", "cost", "allowable_cost")
    gain -= inputs.number("expenses", "fees", default=0)
    return {"gain": lambda: gain, "loss": lambda: -gain}
