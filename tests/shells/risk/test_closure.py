"""A price shock closes positions by itself, and the books balance: real services, real cell."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from portfolio_worlds import BTC, QUICK, USD, Services, StillClock, kept_money
from risk_worlds import QUIET, RiskWorld, Running
from tradecore.catalog import Catalog
from tradecore.codes import AccountState, CommandKind, EventKind, FillFlag
from tradecore.dtypes import ACCOUNT_EVENT, FILL_EVENT
from tradecore.instruments import InstrumentSpec, MarginTier
from tradecore.risk.policy import MarkPolicy
from tradecore.status import Status
from tradecore.testing import build
from tradecore_shells.plumbing.memory import MemoryCache
from tradecore_shells.plumbing.observe import NoMetrics
from tradecore_shells.portfolio.service import PortfolioService
from tradecore_shells.portfolio.store import PORTFOLIO
from tradecore_shells.sim.store import DictStore

INSURANCE, LONG, SHORT, MAKER = 9, 1, 2, 3
PERP = InstrumentSpec(
    "BTC-PERP", 2, BTC, USD, lot_size="0.001", instrument_type="linear", taker_fee_ppm=300,
    tiers=(MarginTier("0", 100_000, 50_000),), liq_fee_ppm=5_000, liq_band_ppm=20_000,
    insurance_account=INSURANCE,
)  # fmt: skip
UNITS = 10**USD.decimals
# A pool in liquidation runs one round with each mark, so marks are repeated.
SETTINGS = msgspec.structs.replace(QUIET, marks=MarkPolicy(refresh_ms=300, step_ppm=20_000))


def leveraged(*, bids: bool) -> RiskWorld:
    """Return a world where account 1 holds 1,000 lots, worth 100 USD, with 12 USD of its own."""
    world = RiskWorld(Catalog([PERP]))
    world.open({SHORT: 0, MAKER: 0, INSURANCE: 0})
    for kind, amount in ((CommandKind.ACCOUNT, {}), (CommandKind.DEPOSIT, {"amount": 12 * UNITS})):
        asset = {"asset_id": USD.asset_id} if amount else {}
        world.send(build.admin(kind, account_id=LONG, **asset, **amount))
    world.mark(10_000)
    world.trade(LONG, SHORT, 1_000, 10_000)
    if bids:
        for px in (8_900, 8_800, 8_700, 8_600):
            world.order(MAKER, 1, 1_000, px)
    assert world.cell.engine.account(LONG).positions[0].qty == 1_000
    return world


def portfolio_of(world: RiskWorld, store: DictStore) -> PortfolioService:
    return PortfolioService(
        QUICK,
        catalog=world.catalog,
        partition=0,
        log=world.log,
        store=store,
        cache=MemoryCache(),
        clock=StillClock(),
        metrics=NoMetrics(),
    )


def engine_money(
    world: RiskWorld,
) -> tuple[dict[tuple[int, int], int], dict[tuple[int, int], tuple[int, ...]]]:
    cash: dict[tuple[int, int], int] = {}
    held: dict[tuple[int, int], tuple[int, ...]] = {}
    for account in (LONG, SHORT, MAKER, INSURANCE):
        view = world.cell.engine.account(account)
        cash |= {(account, w.asset_id): w.total for w in view.wallets if w.total}
        for one in view.positions:
            amounts = (one.qty, one.cost, one.realised, one.fees)
            if any(amounts):
                held[account, one.instrument_id] = amounts
    return cash, held


async def play(world: RiskWorld, *, shock: bool) -> tuple[DictStore, RiskWorld]:
    store = DictStore()
    risk, portfolio = world.make(SETTINGS), portfolio_of(world, store)
    task = asyncio.create_task(portfolio.run())

    async def caught_up() -> bool:
        return (await store.place(PORTFOLIO, 0)).next_offset >= len(world.log.of("executions"))

    try:
        async with Running(risk):
            await world.settle_after([risk], 100, times=2)
            if shock:
                assert risk.price_shock(PERP.instrument_id, -120_000, hold_s=3600) == 8_800
            else:
                # The market falls away: quotes at 8,700 / 8,900 and risk's marks walk after them.
                world.order(MAKER, 1, 1_000, 8_700)
                world.order(SHORT, 2, 1_000, 8_900)
                await asyncio.sleep(0.02)
            await world.settle_after([risk], 150, times=12)
        await Services.until(caught_up, [task])
    finally:
        portfolio.stop()
        await task
    return store, world


def states(world: RiskWorld) -> list[int]:
    rows = [row for row in world.told() if row["kind"] == EventKind.ACCOUNT_STATE]
    return [
        int(row.reshape(1).view(ACCOUNT_EVENT)["state"][0])
        for row in rows
        if row["account_id"] == LONG
    ]


@pytest.mark.parametrize("shock", [True, False], ids=["shock", "quotes"])
def test_price_shock_closes_a_position_and_the_books_balance(shock: bool) -> None:
    store, world = asyncio.run(play(leveraged(bids=shock), shock=shock))
    marks = [one for one in world.own_commands() if one["kind"] == CommandKind.MARK_PRICE]
    assert marks, "risk has marked"
    assert world.cell.engine.audit()[0] == 0
    # The engine went through its states because of risk's marks, and told risk-events.
    assert states(world)[:3] == [
        AccountState.WARN, AccountState.REDUCE_ONLY, AccountState.LIQ_CANCEL,
    ]  # fmt: skip
    assert AccountState.LIQ_REDUCE in states(world)
    left = world.cell.engine.account(LONG).positions[0].qty
    assert 0 <= left < 1_000
    forced = [
        row.reshape(1).view(FILL_EVENT) for row in world.told() if row["kind"] == EventKind.FILL
    ]
    assert forced
    assert all(int(row["flags"][0]) & FillFlag.LIQUIDATION for row in forced)
    assert sum(int(row["last_qty"][0]) for row in forced) == 1_000 - left
    # What portfolio wrote is what the engine has, to the unit, and nobody's money is gone.
    assert asyncio.run(kept_money(store)) == engine_money(world)
    cash = sum(engine_money(world)[0].values())
    realised = sum(held[2] for held in engine_money(world)[1].values())
    fees = sum(held[3] for held in engine_money(world)[1].values())
    deposits = (12 + 3 * 10**15 // UNITS) * UNITS
    assert cash == deposits + realised - fees


def test_insurance_takes_over_where_nobody_buys() -> None:
    _, world = asyncio.run(play(leveraged(bids=False), shock=True))
    assert world.cell.engine.audit()[0] == 0
    assert world.cell.engine.account(LONG).positions[0].qty == 0
    assert world.cell.engine.account(INSURANCE).positions[0].qty == 1_000
    assert AccountState.BACKSTOP in states(world)
    told = {int(row["status"]) for row in world.told() if row["kind"] == EventKind.BALANCE}
    assert told == {Status.BACKSTOP}
