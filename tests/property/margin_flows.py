"""Random command streams that drive margin accounts to their limits.

The general streams (`tradecore.testing.strategies`) rarely liquidate anybody: here accounts are
poor, marks jump, insurance runs dry and instruments change under open positions.
"""

from __future__ import annotations

import random

from tradecore.codes import ANY, LimitField, Phase, Scope
from tradecore.codes import CommandKind as C
from tradecore.testing import build

PEOPLE = range(1, 9)
INSURERS = (9, 10)
SPOT = 3
TIERS = (
    ((0, 100_000, 50_000),),
    ((20_000, 50_000, 25_000), (100_000, 100_000, 50_000), (0, 200_000, 100_000)),
    ((0, 60_000, 55_000),),
    ((50_000, 10_000, 5_000), (0, 0, 0)),
    ((0, 0, 0),),
)
STOPS = (3, 4, 5, 6)
ADMIN_KINDS = (
    *[C.FUNDING, C.MARGIN_MODE, C.MARGIN_TRANSFER, C.DEPOSIT, C.SET_PHASE] * 2,
    *[C.WITHDRAW, C.TRANSFER, C.INSTRUMENT, C.MASS_CANCEL, C.KILL_SWITCH, C.LIMITS, C.TIME],
)
DEEP = (1, 1 << 30, 1 << 56)
"""Marks that no market has, for the edges of the number range."""


class MarginFlow:
    """One stream: two linear instruments, a spot one, eight people, two insurance accounts."""

    def __init__(self, seed: int, *, absurd: bool = False) -> None:
        self.rng = random.Random(seed)
        self.absurd = absurd
        pick = self.rng.choice
        self.ts = 1_000
        self.ids = 0
        self.live: list[tuple[int, int]] = []
        self.marks = {1: 1_000, 2: 500}
        self.fixed = {
            1: {
                "maker_fee_ppm": pick((-100, 0, 200)),
                "taker_fee_ppm": pick((0, 500, 2_000)),
                "trigger": pick((0, 1, 2)),
                "stop_policy": 1,
            },
            2: {
                "multiplier": pick((1, 1, 7, 1_000)),
                "trigger": pick((0, 1, 2)),
                "lot": pick((1, 5)),
                "tick": pick((1, 5)),
                "algo": pick((0, 0, 1)),
                "stop_policy": 1,
            },
            SPOT: {},
        }
        self.breaker = self.rng.random() < 0.15

    def stream(self, count: int) -> list[bytes]:
        """Return the opening of the venue and random commands, `count` in all."""
        out = self.opening()
        while len(out) < count:
            self.ts += self.rng.choice((0, 1, 10, 100, 1_000, 600_000))
            out.append(self.command())
        return out

    def opening(self) -> list[bytes]:
        """Return instruments, accounts, cash and the first marks."""
        pick = self.rng.choice
        out = [self.instrument(1), self.instrument(2)]
        out.append(build.instrument(instrument_id=SPOT, base_asset=1))
        out += [
            build.admin(
                C.ACCOUNT,
                account_id=account,
                group_id=pick((0, 1, 2)),
                contra_account_id=pick((0, 0, 5)),
            )
            for account in (*PEOPLE, *INSURERS)
        ]
        scale = self.fixed[2]["multiplier"]
        for account in PEOPLE:
            amount = pick((200, 2_000, 20_000, 100_000)) * pick((1, scale))
            out.append(self.cash(C.DEPOSIT, account, amount))
            if self.rng.random() < 0.5:
                out.append(self.cash(C.DEPOSIT, account, 1_000, asset=1))
        out += [
            self.cash(C.DEPOSIT, account, pick((10, 1_000, 100_000)))
            for account in INSURERS
            if self.rng.random() < 0.7
        ]
        return [*out, self.mark(1), self.mark(2)]

    def cash(self, kind: C, account: int, amount: int, asset: int = 0) -> bytes:
        return build.admin(kind, account_id=account, asset_id=asset, amount=amount, ts_ns=self.ts)

    def mark(self, instrument: int) -> bytes:
        return build.admin(
            C.MARK_PRICE,
            instrument_id=instrument,
            mark_px=self.marks[instrument],
            ts_ns=self.ts,
        )

    def instrument(self, number: int) -> bytes:
        """Define a linear instrument, or change everything about it that may change."""
        pick = self.rng.choice
        fields = self.fixed[number] | {
            "instrument_id": number,
            "instrument_type": 1,
            "base_asset": 1,
            "liq_band_ppm": pick((0, 5_000, 20_000, 200_000)),
            "insurance_account": pick((0, 9, 9, 10, 3)),
            "liq_fee_ppm": pick((0, 5_000, 50_000)),
            "mark_max_age_ms": pick((0, 0, 0, 1)),
        }
        for i, row in enumerate(pick(TIERS)):
            for name, value in zip(("max_notional", "im_ppm", "mm_ppm"), row, strict=True):
                fields[f"tiers{i}_{name}"] = value
        if number == 1 and self.breaker:
            fields |= {"static_band_ppm": 100_000, "band_ref_px": self.marks[1]}
            fields |= {"halt_ns": pick((0, 3_000)), "auction_ns": 2_000}
        return build.instrument(**fields, ts_ns=self.ts)

    def command(self) -> bytes:
        """Draw the next command."""
        draws = (
            (50, self.order),
            (8, self.cancel),
            (7, self.replace),
            (22, self.jump),
            (13, self.admin),
        )
        weights = [weight for weight, _ in draws]
        return self.rng.choices([draw for _, draw in draws], weights)[0]()

    def person(self) -> int:
        """Draw an account; now and then an insurance account trades too."""
        return self.rng.choice(INSURERS if self.rng.random() < 0.02 else PEOPLE)

    def order(self) -> bytes:
        pick = self.rng.choice
        number = pick((1, 1, 1, 2, 2, SPOT))
        tick, lot = (self.fixed[number].get(name, 1) for name in ("tick", "lot"))
        near = self.marks.get(number, 100)
        px = max(tick, (near + int(self.rng.gauss(0, near * 0.02))) // tick * tick)
        side = pick((1, 2))
        fields = {
            "order_id": self.next_id(),
            "account_id": self.person(),
            "instrument_id": number,
            "side": side,
            "order_qty": -(-pick((1, 2, 5, 10, 20, 50, 100)) // lot) * lot,
            "px": px,
            "ord_type": 2,
            "tif": pick((1, 1, 1, 3, 4)),
            "flags": pick((0, 0, 0, 2)),
            "stp": pick((0, 0, 1, 2, 3, 4)),
            "ts_ns": self.ts,
        }
        self.live.append((fields["order_id"], fields["account_id"]))
        shape = self.rng.random()
        if shape < 0.08:
            fields |= {"ord_type": 1, "tif": 3}
        elif shape < 0.2:
            fields |= {"ord_type": pick(STOPS), "tif": 1}
            if self.rng.random() < 0.2:
                fields["trailing_bps"] = pick((50, 300))
            else:
                away = int(self.rng.gauss(0, near * 0.03))
                fields["stop_px"] = max(tick, (near + away) // 5 * 5)
        elif shape < 0.25:
            fields["display_qty"] = lot
        elif shape < 0.32 and self.fixed[number].get("algo", 0) == 0:
            return self.pair(fields)
        return build.order(**fields)

    def next_id(self) -> int:
        self.ids += 1
        return self.ids

    def pair(self, fields: dict[str, int]) -> bytes:
        """Turn an order into an OCO pair with a stop, or into the parent of the opposite order."""
        contingency = self.rng.choice((1, 2))
        first = fields | {"ord_type": 2, "tif": 1}
        second = first | {"order_id": self.next_id()}
        if contingency == 1:
            second |= {"ord_type": 4, "stop_px": fields["px"]}
        else:
            second["side"] = 3 - fields["side"]
        self.live.append((second["order_id"], fields["account_id"]))
        return build.order_list(
            [build.order(**first), build.order(**second)],
            account_id=fields["account_id"],
            instrument_id=fields["instrument_id"],
            list_id=second["order_id"],
            contingency=contingency,
            ts_ns=self.ts,
        )

    def some_order(self) -> dict[str, int]:
        if not self.live:
            return {"order_id": 1, "account_id": 1}
        order_id, account = self.rng.choice(self.live[-40:])
        return {"order_id": order_id, "account_id": account}

    def cancel(self) -> bytes:
        return build.cancel(**self.some_order(), ts_ns=self.ts)

    def replace(self) -> bytes:
        near = self.marks[1]
        return build.replace(
            **self.some_order(),
            order_qty=self.rng.choice((0, 5, 20, 60)),
            px=self.rng.choice((0, near, near + self.rng.randint(-9, 9))),
            flags=self.rng.choice((0, 0, 8, 16)),
            ts_ns=self.ts,
        )

    def jump(self) -> bytes:
        """Move a mark: mostly a little, sometimes a crash, sometimes not at all."""
        number = self.rng.choice((1, 1, 2))
        step = self.rng.choice((0.002, 0.01, 0.01, 0.05, 0.15))
        before = self.marks[number]
        if self.rng.random() < 0.8:
            self.marks[number] = max(1, int(before * (1 + self.rng.gauss(0, step))))
        if self.absurd and self.rng.random() < 0.1:
            self.marks[number] = self.rng.choice(DEEP)
        command = self.mark(number)
        if not 10 < self.marks[number] < 1 << 20:
            self.marks[number] = 1_000
        return command

    def admin(self) -> bytes:
        """Draw one of the rarer commands."""
        pick = self.rng.choice
        account = self.person()
        where = {"account_id": account, "instrument_id": pick((1, 1, 2, SPOT)), "ts_ns": self.ts}
        kind = pick(ADMIN_KINDS)
        match kind:
            case C.FUNDING:
                del where["account_id"]
                return build.admin(kind, **where, amount=pick((-3, 1, 2, 20, 1 << 60)))
            case C.MARGIN_MODE:
                return build.admin(kind, **where, state=pick((0, 1, 1, 2)))
            case C.MARGIN_TRANSFER:
                return build.admin(kind, **where, amount=pick((100, -100, 1_000, -5, 0)))
            case C.DEPOSIT | C.WITHDRAW:
                who = pick((account, account, *INSURERS))
                return self.cash(kind, who, pick((3, 50, 500, 5_000)))
            case C.TRANSFER:
                return build.admin(
                    kind,
                    account_id=account,
                    contra_account_id=pick(PEOPLE),
                    amount=pick((50, 500)),
                    ts_ns=self.ts,
                )
            case C.INSTRUMENT:
                return self.instrument(pick((1, 2)))
            case C.SET_PHASE:
                phases = (Phase.AUCTION, *[Phase.CONTINUOUS] * 4, Phase.HALTED, Phase.CANCEL_ONLY)
                return build.admin(
                    kind, instrument_id=pick((1, 2)), phase=pick(phases), ts_ns=self.ts
                )
            case C.MASS_CANCEL:
                return build.admin(
                    kind, account_id=pick((account, ANY)), instrument_id=ANY, ts_ns=self.ts
                )
            case C.KILL_SWITCH:
                state = pick((0, 0, 1))
                return build.admin(
                    kind, scope=Scope.ACCOUNT, account_id=account, state=state, ts_ns=self.ts
                )
            case C.LIMITS:
                return build.limits(
                    scope=Scope.FIRM,
                    mask=LimitField.POSITION | LimitField.GROSS_NOTIONAL,
                    max_position_qty=pick((0, 2_000)),
                    max_gross_notional=pick((0, 10_000_000)),
                    ts_ns=self.ts,
                )
            case _:
                return build.admin(C.TIME, ts_ns=self.ts)
