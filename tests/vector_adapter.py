"""Scenarios of the shared vectors as frames for an engine under test, and its events as outcomes.

An adapter for tests alone (the product has its own judge): it feeds any object with ``apply`` and
``book`` and returns what the vector's ``expect`` talks about.
"""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tradecore import codes, dtypes
from tradecore.codes import CommandKind as C
from tradecore.codes import EventKind as V
from tradecore.status import Status
from tradecore.testing import build


class Engine(Protocol):
    """What the adapter needs of an engine."""

    def apply(self, commands: bytes, /) -> Any: ...


TYPES = {
    "LIMIT": codes.OrdType.LIMIT,
    "MARKET": codes.OrdType.MARKET,
    "STOP": codes.OrdType.STOP,
    "STOP_LIMIT": codes.OrdType.STOP_LIMIT,
    "STOP_LOSS": codes.OrdType.STOP,
    "STOP_LOSS_LIMIT": codes.OrdType.STOP_LIMIT,
    "TAKE_PROFIT": codes.OrdType.TAKE_PROFIT,
    "TAKE_PROFIT_LIMIT": codes.OrdType.TAKE_PROFIT_LIMIT,
}
REASONS = {
    "MAX_LOT": {"MAX_QTY"},
    "TOO_LATE": {"UNKNOWN_ORDER"},
    "DUPLICATE_ID": {"DUPLICATE_ORDER_ID"},
}


def load(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def _price_scale(case: dict[str, Any]) -> int:
    """Prices of a vector may be halves; one factor makes all of them integers."""
    values = [c[k] for c in case["commands"] for k in ("px", "stop", "last_at_entry") if k in c]
    denominators = [Fraction(str(v)).denominator for v in values]
    return max(denominators, default=1)


def _tif(command: dict[str, Any]) -> int:
    if command["type"] == "MARKET" and command.get("tif", "IOC") != "FOK":
        return codes.Tif.IOC
    return codes.Tif[command.get("tif", "GTC")]


class Run:
    """One vector, carried out on one engine."""

    def __init__(self, engine: Engine, case: dict[str, Any]) -> None:
        self.engine, self.case = engine, case
        self.scale = _price_scale(case)
        self.accounts: dict[str, int] = {}
        self.owner: dict[int, int] = {}
        self.events: list[tuple[int, np.void]] = []
        self._define()
        for index, command in enumerate(case["commands"]):
            for frame in self._frames(command):
                self._apply(index, frame)

    def _apply(self, index: int, frame: bytes) -> None:
        out = np.frombuffer(bytes(self.engine.apply(frame)), dtype=dtypes.EVENT)
        self.events.extend((index, event) for event in out)

    def _define(self) -> None:
        config = self.case.get("config", {})
        ref = int(config.get("ref_px", 0) * self.scale)
        self._apply(-1, build.instrument(
            tick=int(config.get("tick", 1)),
            lot=config.get("lot", 1),
            min_order_qty=config.get("min_order_qty", 0),
            max_order_qty=config.get("max_order_qty", 0),
            min_notional=int(config.get("min_notional", 0) * self.scale),
            band_ref_px=ref,
            band_up_ppm=int(config.get("band_up_pct", 0) * 10_000),
            band_down_ppm=int(config.get("band_down_pct", 0) * 10_000),
            algo=int(config.get("algo") == "prorata"),
            alloc_top=int(bool(config.get("top"))),
            min_alloc=config.get("min_alloc", 0),
            stop_election=int(config.get("stop_election") == "distance"),
            stop_policy=int(config.get("stop_immediate", "accept") != "reject"),
        ))  # fmt: skip

    def _px(self, value: Any) -> int:
        return int(Fraction(str(value)) * self.scale)

    def _frames(self, c: dict[str, Any]) -> list[bytes]:
        if c["op"] == "new":
            return self._new(c)
        owner = {"account_id": self.owner.get(c.get("id"), 0)}
        if c["op"] == "cancel":
            return [build.cancel(order_id=c["id"], **owner)]
        if c["op"] == "amend":
            fields = {"order_qty": c.get("qty", 0), "px": self._px(c.get("px", 0))}
            return [build.replace(order_id=c["id"], **owner, **fields)]
        if c["op"] == "time":
            return [build.admin(C.TIME, ts_ns=c["t"])]
        if c["op"] == "phase":
            return [build.admin(C.SET_PHASE, phase=codes.Phase[c["phase"]])]
        if c["op"] == "uncross":
            return [build.admin(C.UNCROSS, ref_px=self._px(c.get("ref") or 0))]
        if c["op"] == "last":
            return [build.admin(C.LAST_PRICE, mark_px=self._px(c["px"]))]
        raise AssertionError(f"unknown op {c['op']}")

    def _new(self, c: dict[str, Any]) -> list[bytes]:
        frames = []
        if "last_at_entry" in c:
            frames.append(build.admin(C.LAST_PRICE, mark_px=self._px(c["last_at_entry"])))
        account = self.accounts.setdefault(c["acct"], len(self.accounts) + 1)
        self.owner.setdefault(c["id"], account)
        flags = codes.OrderFlag.POST_ONLY * bool(c.get("post_only"))
        flags |= codes.OrderFlag.TOP * bool(c.get("top"))
        rare = {
            "stop_px": self._px(c.get("stop", 0)),
            "trailing_bps": c.get("trailing_bips", 0),
            "display_qty": c.get("display", 0),
            "min_qty": c.get("min_qty", 0),
            "expire_ts_ns": c.get("expire", 0),
        }
        frames.append(build.order(
            order_id=c["id"],
            account_id=account,
            side=1 if c["side"] == "B" else 2,
            ord_type=TYPES[c["type"]],
            tif=_tif(c),
            stp=codes.Stp[c.get("stp", "NONE")],
            px=self._px(c.get("px") or 0),
            order_qty=c["qty"],
            flags=int(flags),
            **{name: value for name, value in rare.items() if value},
        ))  # fmt: skip
        return frames

    # ---- outcomes -----------------------------------------------------------------------------

    def trades(self) -> list[dict[str, int]]:
        return [
            {"taker": int(f["order_id"]), "maker": int(f["maker_order_id"]),
             "px": int(f["last_px"]), "qty": int(f["last_qty"])}
            for f in self._as(V.FILL, dtypes.FILL_EVENT)
        ]  # fmt: skip

    def _as(self, kind: int, dtype: np.dtype[np.void]) -> list[np.void]:
        return [e.reshape(1).view(dtype)[0] for _, e in self.events if e["kind"] == kind]

    def final(self) -> dict[str, dict[str, Any]]:
        """Return {order id: {status, cum, reason}} after the last command."""
        told: dict[str, dict[str, Any]] = {}
        for _, raw in self.events:
            kind = int(raw["kind"])
            key = str(int(raw["order_id"]))
            event = raw.reshape(1)
            if kind == V.FILL:
                fill = event.view(dtypes.FILL_EVENT)[0]
                for who in (key, str(int(fill["maker_order_id"]))):
                    row = told[who]
                    row["cum"] += int(fill["last_qty"])
                    full = row["cum"] >= row["qty"]
                    row["status"] = "FILLED" if full else "PARTIALLY_FILLED"
            elif kind == V.REJECTED:
                if raw["status"] != Status.DUPLICATE_ORDER_ID:
                    reason = Status(int(raw["status"])).name
                    told[key] = {"status": "REJECTED", "cum": 0, "reason": reason, "qty": 0}
            elif kind in (V.ACCEPTED, V.REPLACED, V.RESTATED, V.CANCELED, V.EXPIRED):
                body = event.view(dtypes.ORDER_EVENT)[0]
                row = told.setdefault(key, {"status": "NEW", "cum": 0})
                row["qty"] = int(body["cum_qty"]) + int(body["leaves_qty"])
                if kind in (V.CANCELED, V.EXPIRED):
                    row["status"] = "CANCELLED" if kind == V.CANCELED else "EXPIRED"
                    row["reason"] = Status(int(body["status"])).name
        return told

    def prevented(self) -> dict[str, int]:
        """Return lots that each order lost to self-trade prevention by decrement."""
        lost: dict[str, int] = {}
        for kind in (V.RESTATED, V.EXPIRED):
            for e in self._as(kind, dtypes.ORDER_EVENT):
                if e["status"] == Status.STP:
                    gone = int(e["order_qty"]) - int(e["cum_qty"]) - int(e["leaves_qty"])
                    key = str(int(e["order_id"]))
                    lost[key] = max(lost.get(key, 0), gone)
        return lost

    def rejects(self) -> list[tuple[int, str]]:
        kinds = (V.REJECTED, V.CANCEL_REJECTED, V.REPLACE_REJECTED)
        return [(i, Status(int(e["status"])).name) for i, e in self.events if e["kind"] in kinds]

    def auction(self) -> dict[str, int] | None:
        found = self._as(V.AUCTION, dtypes.MARKET_EVENT)
        if not found:
            return None
        last = found[-1]
        return {k: int(last[v]) for k, v in
                {"price": "last_px", "volume": "volume", "surplus": "surplus"}.items()}  # fmt: skip

    def trigger(self) -> tuple[int, float] | None:
        for index, event in self.events:
            if event["kind"] == V.TRIGGERED:
                return index, float(self.case["commands"][index]["px"])
        return None


def differences(run: Run, book: dict[str, Any]) -> list[str]:
    """Compare a run with its vector; `book` is {side: [[px, [[id, visible], ...]], ...]}."""
    expect = run.case["expect"]
    wrong: list[str] = []

    def equal(what: str, expected: Any, actual: Any) -> None:
        if expected != actual:
            wrong.append(f"{what}: expected {expected}, got {actual}")

    auction = expect.get("auction")
    if "trades" in expect and auction is None:
        equal("trades", expect["trades"], run.trades())
    if auction is not None:
        told = run.auction() or {}
        told["price"] = told.get("price") or None  # type: ignore[assignment]
        equal("auction", auction, {k: told.get(k) for k in auction})
        lots: dict[str, int] = {}
        for t in run.trades():
            for who in ("taker", "maker"):
                lots[str(t[who])] = lots.get(str(t[who]), 0) + t["qty"]
        equal("fills_per_order", expect.get("fills_per_order", {}), lots)
    final = run.final()
    for key, want in expect.get("final", {}).items():
        have = final.get(key, {})
        equal(f"order {key}", (want["status"], want["cum"]), (have.get("status"), have.get("cum")))
        if "reason" in want:
            allowed = REASONS.get(want["reason"], {want["reason"]})
            if have.get("reason") not in allowed:
                wrong.append(f"order {key}: reason {have.get('reason')}, not {want['reason']}")
    if "book" in expect:
        equal("book", expect["book"], book)
    if "prevented" in expect:
        equal("prevented", expect["prevented"], run.prevented())
    for reject in expect.get("command_rejects", []):
        reasons = reject["reason"]
        reasons = [reasons] if isinstance(reasons, str) else reasons
        allowed = set().union(*(REASONS.get(r, {r}) for r in reasons))
        if not any(i == reject["index"] and name in allowed for i, name in run.rejects()):
            wrong.append(f"command {reject['index']}: no refusal {sorted(allowed)}")
    if "trigger_command_index" in expect:
        want_trigger = (expect["trigger_command_index"], float(expect["trigger_px"]))
        equal("trigger", want_trigger, run.trigger())
    return wrong
