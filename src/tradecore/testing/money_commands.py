"""The part of the random streams that is about money: accounts, limits, cash, margin.

Drawn like the rest of the stream, from its own generator and clock; see `strategies`.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from tradecore.codes import ANY, LimitField, Scope
from tradecore.codes import CommandKind as C
from tradecore.testing import build

if TYPE_CHECKING:
    from tradecore.testing.strategies import CommandSource

KINDS: Final = {
    "account": 2,
    "deposit": 6,
    "withdraw": 3,
    "transfer": 3,
    "kill": 1,
    "restrict": 1,
    "limits": 5,
    "rate": 1,
    "funding": 2,
    "margin_mode": 2,
    "margin_transfer": 2,
}
GROUPS: Final = 3


class MoneyCommands:
    """Draws account, limit, cash and margin commands for one stream.

    Parameters
    ----------
    source : CommandSource
        The stream that these commands belong to; its draws and its clock are used.
    """

    def __init__(self, source: CommandSource) -> None:
        self.source = source
        self.rng = source.rng
        self.assets = sorted({spec["base_asset"] for spec in source.specs} | {0})
        self.kinds = {k: w for k, w in KINDS.items() if self.rng.random() < 0.7} or {"deposit": 1}
        self.rich = self.rng.choice((3, 30, 300))
        if source.ruin:
            self.kinds = {k: w for k, w in self.kinds.items() if k not in ("kill", "restrict")}
            self.kinds["deposit"] = 6
            self.rich = self.rng.choice((1, 3))

    @staticmethod
    def extend_spec(
        rng: random.Random, spec: dict[str, int], people: int, ruin: bool = False
    ) -> None:
        """Add fees, margin tiers and liquidation terms to the definition of an instrument."""
        spec["maker_fee_ppm"] = rng.choice((0, 0, 100, 2_500, -50))
        spec["taker_fee_ppm"] = rng.choice((0, 0, 250, 5_000, 333_333))
        if not ruin and rng.random() < 0.5:
            return
        spec["instrument_type"] = 1
        im = rng.choice((10_000, 50_000, 200_000))
        mm = im // rng.choice((2, 2, 4))
        spec |= {"tiers0_im_ppm": im, "tiers0_mm_ppm": mm}
        if rng.random() < 0.4:
            spec |= {
                "tiers0_max_notional": rng.choice((1_000, 50_000, 1 << 24)),
                "tiers1_im_ppm": min(2 * im, 1_000_000),
                "tiers1_mm_ppm": min(2 * mm, 1_000_000),
            }
        spec["liq_fee_ppm"] = rng.choice((0, 1_000, 20_000))
        spec["liq_band_ppm"] = rng.choice((0, 5_000, 50_000))
        spec["insurance_account"] = rng.choice((0, people, people, 1))
        spec["mark_max_age_ms"] = rng.choice((0, 0, 1))

    def setup(self) -> list[bytes]:
        """Return the commands that open and fund the accounts, the insurance account last."""
        rng, s = self.rng, self.source
        made = []
        for number in range(s.people + 1):
            group, trade = rng.randint(0, GROUPS), rng.choice((0, 0, 0, 7))
            funded = [asset for asset in self.assets if rng.random() < 0.9]
            made += [self._open(number, group, trade)]
            made += [self._deposit(number, asset) for asset in funded]
        made += [
            build.admin(C.MARK_PRICE, ts_ns=s.now, instrument_id=i, mark_px=s.middle)
            for i in range(s.instruments)
            if rng.random() < 0.9
        ]
        return made

    def next(self) -> bytes:
        """Return the next command about money."""
        kind = self.rng.choices(list(self.kinds), list(self.kinds.values()))[0]
        made: bytes = getattr(self, f"_{kind}")()
        return made

    def _amount(self) -> int:
        s, rng = self.source, self.rng
        if rng.random() < 0.01:
            return rng.choice((0, -1, 1 << 62, (1 << 62) + 1, (1 << 63) - 1))
        return rng.randint(1, s.middle * s.size * self.rich)

    def _who(self) -> int:
        return self.rng.randint(0, self.source.people + (self.rng.random() < 0.05))

    def _asset(self) -> int:
        return self.rng.choice((*self.assets, *self.assets, 7, 8))

    def _deposit(self, number: int | None = None, asset: int | None = None) -> bytes:
        return build.admin(
            C.DEPOSIT,
            ts_ns=self.source.now,
            account_id=self._who() if number is None else number,
            asset_id=self._asset() if asset is None else asset,
            amount=self._amount(),
        )

    def _withdraw(self) -> bytes:
        return build.admin(
            C.WITHDRAW,
            ts_ns=self.source.now,
            account_id=self._who(),
            asset_id=self._asset(),
            amount=self._amount() // self.rng.choice((1, 3, 10)),
        )

    def _transfer(self) -> bytes:
        return build.admin(
            C.TRANSFER,
            ts_ns=self.source.now,
            account_id=self._who(),
            contra_account_id=self._who(),
            asset_id=self._asset(),
            amount=self._amount() // self.rng.choice((1, 3, 10)),
        )

    def _open(self, number: int, group: int, trade_group: int) -> bytes:
        return build.admin(
            C.ACCOUNT,
            ts_ns=self.source.now,
            account_id=number,
            group_id=group,
            contra_account_id=trade_group,
        )

    def _account(self) -> bytes:
        rng = self.rng
        number = rng.choice((self._who(), self._who(), 63, 64))
        return self._open(number, rng.choice((0, 1, 2, 3, 7, 8)), rng.choice((0, 0, 7, 9)))

    def _scope(self) -> dict[str, int]:
        """Return a scope with its id; one in twenty names an id too many."""
        rng = self.rng
        scope = rng.choice((Scope.ACCOUNT, Scope.ACCOUNT, Scope.GROUP, Scope.FIRM))
        fields = {"scope": int(scope)}
        if scope == Scope.ACCOUNT or rng.random() < 0.05:
            fields["account_id"] = self._who()
        if scope == Scope.GROUP or rng.random() < 0.05:
            fields["group_id"] = rng.choice((1, 2, 3, 3, 0, 8))
        return fields

    def _kill(self) -> bytes:
        """Switch a scope off more often than on, the firm least, or nothing else would happen."""
        scope = self._scope()
        on = int(self.rng.random() < (0.1 if scope["scope"] == Scope.FIRM else 0.3))
        return build.admin(C.KILL_SWITCH, ts_ns=self.source.now, state=on, **scope)

    def _restrict(self) -> bytes:
        return build.admin(
            C.RESTRICT,
            ts_ns=self.source.now,
            account_id=self.rng.choice((ANY, self._who(), self._who())),
            instrument_id=self.source._where(),
            state=int(self.rng.random() < 0.2),
        )

    def _limits(self) -> bytes:
        rng, s = self.rng, self.source
        off = rng.random() < 0.4
        values = {
            "max_order_qty": s.size * rng.choice((5, 10)),
            "max_order_notional": s.middle * s.size * rng.choice((2, 8)),
            "max_position_qty": s.size * rng.choice((2, 10)),
            "max_gross_notional": s.middle * s.size * rng.choice((3, 12)),
            "max_open_orders": rng.choice((2, 6, 20)),
            "rate_per_s": rng.choice((1, 50_000_000, 400_000_000)),
            "rate_burst": rng.choice((0, 1, 5)),
            "duplicate_window_ns": rng.choice((5, 200)),
            "duplicate_count": rng.choice((1, 2)),
            "collar_ppm": rng.choice((1_000, 20_000)),
            "stale_ns": rng.choice((1, 20)),
        }
        mask = sum(field for field in LimitField if rng.random() < 0.3)
        if off:
            values = dict.fromkeys(values, 0)
        return build.limits(ts_ns=s.now, mask=int(mask), **self._scope(), **values)

    def _rate(self) -> bytes:
        return build.admin(
            C.RATE, ts_ns=self.source.now, asset_id=self._asset(), amount=self._amount()
        )

    def _funding(self) -> bytes:
        s, rng = self.source, self.rng
        amount = rng.choice((0, 1, -1, s.middle // 50, -s.middle // 50, 1 << 61))
        return build.admin(C.FUNDING, ts_ns=s.now, instrument_id=s._where(), amount=amount)

    def _margin_mode(self) -> bytes:
        return build.admin(
            C.MARGIN_MODE,
            ts_ns=self.source.now,
            account_id=self._who(),
            instrument_id=self.source._where(),
            state=self.rng.choice((0, 1, 1, 1, 2)),
        )

    def _margin_transfer(self) -> bytes:
        sign = self.rng.choice((1, 1, -1))
        return build.admin(
            C.MARGIN_TRANSFER,
            ts_ns=self.source.now,
            account_id=self._who(),
            instrument_id=self.source._where(),
            amount=sign * self._amount() // self.rng.choice((1, 10)),
        )
