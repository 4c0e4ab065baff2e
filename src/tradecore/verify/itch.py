"""ITCH 5.0 streams: every message decoded to its fields and encoded back to the same bytes."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from tradecore.data.itch import ItchBatch, iter_itch
from tradecore.data.itch_spec import LENGTH_OF_TYPE
from tradecore.verify.report import Failure, FileResult, Progress

__all__ = ["judge"]

_SHOWN: Final = 20
_SIZES: Final = np.array(LENGTH_OF_TYPE, np.int64)


def _compare(batch: ItchBatch) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.uint8], bytes]:
    """Return which messages come back equal, and both streams of bytes without framing."""
    sizes = _SIZES[batch.kinds]
    begins = np.cumsum(sizes) - sizes
    # Byte k of the unframed stream stands at places[k] of the file's bytes.
    places = np.repeat(batch.starts - begins, sizes) + np.arange(int(sizes.sum()))
    raw = batch.data[places]
    again = batch.encode("bare")
    same = raw == np.frombuffer(again, np.uint8)
    return np.logical_and.reduceat(same, begins), raw, again


def judge(path: str, progress: Progress | None = None) -> FileResult:
    """Judge one stream, in any framing.

    Raises
    ------
    DataError
        The file is damaged or holds a message that the specification does not know.
    """
    total = equal = 0
    kinds: set[int] = set()
    failures: list[Failure] = []
    for batch in iter_itch(path):
        if not len(batch.starts):
            continue
        good, raw, again = _compare(batch)
        total += len(good)
        equal += int(good.sum())
        kinds.update(np.unique(batch.kinds).tolist())
        ends = np.cumsum(_SIZES[batch.kinds])
        for at in np.flatnonzero(~good)[: _SHOWN - len(failures)].tolist():
            name = f"message {batch.first + at}, type {chr(batch.kinds[at])}"
            part = slice(int(ends[at] - _SIZES[batch.kinds[at]]), int(ends[at]))
            failures.append(Failure(name, raw[part].tobytes().hex(), again[part].hex()))
        if progress:
            progress(path, total, 0)
    return FileResult(
        path=path,
        kind="itch",
        passed=equal,
        failed=total - equal,
        lines=[f"itch: {equal}/{total} messages equal, {len(kinds)} types"],
        failures=failures,
    )
