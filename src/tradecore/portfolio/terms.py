"""What one lot and one tick of each instrument are worth, as arrays that a whole batch looks up.

Events name instruments by id and say nothing about multipliers or assets; those come from the
catalog that the service was configured with, or from the INSTRUMENT commands of the log.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradecore.codes import CommandKind, InstrumentType
from tradecore.errors import ConfigError, DataError
from tradecore.instruments import InstrumentSpec

__all__ = ["InstrumentTerms", "Terms"]

IntArray = npt.NDArray[np.int64]


class InstrumentTerms(NamedTuple):
    """What an instrument is worth in integers.

    Parameters
    ----------
    instrument_id, base_asset, quote_asset : int
    multiplier : int
        Smallest quote units per tick and lot.
    base_per_lot : int
        Smallest base units per lot; 0 for a linear instrument, which delivers nothing.
    linear : bool
        Margined, settled in the quote asset.
    """

    instrument_id: int
    base_asset: int
    quote_asset: int
    multiplier: int
    base_per_lot: int
    linear: bool

    @classmethod
    def of(cls, spec: InstrumentSpec) -> InstrumentTerms:
        """Return the terms of a catalogued instrument."""
        return cls(
            spec.instrument_id,
            spec.base.asset_id,
            spec.quote.asset_id,
            spec.multiplier,
            spec.base_per_lot,
            spec.instrument_type == "linear",
        )


class Terms:
    """The terms of all instruments of a cell, looked up by arrays of ids.

    Parameters
    ----------
    rows : iterable of InstrumentTerms
        One for each instrument, in any order.

    Raises
    ------
    ConfigError
        Two different rows for one instrument.

    Attributes
    ----------
    ids : ndarray of int64, shape (instruments,)
        Ascending. The other arrays are parallel to it: `base_asset`, `quote_asset`, `multiplier`,
        `base_per_lot` (int64) and `linear` (bool).
    """

    def __init__(self, rows: Iterable[InstrumentTerms] = ()) -> None:
        known: dict[int, InstrumentTerms] = {}
        for row in rows:
            if known.setdefault(row.instrument_id, row) != row:
                raise ConfigError(f"instrument {row.instrument_id} is defined in two ways")
        self._by_id = known
        self.rows = [known[key] for key in sorted(known)]
        columns = np.array([tuple(row) for row in self.rows], dtype=np.int64).reshape(-1, 6)
        self.ids: IntArray = columns[:, 0].copy()
        self.base_asset: IntArray = columns[:, 1].copy()
        self.quote_asset: IntArray = columns[:, 2].copy()
        self.multiplier: IntArray = columns[:, 3].copy()
        self.base_per_lot: IntArray = columns[:, 4].copy()
        self.linear: npt.NDArray[np.bool_] = columns[:, 5] != 0

    @classmethod
    def of_catalog(cls, specs: Iterable[InstrumentSpec]) -> Terms:
        """Return the terms of catalogued instruments."""
        return cls(InstrumentTerms.of(spec) for spec in specs)

    @classmethod
    def of_frames(cls, frames: npt.NDArray[np.void]) -> Terms:
        """Return the terms that INSTRUMENT commands define.

        The first definition of an id counts: what stands here cannot change afterwards.

        Parameters
        ----------
        frames : ndarray of `tradecore.INSTRUMENT`
            Other kinds among them are left out.
        """
        first: dict[int, InstrumentTerms] = {}
        for frame in frames[frames["kind"] == CommandKind.INSTRUMENT]:
            linear = int(frame["instrument_type"]) == InstrumentType.LINEAR
            row = InstrumentTerms(
                int(frame["instrument_id"]),
                int(frame["base_asset"]),
                int(frame["quote_asset"]),
                int(frame["multiplier"]),
                0 if linear else int(frame["base_per_lot"]),
                linear,
            )
            first.setdefault(row.instrument_id, row)
        return cls(first.values())

    def find(self, instrument_id: IntArray) -> IntArray:
        """Return the row of each instrument. O(n log instruments).

        Raises
        ------
        DataError
            An instrument that is not here; the sentence names it.
        """
        at = np.searchsorted(self.ids, instrument_id)
        if len(self.ids):
            wrong = self.ids[np.minimum(at, len(self.ids) - 1)] != instrument_id
        else:
            wrong = np.ones(len(instrument_id), dtype=np.bool_)
        if wrong.any():
            raise _unknown(int(np.asarray(instrument_id)[wrong][0]))
        return at

    def one(self, instrument_id: int) -> InstrumentTerms:
        """Return one instrument's terms; DataError when it is not here."""
        if instrument_id not in self._by_id:
            raise _unknown(instrument_id)
        return self._by_id[instrument_id]


def _unknown(instrument_id: int) -> DataError:
    return DataError(
        f"events name instrument {instrument_id}, which is not in the catalog: add it to the "
        "service's instruments and start again"
    )
