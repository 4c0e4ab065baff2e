"""Log = store = cache, proven: everything computed anew from the executions and compared."""

from __future__ import annotations

from dataclasses import dataclass, field

from tradecore.catalog import Catalog
from tradecore.cell import FrameReader, Position, StreamError, source_of
from tradecore.portfolio.columns import Table
from tradecore.portfolio.differences import Difference, compare_documents, compare_tables
from tradecore.portfolio.document import document_of, portfolio_key
from tradecore.portfolio.marks import Marks
from tradecore.portfolio.rebuild import Rebuild
from tradecore.portfolio.terms import Terms
from tradecore_shells.plumbing.ports import EXECUTIONS, Cache, FatalError, Log
from tradecore_shells.portfolio.config import PortfolioSettings
from tradecore_shells.portfolio.store import KEYS, TABLES, Place, PortfolioStore

__all__ = ["Findings", "reconcile"]

_FETCH_BYTES = 8 << 20


@dataclass
class Findings:
    """What a reconciliation saw.

    Attributes
    ----------
    place : Place
        Where the store stood; everything was compared as of there.
    log_end : int
        Offset behind the newest record of executions.
    rows : dict
        Rows compared, by table, and documents.
    differences : list of Difference
    """

    place: Place
    log_end: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)


async def reconcile(
    settings: PortfolioSettings,
    catalog: Catalog,
    equity_asset: int,
    *,
    partition: int,
    log: Log,
    store: PortfolioStore,
    cache: Cache | None,
) -> Findings:
    """Compare log, store and cache of one cell.

    The store is read at one moment, also while a service writes on. The cache follows it within
    moments, so a running service shows documents that are ahead: stop it, or look again.

    Parameters
    ----------
    settings : PortfolioSettings
        As the service has them; `equity_every_s` decides which samples must be there.
    catalog : Catalog
    equity_asset : int
    partition : int
    log, store : Log, PortfolioStore
    cache : Cache, optional
        None: a cache in another process cannot be looked into.

    Raises
    ------
    FatalError
        The executions do not reach back to their beginning, or cannot be read.

    Notes
    -----
    Reads the whole log and the whole of the cell's tables: O(rows) memory.
    """
    owners = await store.owners()
    place, tables = await store.everything(partition)
    every_ns = int(settings.equity_every_s * 1e9)
    rebuild = Rebuild(
        Terms.of_catalog(catalog.instruments),
        cell=partition,
        owners=owners,
        equity_asset=equity_asset,
        equity_every_ns=every_ns,
    )
    findings = Findings(place)
    reached = await _replay(rebuild, log, partition, place, findings)
    if reached != place.next_seq:
        findings.differences.append(
            Difference(
                *("offset", f"{EXECUTIONS}-{partition}", "next_seq"),
                *(f"the end of a batch, such as {reached}", str(place.next_seq)),
            )
        )
    if rebuild.ts_ns != place.ts_ns:
        findings.differences.append(
            Difference(
                *("offset", f"{EXECUTIONS}-{partition}", "ts_ns"),
                *(str(rebuild.ts_ns), str(place.ts_ns)),
            )
        )
    expected: dict[str, Table] = rebuild.tables()
    for name in TABLES:
        findings.rows[name] = len(expected[name])
        findings.differences += compare_tables(name, expected[name], tables[name], KEYS[name])
    if cache is not None:
        await _compare_cache(rebuild, cache, catalog, findings)
    return findings


async def _replay(
    rebuild: Rebuild, log: Log, partition: int, place: Place, findings: Findings
) -> int:
    """Feed the executions up to a place; return the number of the first frame not fed."""
    bounds = await log.bounds(EXECUTIONS, partition)
    findings.log_end = bounds.end
    if bounds.start:
        raise FatalError(
            f"{EXECUTIONS}-{partition} begins at offset {bounds.start}: records before it have "
            "expired, so nothing can be computed from the beginning"
        )
    reader = FrameReader(source_of(partition), Position(0, 1))
    reached = 1
    while reached < place.next_seq and reader.position.offset < bounds.end:
        records = await log.fetch(
            EXECUTIONS, partition, reader.position.offset, max_bytes=_FETCH_BYTES, wait_s=0.0
        )
        if not records:
            break
        for record in records:
            try:
                batches = reader.read(record.offset, record.payload)
            except StreamError as error:
                raise FatalError(f"{EXECUTIONS}-{partition}: {error}") from error
            wanted = [batch for batch in batches if batch.end_seq <= place.next_seq]
            rebuild.feed(wanted)
            reached = wanted[-1].end_seq if wanted else reached
            if len(wanted) < len(batches):
                return reached
    return reached


async def _compare_cache(
    rebuild: Rebuild, cache: Cache, catalog: Catalog, findings: Findings
) -> None:
    book = rebuild.book
    terms = Terms.of_catalog(catalog.instruments)
    marks = Marks("last", book.last_px)
    expected = {
        portfolio_key(user, book.cell): document_of(book, user, terms, marks)
        for user in book.users()
    }
    ending = f"@{book.cell}" if book.cell else ""
    kept = [
        key
        for key in await cache.keys("pf:")
        if (key.endswith(ending) if ending else "@" not in key)
    ]
    keys = sorted({*expected, *kept})
    found = dict(zip(keys, await cache.get(keys), strict=True))
    findings.rows["cache"] = len(expected)
    findings.differences += compare_documents(expected, found)
