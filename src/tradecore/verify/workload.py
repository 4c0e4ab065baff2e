"""Binary order workloads: the canonical report stream of a whole file, and its SHA-256.

The stream is that of the public matching-engine benchmark: one line per acknowledgement, fill,
cancel and refusal, stable-sorted by (seq, type), joined by a newline without a final one. The lines
are made from the engine's events; every batch is one call. A file ``NAME.reports.txt.gz`` beside
``NAME.bin.gz``, and a ``manifest.json`` that names the file, are compared when they are there.

Lines: ``0,seq,side,id,px,qty`` accepted; ``1,seq,px,qty,maker,taker`` fill; ``2,seq,side,id,px``
cancelled, also the rest of an immediate order; ``3,seq,side,id,px,qty`` modified; ``4,seq,id``
cancel refused; ``5,seq,id`` modify refused.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from tradecore.buffers import byte_view
from tradecore.codes import EventKind
from tradecore.data.flows import WorkloadFlow, workload_flow
from tradecore.data.source import open_source
from tradecore.data.workload import Records, read_workload
from tradecore.dtypes import EVENT, FILL_EVENT, ORDER_EVENT
from tradecore.engine import Engine
from tradecore.errors import DataError
from tradecore.status import Status
from tradecore.verify.report import Failure, FileResult, Progress

__all__ = ["REPORT_NAME", "judge", "report_lines", "reports"]

REPORT_NAME: Final = re.compile(r"\.bin(\.gz|\.zst)?$")
"""What is replaced in a workload's name to get the name of its expected reports."""

_BATCH: Final = 1 << 15
_REPORTS: Final = (".reports.txt.gz", ".reports.txt.zst", ".reports.txt")

Events = npt.NDArray[np.void]
Line = Callable[..., str]

# Kind of event -> (type of the line, its format, the columns it shows).
_ORDER_LINES: Final[dict[int, tuple[int, str, tuple[str, ...]]]] = {
    EventKind.ACCEPTED: (0, "0,%d,%d,%d,%d,%d", ("side", "id", "px", "qty")),
    EventKind.CANCELED: (2, "2,%d,%d,%d,%d", ("side", "id", "px")),
    EventKind.EXPIRED: (2, "2,%d,%d,%d,%d", ("side", "id", "px")),
    EventKind.REPLACED: (3, "3,%d,%d,%d,%d,%d", ("side", "id", "px", "qty")),
    EventKind.CANCEL_REJECTED: (4, "4,%d,%d", ("id",)),
    EventKind.REPLACE_REJECTED: (5, "5,%d,%d", ("id",)),
}

_FILL_LINE: Final = "1,%d,%d,%d,%d,%d"


class _Names:
    """The file's own order ids and prices, given back from the engine's."""

    def __init__(self, flow: WorkloadFlow) -> None:
        self._shift = flow.px_shift
        self._ids: npt.NDArray[np.uint64] | None = None
        if flow.order_ids is not None:
            self._ids = np.zeros(int(flow.order_ids.max()) + 1, np.uint64)
            self._ids[flow.order_ids] = flow.records["order_id"]

    def ids(self, column: npt.NDArray[np.uint64]) -> list[int]:
        """Return the file's ids of a column of engine ids."""
        named: list[int] = (column if self._ids is None else self._ids[column]).tolist()
        return named

    def prices(self, column: npt.NDArray[np.int64]) -> list[int]:
        """Return the file's prices of a column of ticks."""
        prices: list[int] = (column - self._shift if self._shift else column).tolist()
        return prices


def report_lines(
    events: Events, records: Records, first_in_seq: int, names: Any = None
) -> list[str]:
    """Return the canonical lines of one batch, stable-sorted by (seq, type).

    Parameters
    ----------
    events : numpy.ndarray of EVENT
        Everything the batch emitted, in order.
    records : numpy.ndarray of WORKLOAD_RECORD, shape (n,)
        The records of the batch.
    first_in_seq : int
        Input sequence number of the first record's command.
    names : optional
        How ids and prices were renamed.

    Raises
    ------
    ValueError
        The engine refused a new order: the stream has no line for that, and a well-formed workload
        has no such order.
    """
    # in_seq is stored in 32 bits; the difference inside a batch is small.
    row = (events["in_seq"].astype(np.int64) - first_in_seq) & 0xFFFF_FFFF
    refused = np.flatnonzero(events["kind"] == EventKind.REJECTED)
    if len(refused):
        at = int(refused[0])
        status = Status(int(events["status"][at]))
        raise ValueError(
            f"record with seq {records['seq'][row[at]]}: the new order is refused, {status.name}"
        )
    seq = records["seq"][row]
    ids = names.ids if names else lambda column: column.tolist()
    prices = names.prices if names else lambda column: column.tolist()
    kinds = events["kind"]
    text = np.empty(len(events), object)
    order_of = np.full(len(events), -1, np.int64)
    for kind, (code, form, shown) in _ORDER_LINES.items():
        where = np.flatnonzero(kinds == kind)
        if not len(where):
            continue
        part = events[where].view(ORDER_EVENT)
        columns = {
            "side": lambda part=part: (part["side"] - 1).tolist(),
            "id": lambda part=part: ids(part["order_id"]),
            "px": lambda part=part: prices(part["px"]),
            "qty": lambda part=part: part["leaves_qty"].tolist(),
        }
        rows = zip(seq[where].tolist(), *(columns[name]() for name in shown), strict=True)
        text[where] = [form % line for line in rows]
        order_of[where] = code
    where = np.flatnonzero(kinds == EventKind.FILL)
    if len(where):
        part = events[where].view(FILL_EVENT)
        rows = zip(
            seq[where].tolist(),
            prices(part["last_px"]),
            part["last_qty"].tolist(),
            ids(part["maker_order_id"]),
            ids(part["order_id"]),
            strict=True,
        )
        text[where] = [_FILL_LINE % line for line in rows]
        order_of[where] = 1
    told = np.flatnonzero(order_of >= 0)
    ranked = told[np.lexsort((order_of[told], seq[told]))]  # lexsort is stable
    lines: list[str] = text[ranked].tolist()
    return lines


def reports(records: Records, progress: Callable[[int], None] | None = None) -> Iterator[list[str]]:
    """Run a workload through a new engine and yield its report stream in pieces.

    Parameters
    ----------
    records : numpy.ndarray of WORKLOAD_RECORD, shape (n,)
    progress : callable, optional
        Called with the number of records done.

    Yields
    ------
    list of str
        Lines whose concatenation is the canonical stream. One piece per batch where the records
        come in order of `seq`; otherwise one piece for the whole file.
    """
    flow = workload_flow(records)
    names = _Names(flow)
    renamed = names if flow.order_ids is not None or flow.px_shift else None
    engine = Engine(max_instruments=max(1, len(flow.instruments)), max_orders=flow.max_orders)
    engine.apply(flow.definitions())
    seq = records["seq"]
    cuts = [0, len(records)]
    if len(records) and bool((seq[1:] >= seq[:-1]).all()):
        # A batch ends only where seq moves on, so that sorting batches sorts the file.
        edges = np.arange(_BATCH, len(records), _BATCH)
        edges = np.searchsorted(seq, seq[edges], side="left")
        cuts = [0, *np.unique(edges[edges > 0]).tolist(), len(records)]
    for first, last in itertools.pairwise(cuts):
        in_seq = engine.in_seq + 1
        events = np.frombuffer(byte_view(engine.apply(flow.commands(first, last))), EVENT)
        yield report_lines(events, records[first:last], in_seq, renamed)
        if progress:
            progress(last)


class _Entry(msgspec.Struct):
    file: str
    sha256_reports: str


def _companion(path: str) -> str | None:
    """Return the expected report stream beside a workload, if there is one."""
    stem = REPORT_NAME.sub("", path)
    return next((stem + end for end in _REPORTS if os.path.isfile(stem + end)), None)


def _manifest_digest(path: str) -> str | None:
    """Return the digest that a manifest beside the workload states for it, if there is one."""
    manifest = Path(path).with_name("manifest.json")
    if not manifest.is_file():
        return None
    try:
        entries = msgspec.json.decode(manifest.read_bytes(), type=list[_Entry])
    except (OSError, ValueError, msgspec.DecodeError):
        return None  # somebody else's manifest: it promises nothing about this file
    name = os.path.basename(path)
    return next((entry.sha256_reports.lower() for entry in entries if entry.file == name), None)


class _Comparison:
    """Compares a stream of lines with a file of expected ones; remembers the first difference."""

    def __init__(self, path: str) -> None:
        self._source = open_source(path)
        self._lines = self._source.lines()
        self.path = path
        self.count = 0
        self.first: Failure | None = None

    def take(self, lines: list[str]) -> None:
        """Compare the next lines."""
        for line in lines:
            self.count += 1
            if self.first is None:
                expected = next(self._lines, None)
                if expected is None or expected[1] != line.encode():
                    self._differs(expected, line)

    def end(self) -> None:
        """Compare the ends."""
        if self.first is None and (expected := next(self._lines, None)) is not None:
            self.count += 1
            self._differs(expected, "the stream ends")
        self._source.close()

    def _differs(self, expected: tuple[int, bytes] | None, actual: str) -> None:
        wanted = "the stream ends" if expected is None else expected[1].decode("utf-8", "replace")
        self.first = Failure(f"line {self.count} of {os.path.basename(self.path)}", wanted, actual)


def judge(path: str, progress: Progress | None = None, expect: str | None = None) -> FileResult:
    """Judge one workload: print its digest, compare it with every expectation there is.

    Parameters
    ----------
    path : str
        ``.bin``, plain or compressed.
    progress : callable, optional
    expect : str, optional
        SHA-256 the stream must have, as hexadecimal digits.

    Raises
    ------
    DataError
        The workload, or its expected report stream, is damaged; or it holds an order that the
        engine refuses.
    """
    records = read_workload(path)
    digest = hashlib.sha256()
    expected_lines = _companion(path)
    comparison = _Comparison(expected_lines) if expected_lines else None
    total = len(records)
    empty = True

    def advance(done: int) -> None:
        if progress:
            progress(path, done, total)

    try:
        for lines in reports(records, advance):
            if lines:
                digest.update((("" if empty else "\n") + "\n".join(lines)).encode())
                empty = False
            if comparison:
                comparison.take(lines)
    except ValueError as error:
        raise DataError(str(error), path) from error
    actual = digest.hexdigest()
    failures: list[Failure] = []
    checks = 0
    if comparison:
        comparison.end()
        checks += 1
        if comparison.first:
            failures.append(comparison.first)
    for source, wanted in (("manifest.json", _manifest_digest(path)), ("--expect", expect)):
        if wanted is not None:
            checks += 1
            if wanted.lower() != actual:
                failures.append(Failure(f"sha256 ({source})", wanted.lower(), actual))
    return FileResult(
        path=path,
        kind="workload",
        passed=checks - len(failures),
        failed=len(failures),
        lines=[f"sha256 {actual} {path}"],
        failures=failures,
        sha256=actual,
    )
