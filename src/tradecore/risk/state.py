"""The state of risk: a function of the records so far, and what it wants from the engine.

`take` is fed with what the cell said about each record and with the record itself. It is pure and
total: two processes that have read the same log hold the same state, write the same `risk-events`
and want the same commands, so it does not matter which of them sends one first. A wish is a
difference between what the rules ask for and what the log shows; it ends when the log shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from tradecore import dtypes
from tradecore.buffers import BytesLike
from tradecore.catalog import Catalog
from tradecore.cell.follow import Batch
from tradecore.codes import CommandKind, EventKind, FillFlag, Scope
from tradecore.errors import SnapshotError
from tradecore.portfolio.book import Book
from tradecore.portfolio.columns import BALANCE, POSITION, PRINT
from tradecore.portfolio.fold import fold_batches
from tradecore.portfolio.terms import Terms
from tradecore.risk.breakers import Breakers
from tradecore.risk.facts import Facts
from tradecore.risk.figures import Figures, NodeFigures, make_tails, node_figures, stress
from tradecore.risk.frames import Finding, Wish, batch_frame
from tradecore.risk.history import History
from tradecore.risk.limits import Limits
from tradecore.risk.policy import RiskPolicy, Rule
from tradecore.risk.values import Amounts, Grouping, Valuation, value_positions
from tradecore.status import Status

__all__ = ["RiskState", "risk_source"]

_MS: Final = 1_000_000
_SOURCE_KIND: Final = 2
_TOLD: Final = np.isin(
    np.arange(256), (EventKind.ACCOUNT_STATE, EventKind.PHASE)
)  # kinds that are passed on whatever they say
_ADMIN: Final = (CommandKind.KILL_SWITCH, CommandKind.LIMITS, CommandKind.RESTRICT)
_FORCED: Final = (Status.LIQUIDATION_FEE, Status.BACKSTOP, Status.ADL)
_ENDED: Final = (Status.KILL_SWITCH, Status.LIQUIDATION_CLOSE)


def risk_source(partition: int) -> int:
    """Return the number of the source under which risk sends commands and `risk-events`."""
    return _SOURCE_KIND << 28 | partition


class _Head(msgspec.Struct, array_like=True):
    """What a saved state holds besides tables."""

    offset: int
    seq: int
    out_seq: int
    in_offset: int
    due_ns: int
    facts: Facts
    breakers: Breakers
    limits: Limits
    stale: list[int]
    period: int
    instruments: list[int]


class RiskState:
    """Everything that risk knows of one cell.

    Parameters
    ----------
    policy : RiskPolicy
    catalog : Catalog
        Every instrument that the cell trades.
    partition : int

    Attributes
    ----------
    offset, seq : int
        Where to read `executions` on: record, and number of the frame.
    in_offset : int
        The newest command record that is in.
    out_seq : int
        Number of the next frame of `risk-events`.
    facts, book, history
    """

    def __init__(self, policy: RiskPolicy, catalog: Catalog, partition: int = 0) -> None:
        self.policy = policy
        self.catalog = catalog
        self.source = risk_source(partition)
        self._partition = partition
        self.terms = Terms.of_catalog(catalog.instruments)
        self.linear = self.terms.ids[self.terms.linear].tolist()
        self.offset, self.seq = 0, 1
        self.in_offset = -1
        self.out_seq = 1
        self.facts = Facts()
        self.book = Book(partition)
        self.history = History(self.terms.ids, policy.figures.samples)
        self._breakers = Breakers()
        self._limits = Limits()
        self._stale: list[int] = []
        self._grouping = Grouping()
        self._due_ns = 0

    # ------------------------------------------------------------------------------------ reading
    def take(self, batches: Sequence[Batch], payloads: Sequence[BytesLike]) -> bytes:
        """Take over what the cell said, and return frames for `risk-events`.

        Parameters
        ----------
        batches : sequence of Batch
            In their order.
        payloads : sequence of bytes-like
            The record of `trading-commands` behind each; looked at only where it was applied.

        Returns
        -------
        bytes
            Whole frames, numbered from `out_seq` as it was; may be empty.

        Raises
        ------
        DataError
            An instrument that is not in the catalog has traded.

        Notes
        -----
        O(frames); the rules are looked at once whenever log time passes a multiple of
        `evaluate_ms`, behind the record that did.
        """
        out = bytearray()
        run: list[Batch] = []
        for batch, payload in zip(batches, payloads, strict=True):
            run.append(batch)
            self.seq, self.in_offset = batch.end_seq, batch.in_offset
            if not batch.applied:
                continue
            self.facts.take(batch, payload, self.source)
            if batch.ts_ns >= self._due_ns:
                out += self._pass(run, evaluate=True)
                run = []
        out += self._pass(run, evaluate=False)
        return bytes(out)

    def _pass(self, run: Sequence[Batch], *, evaluate: bool) -> bytes:
        if not run:
            return b""
        events = np.concatenate([batch.events for batch in run])
        if len(events):
            self.book.apply(fold_batches(run, self.terms, cell=self._partition))
            self.facts.note_phases(events)
        findings = self._evaluate() if evaluate else []
        return self._tell(run, events, findings)

    # ---------------------------------------------------------------------------------- the rules
    def prices(self) -> dict[int, int]:
        """Return the price of each instrument: its mark, else its last trade; ticks."""
        marks = {key: mark.px for key, mark in self.facts.marks.items()}
        return self.book.last_px | marks

    def _evaluate(self) -> list[Finding]:
        policy, facts = self.policy, self.facts
        every = policy.evaluate_ms * _MS
        self._due_ns = (facts.now_ns // every + 1) * every
        prices = self.prices()
        self.history.note(facts.now_ns, policy.figures.sample_ms * _MS, prices)
        found = self._breakers.evaluate(policy.breakers, facts.now_ns, prices, facts.phases)
        nodes = policy.nodes
        if nodes.any_gross or nodes.any_drawdown:
            totals = self._bring().totals(
                self._value(prices),
                above=nodes.account_gross or None,
                also=self._limits.reduced_accounts(),
            )
            found += self._limits.evaluate(nodes, facts, totals)
        return found + self._look_for_stale()

    def _look_for_stale(self) -> list[Finding]:
        limit = self.policy.marks.stale_ms
        found = []
        for instrument in self.linear:
            mark = self.facts.marks.get(instrument)
            age = (self.facts.now_ns - mark.ts_ns) // _MS if mark else 0
            if age <= limit:
                if instrument in self._stale:
                    self._stale.remove(instrument)
            elif instrument not in self._stale:
                self._stale.append(instrument)
                found.append(Finding(Rule.MARK_STALE, age, limit, instrument_id=instrument))
        return found

    def wishes(self) -> list[Wish]:
        """Return the commands that the rules want and the log does not show."""
        return self._breakers.wishes(self.facts.phases) + self._limits.wishes(self.facts)

    # --------------------------------------------------------------------------------- what others
    # hear
    def _tell(
        self, run: Sequence[Batch], events: npt.NDArray[np.void], findings: Sequence[Finding]
    ) -> bytes:
        chosen = _worth_telling(events) if len(events) else np.empty(0, np.int64)
        ends = np.cumsum([len(batch.events) for batch in run])
        of = np.searchsorted(ends, chosen, side="right")
        out = bytearray()
        for number in sorted({*of.tolist(), *([len(run) - 1] if findings else [])}):
            batch = run[number]
            told = events[chosen[of == number]]
            mine = findings if number == len(run) - 1 else []
            out += batch_frame(
                self.out_seq,
                ts_ns=batch.ts_ns,
                in_offset=batch.in_offset,
                in_source=batch.in_source,
                in_first_seq=batch.in_first_seq,
                count=len(told) + len(mine),
            )
            out += told.tobytes()
            self.out_seq += 1 + len(told)
            for finding in mine:
                out += finding.frame(self.out_seq)
                self.out_seq += 1
        return bytes(out)

    # ------------------------------------------------------------------------------------- figures
    def _bring(self) -> Grouping:
        self._grouping.bring(self.book, self.facts.group_of, self.facts.accounts_version)
        return self._grouping

    def _value(self, prices: dict[int, int]) -> Valuation:
        return value_positions(self.book, self.terms, prices, asset_id=self.policy.asset_id)

    def figures(self, accounts: Sequence[int] = (), *, simulate: bool = True) -> Figures:
        """Return exposure, VaR, ES and stress of the firm, the groups and some accounts, now.

        Parameters
        ----------
        accounts : sequence of int
        simulate : bool
            Whether Monte Carlo is wanted too.

        Notes
        -----
        O(positions * nodes + samples * instruments * nodes).
        """
        policy = self.policy.figures
        grouping = self._bring()
        valuation = self._value(self.prices())
        totals = grouping.totals(valuation, above=1 << 127, also=accounts)
        returns = self.history.returns()
        rows = self.book.positions.table
        at = self.terms.find(rows["instrument_id"])
        nothing = Amounts(0, 0, 0)
        everybody = np.ones(len(rows), dtype=np.bool_)
        wanted = [(Scope.FIRM, 0, totals.firm, everybody)]
        wanted += [
            (Scope.GROUP, key, totals.groups.get(key, nothing), grouping.row_group == key)
            for key in sorted({*self.facts.group_of.values()} - {0})
        ]
        wanted += [
            (Scope.ACCOUNT, key, totals.accounts.get(key, nothing), rows["account_id"] == key)
            for key in accounts
        ]
        nodes: list[NodeFigures] = []
        for scope, number, amounts, mine in wanted:
            held = _by_instrument(valuation.value[mine], at[mine], len(self.terms.ids))
            nodes.append(
                node_figures(
                    *(scope, number, amounts),
                    make_tails(
                        *(policy, returns, np.array(held, dtype=np.float64)),
                        seed=self.seq,
                        simulate=simulate,
                    ),
                    stress(policy.stress, self.catalog, self.terms.ids.tolist(), held),
                )
            )
        unpriced = int(np.count_nonzero(~valuation.priced))
        return Figures(
            *(self.seq, self.in_offset, self.facts.now_ns, self.policy.asset_id),
            *(len(returns), unpriced, nodes),
        )

    # -------------------------------------------------------------------------------------- saving
    def sections(self) -> list[tuple[str, bytes]]:
        """Return the state as sections of a snapshot; equal states give equal bytes."""
        period, rows = self.history.save()
        head = _Head(
            *(self.offset, self.seq, self.out_seq, self.in_offset, self._due_ns),
            *(self.facts, self._breakers, self._limits, self._stale, period),
            self.terms.ids.tolist(),
        )
        return [
            ("risk.head", msgspec.msgpack.encode(_in_order(msgspec.to_builtins(head)))),
            ("risk.positions", self.book.positions.table.tobytes()),
            ("risk.balances", self.book.balances.table.tobytes()),
            ("risk.prints", self.book.prints.tobytes()),
            ("risk.history", rows),
        ]

    def restore(self, sections: Sequence[tuple[str, Any]]) -> None:
        """Take over a saved state. Raises SnapshotError when it is none."""
        parts = dict(sections)
        try:
            head = msgspec.msgpack.decode(parts["risk.head"], type=_Head)
            positions, balances, prints = (
                np.frombuffer(parts[f"risk.{name}"], dtype)
                for name, dtype in (
                    ("positions", POSITION), ("balances", BALANCE), ("prints", PRINT),
                )
            )  # fmt: skip
            self.history.load(head.period, head.instruments, parts["risk.history"])
        except (KeyError, ValueError, msgspec.DecodeError) as error:
            raise SnapshotError(f"not a state of risk: {error}") from None
        self.book = Book.of_tables(self._partition, positions, balances, prints)
        self._grouping = Grouping()
        self.offset, self.seq, self.out_seq = head.offset, head.seq, head.out_seq
        self.in_offset, self._due_ns = head.in_offset, head.due_ns
        self.facts, self._breakers, self._limits = head.facts, head.breakers, head.limits
        self._stale = head.stale


def _in_order(value: Any) -> Any:
    """Return plain data with the keys of every dictionary in order."""
    if isinstance(value, dict):
        return {key: _in_order(value[key]) for key in sorted(value)}
    return [_in_order(one) for one in value] if isinstance(value, list) else value


def _by_instrument(value: npt.NDArray[np.int64], at: npt.NDArray[np.int64], n: int) -> list[int]:
    """Return exact sums of values by instrument row."""
    high, low = np.zeros(n, np.int64), np.zeros(n, np.int64)
    np.add.at(high, at, value >> 32)
    np.add.at(low, at, value & 0xFFFFFFFF)
    return [(h << 32) + part for h, part in zip(high.tolist(), low.tolist(), strict=True)]


def _worth_telling(events: npt.NDArray[np.void]) -> npt.NDArray[np.int64]:
    """Return which events of the engine are news about risk."""
    kinds, status = events["kind"], events["status"]
    told = _TOLD[kinds] | ((kinds == EventKind.REJECTED) & (status >= 300) & (status < 400))
    told |= (kinds == EventKind.CANCELED) & np.isin(status, _ENDED)
    told |= (kinds == EventKind.BALANCE) & np.isin(status, _FORCED)
    done = kinds == EventKind.DONE
    if done.any():
        told |= done & np.isin(events.view(dtypes.REJECT_EVENT)["command_kind"], _ADMIN)
    fills = kinds == EventKind.FILL
    if fills.any():
        flags = events.view(dtypes.FILL_EVENT)["flags"]
        told |= fills & ((flags & (FillFlag.LIQUIDATION | FillFlag.ADL)) != 0)
    return np.flatnonzero(told)
