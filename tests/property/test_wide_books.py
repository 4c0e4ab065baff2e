"""Books whose orders stand tens of thousands of ticks apart while the market wanders through them.

The other streams keep their prices close together. Here the window of a price ladder has something
in every word, before its core and behind it, pages come and go outside of it, and it moves.
"""

from __future__ import annotations

import random

import pytest

from property.engines import AUDIT_EACH, kernel, oracle, same_state
from tradecore.codes import CommandKind, OrdType, Phase, Side, Tif
from tradecore.testing import build
from tradecore.testing.compare import compare

FAR = (3, 60, 700, 5_000, 9_000, 20_000, 60_000, 2_000_000)
STREAMS, LENGTH = 12, 1_500


class Wanderer:
    """A seeded stream for one instrument: orders at all distances around a price that drifts."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.centre = 10_000_000
        self.ids = 0
        self.live: list[int] = []

    def price(self, side: Side) -> int:
        """Mostly behind the touch; one in eight crosses it."""
        away = self.draw.randint(-20, self.draw.choice(FAR))
        if self.draw.random() < 0.1:
            away = -away
        return self.centre - away if side == Side.BUY else self.centre + away

    def new(self, **fields: int) -> bytes:
        side = self.draw.choice((Side.BUY, Side.SELL))
        self.ids += 1
        self.live.append(self.ids)
        given = {"ord_type": OrdType.LIMIT, "tif": Tif.GTC, "side": side, "px": self.price(side)}
        return build.order(order_id=self.ids, order_qty=self.draw.randint(1, 9), **(given | fields))

    def stop(self) -> bytes:
        side = self.draw.choice((Side.BUY, Side.SELL))
        trigger = self.price(Side.SELL if side == Side.BUY else Side.BUY)
        return self.new(side=side, ord_type=OrdType.STOP_LIMIT, stop_px=trigger)

    def known(self) -> int:
        return self.live.pop(self.draw.randrange(len(self.live))) if self.live else 0

    def step(self) -> list[bytes]:
        kind = self.draw.random()
        if kind < 0.52:
            return [self.new()]
        if kind < 0.86:
            return [build.cancel(order_id=self.known())]
        if kind < 0.90:
            return [self.new(tif=Tif.IOC)]
        if kind < 0.94:
            self.centre += self.draw.randint(-8_000, 8_000)
            return []
        if kind < 0.96:
            self.live.append(found := self.known())
            side = self.draw.choice((Side.BUY, Side.SELL))
            return [build.replace(order_id=found, px=self.price(side), order_qty=5)]
        if kind < 0.985:
            return [self.stop()]
        if kind < 0.99:
            side = self.draw.choice((Side.BUY, Side.SELL))
            return [build.admin(CommandKind.MASS_CANCEL, side=side)]
        call, trade = (
            build.admin(CommandKind.SET_PHASE, phase=int(phase))
            for phase in (Phase.AUCTION, Phase.CONTINUOUS)
        )
        return [call, *(self.new() for _ in range(20)), trade]

    def stream(self, length: int) -> list[bytes]:
        commands = [build.instrument()]
        while len(commands) < length:
            commands += self.step()
        return commands


@pytest.mark.parametrize("seed", range(STREAMS))
def test_kernel_and_oracle_agree_on_wide_books(seed: int) -> None:
    engine, naive = kernel(False), oracle(False)
    found = compare(
        Wanderer(seed).stream(LENGTH),
        engine,
        naive,
        batches=random.Random(seed),
        state_every=50,
        states=same_state,
        audit_each=AUDIT_EACH,
    )
    assert found is None, f"Wanderer({seed})\n{found}"
    engine.check()
    naive.audit()
