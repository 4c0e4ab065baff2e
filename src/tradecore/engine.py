"""The engine as a library user meets it: configuration, batches in, events out, helpers.

Everything that matches, checks and books is in the compiled kernel; this module adds names,
defaults and conversions. It is synchronous and pure: no clock, no file, no socket. Time comes in
with the commands.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Self

import msgspec
import numpy as np

from tradecore import dtypes
from tradecore.codes import ANY, CommandKind, Phase, Side
from tradecore.errors import CapacityError, ConfigError, EngineFault, FrameError, SnapshotError
from tradecore.status import Status
from tradecore_ext.engine import EventBatch, Kernel, OrderResult, register_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

__all__ = [
    "AccountView",
    "AuditError",
    "BookView",
    "Engine",
    "EngineConfig",
    "EventBatch",
    "LevelView",
    "OrderResult",
    "PositionView",
    "WalletView",
    "state_hash",
]

PREFETCH: Final = {"off": 0, "on": 1, "auto": 2}


def _fault(status: int, line: int, in_seq: int) -> EngineFault:
    name = Status(status).name
    return EngineFault(
        f"the engine stopped with {name} ({status}, check {line}) at command {in_seq}; "
        "restore the newest snapshot and replay the journal"
    )


register_errors(_fault, FrameError, ConfigError)


def _whole(name: str, value: object) -> int:
    """Return a field's value; NumPy would drop what is behind the point."""
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise ConfigError(f"{name} is {value!r}; a whole number is needed") from None


class AuditError(EngineFault):
    """An identity of the engine's state does not hold."""


class EngineConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Capacities and switches of one engine; fixed for its life, part of the journal's header.

    Memory is mapped at construction and committed by the system on first touch, so generous
    capacities cost address space, not memory. A full arena refuses the command with a 5xx status.

    Attributes
    ----------
    accounts : bool
        Accounts, pre-trade risk and the ledger. Off: matching only; account ids are then just the
        scope of self-trade prevention.
    max_instruments, max_orders, max_accounts, max_groups, max_assets : int
        Ids run from 0 to the number minus 1. ``max_orders`` counts live orders of all kinds; size
        it to the need: the id table is twice as long and a table far too large misses the cache.
    max_levels, max_pages, max_terms, max_wallets, max_positions : int
        0 = derived from the above: levels = orders; pages (64 prices each) = a quarter of the
        levels plus 132 per instrument, because a book side keeps the 64 pages around its touch;
        terms (orders with rare terms) = a quarter of the orders; wallets = 4 and positions = 8 per
        account.
    id_seed : int
        64-bit key of the order-id hash. Ids are chosen outside; whoever knows the key can make
        them collide, so a service sets a random one and keeps it. It never shows in any output.
    prefetch : {"auto", "on", "off"}
        Fetch the state of coming commands of a batch ahead. "auto" goes by the size of the state.
    prefault : bool
        Commit all memory at construction instead of on first touch: no page fault later.
    """

    accounts: bool = False
    max_instruments: int = 1024
    max_orders: int = 1 << 20
    max_accounts: int = 1 << 17
    max_groups: int = 1024
    max_assets: int = 256
    max_levels: int = 0
    max_pages: int = 0
    max_terms: int = 0
    max_wallets: int = 0
    max_positions: int = 0
    id_seed: int = 0x6A09E667F3BCC908
    prefetch: Literal["auto", "on", "off"] = "auto"
    prefault: bool = False

    def __post_init__(self) -> None:
        for name, kind in (*((n, int) for n in (*_CAPACITIES, "id_seed")), *_SWITCHES):
            value = getattr(self, name)
            if type(value) is not kind:
                wanted = "a whole number" if kind is int else "True or False"
                raise ConfigError(f"EngineConfig.{name} is {value!r}; it must be {wanted}")
        if self.prefetch not in ("auto", "on", "off"):
            raise ConfigError(f"EngineConfig.prefetch is {self.prefetch!r}; auto, on or off")
        for name, top in _CAPACITIES.items():
            value = getattr(self, name)
            if not 0 <= value <= top or (value == 0 and name in _REQUIRED):
                raise ConfigError(f"EngineConfig.{name} is {value}; it must be 1..{top}")
        if not 0 <= self.id_seed < 1 << 64:
            raise ConfigError("EngineConfig.id_seed must be an unsigned 64-bit integer")

    def arenas(self) -> dict[str, int]:
        """Return the capacities with every 0 replaced by what it stands for."""
        levels = self.max_levels or self.max_orders
        return {
            "max_instruments": self.max_instruments,
            "max_orders": self.max_orders,
            "max_levels": levels,
            "max_pages": self.max_pages or levels // 4 + 132 * self.max_instruments,
            "max_terms": self.max_terms or max(self.max_orders // 4, 64),
            "max_accounts": self.max_accounts,
            "max_groups": self.max_groups,
            "max_assets": self.max_assets,
            "max_wallets": self.max_wallets or 4 * self.max_accounts,
            "max_positions": self.max_positions or 8 * self.max_accounts,
        }


_SWITCHES: Final = (("accounts", bool), ("prefault", bool))
_CAPACITIES: Final = {
    "max_instruments": 1 << 24,
    "max_orders": 1 << 30,
    "max_accounts": 1 << 28,
    "max_groups": 1 << 24,
    "max_assets": 1 << 20,
    "max_levels": 1 << 30,
    "max_pages": 1 << 30,
    "max_terms": 1 << 30,
    "max_wallets": 1 << 30,
    "max_positions": 1 << 30,
}
_REQUIRED: Final = frozenset(
    ("max_instruments", "max_orders", "max_accounts", "max_groups", "max_assets")
)


class LevelView(NamedTuple):
    """One price of a book side: ticks, visible lots, number of orders."""

    px: int
    qty: int
    orders: int


class BookView(NamedTuple):
    """A copy of one instrument's book at the moment of the call, best price first."""

    instrument_id: int
    phase: Phase
    last_px: int
    mark_px: int
    bids: list[LevelView]
    asks: list[LevelView]


class WalletView(NamedTuple):
    """Cash of an account in one asset, smallest units; `upnl` is of cross-margin positions."""

    asset_id: int
    total: int
    hold: int
    upnl: int
    initial_margin: int
    maintenance_margin: int
    state: int

    @property
    def available(self) -> int:
        """What new orders may use."""
        return self.total + self.upnl - self.hold


class PositionView(NamedTuple):
    """Position of an account in one instrument; lots and quote units (reference/accounts.md)."""

    instrument_id: int
    qty: int
    cost: int
    realised: int
    fees: int
    open_buy: int
    open_sell: int
    initial_margin: int
    maintenance_margin: int
    upnl: int
    iso_margin: int
    mode: int
    state: int


class AccountView(NamedTuple):
    """An account's wallets and positions, by id."""

    account_id: int
    wallets: list[WalletView]
    positions: list[PositionView]


def state_hash(sections: Iterable[tuple[str, bytes]]) -> str:
    """Return the canonical BLAKE2b-256 of a state image, as hex. O(state).

    The construction is `tradecore.snapshot.state_hash`'s: by section name, so the order in which
    sections are written does not matter.
    """
    from tradecore import snapshot

    return snapshot.state_hash(sections).hex()


class Engine(Kernel):
    """A deterministic engine: matching, pre-trade risk, accounts and PnL behind one call.

    `apply` takes batches; `limit`, `market`, `stop`, `cancel`, `replace` send one command each and
    say what became of the order (status, filled and open quantity).

    Parameters
    ----------
    config : EngineConfig, optional
        Capacities and switches; keyword arguments build one in place.

    Examples
    --------
    >>> engine = Engine(max_instruments=8, max_orders=1024)
    >>> _ = engine.define_instrument(1)
    >>> engine.limit(1, 1, "sell", 101, 5).status
    0
    >>> engine.limit(2, 1, "buy", 101, 3).cum_qty
    3
    """

    config: EngineConfig

    def __new__(cls, config: EngineConfig | None = None, **settings: Any) -> Self:
        """Map the arenas; ConfigError for impossible settings, CapacityError without memory."""
        if config is None:
            config = EngineConfig(**settings)
        elif settings:
            raise ConfigError("give an EngineConfig or keyword settings, not both")
        try:
            self = super().__new__(
                cls,
                accounts=config.accounts,
                prefetch=PREFETCH[config.prefetch],
                prefault=config.prefault,
                id_seed=config.id_seed,
                **config.arenas(),
            )
        except MemoryError as exc:
            raise CapacityError(str(exc)) from exc
        self.config = config
        return self

    def __init__(self, config: EngineConfig | None = None, **settings: Any) -> None:
        """Everything happens in `__new__`, because the kernel's memory is sized there."""

    # ---- events --------------------------------------------------------------------------------

    def events(self, commands: Any) -> npt.NDArray[np.void]:
        """Apply commands and return their events as an array of `tradecore.EVENT`, copied.

        `apply` itself returns a view of the engine's buffer that the next call overwrites; this is
        the convenient form for notebooks and tests.
        """
        return np.frombuffer(bytes(self.apply(commands)), dtype=dtypes.EVENT)

    # ---- administration ------------------------------------------------------------------------

    def admin(self, kind: CommandKind, **fields: int) -> npt.NDArray[np.void]:
        """Send one administrative command (an ADMIN frame) and return its events.

        Parameters
        ----------
        kind : CommandKind
        **fields : int
            Fields of `tradecore.ADMIN` that the kind reads.
        """
        frame = np.zeros(1, dtypes.ADMIN)
        frame["kind"] = kind
        for name, value in fields.items():
            frame[name] = _whole(name, value)
        return self.events(frame)

    def define_instrument(
        self, instrument_id: int, *, tiers: Sequence[tuple[int, int, int]] = (), **fields: int
    ) -> npt.NDArray[np.void]:
        """Create or change an instrument; by default tick 1, lot 1, multiplier 1, no limits.

        Parameters
        ----------
        instrument_id : int
        tiers : sequence of (max_notional, im_ppm, mm_ppm)
            Margin tiers of a linear instrument, ascending.
        **fields : int
            Fields of `tradecore.INSTRUMENT`. `tradecore.InstrumentSpec` builds them from decimals.
        """
        frame = np.zeros(1, dtypes.INSTRUMENT)
        frame["kind"] = CommandKind.INSTRUMENT
        frame["cont"] = 3
        frame["instrument_id"] = _whole("instrument_id", instrument_id)
        defaults = {
            "tick": 1,
            "lot": 1,
            "multiplier": 1,
            "base_per_lot": 1,
            "phase": Phase.CONTINUOUS,
        }
        for name, value in (defaults | fields).items():
            frame[name] = _whole(name, value)
        for i, tier in enumerate(tiers):
            frame["tiers"][0][i] = tier
        return self.events(frame)

    def open_account(self, account_id: int, *, group_id: int = 0, trade_group: int = 0) -> None:
        """Open an account (or move it between groups while it is flat); ConfigError if refused."""
        self._must(
            CommandKind.ACCOUNT,
            account_id=account_id,
            group_id=group_id,
            contra_account_id=trade_group,
        )

    def deposit(self, account_id: int, asset_id: int, amount: int) -> None:
        """Credit cash, in the asset's smallest unit; ConfigError if refused."""
        self._must(CommandKind.DEPOSIT, account_id=account_id, asset_id=asset_id, amount=amount)

    def set_phase(self, instrument_id: int, phase: Phase, ref_px: int = 0) -> npt.NDArray[np.void]:
        """Set the trading phase; leaving AUCTION for CONTINUOUS uncrosses."""
        return self.admin(
            CommandKind.SET_PHASE, instrument_id=instrument_id, phase=phase, ref_px=ref_px
        )

    def mark(self, instrument_id: int, mark_px: int) -> npt.NDArray[np.void]:
        """Send a mark price in ticks: margins are re-measured, stops and liquidation may follow."""
        return self.admin(CommandKind.MARK_PRICE, instrument_id=instrument_id, mark_px=mark_px)

    def advance(self, ts_ns: int) -> npt.NDArray[np.void]:
        """Move log time; timers that are due fire."""
        return self.admin(CommandKind.TIME, ts_ns=ts_ns)

    def mass_cancel(
        self, account_id: int = ANY, instrument_id: int = ANY, side: int = 0
    ) -> npt.NDArray[np.void]:
        """Cancel every live order of a scope, in order-id order."""
        return self.admin(
            CommandKind.MASS_CANCEL, account_id=account_id, instrument_id=instrument_id, side=side
        )

    def _must(self, kind: CommandKind, **fields: int) -> None:
        events = self.admin(kind, **fields)
        refused = events[events["kind"] == 2]
        if len(refused):
            status = Status(int(refused[0]["status"]))
            raise ConfigError(f"{kind.name} refused: {status.name} ({status.sentence})")

    # ---- looking inside ------------------------------------------------------------------------

    def book(self, instrument_id: int, levels: int = 0) -> BookView:
        """Return a copy of a book: phase, prices, visible levels (0 = all). KeyError if unknown."""
        market = self.market_state(instrument_id)
        return BookView(
            instrument_id,
            Phase(market["phase"]),
            market["last_px"],
            market["mark_px"],
            [LevelView(*row) for row in self.depth(instrument_id, Side.BUY, levels)],
            [LevelView(*row) for row in self.depth(instrument_id, Side.SELL, levels)],
        )

    def account(self, account_id: int) -> AccountView:
        """Return a copy of an account's wallets and positions. KeyError if it is not open."""
        return AccountView(
            account_id,
            [WalletView(*row) for row in self.wallets(account_id)],
            [PositionView(*row) for row in self.positions_of(account_id)],
        )

    def check(self) -> None:
        """Recompute every sum and link of the state; AuditError names the first that fails."""
        code, observed, expected, where = self.audit()
        if code:
            raise AuditError(f"audit {code} at {where}: {observed} where {expected} was expected")

    # ---- state ---------------------------------------------------------------------------------

    def state_hash(self) -> str:
        """Return the canonical hash of the whole state, equal in every process. O(state)."""
        return state_hash(self.export_state())

    def snapshot(self) -> bytes:
        """Return the whole state as one self-checking snapshot (see `tradecore.snapshot`)."""
        from tradecore import snapshot

        return snapshot.encode_engine(self)

    @classmethod
    def restore(cls, data: bytes | bytearray | memoryview) -> Self:
        """Build an engine from a snapshot; SnapshotError if any byte of it is wrong."""
        from tradecore import snapshot

        return snapshot.decode_engine(cls, data)

    @classmethod
    def from_state(cls, config: EngineConfig, sections: Iterable[tuple[str, bytes]]) -> Self:
        """Build an engine from a state image; SnapshotError if it does not fit."""
        engine = cls(config)
        try:
            engine.import_state(sections)
        except ValueError as exc:
            raise SnapshotError(str(exc)) from exc
        return engine
