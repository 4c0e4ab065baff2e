"""Random command streams that look for trouble: swarm weights, colliding ids, edges, bad frames.

Every stream is a function of one seed. A run draws its own weights first (some kinds and features
are off altogether, so the others meet each other more often), a handful of prices, accounts and
order ids, then commands without looking at any engine: collisions are the point. `command_streams`
offers the same generator to Hypothesis, which then shrinks its draws.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

from tradecore.codes import CommandKind as C
from tradecore.codes import Contingency, OrderFlag, OrdType, Phase, Tif
from tradecore.testing import build
from tradecore.testing.money_commands import MoneyCommands

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

EDGES: Final = (0, -1, 1, 1 << 31, 1 << 56, 1 << 62, (1 << 63) - 1)
STOPS: Final = (
    OrdType.STOP, OrdType.STOP_LIMIT, OrdType.TAKE_PROFIT, OrdType.TAKE_PROFIT_LIMIT,
)  # fmt: skip
LIMITS: Final = (OrdType.LIMIT, OrdType.STOP_LIMIT, OrdType.TAKE_PROFIT_LIMIT)
# What a run may do, with the usual weight; each run keeps a random part of it.
KINDS: Final = {
    "order": 60,
    "cancel": 10,
    "replace": 12,
    "list": 6,
    "time": 4,
    "mass_cancel": 1,
    "phase": 3,
    "uncross": 2,
    "last": 3,
    "mark": 3,
    "instrument": 1,
    "corrupt": 2,
    "edge": 2,
    "epoch": 1,
    "money": 6,
}
FEATURES: Final = (
    "stops", "trailing", "iceberg", "min_qty", "gtd", "day", "ioc", "fok", "market", "cash",
    "post_only", "reduce_only", "stp", "top", "breaker", "band", "filters", "edge_sizes",
)  # fmt: skip


def _wrap(value: int, bits: int) -> int:
    return value & ((1 << bits) - 1)


class CommandSource:
    """One seeded stream of commands.

    Parameters
    ----------
    rng : random.Random
        Source of every draw; Hypothesis may pass its own.
    accounts : bool
        Whether the engine keeps accounts: then accounts are opened, funded and limited first.
    """

    def __init__(self, rng: random.Random, accounts: bool = False) -> None:
        self.rng = rng
        self.accounts = accounts
        self.on = {name for name in FEATURES if rng.random() < 0.6}
        always = {"order", "cancel"}
        kinds = {k: w for k, w in KINDS.items() if k in always or rng.random() < 0.75}
        if not accounts and rng.random() < 0.9:
            kinds.pop("money", None)
        self._kinds = list(kinds)
        self._weights = [w * rng.choice((1, 1, 2, 4)) for w in kinds.values()]
        self.ruin = False
        self.instruments = rng.choice((1, 1, 1, 2, 3))
        self.people = rng.choice((2, 3, 5, 8))
        if accounts and self.instruments == 1:
            self.instruments = rng.choice((1, 2))
        self.middle = rng.choice((100, 100, 1000, 1 << 20))
        self.spread = rng.choice((2, 5, 12, 40))
        self.ids = rng.choice((12, 30, 80, 160))
        if accounts:
            kinds["mark"] = kinds["money"] = 8
            self.ruin = rng.random() < 0.4
            if self.ruin:  # much trading on margin, wild marks: pools walk through all their states
                self.on -= {"band", "breaker", "filters", "edge_sizes"}
                kinds = {"order": 60, "cancel": 3, "mark": 20, "money": 5, "time": 3, "replace": 3}
            self._kinds, self._weights = list(kinds), list(kinds.values())
        self.size = rng.choice((3, 10, 100))
        self.now = rng.choice((0, 1, 1_000))
        self.turn = 0
        self.owner: dict[int, int] = {}
        self.specs = [self._spec(i) for i in range(self.instruments)]
        self.money = MoneyCommands(self)

    # ---- the stream ---------------------------------------------------------------------------

    def setup(self) -> list[bytes]:
        """Return the commands that every stream begins with: instruments, then accounts."""
        made = [build.instrument(**spec) for spec in self.specs]
        return made + (self.money.setup() if self.accounts else [])

    def take(self, count: int) -> list[bytes]:
        """Return the setup and `count` commands after it."""
        return self.setup() + [self.next() for _ in range(count)]

    def next(self) -> bytes:
        """Return the next command, one or more frames."""
        kind = self.rng.choices(self._kinds, self._weights)[0]
        if self.rng.random() < 0.2:
            self.now += self.rng.choice((1, 1, 3, 10, 60))
        made: bytes = getattr(self, f"_{kind}")()
        return made

    # ---- orders -------------------------------------------------------------------------------

    def _px(self, i: int = 0) -> int:
        tick = self.specs[i]["tick"]
        raw = self.middle + self.rng.randint(-self.spread, self.spread)
        if self.rng.random() < 0.97:
            raw -= raw % tick
        return max(raw, tick)

    def _qty(self, i: int = 0) -> int:
        if "edge_sizes" in self.on and self.rng.random() < 0.02:
            return self.rng.choice((1 << 31, 1 << 55, 1 << 56, (1 << 56) - 1))
        lots = self.rng.randint(1, self.size)
        lot = self.specs[i]["lot"]
        return lots * lot if self.rng.random() < 0.97 else lots

    def _who(self) -> int:
        return self.rng.randrange(self.people)

    def _id(self) -> int:
        return self.rng.randint(1, self.ids)

    def _fresh_id(self) -> int:
        """Return an id for a new order: mostly the next one around the ring, so most are free."""
        if self.rng.random() < 0.25:
            return self._id()
        self.turn = self.turn % self.ids + 1
        return self.turn

    def _target(self) -> dict[str, int]:
        """Return id and account of an order that may live; one in six names the wrong account."""
        number = self._id()
        who = self.owner.get(number, 0) if self.rng.random() < 0.85 else self._who()
        return {"order_id": number, "account_id": who}

    def _where(self) -> int:
        if self.rng.random() < 0.01:
            return self.instruments + self.rng.randint(0, 1)
        return self.rng.randrange(self.instruments)

    def _fields(self, i: int) -> dict[str, int]:
        """Return the fields of one plausible order; one in fifty breaks a rule of combination."""
        rng, spec = self.rng, self.specs[min(i, self.instruments - 1)]
        at = min(i, self.instruments - 1)
        f = {
            "order_id": self._fresh_id(), "account_id": self._who(), "instrument_id": i,
            "side": rng.randint(1, 2), "order_qty": self._qty(at), "ord_type": int(OrdType.LIMIT),
            "tif": int(Tif.GTC), "session_id": rng.randint(0, 3),
        }  # fmt: skip
        if "stops" in self.on and rng.random() < 0.2:
            f["ord_type"] = int(rng.choice(STOPS))
        elif "market" in self.on and rng.random() < 0.15:
            f["ord_type"] = int(OrdType.MARKET)
        limit = f["ord_type"] in LIMITS
        if limit or rng.random() < (0.8 if self.accounts else 0.3):
            f["px"] = self._px(at)
        self._tif(f)
        if f["ord_type"] in STOPS:
            self._stop(f, at)
        if "stp" in self.on and rng.random() < 0.7:
            f["stp"] = rng.randint(0, 4)
        self._rare(f, spec)
        if rng.random() < 0.02:
            f["flags"] = f.get("flags", 0) ^ int(rng.choice((1, 2, 4)))
            f["tif"] = int(rng.choice((0, 1, 3, 4, 6)))
        self.owner[f["order_id"]] = f["account_id"]
        return f

    def _tif(self, f: dict[str, int]) -> None:
        rng = self.rng
        if f["ord_type"] == OrdType.MARKET:
            fok = "fok" in self.on and rng.random() < 0.3
            f["tif"] = int(Tif.FOK if fok else Tif.IOC)
            return
        options = [Tif.GTC] * 4
        for feature, tif in (("gtd", Tif.GTD), ("day", Tif.DAY)):
            if feature in self.on:
                options.append(tif)
        if f["ord_type"] == OrdType.LIMIT:
            options += [Tif.IOC] if "ioc" in self.on else []
            options += [Tif.FOK] if "fok" in self.on else []
        f["tif"] = int(rng.choice(options))
        if f["tif"] == Tif.GTD:
            f["expire_ts_ns"] = max(1, self.now + rng.randint(-2, 80))

    def _stop(self, f: dict[str, int], at: int) -> None:
        if "trailing" in self.on and self.rng.random() < 0.4:
            f["trailing_bps"] = self.rng.choice((1, 50, 300, 1000, 9999))
            if self.rng.random() < 0.5:
                f["stop_px"] = self._px(at)
        else:
            f["stop_px"] = self._px(at)

    def _rare(self, f: dict[str, int], spec: dict[str, int]) -> None:
        rng, flags = self.rng, 0
        resting = f["ord_type"] in LIMITS and f["tif"] in (0, 1, 6)
        if resting and "iceberg" in self.on and not spec["algo"] and rng.random() < 0.25:
            f["display_qty"] = max(spec["lot"], f["order_qty"] // rng.choice((2, 3, 7, 150)))
            f["display_qty"] -= f["display_qty"] % spec["lot"]
        plain = f["ord_type"] == OrdType.LIMIT and resting
        if plain and "post_only" in self.on and rng.random() < 0.15:
            flags |= OrderFlag.POST_ONLY
        if (
            "min_qty" in self.on and f["tif"] != Tif.FOK and not flags
            and f["ord_type"] in (OrdType.LIMIT, OrdType.MARKET) and rng.random() < 0.15
        ):  # fmt: skip
            f["min_qty"] = max(spec["lot"], f["order_qty"] // 2 // spec["lot"] * spec["lot"])
        if "reduce_only" in self.on and rng.random() < 0.15 and not (spec["algo"] and resting):
            flags |= OrderFlag.REDUCE_ONLY
        if "top" in self.on and spec["algo"] and rng.random() < 0.3:
            flags |= OrderFlag.TOP
        if "cash" in self.on and f["ord_type"] == OrdType.MARKET and rng.random() < 0.4:
            f.pop("min_qty", None)
            flags &= ~OrderFlag.TOP
            f["tif"], f["order_qty"] = int(Tif.IOC), 0
            f["cash_order_qty"] = self.middle * rng.randint(1, 3 * self.size) + rng.randint(0, 9)
        f["flags"] = int(flags)

    def _order(self) -> bytes:
        stamp = {"ts_ns": self.now} if self.rng.random() < 0.9 else {}
        if self.accounts and self.rng.random() < 0.1:
            stamp["sent_ts_ns"] = max(0, self.now - self.rng.choice((0, 5, 50)))
        return build.order(**stamp, **self._fields(self._where()))

    def _cancel(self) -> bytes:
        return build.cancel(ts_ns=self.now, **self._target())

    def _replace(self) -> bytes:
        rng = self.rng
        f = {"ts_ns": self.now, **self._target()}
        if rng.random() < 0.6:
            f["order_qty"] = self._qty()
        if rng.random() < 0.5:
            f["px"] = self._px()
        if rng.random() < 0.1:
            f["stop_px"] = self._px()
        if rng.random() < 0.1:
            f["display_qty"] = rng.randint(1, self.size) * self.specs[0]["lot"]
        if rng.random() < 0.3:
            f["instrument_id"] = self._where()
        f["flags"] = int(rng.choice((0, 0, 0, OrderFlag.LEAVES, OrderFlag.REQUEUE, 24)))
        return build.replace(**f)

    def _list(self) -> bytes:
        rng = self.rng
        kind = rng.choice(list(Contingency))
        where, who, side = rng.randrange(self.instruments), self._who(), rng.randint(1, 2)
        members = []
        for i in range(3 if kind == Contingency.OTOCO else 2):
            f = self._fields(where)
            f |= {"account_id": who if rng.random() < 0.98 else self._who()}
            self.owner[f["order_id"]] = f["account_id"]
            leg = kind == Contingency.OCO or (kind == Contingency.OTOCO and i > 0)
            if leg and rng.random() < 0.9:
                f["side"] = side
            if kind != Contingency.OCO and i > 0:
                if rng.random() < 0.5:
                    f["side"] = 3 - side
                if f.pop("cash_order_qty", 0) and rng.random() < 0.9:
                    f["order_qty"] = self._qty()
            members.append(build.order(**f))
        return build.order_list(
            members, ts_ns=self.now, contingency=int(kind), list_id=rng.randint(0, 1 << 40),
            account_id=who, instrument_id=where, session_id=rng.randint(0, 2),
        )  # fmt: skip

    # ---- everything else ----------------------------------------------------------------------

    def _time(self) -> bytes:
        """Let time pass; with accounts now and then so long that marks grow stale."""
        far = (1_000_001,) if self.accounts else ()
        self.now += self.rng.choice((0, 1, 5, 20, 100, *far))
        return build.admin(C.TIME, ts_ns=self.now)

    def _mass_cancel(self) -> bytes:
        rng = self.rng
        return build.admin(
            C.MASS_CANCEL,
            ts_ns=self.now,
            side=rng.choice((0, 0, 1, 2)),
            account_id=rng.choice((0xFFFFFFFF, self._who())),
            instrument_id=rng.choice((0xFFFFFFFF, self._where())),
        )

    def _phase(self) -> bytes:
        rng = self.rng
        phase = rng.choice((Phase.AUCTION, Phase.AUCTION, *(Phase.CONTINUOUS,) * 9, *Phase))
        ref = self._px() if rng.random() < 0.3 else 0
        return build.admin(
            C.SET_PHASE, ts_ns=self.now, instrument_id=self._where(), phase=int(phase), ref_px=ref
        )

    def _uncross(self) -> bytes:
        rng = self.rng
        return build.admin(
            C.UNCROSS,
            ts_ns=self.now,
            instrument_id=self._where(),
            phase=rng.choice((0,) * 12 + (1, 2, 3, 4, 5)),
            ref_px=self._px() if rng.random() < 0.5 else 0,
        )

    def _last(self) -> bytes:
        return build.admin(
            C.LAST_PRICE, ts_ns=self.now, instrument_id=self._where(), mark_px=self._px()
        )

    def _mark(self) -> bytes:
        """Mark near the market, or (with accounts) far enough off to ruin somebody."""
        px = self._px()
        if self.accounts and self.rng.random() < 0.3:
            px = max(1, px * self.rng.choice((50, 80, 95, 105, 120, 200)) // 100)
        return build.admin(C.MARK_PRICE, ts_ns=self.now, instrument_id=self._where(), mark_px=px)

    def _epoch(self) -> bytes:
        return build.admin(C.EPOCH, ts_ns=self.now, epoch=self.rng.choice((0, 1, 1, 1)))

    def _money(self) -> bytes:
        return self.money.next()

    def _spec(self, number: int) -> dict[str, int]:
        """Draw the definition of one instrument."""
        rng = self.rng
        spec = {
            "instrument_id": number, "base_asset": 1 + number, "quote_asset": 0,
            "tick": rng.choice((1, 1, 1, 5)), "lot": rng.choice((1, 1, 1, 10)),
            "multiplier": rng.choice((1, 1, 3)), "base_per_lot": rng.choice((1, 1, 100)),
            "algo": int(rng.random() < 0.2), "alloc_top": rng.randint(0, 2),
            "min_alloc": rng.choice((0, 0, 2)), "stop_election": rng.randint(0, 1),
            "stop_policy": rng.randint(0, 1), "trigger": rng.choice((0, 0, 1, 2)),
            "max_trailing": rng.choice((0, 0, 2)), "max_iceberg_parts": rng.choice((0, 0, 5)),
        }  # fmt: skip
        if "filters" in self.on:
            spec["min_order_qty"] = rng.choice((0, 2)) * spec["lot"]
            spec["max_order_qty"] = rng.choice((0, self.size - 1)) * spec["lot"]
            spec["min_notional"] = rng.choice((0, self.middle * 2))
        if "band" in self.on:
            spec["band_ref_px"] = self.middle
            spec["band_up_ppm"] = rng.choice((0, 50_000))
            spec["band_down_ppm"] = rng.choice((0, 50_000))
        if "breaker" in self.on:
            spec["band_ref_px"] = rng.choice((0, self.middle))
            spec["static_band_ppm"] = rng.choice((0, 30_000))
            spec["dynamic_band_ppm"] = rng.choice((0, 20_000))
            spec["halt_ns"] = rng.choice((0, 7, 30))
            spec["auction_ns"] = rng.choice((0, 5, 30))
        spec["phase"] = int(rng.choice((Phase.CONTINUOUS,) * 4 + (Phase.AUCTION,)))
        if self.accounts:
            MoneyCommands.extend_spec(rng, spec, self.people, self.ruin)
        return spec

    def _instrument(self) -> bytes:
        spec = dict(self.rng.choice(self.specs))
        fresh = self._spec(spec["instrument_id"])
        names = sorted(fresh)
        for name in self.rng.sample(names, self.rng.randint(1, 3)):
            if name not in ("tick", "lot", "algo", "instrument_id") or self.rng.random() < 0.1:
                spec[name] = fresh[name]
        return build.instrument(ts_ns=self.now, **spec)

    # ---- wrong on purpose ---------------------------------------------------------------------

    def _any_valid(self) -> bytes:
        kinds = [k for k in self._kinds if k not in ("corrupt", "edge")]
        made: bytes = getattr(self, f"_{self.rng.choice(kinds)}")()
        return made

    def _corrupt(self) -> bytes:
        """Damage bytes of a good command: one to three random bytes, or its continuation count."""
        made = bytearray(self._any_valid())
        for _ in range(self.rng.randint(1, 3)):
            at = self.rng.randrange(8, len(made))
            made[at] = self.rng.choice((0, 1, 2, 0x80, 0xFF, self.rng.randrange(256)))
        made[7] = made[6] = 0  # a stamp of centuries would silence every later one
        return bytes(made)

    def _edge(self) -> bytes:
        """Put an edge value into one 8-byte word of a good command."""
        made = bytearray(self._any_valid())
        word = self.rng.choice([w for w in range(1, len(made) // 8) if w % 8 != 1])
        value = _wrap(self.rng.choice(EDGES), 64)
        made[word * 8 : word * 8 + 8] = value.to_bytes(8, "little")
        return bytes(made)


def stream(seed: int, count: int, accounts: bool = False) -> list[bytes]:
    """Return the commands of one seed: the setup and `count` more; O(count)."""
    return CommandSource(random.Random(seed), accounts).take(count)  # noqa: S311


def command_streams(max_commands: int = 60, accounts: bool = False) -> SearchStrategy[list[bytes]]:
    """Return a Hypothesis strategy of command streams whose draws shrink."""
    from hypothesis import strategies as st

    def make(rng: Any, count: int) -> list[bytes]:
        return CommandSource(rng, accounts).take(count)

    return st.builds(make, st.randoms(use_true_random=False), st.integers(1, max_commands))
