"""Event frames to changes of the books: the one place that knows what a FILL means for two people.

A batch is folded with numpy, without a Python step per event: fills and settlements are paired by
their places (the taker's SETTLED follows its FILL at once, the maker's follows the taker's), money
is summed per account with integer sums only.

The cost basis is not in the events but follows from them: a fill of `n` lots moves a position's
cost by ``side * n * px * multiplier + realised`` (docs/reference/accounts.md section 6 and
margin.md section 3 say what is removed and what is opened; `realised` is what the two differ by).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tradecore import dtypes
from tradecore.cell.follow import Batch
from tradecore.codes import CommandKind, EventKind, FillFlag
from tradecore.errors import DataError, FrameError
from tradecore.portfolio.columns import (
    BALANCE_DELTA,
    FILL,
    LEDGER,
    POSITION_DELTA,
    PRINT,
    Table,
    table_of,
)
from tradecore.portfolio.terms import IntArray, Terms

__all__ = ["IDENTITY", "MAKER", "TAKER", "Changes", "Owners", "fold", "fold_batches", "group_by"]

TAKER: Final = 1
MAKER: Final = 2
_ENGINE_IDS: Final = np.uint64(1 << 63)


class Owners:
    """Which user an account belongs to: itself, unless it is listed.

    Parameters
    ----------
    user_of : dict of int to int, optional
        account_id -> user_id of the accounts that are not their own user.
    """

    def __init__(self, user_of: dict[int, int] | None = None) -> None:
        listed = user_of or {}
        self._accounts = np.array(sorted(listed), dtype=np.int64)
        self._users = np.array([listed[key] for key in sorted(listed)], dtype=np.int64)

    def of(self, account_id: int) -> int:
        """Return the user of one account."""
        return int(self(np.array([account_id], dtype=np.int64))[0])

    def __call__(self, account_id: IntArray) -> IntArray:
        """Return the users of accounts."""
        if not len(self._accounts):
            return account_id
        at = np.minimum(np.searchsorted(self._accounts, account_id), len(self._accounts) - 1)
        return np.where(self._accounts[at] == account_id, self._users[at], account_id)


IDENTITY: Final = Owners()


@dataclass(frozen=True, slots=True)
class Changes:
    """What a run of event frames changes; tables of `tradecore.portfolio.columns`.

    Attributes
    ----------
    fills : FILL
        In the order of the events.
    ledger : LEDGER
        In the order of the events.
    positions : POSITION_DELTA
        One row for each position that moved, by (user, account, instrument).
    balances : BALANCE_DELTA
        One row for each balance that moved, by (user, account, asset).
    prints : PRINT
        The last trade of each instrument that traded, by instrument.
    """

    fills: Table
    ledger: Table
    positions: Table
    balances: Table
    prints: Table

    @property
    def is_empty(self) -> bool:
        """Whether nothing of anybody changed."""
        return not (len(self.fills) or len(self.ledger))


def group_by(*keys: npt.NDArray[np.integer]) -> tuple[IntArray, IntArray, IntArray]:
    """Sort rows by several keys and find the groups of equal ones. O(n log n).

    Returns
    -------
    order : ndarray of int64, shape (rows,)
        The sorting permutation: by the first key, then the second; equal rows keep their order.
    first, last : ndarray of int64, shape (groups,)
        Where each group begins and ends in the sorted rows; `last` is inclusive.
    """
    order = np.lexsort(keys[::-1])
    if not len(order):
        return order, order, order
    changed = np.zeros(len(order) - 1, dtype=np.bool_)
    for key in keys:
        arranged = key[order]
        changed |= arranged[1:] != arranged[:-1]
    first = np.concatenate(([0], np.flatnonzero(changed) + 1))
    last = np.concatenate((first[1:], [len(order)])) - 1
    return order, first, last


def _sums(values: IntArray, order: IntArray, first: IntArray) -> IntArray:
    return np.add.reduceat(values[order], first) if len(first) else np.empty(0, np.int64)


def _signed(ids: npt.NDArray[np.uint64]) -> IntArray:
    return ids.view(np.int64) if ids.flags.c_contiguous else ids.copy().view(np.int64)


def _i64(values: npt.NDArray[np.integer]) -> IntArray:
    return values.astype(np.int64)


def _pair(kinds: npt.NDArray[np.uint8]) -> tuple[IntArray, IntArray, IntArray]:
    """Return (rows of SETTLED, row of its FILL, role)."""
    settled = np.flatnonzero(kinds == EventKind.SETTLED)
    fills = np.count_nonzero(kinds == EventKind.FILL)
    if 2 * fills != len(settled):
        raise DataError(
            f"{fills} fills and {len(settled)} settlements: not whole batches of events, or the "
            "cell keeps no accounts"
        )
    before = kinds[np.maximum(settled - 1, 0)]
    role = np.where(before == EventKind.FILL, TAKER, MAKER)
    fill = settled - role
    if len(fill) and (fill[0] < 0 or (kinds[fill] != EventKind.FILL).any()):
        raise DataError("a settlement stands behind no fill: these are not whole batches of events")
    return settled, fill, role


def fold_batches(
    batches: Sequence[Batch], terms: Terms, *, cell: int = 0, owners: Owners = IDENTITY
) -> Changes:
    """Return what the batches of an execution stream change, each with its log time; as `fold`."""
    if not batches:
        return fold(np.empty(0, dtypes.EVENT), terms, cell=cell, owners=owners)
    counts = [len(batch.events) for batch in batches]
    times = np.repeat(np.array([batch.ts_ns for batch in batches], dtype=np.int64), counts)
    events = np.concatenate([batch.events for batch in batches])
    return fold(events, terms, ts_ns=times, cell=cell, owners=owners)


def fold(
    frames: npt.NDArray[np.void],
    terms: Terms,
    *,
    ts_ns: IntArray | int = 0,
    cell: int = 0,
    owners: Owners = IDENTITY,
) -> Changes:
    """Return what a run of event frames changes.

    Parameters
    ----------
    frames : ndarray of `tradecore.EVENT`
        Frames of one cell in their order, all events of each command; frames that move no money
        are passed over.
    terms : Terms
        Of every instrument that trades.
    ts_ns : ndarray of int64, shape (frames,), or int
        Log time of each.
    cell : int
        Number of the cell, copied into every row.
    owners : Owners
        Users of accounts.

    Raises
    ------
    FrameError
        Not an array of event frames.
    DataError
        An unknown instrument, or settlements without their fills.

    Notes
    -----
    O(n log n) by sorting. Sums wrap only where the engine's own bounds (2**62) would be broken.
    """
    if frames.dtype != dtypes.EVENT:
        raise FrameError(f"event frames are needed, not {frames.dtype}")
    frames = np.ascontiguousarray(frames)
    kinds = frames["kind"]
    times = np.broadcast_to(np.asarray(ts_ns, dtype=np.int64), len(frames))
    fills, signed_notional = _fills(frames, kinds, times, terms, cell, owners)
    ledger = _ledger(frames, kinds, times, cell, owners)
    return Changes(
        fills=fills,
        ledger=ledger,
        positions=_positions(fills, signed_notional, cell),
        balances=_balances(fills, ledger, terms, cell),
        prints=_prints(frames, kinds, times, cell),
    )


def _fills(
    frames: Table,
    kinds: npt.NDArray[np.uint8],
    times: IntArray,
    terms: Terms,
    cell: int,
    owners: Owners,
) -> tuple[Table, IntArray]:
    settled_at, fill_at, role = _pair(kinds)
    settled = frames[settled_at].view(dtypes.SETTLE_EVENT)
    fill = frames[fill_at].view(dtypes.FILL_EVENT)
    account = _i64(settled["account_id"])
    instrument = _i64(settled["instrument_id"])
    at = terms.find(instrument)
    side = _i64(settled["side"])
    sign = 3 - 2 * side
    px, qty = fill["last_px"], fill["last_qty"]
    order_id = settled["order_id"]
    own = order_id >= _ENGINE_IDS
    rows = table_of(
        FILL,
        user_id=owners(account),
        cell=cell,
        seq=_signed(settled["seq"]),
        account_id=account,
        instrument_id=instrument,
        session_id=np.where(own, 0, _i64(order_id >> np.uint64(32))),
        order_id=_signed(order_id),
        side=side,
        role=role,
        flags=_i64(fill["flags"]),
        status=_i64(settled["status"]),
        px=px,
        qty=qty,
        fee=settled["fee"],
        cash_delta=settled["cash_delta"],
        base_delta=sign * qty * terms.base_per_lot[at],
        realised=settled["realised_pnl"],
        position_qty=settled["position_qty"],
        ts_ns=times[settled_at],
    )
    # Modulo 2**64, as two's complement is: exact wherever the cost that comes out fits.
    return rows, sign * qty * px * terms.multiplier[at]


def _ledger(
    frames: Table, kinds: npt.NDArray[np.uint8], times: IntArray, cell: int, owners: Owners
) -> Table:
    at = np.flatnonzero(kinds == EventKind.BALANCE)
    moved = frames[at].view(dtypes.BALANCE_EVENT)
    account = _i64(moved["account_id"])
    amount = moved["amount"]
    kind = _i64(moved["command_kind"])
    return table_of(
        LEDGER,
        user_id=owners(account),
        cell=cell,
        seq=_signed(moved["seq"]),
        account_id=account,
        asset_id=_i64(moved["asset_id"]),
        instrument_id=_i64(moved["instrument_id"]),
        command_kind=kind,
        status=_i64(moved["status"]),
        cash_delta=amount,
        margin_delta=np.where(kind == CommandKind.MARGIN_TRANSFER, -amount, 0),
        balance_after=moved["balance"],
        ts_ns=times[at],
    )


def _positions(fills: Table, signed_notional: IntArray, cell: int) -> Table:
    order, first, last = group_by(fills["user_id"], fills["account_id"], fills["instrument_id"])
    newest = fills[order[last]]
    qty = fills["qty"]
    buys = fills["side"] == 1
    return table_of(
        POSITION_DELTA,
        user_id=newest["user_id"],
        cell=cell,
        account_id=newest["account_id"],
        instrument_id=newest["instrument_id"],
        qty=newest["position_qty"],
        cost=_sums(signed_notional + fills["realised"], order, first),
        realised=_sums(fills["realised"], order, first),
        fees=_sums(fills["fee"], order, first),
        bought=_sums(np.where(buys, qty, 0), order, first),
        sold=_sums(np.where(buys, 0, qty), order, first),
        fills=last - first + 1,
        seq=newest["seq"],
        ts_ns=newest["ts_ns"],
    )


def _balances(fills: Table, ledger: Table, terms: Terms, cell: int) -> Table:
    at = terms.find(fills["instrument_id"])
    spot = np.flatnonzero(~terms.linear[at])
    parts = (
        (fills, terms.quote_asset[at], fills["cash_delta"]),
        (fills[spot], terms.base_asset[at[spot]], fills["base_delta"][spot]),
        (ledger, ledger["asset_id"], ledger["cash_delta"] + ledger["margin_delta"]),
    )

    def joined(name: str) -> IntArray:
        return np.concatenate([rows[name] for rows, _, _ in parts])

    user, account, seq, ts_ns = (joined(x) for x in ("user_id", "account_id", "seq", "ts_ns"))
    asset = np.concatenate([asset for _, asset, _ in parts])
    amount = np.concatenate([amount for _, _, amount in parts])
    # By seq within a balance, so that the last row of a group is the newest.
    order, first, last = group_by(user, account, asset, seq)
    key = (user[order], account[order], asset[order])
    if len(order):
        new = np.concatenate(([True], np.logical_or.reduce([k[1:] != k[:-1] for k in key])))
        first = np.flatnonzero(new)
        last = np.concatenate((first[1:], [len(order)])) - 1
    newest = order[last]
    return table_of(
        BALANCE_DELTA,
        user_id=user[newest],
        cell=cell,
        account_id=account[newest],
        asset_id=asset[newest],
        amount=_sums(amount, order, first),
        seq=seq[newest],
        ts_ns=ts_ns[newest],
    )


def _prints(frames: Table, kinds: npt.NDArray[np.uint8], times: IntArray, cell: int) -> Table:
    at = np.flatnonzero(kinds == EventKind.FILL)
    fill = frames[at].view(dtypes.FILL_EVENT)
    market = (fill["status"] == 0) & ((fill["flags"] & FillFlag.ADL) == 0)
    at, fill = at[market], fill[market]
    order, _, last = group_by(fill["instrument_id"])
    newest = order[last]
    return table_of(
        PRINT,
        cell=cell,
        instrument_id=_i64(fill["instrument_id"][newest]),
        px=fill["last_px"][newest],
        seq=_signed(fill["seq"][newest]),
        ts_ns=times[at[newest]],
    )
