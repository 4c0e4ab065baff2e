"""The venue a workload runs on: its instruments, accounts and deposits, as command frames.

Everything that changes an engine's state is in its log, so a benchmark's set-up is commands too,
applied before the timed part. Called by `tradecore.testing.workloads`.

Asset 0 is the currency all instruments are quoted in; the base asset of instrument `i` is `i + 1`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradecore.codes import CommandKind, InstrumentType, Phase
from tradecore.testing._draws import I64
from tradecore.testing._flows import Holders
from tradecore.testing._regimes import Messages

# Wealth that no flow exhausts, and whose sum over 100,000 accounts stays below the ledger's 2**62:
# the benchmark measures checks that pass, as they do on a healthy venue.
CASH = 10**12
HOLDING = 10**9

MAKER_FEE_PPM = 100
TAKER_FEE_PPM = 300
INITIAL_MARGIN_PPM = 100_000
MAINTENANCE_MARGIN_PPM = 50_000


@dataclass(frozen=True)
class Needs:
    """Least capacities of an engine that runs the workload without a capacity refusal.

    `orders` is an upper bound of the orders alive at once; ids run from 0 to count - 1, except that
    account 0 is not used.
    """

    orders: int
    instruments: int
    accounts: int
    assets: int
    holdings: int


def needs(messages: Messages, holders: Holders | None) -> Needs:
    """Measure what a stream needs. O(n log n)."""
    resting = (messages.kind == 0) & (messages.ioc == 0)
    # Fills only shrink the set of live orders. Only an order's first cancel can take one away.
    cancels = np.flatnonzero(messages.kind == 1)
    _, first = np.unique(messages.order_id[cancels], return_index=True)
    change = resting.astype(np.int64)
    change[cancels[first]] -= 1
    instruments = int(messages.instrument_id.max()) + 1
    return Needs(
        orders=max(int(np.cumsum(change).max()), 1),
        instruments=instruments,
        accounts=0 if holders is None else int(holders.account_id.max()) + 1,
        assets=0 if holders is None else instruments + 1,
        holdings=0 if holders is None else len(holders.account_id),
    )


def instrument_frames(count: int, kind: InstrumentType, fees: bool) -> NDArray[np.void]:
    """Define instruments 0..count-1 with a tick and a lot of 1, open for continuous trading."""
    from tradecore.dtypes import COMMAND, INSTRUMENT

    frames: NDArray[Any] = np.zeros(count, dtype=INSTRUMENT)
    ids = np.arange(count)
    frames["kind"] = CommandKind.INSTRUMENT
    frames["cont"] = INSTRUMENT.itemsize // COMMAND.itemsize - 1
    frames["instrument_id"] = ids
    frames["base_asset"] = ids + 1
    for name in ("tick", "lot", "min_order_qty", "multiplier", "base_per_lot"):
        frames[name] = 1
    frames["phase"], frames["instrument_type"] = Phase.CONTINUOUS, kind
    if fees:
        frames["maker_fee_ppm"], frames["taker_fee_ppm"] = MAKER_FEE_PPM, TAKER_FEE_PPM
    if kind == InstrumentType.LINEAR:
        frames["tiers"]["im_ppm"][:, 0] = INITIAL_MARGIN_PPM
        frames["tiers"]["mm_ppm"][:, 0] = MAINTENANCE_MARGIN_PPM
    return frames.view(COMMAND)


def account_frames(accounts: int, holders: Holders | None) -> NDArray[np.void]:
    """Open accounts 1..accounts, give each cash, and with `holders` the base assets it may sell."""
    from tradecore.dtypes import ADMIN, COMMAND

    ids = np.arange(1, accounts + 1)
    parts = [_admin(CommandKind.ACCOUNT, ids, 0, 0), _admin(CommandKind.DEPOSIT, ids, 0, CASH)]
    if holders is not None:
        instrument = np.repeat(np.arange(len(holders.first) - 1), np.diff(holders.first))
        parts.append(_admin(CommandKind.DEPOSIT, holders.account_id, instrument + 1, HOLDING))
    frames: NDArray[Any] = np.concatenate(parts)
    assert frames.dtype == ADMIN
    return frames.view(COMMAND)


def mark_frames(messages: Messages, instruments: int) -> NDArray[np.void]:
    """Mark every instrument at the price of its first order; margin needs a mark to start from."""
    from tradecore.dtypes import ADMIN, COMMAND

    priced = np.flatnonzero(messages.kind == 0)
    seen, first = np.unique(messages.instrument_id[priced], return_index=True)
    px = np.ones(instruments, dtype=np.int64)
    px[seen] = messages.px[priced[first]]
    frames: NDArray[Any] = np.zeros(instruments, dtype=ADMIN)
    frames["kind"] = CommandKind.MARK_PRICE
    frames["instrument_id"], frames["mark_px"] = np.arange(instruments), px
    return frames.view(COMMAND)


def _admin(
    kind: CommandKind, account_id: I64, asset_id: int | I64, amount: int
) -> NDArray[np.void]:
    """Return one administrative frame an account."""
    from tradecore.dtypes import ADMIN

    frames: NDArray[Any] = np.zeros(len(account_id), dtype=ADMIN)
    frames["kind"], frames["account_id"] = kind, account_id
    frames["asset_id"], frames["amount"] = asset_id, amount
    return frames
