"""The judge of a chaos run: the client's file, the topics and the database, and nothing else.

Written anew, against the pages docs/reference/{envelope,frames,accounts}.md: it shares no code with
the services but the layout of frames, the CRC and, for the replay, the cell itself.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import numpy as np
import numpy.typing as npt
from aiokafka import AIOKafkaConsumer, TopicPartition

from chaos.load import ACK
from tradecore.cell import Cell, CellConfig
from tradecore.dtypes import BALANCE_EVENT, BATCH_EVENT, EVENT, FILL_EVENT, SETTLE_EVENT

__all__ = ["Verdict", "judge"]

FRAME = 64
BATCH, REPEATED, ACCEPTED, REJECTED, FILL, SETTLED, BALANCE = 32, 33, 1, 2, 3, 9, 14
TIME, MARK_PRICE = 10, 14


class Entry(msgspec.Struct, frozen=True):
    """A record of a topic."""

    offset: int
    ts_ns: int
    payload: bytes


@dataclass
class Verdict:
    """What was found. Empty `wrong` means that the exchange kept its promises."""

    wrong: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def must(self, holds: bool, what: str) -> None:
        """Note what does not hold."""
        if not holds:
            self.wrong.append(what)


async def _dump(bootstrap: str, topic: str) -> list[Entry]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_bytes=64 << 20,
        max_partition_fetch_bytes=64 << 20,
    )
    await consumer.start()
    try:
        place = TopicPartition(topic, 0)
        consumer.assign([place])
        end = (await consumer.end_offsets([place]))[place]
        await consumer.seek_to_beginning(place)
        found: list[Entry] = []
        while await consumer.position(place) < end:
            for messages in (await consumer.getmany(place, timeout_ms=1000)).values():
                found += [Entry(m.offset, m.timestamp * 1_000_000, m.value) for m in messages]
        return found
    finally:
        await consumer.stop()


def _envelope(payload: bytes) -> tuple[int, int, int, bytes]:
    """Return (source, first_seq, count, frames)."""
    _, source, first_seq, count, _, frames = msgspec.msgpack.decode(payload)
    return source, first_seq, count, frames


def _stream(entries: list[Entry], verdict: Verdict) -> npt.NDArray[np.void]:
    """Return the frames of `executions`, each once, and check that repetitions are the same."""
    parts: list[bytes] = []
    size = 0
    repeated = 0
    for entry in entries:
        _, first_seq, count, frames = _envelope(entry.payload)
        verdict.must(len(frames) == count * FRAME, f"executions {entry.offset}: wrong length")
        begin = (first_seq - 1) * FRAME
        if begin > size:
            verdict.wrong.append(
                f"executions {entry.offset}: frames {size // FRAME + 1} to {first_seq - 1} missing"
            )
            return np.frombuffer(b"".join(parts), EVENT)
        known = min(size - begin, len(frames))
        if known:
            repeated += known // FRAME
            if b"".join(parts[-64:]) and known <= 1 << 22:
                # Joined rarely: repetitions are of the newest frames.
                tail = _tail(parts, size - begin)
                verdict.must(
                    tail[:known] == frames[:known],
                    f"executions {entry.offset}: says frame {first_seq} otherwise than before",
                )
        if known < len(frames):
            parts.append(frames[known:])
            size += len(frames) - known
    verdict.counts["frames"] = size // FRAME
    verdict.counts["repeated frames"] = repeated
    return np.frombuffer(b"".join(parts), EVENT)


def _tail(parts: list[bytes], size: int) -> bytes:
    """Return the last `size` bytes of all parts."""
    found: list[bytes] = []
    have = 0
    for part in reversed(parts):
        found.append(part)
        have += len(part)
        if have >= size:
            break
    joined = b"".join(reversed(found))
    return joined[len(joined) - size :]


def _orders(
    folder: Path, commands: list[Entry], events: npt.NDArray[np.void], verdict: Verdict
) -> None:
    """Every acknowledged order is in the log where it was said to be, and was answered once."""
    data = (folder / "acks.bin").read_bytes()
    verdict.must(len(data) % ACK.size == 0, "acks.bin ends inside a line")
    by_offset = {entry.offset: entry for entry in commands}
    acknowledged: list[npt.NDArray[np.uint64]] = []
    for offset, first_id, count in ACK.iter_unpack(data):
        ids = np.arange(first_id, first_id + count, dtype=np.uint64)
        acknowledged.append(ids)
        entry = by_offset.get(offset)
        if entry is None:
            verdict.wrong.append(f"acknowledged record {offset} is not in trading-commands")
            continue
        frames = np.frombuffer(_envelope(entry.payload)[3], EVENT)
        # A command's kind is its word at byte 8, its order id at 24.
        raw = frames.view(np.uint8).reshape(-1, FRAME)
        kinds = raw[:, 8].astype(int) | raw[:, 9].astype(int) << 8
        sent = raw[:, 24:32].copy().view(np.uint64)[:, 0]
        verdict.must(np.array_equal(sent[kinds == 1], ids), f"record {offset} holds other orders")
    wanted = np.concatenate(acknowledged) if acknowledged else np.empty(0, np.uint64)
    verdict.counts["acknowledged orders"] = len(wanted)
    first = events[np.isin(events["kind"], (ACCEPTED, REJECTED)) & (events["order_id"] != 0)]
    ids, times = np.unique(first["order_id"], return_counts=True)
    verdict.must(bool((times == 1).all()), f"{int((times > 1).sum())} orders were answered twice")
    missing = np.setdiff1d(wanted, ids)
    verdict.must(not len(missing), f"{len(missing)} acknowledged orders were never answered")
    verdict.counts["answered orders"] = len(ids)
    verdict.counts["repeated orders"] = int((events["kind"] == REPEATED).sum())
    # No order trades more than it asked for: sums of both sides of all fills.
    fills = events[events["kind"] == FILL].view(FILL_EVENT)
    both = np.concatenate((fills["order_id"], fills["maker_order_id"]))
    lots = np.concatenate((fills["last_qty"], fills["last_qty"]))
    order, at = np.unique(both, return_inverse=True)
    done = np.bincount(at, lots, len(order)).astype(np.int64)
    accepted = first[first["kind"] == ACCEPTED]
    asked = accepted.view(np.int64).reshape(-1, FRAME // 8)[:, 5]  # order_qty
    rank = np.argsort(accepted["order_id"], kind="stable")
    place = np.searchsorted(accepted["order_id"][rank], order)
    place = np.minimum(place, max(len(rank) - 1, 0))
    if len(order):
        known = accepted["order_id"][rank][place] == order
        over = done[known] > asked[rank][place][known]
        verdict.must(not over.any(), f"{int(over.sum())} orders traded more than they asked for")
    verdict.counts["fills"] = len(fills)


async def _money(dsn: str, folder: Path, events: npt.NDArray[np.void], verdict: Verdict) -> None:
    """Balances and positions of the database are what the events add up to."""
    specs = {one["instrument_id"]: one for one in msgspec.json.decode(
        (folder / "catalog.json").read_bytes())}  # fmt: skip
    connection = await asyncpg.connect(dsn)
    try:
        instruments = {
            row["instrument_id"]: row for row in await connection.fetch("SELECT * FROM instruments")
        }
        balances = {
            (row["account_id"], row["asset_id"]): row["amount"]
            for row in await connection.fetch("SELECT account_id, asset_id, amount FROM balances")
        }
        positions = {
            (row["account_id"], row["instrument_id"]): (row["qty"], row["realised"], row["fees"])
            for row in await connection.fetch(
                "SELECT account_id, instrument_id, qty, realised, fees FROM positions"
            )
        }
        rows = await connection.fetchrow(
            "SELECT count(*) AS n, count(DISTINCT (cell, seq)) AS distinct_n FROM fills"
        )
    finally:
        await connection.close()
    verdict.must(set(specs) == set(instruments), "the database knows other instruments")
    settled = events[events["kind"] == SETTLED].view(SETTLE_EVENT)
    verdict.counts["fill rows"] = rows["n"]
    verdict.must(rows["n"] == rows["distinct_n"], "fills are in the database twice")
    verdict.must(rows["n"] == len(settled), f"{rows['n']} fill rows for {len(settled)} settlements")
    money: dict[tuple[int, int], int] = {}
    held: dict[tuple[int, int], list[int]] = {}
    before: dict[tuple[int, int], int] = {}
    names = ("account_id", "instrument_id", "cash_delta", "fee", "position_qty", "realised_pnl")
    for account, instrument, cash, fee, qty, realised in zip(
        *(settled[name].tolist() for name in names), strict=True
    ):
        terms = instruments[instrument]
        key = (account, instrument)
        moved = qty - before.get(key, 0)
        before[key] = qty
        quote = (account, terms["quote_asset"])
        money[quote] = money.get(quote, 0) + cash
        if terms["base_per_lot"]:
            base = (account, terms["base_asset"])
            money[base] = money.get(base, 0) + moved * terms["base_per_lot"]
        one = held.setdefault(key, [0, 0, 0])
        one[0] = qty
        one[1] += realised
        one[2] += fee
    for event in events[events["kind"] == BALANCE].view(BALANCE_EVENT):
        key = (int(event["account_id"]), int(event["asset_id"]))
        money[key] = money.get(key, 0) + int(event["amount"])
    for key in sorted(money.keys() | balances.keys()):
        verdict.must(
            money.get(key, 0) == balances.get(key, 0),
            f"balance of account {key[0]}, asset {key[1]}: database {balances.get(key)}, "
            f"events {money.get(key)}",
        )
    for key in sorted(held):
        verdict.must(
            positions.get(key) == tuple(held[key]),
            f"position of account {key[0]}, instrument {key[1]}: database {positions.get(key)}, "
            f"events {held[key]}",
        )
    verdict.counts["balances"] = len(balances)
    verdict.counts["positions"] = len(positions)


def _replay(
    config: CellConfig, commands: list[Entry], events: npt.NDArray[np.void], verdict: Verdict
) -> None:
    """A new cell over the dump says the same frames, byte for byte, and its books audit."""
    cell = Cell(config)
    at = 0
    data = memoryview(events.view(np.uint8))
    for entry in commands:
        if at == len(data):
            # Behind the last answer stand ticks and marks only: the client was stopped before.
            kinds = np.frombuffer(_envelope(entry.payload)[3], np.uint8).reshape(-1, FRAME)[:, 8]
            verdict.must(
                bool(np.isin(kinds, (TIME, MARK_PRICE)).all()),
                f"record {entry.offset} was never answered",
            )
            continue
        frames = memoryview(cell.apply(entry.offset, entry.ts_ns, entry.payload).frames)
        if data[at : at + len(frames)] != frames:
            verdict.wrong.append(f"replay differs from executions at record {entry.offset}")
            return
        at += len(frames)
    verdict.must(at == len(data), f"{(len(data) - at) // FRAME} frames come from nowhere")
    cell.engine.check()
    heads = events[events["kind"] == BATCH].view(BATCH_EVENT)
    verdict.must(bool((np.diff(heads["ts_ns"].astype(np.int64)) >= 0).all()), "time ran backwards")


async def judge(
    bootstrap: str, dsn: str, folder: Path, config: CellConfig
) -> tuple[Verdict, dict[str, Any]]:
    """Look at everything; return the verdict and counts for the record."""
    verdict = Verdict()
    commands, executions = await asyncio.gather(
        _dump(bootstrap, "trading-commands"), _dump(bootstrap, "executions")
    )
    verdict.counts["command records"] = len(commands)
    events = _stream(executions, verdict)
    if not verdict.wrong:
        _orders(folder, commands, events, verdict)
        await _money(dsn, folder, events, verdict)
        _replay(config, commands, events, verdict)
    return verdict, dict(verdict.counts)
