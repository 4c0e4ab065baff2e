"""Frames that risk writes: commands of its rules, and findings for `risk-events`."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from tradecore import dtypes
from tradecore.codes import CellKind, CommandKind, LimitField
from tradecore.risk.nodes import split
from tradecore.risk.policy import Rule

__all__ = [
    "FINDING",
    "ONE_LOT",
    "Finding",
    "Wish",
    "batch_frame",
    "kill_switch",
    "mark_price",
    "position_limit",
    "set_phase",
]

FINDING: Final = 80
"""Kind of the one event of `risk-events` that no cell makes; layout `tc_reject_event`."""

ONE_LOT: Final = 1
"""Position limit that lets a node only reduce: 0 would switch the limit off."""


class Wish(NamedTuple):
    """A command that a rule wants, as long as the log does not show it done.

    Parameters
    ----------
    kind : int
        Of the command.
    subject : int
        Node or instrument; with `kind` what a refusal is remembered by.
    rule : Rule
        Which rule wants it.
    frames : bytes
        The command.
    """

    kind: int
    subject: int
    rule: Rule
    frames: bytes


class Finding(NamedTuple):
    """What a rule found, with the values that broke it.

    Parameters
    ----------
    rule : Rule
    scope, account_id, group_id, instrument_id : int
        Whom it is about; 0 where not named.
    observed, limit : int
    command_kind : int
        The command that follows; 0 = none.
    """

    rule: Rule
    observed: int
    limit: int
    command_kind: int = 0
    scope: int = 0
    account_id: int = 0
    group_id: int = 0
    instrument_id: int = 0

    def frame(self, seq: int) -> bytes:
        """Return the frame with its number in `risk-events`."""
        row = np.zeros((), dtypes.REJECT_EVENT)
        row["seq"] = seq
        # A group stands where an order would: findings have none.
        row["order_id"] = self.group_id
        row["account_id"] = self.account_id
        row["instrument_id"] = self.instrument_id
        row["kind"] = FINDING
        row["status"] = self.rule
        row["observed"] = min(self.observed, (1 << 63) - 1)
        row["limit"] = self.limit
        row["command_kind"] = self.command_kind
        row["scope"] = self.scope
        return row.tobytes()


def batch_frame(
    seq: int, *, ts_ns: int, in_offset: int, in_source: int, in_first_seq: int, count: int
) -> bytes:
    """Return the head of what one record of the input log made, as a cell's head looks."""
    row = np.zeros((), dtypes.BATCH_EVENT)
    row["seq"], row["kind"], row["ts_ns"] = seq, CellKind.BATCH, ts_ns
    row["in_offset"], row["in_source"], row["in_first_seq"] = in_offset, in_source, in_first_seq
    row["count"] = count
    return row.tobytes()


def _admin(kind: CommandKind, **fields: int) -> bytes:
    row = np.zeros((), dtypes.ADMIN)
    row["kind"] = kind
    for name, value in fields.items():
        row[name] = value
    return row.tobytes()


def mark_price(instrument_id: int, px: int) -> Wish:
    """Return MARK_PRICE; `px` in ticks."""
    frames = _admin(CommandKind.MARK_PRICE, instrument_id=instrument_id, mark_px=px)
    return Wish(CommandKind.MARK_PRICE, instrument_id, Rule.MARK, frames)


def set_phase(instrument_id: int, phase: int, rule: Rule) -> Wish:
    """Return SET_PHASE without a reference price: the auction's own rules find one."""
    frames = _admin(CommandKind.SET_PHASE, instrument_id=instrument_id, phase=phase)
    return Wish(CommandKind.SET_PHASE, instrument_id, rule, frames)


def kill_switch(node: int, on: bool, rule: Rule) -> Wish:
    """Return KILL_SWITCH of a node."""
    scope, account_id, group_id = split(node)
    frames = _admin(
        CommandKind.KILL_SWITCH,
        scope=scope,
        state=int(on),
        account_id=account_id,
        group_id=group_id,
    )
    return Wish(CommandKind.KILL_SWITCH, node, rule, frames)


def position_limit(node: int, limit: int, rule: Rule) -> Wish:
    """Return LIMITS that sets a node's largest position (lots, 0 = none) and nothing else."""
    scope, account_id, group_id = split(node)
    row = np.zeros((), dtypes.LIMITS)
    row["kind"], row["cont"], row["mask"] = CommandKind.LIMITS, 1, LimitField.POSITION
    row["scope"], row["account_id"], row["group_id"] = scope, account_id, group_id
    row["max_position_qty"] = limit
    return Wish(CommandKind.LIMITS, node, rule, row.tobytes())
