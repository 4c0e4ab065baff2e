"""What readers find in the cache: one document a user, one a trading session.

Keys: ``pf:{user}`` of cell 0, ``pf:{user}@{cell}`` of the others, because cells keep money of their
own; ``session:{id}``. Values are msgpack maps with the field names of these structs.

All of a document but its marks (`mark_px`, `upnl` and the sums of them) is a function of the
executions up to `seq`; those follow the market and are as old as the document.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tradecore.buffers import BytesLike
from tradecore.errors import DataError
from tradecore.portfolio.book import Book
from tradecore.portfolio.marks import Marks
from tradecore.portfolio.sessions import Session
from tradecore.portfolio.terms import Terms

__all__ = [
    "BalanceRow",
    "PnlRow",
    "PortfolioDocument",
    "PositionRow",
    "decode_document",
    "decode_session",
    "document_of",
    "encode_document",
    "encode_session",
    "portfolio_key",
    "session_key",
]


class PositionRow(msgspec.Struct, frozen=True, gc=False):
    """A position; lots, ticks and quote units."""

    account_id: int
    instrument_id: int
    qty: int
    cost: int
    realised: int
    fees: int
    mark_px: int
    upnl: int


class BalanceRow(msgspec.Struct, frozen=True, gc=False):
    """Cash of an account in an asset, isolated margins included; smallest units."""

    account_id: int
    asset_id: int
    amount: int


class PnlRow(msgspec.Struct, frozen=True, gc=False):
    """Sums over the positions that are settled in an asset."""

    asset_id: int
    realised: int
    fees: int
    upnl: int


class PortfolioDocument(msgspec.Struct, frozen=True):
    """Everything of a user in one cell.

    Parameters
    ----------
    user_id, cell : int
    seq : int
        Number of the last event that changed any of it.
    ts_ns : int
        Log time of that event.
    positions, balances, pnl : list
        By account and instrument or asset; `pnl` by asset.
    """

    user_id: int
    cell: int
    seq: int
    ts_ns: int
    positions: list[PositionRow]
    balances: list[BalanceRow]
    pnl: list[PnlRow]

    def without_marks(self) -> PortfolioDocument:
        """Return the part that is a function of the executions, for comparing."""
        return msgspec.structs.replace(
            self,
            positions=[msgspec.structs.replace(p, mark_px=0, upnl=0) for p in self.positions],
            pnl=[msgspec.structs.replace(p, upnl=0) for p in self.pnl],
        )


_ENCODER: Final = msgspec.msgpack.Encoder()
_PORTFOLIO: Final = msgspec.msgpack.Decoder(PortfolioDocument)
_SESSION: Final = msgspec.msgpack.Decoder(dict[str, int | str])


def portfolio_key(user_id: int, cell: int = 0) -> str:
    """Return the key of a user's document."""
    return f"pf:{user_id}@{cell}" if cell else f"pf:{user_id}"


def session_key(session_id: int) -> str:
    """Return the key of a trading session's document."""
    return f"session:{session_id}"


def document_of(book: Book, user_id: int, terms: Terms, marks: Marks) -> PortfolioDocument:
    """Return a user's document. O(rows of the user)."""
    positions, balances = book.rows_of(user_id)
    rows = []
    sums: dict[int, list[int]] = {}
    for row in positions.tolist():
        _, _, account, instrument, qty, cost, realised, fees, *_ = row
        known = terms.one(instrument)
        px = marks.px(instrument)
        upnl = qty * px * known.multiplier - cost if px else 0
        rows.append(PositionRow(account, instrument, qty, cost, realised, fees, px, upnl))
        total = sums.setdefault(known.quote_asset, [0, 0, 0])
        for i, amount in enumerate((realised, fees, upnl)):
            total[i] += amount
    stamps = [row[-2:] for row in (*positions.tolist(), *balances.tolist())]
    seq, ts_ns = max(stamps, default=(0, 0))
    return PortfolioDocument(
        user_id,
        book.cell,
        seq,
        ts_ns,
        sorted(rows, key=lambda row: (row.account_id, row.instrument_id)),
        sorted(
            (BalanceRow(row[2], row[3], row[4]) for row in balances.tolist()),
            key=lambda row: (row.account_id, row.asset_id),
        ),
        [PnlRow(asset, *sums[asset]) for asset in sorted(sums)],
    )


def encode_document(document: PortfolioDocument) -> bytes:
    """Return the value to cache. Sums beyond 64 bits, which no market makes, are refused."""
    return _ENCODER.encode(document)


def decode_document(data: BytesLike) -> PortfolioDocument:
    """Read a value of the cache; DataError when it is no such document."""
    try:
        return _PORTFOLIO.decode(bytes(data))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"not a portfolio document: {error}") from None


def encode_session(session: Session) -> bytes:
    """Return the value to cache for a session."""
    return _ENCODER.encode(session._asdict())


def decode_session(data: BytesLike) -> Session:
    """Read a session out of the cache; DataError when it is none."""
    try:
        return Session(**_SESSION.decode(bytes(data)))  # type: ignore[arg-type]
    except (msgspec.DecodeError, TypeError) as error:
        raise DataError(f"not a session: {error}") from None
