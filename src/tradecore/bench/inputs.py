"""The input of a benchmark, ready to be fed: frames, set-up, and an engine sized for it.

Generated workloads come from `tradecore.testing.workloads`, files from `tradecore.data.workload`;
here both become the same thing. Engines are prefaulted: the system commits their memory before the
first command, so that page faults are not what is measured.
"""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache

import msgspec
import numpy as np
import numpy.typing as npt

from tradecore.codes import CommandKind, InstrumentType, OrdType
from tradecore.data.flows import workload_flow
from tradecore.data.workload import read_workload
from tradecore.dtypes import ADMIN, COMMAND
from tradecore.engine import Engine, EngineConfig
from tradecore.errors import ConfigError
from tradecore.testing import _venue
from tradecore.testing.results import WorkloadRef
from tradecore.testing.workloads import Workload, make

__all__ = ["BATCH", "Input", "from_file", "from_workload", "funded", "generated", "named"]

BATCH = 4_096
"""Frames of one `apply` call where nothing else is said."""

Frames = npt.NDArray[np.void]


class Input:
    """Commands and the venue they run on.

    Parameters
    ----------
    ref : WorkloadRef
        Name, seed and hash for result lines.
    config : EngineConfig
        Capacities as small as the stream allows.
    setup, commands : ndarray of COMMAND
        Frames before and inside the timed part; one frame a command.
    """

    def __init__(
        self, ref: WorkloadRef, config: EngineConfig, setup: Frames, commands: Frames
    ) -> None:
        self.ref = ref
        self.config = config
        self.setup = np.ascontiguousarray(setup)
        self.commands = np.ascontiguousarray(commands)

    def __len__(self) -> int:
        """Return the number of commands."""
        return len(self.commands)

    def engine(self, **changes: object) -> Engine:
        """Return a new engine with its venue set up; `changes` replace parts of the configuration.

        Raises
        ------
        ConfigError
            A set-up command was refused: the benchmark would measure refusals.
        """
        engine = Engine(msgspec.structs.replace(self.config, **changes))
        events = engine.events(self.setup)
        refused = events["kind"] == 2
        if refused.any():
            status = int(events["status"][np.flatnonzero(refused)[0]])
            raise ConfigError(f"workload {self.ref.name}: set-up refused with status {status}")
        return engine

    def batches(self, size: int = BATCH, first: int = 0, last: int | None = None) -> list[Frames]:
        """Return the commands from `first` to `last` cut into arrays of `size` frames."""
        part = self.commands[first:last]
        return [part[at : at + size] for at in range(0, len(part), size)]


@lru_cache(maxsize=2)  # a workload of 2,000,000 is 128 MB of frames
def generated(name: str, commands: int) -> Input:
    """Return a named workload of `tradecore.testing.workloads` at the canonical seed."""
    return from_workload(make(name, commands))


def from_workload(work: Workload) -> Input:
    """Return a workload with an engine that is no larger than it needs."""
    needs = work.needs
    accounts = needs.accounts > 0
    # A short stream does not reach every instrument, but its accounts hold them all.
    listed = needs.instruments if work.spec is None else work.spec.instruments
    config = EngineConfig(
        accounts=accounts,
        max_instruments=needs.instruments,
        max_orders=needs.orders + 64,
        max_accounts=max(needs.accounts, 1),
        max_groups=1,
        max_assets=max(needs.assets, listed + 1),
        max_wallets=needs.holdings + 2 * needs.accounts + 1024,
        # A position comes into being with the first order of an account in an instrument.
        max_positions=_pairs(work.messages.account_id, work.messages.instrument_id) + 1024,
        prefault=True,
    )
    ref = WorkloadRef(work.name, work.seed, work.sha256)
    return Input(ref, config, work.setup(), work.commands())


def named(name: str, commands: int) -> Input:
    """Return `generated`, or `funded` for a name that ends in ``-accounts``."""
    plain = name.removesuffix("-accounts")
    return generated(name, commands) if plain == name else funded(plain, commands)


@lru_cache(maxsize=1)
def funded(name: str, commands: int, accounts: int = 1_000) -> Input:
    """Return a workload of one instrument as the business of accounts with funds.

    An order belongs to account ``1 + order_id % accounts``; market orders, which the workload sends
    without a price, get a protective one above all others, because risk needs to know the most an
    order can cost.
    """
    plain = generated(name, commands)
    if plain.config.max_instruments != 1:
        raise ConfigError(f"workload {name} has more than one instrument")
    frames = plain.commands.copy()
    frames["account_id"] = 1 + frames["order_id"] % np.uint64(accounts)
    frames["px"][frames["ord_type"] == OrdType.MARKET] = 2 * int(frames["px"].max())
    holdings = np.zeros(accounts, ADMIN)
    holdings["kind"], holdings["asset_id"] = CommandKind.DEPOSIT, 1
    holdings["account_id"], holdings["amount"] = np.arange(1, accounts + 1), _venue.HOLDING
    setup = (
        _venue.instrument_frames(1, InstrumentType.SPOT, fees=True),
        _venue.account_frames(accounts, None),
        holdings.view(COMMAND),
    )
    config = msgspec.structs.replace(
        plain.config,
        accounts=True,
        max_accounts=accounts + 1,
        max_groups=1,
        max_assets=2,
        max_wallets=2 * accounts + 2,
        max_positions=accounts + 1,
    )
    digest = hashlib.sha256(frames.tobytes()).hexdigest()
    ref = WorkloadRef(f"{name}-{accounts}-accounts", plain.ref.seed, digest)
    return Input(ref, config, np.concatenate(setup), frames)


def _pairs(account_id: npt.NDArray[np.integer], instrument_id: npt.NDArray[np.integer]) -> int:
    """Count the distinct pairs of a stream."""
    key = account_id.astype(np.int64) << 32 | instrument_id.astype(np.int64)
    return len(np.unique(key))


def from_file(path: str | os.PathLike[str]) -> Input:
    """Return a binary order workload (``.bin``, also compressed); matching only, one account.

    Raises
    ------
    DataError
        The file is not a workload, with the offset and reason.
    """
    records = read_workload(path)
    if not len(records):
        raise ConfigError(f"{os.fspath(path)}: no commands to measure")
    flow = workload_flow(records)
    config = EngineConfig(
        max_instruments=len(flow.instruments), max_orders=flow.max_orders + 64, prefault=True
    )
    digest = hashlib.sha256(records.tobytes()).hexdigest()
    ref = WorkloadRef(os.path.basename(os.fspath(path)), 0, digest)
    return Input(ref, config, flow.definitions().view(COMMAND), flow.commands())
