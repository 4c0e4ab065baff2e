"""Soft limits of nodes: loss stops them, exposure lets them only reduce.

Both are told to the engine as what it enforces anyway: a kill switch, and a position limit of one
lot (0 would switch the limit off), which refuses whatever would enlarge a position. What an
operator sets afterwards counts more than what a rule wanted: then the rule waits until its reason
has gone once.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tradecore.codes import CommandKind, Scope
from tradecore.risk.facts import Facts
from tradecore.risk.frames import ONE_LOT, Finding, Wish, kill_switch, position_limit
from tradecore.risk.nodes import FIRM, account_node, group_node, split
from tradecore.risk.policy import NodePolicy, Rule
from tradecore.risk.values import Amounts, Totals

__all__ = ["Limits"]

_MS: Final = 1_000_000
_MILLION: Final = 1_000_000


class _Loss(msgspec.Struct, array_like=True):
    """Best profit of a node in the window, and whether it has been stopped."""

    best: int = 0
    window: int = -1
    tripped: bool = False
    seen: bool = False


class _Reduced(msgspec.Struct, array_like=True):
    """A node that may only reduce: its limit before, and how far the log has followed.

    `seen` is whether our limit was seen in force; `over` whether an operator has set another one.
    """

    before: int
    seen: bool = False
    releasing: bool = False
    over: bool = False


class Limits(msgspec.Struct):
    """What was found about nodes, by node."""

    losses: dict[int, _Loss] = {}
    reduced: dict[int, _Reduced] = {}

    def evaluate(self, policy: NodePolicy, facts: Facts, totals: Totals) -> list[Finding]:
        """Look at all nodes at a moment of log time; return what was found."""
        found: list[Finding] = []
        if policy.firm_drawdown:
            found += self._loss(FIRM, totals.firm, policy.firm_drawdown, Rule.FIRM_DRAWDOWN,
                                policy, facts)  # fmt: skip
        if policy.group_drawdown:
            for group in sorted(totals.groups):
                found += self._loss(group_node(group), totals.groups[group], policy.group_drawdown,
                                    Rule.GROUP_DRAWDOWN, policy, facts)  # fmt: skip
        if policy.firm_gross:
            found += self._gross({FIRM: totals.firm}, policy.firm_gross, Rule.FIRM_GROSS,
                                 policy, facts)  # fmt: skip
        if policy.group_gross:
            groups = {group_node(key): one for key, one in totals.groups.items()}
            found += self._gross(groups, policy.group_gross, Rule.GROUP_GROSS, policy, facts)
        if policy.account_gross:
            accounts = {account_node(key): one for key, one in totals.accounts.items()}
            found += self._gross(accounts, policy.account_gross, Rule.ACCOUNT_GROSS, policy, facts)
        return found

    def reduced_accounts(self) -> list[int]:
        """Return the accounts that may only reduce, as far as this rule is concerned."""
        parts = [split(node) for node in self.reduced]
        return [one.account_id for one in parts if one.scope == Scope.ACCOUNT]

    def wishes(self, facts: Facts) -> list[Wish]:
        """Return switches and limits that the log does not show yet."""
        wanted = [
            kill_switch(node, True, Rule.FIRM_DRAWDOWN if node == FIRM else Rule.GROUP_DRAWDOWN)
            for node, loss in sorted(self.losses.items())
            if loss.tripped and not loss.seen and not facts.killed.get(node, False)
        ]
        for node, one in sorted(self.reduced.items()):
            now = facts.position_limits.get(node, 0)
            goal = one.before if one.releasing else ONE_LOT
            if not one.over and now != goal and one.seen == one.releasing:
                rule = Rule.GROSS_RELEASED if one.releasing else _GROSS[split(node).scope]
                wanted.append(position_limit(node, goal, rule))
        return wanted

    # ------------------------------------------------------------------------------------ losses
    def _loss(
        self,
        node: int,
        amounts: Amounts,
        limit: int,
        rule: Rule,
        policy: NodePolicy,
        facts: Facts,
    ) -> list[Finding]:
        loss = self.losses.setdefault(node, _Loss())
        window = facts.now_ns // (policy.window_ms * _MS)
        killed = facts.killed.get(node, False)
        if loss.tripped:
            if killed:
                loss.seen = True
                return []
            if not loss.seen:
                return []  # our switch is on its way
            # Somebody has released it: the loss so far is forgiven.
            loss.tripped = loss.seen = False
            loss.best = amounts.profit
        if loss.window != window:
            loss.window, loss.best = window, amounts.profit
        loss.best = max(loss.best, amounts.profit)
        lost = loss.best - amounts.profit
        if lost <= limit or killed:
            return []
        loss.tripped = True
        scope, account_id, group_id = split(node)
        return [Finding(rule, lost, limit, CommandKind.KILL_SWITCH, scope, account_id, group_id)]

    # ---------------------------------------------------------------------------------- exposure
    def _gross(
        self,
        amounts: dict[int, Amounts],
        limit: int,
        rule: Rule,
        policy: NodePolicy,
        facts: Facts,
    ) -> list[Finding]:
        release = limit * policy.release_ppm // _MILLION
        found: list[Finding] = []
        # By number: a restored state must tell in the same order as one that never stopped.
        for node in sorted(key for key in self.reduced if key in amounts):
            finding = self._reduced(node, amounts[node].gross, release, facts)
            found += [finding] if finding else []
        for node in sorted(key for key, one in amounts.items() if one.gross > limit):
            if node not in self.reduced:
                before = facts.position_limits.get(node, 0)
                self.reduced[node] = _Reduced(before)
                found.append(_finding(rule, node, amounts[node].gross, limit))
        return found

    def _reduced(self, node: int, gross: int, release: int, facts: Facts) -> Finding | None:
        one = self.reduced[node]
        now = facts.position_limits.get(node, 0)
        if not one.seen and now == ONE_LOT:
            one.seen = True
        elif one.seen and not one.releasing and not one.over and now != ONE_LOT:
            one.over = True
        if one.releasing and now != ONE_LOT:
            del self.reduced[node]  # our release, or somebody else's
        elif gross < release and not one.releasing:
            if one.over or one.before == ONE_LOT:
                del self.reduced[node]
            elif one.seen:
                one.releasing = True
                return _finding(Rule.GROSS_RELEASED, node, gross, release)
        return None


_GROSS: Final = {1: Rule.ACCOUNT_GROSS, 2: Rule.GROUP_GROSS, 3: Rule.FIRM_GROSS}


def _finding(rule: Rule, node: int, observed: int, limit: int) -> Finding:
    scope, account_id, group_id = split(node)
    return Finding(rule, observed, limit, CommandKind.LIMITS, scope, account_id, group_id)
