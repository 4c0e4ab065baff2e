"""O6: what was acknowledged is neither lost nor done twice. From the clients' memory alone."""

from __future__ import annotations

from tradecore_shells.sim.clients import QUOTE_ASSET, Journal
from tradecore_shells.sim.facts import Facts

__all__ = ["orders_once"]

_ENGINE_IDS = 1 << 63


def orders_once(journal: Journal, facts: Facts) -> list[str]:
    """Compare the journal of acknowledgements with the executions."""
    wrong = []
    for order_id in journal.orders:
        head = journal.lists.get(order_id, order_id)
        if not (facts.answered[order_id] or facts.answered[head]):
            wrong.append(f"O6 order {order_id:#x} was acknowledged and has no answer")
    for order_id, times in facts.accepted.items():
        if order_id >= _ENGINE_IDS:
            continue
        if times > 1:
            wrong.append(f"O6 order {order_id:#x} was accepted {times} times")
        if order_id not in journal.offered:
            wrong.append(f"O6 order {order_id:#x} was accepted and never sent")
    for order_id, lots in facts.filled.items():
        if order_id and lots > facts.largest[order_id] and order_id < _ENGINE_IDS:
            wrong.append(
                f"O7 order {order_id:#x} filled {lots} of at most {facts.largest[order_id]} lots"
            )
    for account, amount in journal.deposits.items():
        booked = facts.deposited[account, QUOTE_ASSET]
        if booked != amount:
            wrong.append(f"O6 account {account} paid in {amount}, {booked} was booked")
    return wrong[:5]
