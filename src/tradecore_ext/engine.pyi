from collections.abc import Callable, Iterable
from typing import Any, Self, TypedDict, final, type_check_only

@type_check_only
class Market(TypedDict):
    phase: int
    last_px: int
    mark_px: int
    live_orders: int
    bid_levels: int
    ask_levels: int
    bid_orders: int
    ask_orders: int
    bid_qty: int
    ask_qty: int
    stops: int
    trailing: int
    band_ref_px: int

class KernelFault(RuntimeError):
    status: int
    line: int
    in_seq: int
    def __init__(self, status: int, line: int, in_seq: int) -> None: ...

def register_errors(
    fault: Callable[[int, int, int], BaseException],
    frame: type[Exception],
    config: type[Exception],
) -> None: ...

@final
class EventBatch:
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __bytes__(self) -> bytes: ...
    @property
    def nbytes(self) -> int: ...

@final
class OrderResult:
    order_id: int
    status: int
    cum_qty: int
    leaves_qty: int
    events: int
    @property
    def ok(self) -> bool: ...

class Kernel:
    def __new__(
        cls,
        *,
        accounts: bool,
        prefetch: int,
        prefault: bool,
        id_seed: int,
        max_instruments: int,
        max_orders: int,
        max_levels: int,
        max_pages: int,
        max_terms: int,
        max_accounts: int,
        max_groups: int,
        max_assets: int,
        max_wallets: int,
        max_positions: int,
    ) -> Self: ...
    def apply(self, commands: Any) -> EventBatch: ...
    def new_order(
        self,
        account_id: int,
        instrument_id: int,
        side: int,
        order_qty: int,
        px: int = 0,
        ord_type: int = 2,
        tif: int = 1,
        flags: int = 0,
        stp: int = 0,
        order_id: int = 0,
        stop_px: int = 0,
        display_qty: int = 0,
        min_qty: int = 0,
        expire_ts_ns: int = 0,
        cash_order_qty: int = 0,
        trailing_bps: int = 0,
        ts_ns: int = 0,
    ) -> OrderResult: ...
    def limit(
        self,
        account_id: int,
        instrument_id: int,
        side: str | int,
        px: int,
        qty: int,
        tif: int = 1,
        flags: int = 0,
        stp: int = 0,
        order_id: int = 0,
        display_qty: int = 0,
        min_qty: int = 0,
        expire_ts_ns: int = 0,
        ts_ns: int = 0,
    ) -> OrderResult: ...
    def market(
        self,
        account_id: int,
        instrument_id: int,
        side: str | int,
        qty: int = 0,
        px: int = 0,
        tif: int = 3,
        flags: int = 0,
        stp: int = 0,
        order_id: int = 0,
        min_qty: int = 0,
        cash_order_qty: int = 0,
        ts_ns: int = 0,
    ) -> OrderResult: ...
    def stop(
        self,
        account_id: int,
        instrument_id: int,
        side: str | int,
        stop_px: int,
        qty: int,
        px: int = 0,
        tif: int = 1,
        flags: int = 0,
        stp: int = 0,
        order_id: int = 0,
        trailing_bps: int = 0,
        expire_ts_ns: int = 0,
        ts_ns: int = 0,
    ) -> OrderResult: ...
    def cancel(self, account_id: int, order_id: int, ts_ns: int = 0) -> OrderResult: ...
    def replace(
        self,
        account_id: int,
        order_id: int,
        px: int = 0,
        order_qty: int = 0,
        flags: int = 0,
        ts_ns: int = 0,
    ) -> OrderResult: ...
    def best(self, instrument_id: int) -> tuple[int | None, int | None]: ...
    def depth(
        self, instrument_id: int, side: str | int, levels: int = 0
    ) -> list[tuple[int, int, int]]: ...
    def queue(
        self, instrument_id: int, side: str | int, px: int
    ) -> list[tuple[int, int, int, int]]: ...
    def market_state(self, instrument_id: int) -> Market: ...
    def order(self, order_id: int) -> dict[str, int] | None: ...
    def wallets(self, account_id: int) -> list[tuple[int, int, int, int, int, int, int]]: ...
    def positions_of(
        self, account_id: int
    ) -> list[tuple[int, int, int, int, int, int, int, int, int, int, int, int, int]]: ...
    def ledger(self, asset_id: int) -> dict[str, int]: ...
    def counters(self) -> dict[str, int]: ...
    def bytes_per_order(self) -> dict[str, int]: ...
    def audit(self) -> tuple[int, int, int, int]: ...
    def export_state(self) -> list[tuple[str, bytes]]: ...
    def import_state(self, sections: Iterable[tuple[str, bytes]]) -> None: ...
    @property
    def now(self) -> int: ...
    @property
    def in_seq(self) -> int: ...
    @property
    def out_seq(self) -> int: ...
    @property
    def handle(self) -> int: ...
