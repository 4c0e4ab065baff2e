"""Named, seeded streams of commands: the inputs of every benchmark, and of tests that want volume.

A workload is a pure function of (name, number of commands, seed). Its bytes are the same on every
machine, so a published SHA-256 names it and two people can compare numbers. Nothing here runs an
engine. The shapes are made in `_regimes` (five price regimes of one book), `_flows` (steady flow
over one or many instruments) and `_scenes` (load that changes over time); this module names them
and turns them into bytes.

>>> work = make("normal", commands=10_000, seed=2)
>>> len(work.records())
10000
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradecore.codes import CommandKind, InstrumentType, OrdType, Side, Tif
from tradecore.data.workload import WORKLOAD_RECORD, encode_workload
from tradecore.errors import ConfigError
from tradecore.testing import _flows, _regimes, _scenes, _venue
from tradecore.testing._flows import FlowSpec, Holders
from tradecore.testing._regimes import SWINGS, Messages
from tradecore.testing._venue import Needs

__all__ = [
    "CANONICAL_SEED",
    "DESCRIPTIONS",
    "FLOWS",
    "NAMES",
    "SCENES",
    "FlowSpec",
    "Needs",
    "Workload",
    "make",
]

CANONICAL_SEED = 2
"""Seed of every published number.

The depth of the book a regime carries is a property of the price path, hence of the seed. With
this one, the five regimes at two million messages carry books like those that the public suite
publishes for its own canonical seed (table in bench/README.md).
"""

FLOWS: dict[str, FlowSpec] = {
    "busy": FlowSpec(
        instruments=1,
        resting=10_000,
        fillers=120_000,
        iocs=100_000,
        markets=20_000,
        crossers=10_000,
        replaces=1,
        depth=175,
        drift=2_000,
        patience=400,
    ),
    "zipf": FlowSpec(
        instruments=1_000,
        resting=90_000,
        fillers=120_000,
        iocs=100_000,
        markets=20_000,
        crossers=10_000,
        replaces=1,
        depth=60,
        drift=2_000,
        patience=40_000,
    ),
    "pipeline": FlowSpec(
        instruments=1_000,
        resting=100_000,
        fillers=80_000,
        iocs=50_000,
        markets=20_000,
        crossers=10_000,
        replaces=1,
        depth=60,
        drift=2_000,
        patience=40_000,
        accounts=100_000,
        random_ids=True,
    ),
    "moves": FlowSpec(
        instruments=1,
        resting=1_000,
        fillers=250_000,
        iocs=250_000,
        markets=0,
        crossers=0,
        replaces=13,
        depth=60,
        drift=1_000,
        patience=300,
        impatient=0,
    ),
    **_scenes.SPECS,
}

DESCRIPTIONS: dict[str, str] = {
    "static": "one book, price does not move: deepest book, hardly a trade",
    "normal": "one book, price moves 2 %",
    "swing-25": "one book, price moves 25 %",
    "swing-40": "one book, price moves 40 %",
    "flash-crash": "one book, price moves 60 %: widest price range, thinnest book",
    "busy": "one busy book: about 10,000 resting orders on about 350 levels",
    "zipf": "1,000 instruments of Zipf popularity, about 90,000 resting orders",
    "pipeline": "1,000 instruments, 100,000 accounts, random ids, limit, market, IOC and replace",
    "moves": "quoting robots: 9 % resting, 3 % IOC, 6 % cancel, 82 % price moves, 1,000+ resting",
    "retail-day": "a session of 200,000 accounts, 500 instruments: rush at the open and the close",
    "news-burst": "news on one of 200 instruments: price jumps 8 %, 20 times the load at once",
    "quote-stuffing": "one account places and takes back out of reach: 60 % of messages, 8 blocks",
    "auction-open": "orders of 10,000 accounts gather, 50 instruments uncross, trading goes on",
}

SCENES: tuple[str, ...] = tuple(_scenes.SCENES)
"""Streams with a time of their own; their hash is over command frames, see `Workload.sha256`."""

NAMES: tuple[str, ...] = tuple(name for name in DESCRIPTIONS if name not in SCENES)
"""Streams that the binary workload format can hold."""

_FIRST_TS_NS = 1_700_000_000_000_000_000
"""Log time of the first command of a stream: a fixed instant, never a clock."""


@dataclass(frozen=True)
class Workload:
    """One generated stream.

    Parameters
    ----------
    name : str
        One of `NAMES` or `SCENES`.
    seed : int
        What it was drawn from.
    messages : Messages
        The stream as columns, in wire order.
    """

    name: str
    seed: int
    messages: Messages

    def __len__(self) -> int:
        """Return the number of commands."""
        return len(self.messages.kind)

    @property
    def spec(self) -> FlowSpec | None:
        """Return the flow's parameters, None for a price regime."""
        return FLOWS.get(self.name)

    def records(self) -> NDArray[np.void]:
        """Return the stream as records of the binary workload format.

        The format knows neither accounts nor market orders: accounts are left out, and a market
        order is an immediate-or-cancel order at its protective price.

        Returns
        -------
        ndarray of `tradecore.data.workload.WORKLOAD_RECORD`, shape (len(self),)

        Raises
        ------
        ConfigError
            The stream sets trading phases, which the format cannot say.
        """
        m = self.messages
        if (m.kind == _scenes.PHASE).any():
            raise ConfigError(f"workload {self.name} sets phases; the binary format has none")
        records = np.zeros(len(self), dtype=WORKLOAD_RECORD)
        records["type"], records["side"] = m.kind, m.side
        records["ioc"] = np.minimum(m.ioc, 1)
        records["order_qty"], records["px"] = m.qty, m.px
        records["seq"] = np.arange(len(self))
        records["order_id"], records["instrument_id"] = m.order_id, m.instrument_id
        return records

    def commands(self, interval_ns: int = 1_000) -> NDArray[np.void]:
        """Return the stream as command frames.

        Parameters
        ----------
        interval_ns : int
            Log time between two commands; 1,000 is one million commands a second. A scene has
            times of its own and does not look at it.

        Returns
        -------
        ndarray of `tradecore.dtypes.COMMAND`, shape (len(self),)
            Replaces give a new total quantity and keep priority where the rules keep it.
        """
        # Needs the compiled package, which the rest of this module does without.
        from tradecore.dtypes import ADMIN, COMMAND

        m = self.messages
        new, cancel = m.kind == 0, m.kind == 1
        offset = np.arange(len(self)) * interval_ns if m.offset_ns is None else m.offset_ns
        frames: NDArray[Any] = np.zeros(len(self), dtype=COMMAND)
        frames["ts_ns"] = _FIRST_TS_NS + offset
        kinds = [
            *(CommandKind.NEW_ORDER, CommandKind.CANCEL_ORDER, CommandKind.REPLACE_ORDER),
            CommandKind.SET_PHASE,
        ]
        frames["kind"] = np.array(kinds, dtype=np.uint16)[m.kind]
        frames["account_id"], frames["order_id"] = m.account_id, m.order_id
        frames["instrument_id"] = np.where(cancel, 0, m.instrument_id)
        frames["px"] = np.where(cancel, 0, m.px)
        frames["order_qty"] = np.where(cancel, 0, m.qty)
        # A cancel and a replace name their order by its id alone; other fields must be zero.
        sides = np.array([Side.BUY, Side.SELL], dtype=np.uint8)
        frames["side"] = np.where(new, sides[m.side], 0)
        frames["ord_type"] = np.where(new, np.where(m.ioc == 2, OrdType.MARKET, OrdType.LIMIT), 0)
        frames["tif"] = np.where(new, np.where(m.ioc > 0, Tif.IOC, Tif.GTC), 0)
        phases = np.flatnonzero(m.kind == _scenes.PHASE)
        if len(phases):
            frames["order_qty"][phases] = 0
            frames.view(ADMIN)["phase"][phases] = m.qty[phases]
        return frames

    def setup(self, *, linear: bool = False) -> NDArray[np.void]:
        """Return the frames that make the venue: instruments, and accounts with funds if any.

        Parameters
        ----------
        linear : bool
            Margined linear instruments (10 % initial, 5 % maintenance, cross) with a mark instead
            of spot instruments. Only for workloads with accounts.

        Returns
        -------
        ndarray of `tradecore.dtypes.COMMAND`
            To be applied before `commands`, outside a timed part.
        """
        instruments = self.needs.instruments
        accounts = 0 if self.spec is None else self.spec.accounts
        kind = InstrumentType.LINEAR if linear else InstrumentType.SPOT
        if linear and not accounts:
            raise ConfigError(f"workload {self.name} has no accounts, so nothing to margin")
        parts = [_venue.instrument_frames(instruments, kind, fees=bool(accounts))]
        if accounts:
            parts.append(_venue.account_frames(accounts, None if linear else self._holders))
        if linear:
            parts.append(_venue.mark_frames(self.messages, instruments))
        return np.concatenate(parts)

    @cached_property
    def needs(self) -> Needs:
        """Return the least capacities of an engine that runs this stream."""
        return _venue.needs(self.messages, self._holders)

    @cached_property
    def _holders(self) -> Holders | None:
        """Return which account holds which instrument, None where there are no accounts."""
        if self.spec is None or not self.spec.accounts:
            return None
        return _flows.holders(self.spec, self.seed)

    def encode(self) -> bytes:
        """Return the bytes of a binary workload file (`.bin`), header included."""
        return encode_workload(self.records())

    @cached_property
    def sha256(self) -> str:
        """Return the SHA-256 of the file bytes, followed by the account ids where there are any.

        Account ids count as one little-endian u32 a command. For a scene, whose times and phases
        the file format cannot hold: the SHA-256 of its command frames.
        """
        if self.name in SCENES:
            return hashlib.sha256(self.commands().tobytes()).hexdigest()
        digest = hashlib.sha256(self.encode())
        if self.spec is not None and self.spec.accounts:
            digest.update(self.messages.account_id.astype("<u4").tobytes())
        return digest.hexdigest()


def make(name: str, commands: int = 2_000_000, seed: int = CANONICAL_SEED) -> Workload:
    """Generate a named workload.

    Parameters
    ----------
    name : str
        One of `NAMES` or `SCENES`; `DESCRIPTIONS` says what each is.
    commands : int
        Exact length, 1 to 100 million.
    seed : int
        Another seed gives another stream of the same kind.

    Returns
    -------
    Workload

    Raises
    ------
    ConfigError
        Unknown name or impossible length.

    Notes
    -----
    O(n log n); one to two seconds for two million commands.
    """
    if not 1 <= commands <= 100_000_000:
        raise ConfigError(f"commands must be between 1 and 100,000,000, got {commands}")
    if name in SWINGS:
        return Workload(name, seed, _regimes.generate(name, commands, seed))
    if name in SCENES:
        return Workload(name, seed, _scenes.SCENES[name](FLOWS[name], commands, seed))
    if name in FLOWS:
        return Workload(name, seed, _flows.generate(FLOWS[name], commands, seed))
    raise ConfigError(f"no workload named {name!r}; there are: {', '.join(DESCRIPTIONS)}")
