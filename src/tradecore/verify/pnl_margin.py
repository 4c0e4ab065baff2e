"""Rules for cases about margin, liquidation prices, funding and commissions; exact fractions."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, Literal

from tradecore.fees import CommissionRates, commission, round_down, round_up
from tradecore.kernels.exact import Position
from tradecore.margin import (
    LiquidationPrices,
    MaintenanceBase,
    adl_score,
    cross_liquidation_inverse,
    cross_liquidation_linear,
    funding_payment,
    isolated_liquidation_inverse,
    isolated_liquidation_linear,
    margin_call_px,
    margin_call_px_from_loan,
    minimum_deposit,
    tiered_maintenance,
)
from tradecore.verify.pnl_case import Answers, CannotExpressError, Inputs, to_fraction
from tradecore.verify.pnl_positions import side_sign

__all__ = [
    "adl_rule",
    "commission_rule",
    "deposit_rule",
    "equity_rule",
    "fee_rule",
    "funding_rule",
    "liquidation_rule",
    "margin_call_rule",
    "tier_rule",
]


# Words by which cases name the kind of contract.
_CONTRACT_WORDS = {
    "inverse": "inverse",
    "coin-?m": "inverse",
    "linear": "linear",
    "usdt": "linear",
    "usd.?-?m": "linear",
}


def _direction(inputs: Inputs) -> int:
    """Return +1 long, -1 short: from `side`, from the sign of `qty`, or from the case's words."""
    side = inputs.raw("side", "position_side", "direction")
    if side is not None:
        return side_sign(side)
    qty = inputs.raw("qty", "size", "position")
    if qty is not None and to_fraction("qty", qty) < 0:
        return -1
    return -1 if inputs.word({"short": "short", "long": "long"}) == "short" else 1


def margin_call_rule(inputs: Inputs) -> Answers:
    """Price of a margin call, from rates or from a deposit."""
    maintenance = inputs.number("maintenance", "maintenance_margin")
    short = _direction(inputs) < 0
    if inputs.any_of("deposit", "loan"):
        shares = inputs.number("shares", "qty")
        px = inputs.number("px", "price", default=0)
        worth = shares * px
        loan = inputs.number("loan", default=worth - inputs.number("deposit", default=0))
        equity = worth - loan
        if short:
            rate = equity / worth if worth else Fraction(0)
            return {
                "margin_call_px": lambda: margin_call_px(px, rate, maintenance, short=True),
                "initial_margin": lambda: rate,
            }
        return {
            "margin_call_px": lambda: margin_call_px_from_loan(shares, loan, maintenance),
            "margin_call_value": lambda: (
                shares * margin_call_px_from_loan(shares, loan, maintenance)
            ),
            "initial_margin": lambda: equity / worth,
            "loan": lambda: loan,
        }
    px = inputs.number("px", "price")
    initial = inputs.number("initial_margin", "initial", "margin")
    call = margin_call_px(px, initial, maintenance, short=short)
    return {
        "margin_call_px": lambda: call,
        "loan": lambda: px * (1 - initial),
        "drop": lambda: 1 - call / px,
    }


def equity_rule(inputs: Inputs) -> Answers:
    """Equity of a margin account, and the call that restores its maintenance."""
    worth = inputs.number("market_value", "value")
    loan = inputs.number("loan", "debit")
    maintenance = inputs.number("maintenance", default=Fraction(1, 4))
    equity = worth - loan
    return {
        "equity": lambda: equity,
        "equity_pct": lambda: equity / worth,
        "maintenance": lambda: maintenance * worth,
        "margin_call": lambda: max(maintenance * worth - equity, Fraction(0)),
        "excess": lambda: equity - maintenance * worth,
        "margin_call_value": lambda: margin_call_px_from_loan(1, loan, maintenance),
    }


def fee_rule(inputs: Inputs) -> Answers:
    """Fee of one trade at one rate, on a linear or inverse notional."""
    held = Position(
        inverse=inputs.flag("inverse"),
        multiplier=inputs.number("multiplier", "contract_size", default=1),
    )
    worth = held.value(inputs.number("qty"), inputs.number("px", "price"))
    fee = worth * inputs.number("fee_rate", "rate")
    return {"fee": lambda: fee, "fees": lambda: fee, "notional": lambda: worth}


def deposit_rule(inputs: Inputs) -> Answers:
    """Answer what must be deposited for purchases on margin: Regulation T, FINRA minimum."""
    initial = inputs.number("initial_margin", "reg_t", default=Fraction(1, 2))
    least = inputs.number("minimum", "finra_minimum", default=2000)
    single = inputs.raw("purchase")
    values = inputs.numbers("purchases") if single is None else [to_fraction("purchase", single)]
    required = [minimum_deposit(v, initial_margin=initial, minimum=least) for v in values]
    return {"required": lambda: required if single is None else required[0]}


def tier_rule(inputs: Inputs) -> Answers:
    """Maintenance margin of a position under cumulative tiers."""
    size = inputs.number("position", "position_value", "notional", "qty")
    px = inputs.raw("mark", "px")
    if px is not None:
        size *= to_fraction("px", px)
    tiers: list[tuple[Fraction, Fraction]] = []
    for row in inputs.rows("tiers"):
        if not isinstance(row, list) or len(row) != 2:
            raise CannotExpressError("'tiers': [upper bound, rate] is needed")
        tiers.append((to_fraction("tiers", row[0]), to_fraction("tiers", row[1])))
    required = tiered_maintenance(size, list(tiers))
    return {
        "maintenance": lambda: required,
        "maintenance_rate": lambda: required / abs(size),
    }


def liquidation_rule(inputs: Inputs) -> Answers:
    """Bankruptcy and liquidation price, linear or inverse, cross or isolated, long or short."""
    sign = _direction(inputs)
    entry = inputs.number("entry", "entry_px", "avg_entry", "px")
    qty = sign * abs(inputs.number("qty", "size", "contracts", default=1))
    mmr = inputs.number("mmr", "maintenance_margin_rate", "mm_rate", "maintenance", default=0)
    fee = inputs.number("fee", "fee_rate", "taker_fee", default=0)
    kind = inputs.text("contract", "contract_type")
    if "inverse" in inputs:
        inverse = inputs.flag("inverse")
    else:
        inverse = (kind or inputs.word(_CONTRACT_WORDS)) == "inverse"
    amount = inputs.number("maintenance_amount", "cum", "maint_amount", default=0)
    base: MaintenanceBase = "mark"
    named = inputs.text("maintenance_on") or inputs.word({"binance": "mark", "bybit": "entry"})
    if named == "entry" or (not named and "leverage" in inputs):
        base = "entry"
    extra = inputs.number("extra_margin", "added_margin", default=0)
    gear: Fraction | None = None
    inputs.raw("mode", "margin_mode", "isolated")  # says in words what the other inputs say
    if inputs.any_of("leverage", "initial_margin_rate", "imr"):
        leverage = inputs.raw("leverage")
        gear = (
            1 / inputs.number("initial_margin_rate", "imr")
            if leverage is None
            else to_fraction("leverage", leverage)
        )
        inputs.raw("initial_margin_rate", "imr")
        prices = (
            isolated_liquidation_inverse(qty, entry, gear, mmr, fee, extra_margin=extra)
            if inverse
            else isolated_liquidation_linear(
                qty,
                entry,
                gear,
                mmr,
                fee,
                extra_margin=extra,
                maintenance_amount=amount,
                maintenance_on=base,
            )
        )
    else:
        funds = inputs.number("balance", "wallet_balance", "margin", "position_margin") + extra
        prices = (
            cross_liquidation_inverse(qty, entry, funds, mmr, fee)
            if inverse
            else cross_liquidation_linear(
                qty,
                entry,
                funds,
                mmr,
                fee,
                maintenance_amount=amount,
                maintenance_on=base,
            )
        )
    tick = inputs.raw("tick", "tick_size")
    worth = Position(inverse=inverse).value(qty, entry)
    answers: dict[str, Any] = {
        **_price_answers(prices, None if tick is None else to_fraction("tick", tick), sign),
        "notional": lambda: worth,
        "maintenance": lambda: mmr * worth - amount,
    }
    if gear is not None:
        answers["initial_margin"] = lambda: worth / gear
    if prices.bankruptcy_px is not None:
        at = prices.bankruptcy_px
        answers["fee_to_close"] = lambda: fee * Position(inverse=inverse).value(qty, at)
    return answers


def _price_answers(prices: LiquidationPrices, tick: Fraction | None, sign: int) -> Answers:
    """Offer both prices; with a tick the liquidation price is rounded towards the safe side."""

    def liquidation() -> Fraction | None:
        if prices.liq_px is None or tick is None:
            return prices.liq_px
        return round_up(prices.liq_px, tick) if sign > 0 else round_down(prices.liq_px, tick)

    return {
        "bankruptcy_px": lambda: prices.bankruptcy_px,
        "liq_px": liquidation,
    }


def funding_rule(inputs: Inputs) -> Answers:
    """Answer what a position pays at a funding time."""
    sign = _direction(inputs)
    qty = sign * abs(inputs.number("qty", "size", "position"))
    px = inputs.number("mark", "mark_px", "px", default=1)
    rate = inputs.number("funding_rate", "rate")
    paid = funding_payment(qty, px, rate, inverse=inputs.flag("inverse"))
    return {
        "funding_paid": lambda: paid,
        "funding": lambda: paid,
        "funding_fee": lambda: paid,
        "funding_received": lambda: -paid,
    }


def adl_rule(inputs: Inputs) -> Answers:
    """Auto-deleveraging scores, and the order in which positions are reduced."""
    scores: list[Fraction] = []
    names: list[Any] = []
    for index, row in enumerate(inputs.rows("positions")):
        if not isinstance(row, dict):
            raise CannotExpressError("'positions': objects are needed")
        one = Inputs(row)
        names.append(one.raw("account", "id", "name", default=index))
        if one.has("pnl"):
            pnl = one.number("pnl", "upnl", "unrealized")
            value = worth = abs(one.number("value", "notional", "position_value"))
            equity = one.number("margin_balance", "equity", "margin", "balance")
        else:
            held = Position(inverse=one.flag("inverse"))
            qty = one.number("qty", "size")
            if "side" in one:
                qty = abs(qty) * side_sign(one.raw("side"))
            held.fill(qty, one.number("entry", "avg_px"))
            mark = one.number("mark") if "mark" in one else inputs.number("mark")
            pnl = held.unrealised(mark)
            worth = held.value(held.leg.qty, mark)
            value = held.leg.cost
            leverage = one.raw("leverage")
            equity = (
                value / to_fraction("leverage", leverage)
                if leverage is not None
                else one.number("margin_balance", "equity", "margin", "balance")
            )
        if one.unread:
            raise CannotExpressError(f"'positions': field {one.unread[0]!r} is not known")
        scores.append(adl_score(pnl, value, equity, worth))
    order = sorted(range(len(scores)), key=lambda index: (-scores[index], index))
    ranked: Callable[[], list[Any]] = lambda: [names[index] for index in order]  # noqa: E731
    return {"scores": lambda: scores, "order": ranked, "ranking": ranked, "rank": ranked}


def commission_rule(inputs: Inputs) -> Answers:
    """Commission of a trade by parts, in the asset received and in a discount asset."""
    parts: dict[str, CommissionRates] = {}
    named: set[str] = set()
    for part in ("standard", "special", "tax"):
        rates = inputs.raw(part, f"{part}_rates", default={})
        if not isinstance(rates, dict):
            raise CannotExpressError(f"{part!r}: an object of rates is needed")
        named |= set(rates)
        parts[part] = CommissionRates.of(rates)
    side = _trade_side(inputs, named)
    role = _trade_role(inputs, named)
    worth = inputs.number("px", "price") * inputs.number("qty")
    on = inputs.text("charged_on", "commission_asset", default="quote")
    received = worth if side == 2 or on == "quote" else inputs.number("qty")
    charged = commission(received, side, role, **parts)
    answers: dict[str, Any] = {
        "notional": lambda: worth,
        "standard": lambda: charged.standard,
        "special": lambda: charged.special,
        "tax": lambda: charged.tax,
        "total": lambda: charged.total,
    }
    if inputs.any_of("bnb_px", "discount_px"):
        paid = charged.in_asset(
            inputs.number("bnb_px", "discount_px"),
            inputs.number("bnb_discount", "discount", default=1),
        )
        for suffix in ("bnb", "discounted"):
            answers |= {
                f"standard_{suffix}": lambda: paid.standard,
                f"special_{suffix}": lambda: paid.special,
                f"tax_{suffix}": lambda: paid.tax,
                f"total_{suffix}": lambda: paid.total,
            }
    return answers


def _trade_side(inputs: Inputs, named: set[str]) -> Literal[1, 2]:
    """Return the side: given, or the only one that the rates name, or the case's word."""
    side = inputs.raw("side")
    if side is not None:
        return 1 if side_sign(side) > 0 else 2
    if ("buyer" in named) != ("seller" in named):
        return 1 if "buyer" in named else 2
    return 1 if inputs.word({"buy": "buy", "sell": "sell"}) == "buy" else 2


def _trade_role(inputs: Inputs, named: set[str]) -> Literal["maker", "taker"]:
    """Return the role: given, or the only one that the rates name, or the case's word."""
    role = inputs.text("role", "liquidity")
    if not role and ("maker" in named) != ("taker" in named):
        role = "maker" if "maker" in named else "taker"
    if not role:
        words = {"maker": "maker", "taker": "taker", "market": "taker", "limit_maker": "maker"}
        role = inputs.word(words) or "taker"
    if role not in ("maker", "taker"):
        raise CannotExpressError(f"role {role!r} is not known")
    return "maker" if role == "maker" else "taker"
