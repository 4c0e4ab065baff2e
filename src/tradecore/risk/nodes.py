"""Nodes of the risk hierarchy as one integer: accounts below groups below the firm."""

from __future__ import annotations

from typing import Final, NamedTuple

from tradecore.codes import Scope

__all__ = ["FIRM", "account_node", "group_node", "split"]

FIRM: Final = int(Scope.FIRM) << 32
"""All accounts of the cell."""


class _Parts(NamedTuple):
    scope: int
    account_id: int
    group_id: int


def account_node(account_id: int) -> int:
    """Return the node of an account."""
    return int(Scope.ACCOUNT) << 32 | account_id


def group_node(group_id: int) -> int:
    """Return the node of a risk group, 1 and above."""
    return int(Scope.GROUP) << 32 | group_id


def split(node: int) -> _Parts:
    """Return scope, account and group of a node; ids that its scope does not name are 0."""
    scope, low = node >> 32, node & 0xFFFFFFFF
    return _Parts(scope, low if scope == Scope.ACCOUNT else 0, low if scope == Scope.GROUP else 0)
