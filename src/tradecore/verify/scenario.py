"""A matching scenario's settings and commands as frames for a session.

Owns the meaning of the schema's configuration keys, operations and order fields. Everything is
checked: a key that is not known here is an error, so that no case passes with half of it unread.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final

from tradecore.codes import (
    ANY,
    AllocationAlgorithm,
    CommandKind,
    OrderFlag,
    OrdType,
    Phase,
    Side,
    StopElection,
    StopPolicy,
    Stp,
    Tif,
    TopOrder,
)
from tradecore.testing import build
from tradecore.verify.session import Session, exact, price_scale

__all__ = ["Scenario", "policies"]

_PRICES: Final = ("px", "stop", "last_at_entry", "ref", "activation")
_CONFIG_PRICES: Final = ("tick", "ref_px")
_TYPES: Final = {
    "LIMIT": OrdType.LIMIT,
    "LIMIT_MAKER": OrdType.LIMIT,
    "MARKET": OrdType.MARKET,
    "STOP": OrdType.STOP,
    "STOP_MARKET": OrdType.STOP,
    "STOP_LOSS": OrdType.STOP,
    "TRAILING_STOP": OrdType.STOP,
    "STOP_LIMIT": OrdType.STOP_LIMIT,
    "STOP_LOSS_LIMIT": OrdType.STOP_LIMIT,
    "TRAILING_STOP_LIMIT": OrdType.STOP_LIMIT,
    "TAKE_PROFIT": OrdType.TAKE_PROFIT,
    "TAKE_PROFIT_MARKET": OrdType.TAKE_PROFIT,
    "TAKE_PROFIT_LIMIT": OrdType.TAKE_PROFIT_LIMIT,
}
_MARKET_TYPES: Final = (OrdType.MARKET, OrdType.STOP, OrdType.TAKE_PROFIT)
_SIDES: Final = {"B": Side.BUY, "BUY": Side.BUY, "S": Side.SELL, "SELL": Side.SELL}
_PHASES: Final = {"PRE_OPEN": Phase.AUCTION, "PREOPEN": Phase.AUCTION, "CALL": Phase.AUCTION} | {
    phase.name: phase for phase in Phase
}
_QUOTE: Final = ("quote_qty", "quote_order_qty", "quote_amount", "cash_order_qty", "cash")
_NEW_KEYS: Final = frozenset(
    (
        *("op", "id", "acct", "side", "type", "px", "stop", "qty", "tif", "expire", "post_only"),
        *("display", "min_qty", "stp", "top", "trailing_bips", "activation", "last_at_entry"),
        *("note", "comment"),
        *_QUOTE,
    )
)
_KEYS: Final = {
    "new": _NEW_KEYS,
    "cancel": frozenset(("op", "id", "acct", "note")),
    "amend": frozenset(("op", "id", "acct", "qty", "px", "stop", "display", "note")),
    "time": frozenset(("op", "t", "note")),
    "phase": frozenset(("op", "phase", "ref", "note")),
    "uncross": frozenset(("op", "ref", "note")),
    "last": frozenset(("op", "px", "note")),
    "mass_cancel": frozenset(("op", "acct", "side", "note")),
}
_ACCEPT_WORDS: Final = ("accept", "accepted", "trigger", "immediate", "execute", "elect", "true")
_REFUSE_WORDS: Final = ("reject", "rejected", "refuse", "refused", "false")


def _policy_of(value: Any) -> StopPolicy:
    word = str(value).lower()
    if word in _ACCEPT_WORDS:
        return StopPolicy.ACCEPT
    if word in _REFUSE_WORDS:
        return StopPolicy.REFUSE
    raise ValueError(f"stop_immediate {value!r} is not understood")


def policies(case: Mapping[str, Any]) -> list[StopPolicy]:
    """Return the settings for stops already through at entry that a case leaves open.

    One where the case names it; both, accepting first, where it has stops and does not.
    """
    config = case.get("config") or {}
    if isinstance(config, dict) and config.get("stop_immediate") is not None:
        try:
            return [_policy_of(config["stop_immediate"])]
        except ValueError:
            return [StopPolicy.ACCEPT]  # the scenario itself will report it
    commands = case.get("commands")
    has_stops = isinstance(commands, list) and any(
        isinstance(c, dict) and ("stop" in c or "trailing_bips" in c) for c in commands
    )
    return [StopPolicy.ACCEPT, StopPolicy.REFUSE] if has_stops else [StopPolicy.ACCEPT]


class Scenario:
    """One case, carried out on an engine of its own.

    Parameters
    ----------
    case : mapping
        ``config`` and ``commands`` of a case.
    policy : StopPolicy
        What happens to a stop that is already through at entry.
    """

    def __init__(self, case: Mapping[str, Any], policy: StopPolicy) -> None:
        self._config: dict[str, Any] = dict(case.get("config") or {})
        self._commands: list[dict[str, Any]] = list(case["commands"])
        prices = [c[key] for c in self._commands for key in _PRICES if c.get(key) is not None]
        prices += [self._config[key] for key in _CONFIG_PRICES if key in self._config]
        self.session = Session(price_scale(prices), len(self._commands))
        self._pro_rata = False
        self._define(policy)

    def run(self) -> None:
        """Apply every command; ValueError or KeyError where one is not understood."""
        for index, command in enumerate(self._commands):
            op = str(command.get("op"))
            if op not in _KEYS:
                raise ValueError(f"the operation {op!r} is not understood")
            if unknown := sorted(set(command) - _KEYS[op]):
                raise ValueError(f"{unknown[0]!r} of the operation {op!r} is not understood")
            self._apply(index, op, command)

    def trigger(self) -> tuple[int | None, int | float | None]:
        """Return which command triggered the first stop, and at which source price."""
        if not self.session.triggers:
            return None, None
        index = self.session.triggers[0][0]
        command = self._commands[index]
        if command["op"] == "last":
            return index, command["px"]
        prices = [fill.px for fill in self.session.fills if fill.command <= index]
        return index, prices[-1] if prices else command.get("last_at_entry")

    # ---- settings -----------------------------------------------------------------------------

    def _define(self, policy: StopPolicy) -> None:
        config, session = dict(self._config), self.session
        reference = exact(config.pop("ref_px", 0))
        algo = str(config.pop("algo", "fifo")).lower().replace("_", "").replace("-", "")
        if algo not in ("fifo", "prorata"):
            raise ValueError(f"algo {algo!r} is not understood")
        self._pro_rata = algo == "prorata"
        election = str(config.pop("stop_election", "entry")).lower()
        if election not in ("entry", "distance"):
            raise ValueError(f"stop_election {election!r} is not understood")
        if config.get("stop_immediate") is not None:
            policy = _policy_of(config["stop_immediate"])
        config.pop("stop_immediate", None)
        fields = {
            "tick": session.ticks(config.pop("tick", None)) or 1,
            "lot": int(config.pop("lot", 1)),
            "min_order_qty": int(config.pop("min_order_qty", 0)),
            "max_order_qty": int(config.pop("max_order_qty", 0)),
            # Prices are scaled, so every product of price and quantity is.
            "min_notional": int(exact(config.pop("min_notional", 0)) * session.scale),
            "band_ref_px": session.ticks(str(reference)),
            "band_up_ppm": _ppm(config.pop("band_up_pct", 0), reference),
            "band_down_ppm": _ppm(config.pop("band_down_pct", 0), reference),
            "algo": AllocationAlgorithm.PRORATA if self._pro_rata else AllocationAlgorithm.FIFO,
            "alloc_top": self._top(config.pop("top", False)),
            "min_alloc": int(config.pop("min_alloc", 0)),
            "stop_election": StopElection[election.upper()],
            "stop_policy": policy,
        }
        if config:
            raise ValueError(f"the setting {sorted(config)[0]!r} is not understood")
        session.define(**{name: int(value) for name, value in fields.items()})

    def _top(self, value: Any) -> TopOrder:
        """Return who is the top order: flagged orders where there are any, else the price maker."""
        if not value or not self._pro_rata:
            return TopOrder.NONE
        flagged = any(command.get("top") for command in self._commands)
        return TopOrder.FLAG if flagged else TopOrder.BEST

    # ---- commands -----------------------------------------------------------------------------

    def _apply(self, index: int, op: str, c: dict[str, Any]) -> None:
        session = self.session
        if op == "new":
            self._new(index, c)
            return
        if op in ("cancel", "amend"):
            owner = session.account_id(c["acct"]) if "acct" in c else session.owner_of(c["id"])
            ids = {"order_id": session.order_id(c["id"]), "account_id": owner}
            frames = build.cancel(**ids) if op == "cancel" else self._amend(c, ids)
        elif op == "time":
            frames = build.admin(CommandKind.TIME, ts_ns=int(c["t"]))
        elif op == "phase":
            phase = _PHASES[str(c["phase"]).upper()]
            frames = build.admin(
                CommandKind.SET_PHASE, phase=phase, ref_px=session.ticks(c.get("ref"))
            )
        elif op == "uncross":
            frames = build.admin(CommandKind.UNCROSS, ref_px=session.ticks(c.get("ref")))
        elif op == "last":
            frames = build.admin(CommandKind.LAST_PRICE, mark_px=session.ticks(c["px"]))
        else:
            account = session.account_id(c["acct"]) if "acct" in c else ANY
            side = _SIDES[str(c["side"]).upper()] if c.get("side") else Side.NONE
            frames = build.admin(CommandKind.MASS_CANCEL, account_id=account, side=side)
        session.send(index, frames)

    def _amend(self, c: dict[str, Any], ids: dict[str, int]) -> bytes:
        terms = {}
        if c.get("stop") is not None:
            terms["stop_px"] = self.session.ticks(c["stop"])
        if c.get("display") is not None:
            terms["display_qty"] = int(c["display"])
        return build.replace(
            **ids, order_qty=int(c.get("qty") or 0), px=self.session.ticks(c.get("px")), **terms
        )

    def _new(self, index: int, c: dict[str, Any]) -> None:
        session = self.session
        if c.get("last_at_entry") is not None:
            px = session.ticks(c["last_at_entry"])
            session.send(index, build.admin(CommandKind.LAST_PRICE, mark_px=px))
        account = session.account_id(c.get("acct", c["id"]))
        session.own(c["id"], account)
        kind = str(c["type"]).upper()
        ord_type = _TYPES[kind]
        flags = OrderFlag(0)
        if c.get("post_only") or kind == "LIMIT_MAKER":
            flags |= OrderFlag.POST_ONLY
        if c.get("top") and self._pro_rata:
            flags |= OrderFlag.TOP
        cash = next((c[key] for key in _QUOTE if c.get(key)), 0)
        rare = {
            "stop_px": session.ticks(c.get("stop") or c.get("activation")),
            "trailing_bps": int(c.get("trailing_bips") or 0),
            "display_qty": int(c.get("display") or 0),
            "min_qty": int(c.get("min_qty") or 0),
            "expire_ts_ns": int(c.get("expire") or 0),
            "cash_order_qty": int(cash) * session.scale,
        }
        frames = build.order(
            order_id=session.order_id(c["id"]),
            account_id=account,
            side=_SIDES[str(c["side"]).upper()],
            ord_type=ord_type,
            tif=_tif(c, ord_type),
            stp=Stp[str(c.get("stp") or "NONE").upper()],
            px=session.ticks(c.get("px")),  # of a market type: its protective price
            order_qty=0 if cash else int(c["qty"]),
            flags=int(flags),
            **{name: value for name, value in rare.items() if value},
        )
        session.send(index, frames)


def _tif(c: dict[str, Any], ord_type: OrdType) -> Tif:
    """Return the order's time in force; an order that never rests is immediate whatever it says."""
    word = str(c.get("tif") or ("GTD" if c.get("expire") else "GTC")).upper()
    tif = Tif.GTD if word == "GTT" else Tif[word]
    if ord_type == OrdType.MARKET:
        return tif if tif == Tif.FOK else Tif.IOC
    if ord_type in _MARKET_TYPES and tif == Tif.IOC:
        return Tif.GTC  # a stop's tif is that of its dormant life; what it becomes never rests
    return tif


def _ppm(band: Any, ref: Fraction) -> int:
    """Return a band as parts per million of its reference price.

    The key says percent. A band that in percent would be narrower than one unit of price admits
    nothing but the reference itself; such a number (0.1 for 10 %) is read as a fraction.
    """
    value = exact(band)
    if 0 < value < 1 and ref * value < 100:
        value *= 100
    return int(value * 10_000)
