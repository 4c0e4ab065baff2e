"""The commands of a step before they are put into order.

A trader class fills a slice of the rows; `Rows.frames` brings all of them into a drawn order and
into one array of command frames, with a TERMS frame behind each order that has rare terms.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tradecore.agents.chance import Ints
from tradecore.codes import CommandKind
from tradecore.dtypes import COMMAND, TERMS

__all__ = ["Rows"]

_RARE: Final = ("stop_px", "trailing_bps", "display_qty", "expire_ts_ns")
_WORDS: Final = COMMAND.itemsize // 8


class Rows:
    """Up to `capacity` commands; a row of kind 0 is no command.

    Parameters
    ----------
    capacity : int
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._main: npt.NDArray[np.void] = np.zeros(capacity, COMMAND)
        self._terms: npt.NDArray[np.void] = np.zeros(capacity, TERMS)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """Return a field of all rows, to be written: of `tradecore.COMMAND`, or a rare term."""
        return self._terms[name] if name in _RARE else self._main[name]

    def clear(self) -> None:
        """Make every row no command."""
        for array in (self._main, self._terms):
            array.view(np.uint64)[:] = 0

    def frames(self, order: Ints, first_ts_ns: int, step_ns: int) -> npt.NDArray[np.void]:
        """Return the commands as frames, spread evenly over a step of log time. O(capacity).

        Parameters
        ----------
        order : ndarray of int64, shape (capacity,)
            A permutation: which row comes first.
        first_ts_ns, step_ns : int
            Log time of the step: the n-th of N commands carries ``first + step * n // N``.
        """
        main, terms = self._main, self._terms
        kind = main["kind"]
        main["instrument_id"][kind == CommandKind.CANCEL_ORDER] = 0  # its id says it all
        order = order[kind[order] != 0]
        n = len(order)
        if n == 0:
            return np.zeros(0, COMMAND)
        rare = np.zeros(self.capacity, np.bool_)
        for name in _RARE:
            rare |= terms[name] != 0
        has_terms = rare[order]
        main["cont"] = rare
        terms["kind"] = CommandKind.TERMS
        places = np.arange(n) + np.cumsum(has_terms) - has_terms
        # Whole rows move as eight words each; numpy copies structured rows field by field.
        frames = np.zeros(n + int(has_terms.sum()), COMMAND)
        words = frames.view(np.uint64).reshape(-1, _WORDS)
        words[places] = main.view(np.uint64).reshape(-1, _WORDS)[order]
        behind = places[has_terms] + 1
        words[behind] = terms.view(np.uint64).reshape(-1, _WORDS)[order[has_terms]]
        words[places, 0] = first_ts_ns + step_ns * np.arange(n) // n  # ts_ns is the first word
        return frames
