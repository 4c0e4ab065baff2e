"""A small market of real commands: accounts, holds, fees, in a journal or a log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import tradecore as tc
from tradecore.cell import Cell, CellConfig
from tradecore.cli.journal_files import create_journal
from tradecore.data.flows import instrument_frames
from tradecore.engine import EngineConfig
from tradecore.envelope import encode, seal
from tradecore.snapshot import encode as encode_snapshot
from tradecore.storage import FileJournal

CONFIG = EngineConfig(
    accounts=True, max_instruments=4, max_orders=4_096, max_accounts=16, max_assets=8
)


def admin(kind: tc.CommandKind, **fields: int) -> Any:
    frame = np.zeros(1, tc.ADMIN)
    frame["kind"] = kind
    for name, value in fields.items():
        frame[name] = value
    return frame.view(tc.COMMAND)


def batches(count: int = 40, seed: int = 5) -> list[Any]:
    """Setup, then batches of random orders, cancels and replaces of ten accounts."""
    draw = np.random.default_rng(seed)
    definitions = instrument_frames(3)[1:]
    definitions["base_asset"], definitions["quote_asset"] = [1, 2], 0
    definitions["maker_fee_ppm"], definitions["taker_fee_ppm"] = 100, 700
    setup = [definitions.view(tc.COMMAND)]
    for account in range(1, 11):
        setup.append(admin(tc.CommandKind.ACCOUNT, account_id=account))
        for asset in range(3):
            fields = {"account_id": account, "asset_id": asset, "amount": 10**9}
            setup.append(admin(tc.CommandKind.DEPOSIT, **fields))
    made = [np.concatenate(setup)]
    number = 0
    for _ in range(count):
        frames = np.zeros(50, tc.COMMAND)
        for frame in frames:
            number += 1
            frame["ts_ns"] = 1_000 * number
            frame["account_id"] = draw.integers(1, 11)
            if draw.random() < 0.75 or number < 20:
                frame["kind"], frame["ord_type"] = 1, 2
                frame["tif"] = draw.choice([1, 1, 1, 3])
                frame["order_id"] = number
                frame["instrument_id"] = draw.integers(1, 3)
                frame["side"] = draw.integers(1, 3)
                frame["px"] = 1_000 + draw.integers(-8, 9)
                frame["order_qty"] = draw.integers(1, 30)
            else:
                frame["kind"] = draw.choice([2, 3])
                frame["order_id"] = draw.integers(1, number)
                if frame["kind"] == 3:
                    frame["order_qty"] = draw.integers(1, 30)
        made.append(frames)
    return made


def write_journal(folder: Path, parts: list[Any]) -> Path:
    journal = create_journal(str(folder), CONFIG)
    for part in parts:
        journal.append(part.tobytes())
        journal.commit()
    journal.close()
    return folder


def write_log(folder: Path, parts: list[Any]) -> Path:
    """What a trading service leaves: commands, executions, audits, and a snapshot."""
    config = CellConfig(engine=CONFIG, recent_orders=8_192, max_sources=16, sessions=False)
    cell = Cell(config, cell_id=0)
    payloads: dict[str, list[tuple[int, bytes]]] = {
        "trading-commands-0": [],
        "executions-0": [],
        "audit-logs-0": [],
    }
    for offset, part in enumerate(parts):
        ts_ns = 1_000_000 * (offset + 1)
        payload = encode(seal(part.tobytes(), source=0, first_seq=1))
        payloads["trading-commands-0"].append((ts_ns, payload))
        output = cell.apply(offset, ts_ns, payload)
        payloads["executions-0"] += [(ts_ns, made) for made in output.executions(cell)]
        if offset in (10, len(parts) - 1):
            payloads["audit-logs-0"].append((ts_ns, cell.audit()))
        if offset == 20:
            info, sections, own = cell.snapshot_parts()
            data = encode_snapshot(info, sections, own)
            (folder / "snapshots").mkdir(parents=True)
            name = f"{info.source:08x}-{info.in_seq:020d}-00000000.tcsn"
            (folder / "snapshots" / name).write_bytes(bytes(data))
    for topic, rows in payloads.items():
        (folder / "log" / topic).mkdir(parents=True)
        journal = FileJournal.open(folder / "log" / topic, source=0, kind="log")
        for ts_ns, payload in rows:
            journal.append_payloads([payload], ts_ns)
        journal.commit()
        journal.close()
    return folder / "log" / "trading-commands-0"
