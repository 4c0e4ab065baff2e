"""Sections that were changed behind the container's checksums load as a cell or are refused."""

from __future__ import annotations

import random

import pytest

from cell_logs import LogSource
from tradecore import snapshot
from tradecore.cell import Cell, CellConfig, time_command
from tradecore.engine import EngineConfig
from tradecore.envelope import encode, seal
from tradecore.errors import SnapshotError

CONFIG = CellConfig(
    engine=EngineConfig(max_orders=4096, max_instruments=8), recent_orders=50, depth_ns=10**6
)


@pytest.mark.parametrize("seed", range(4))
def test_changed_section_is_refused_or_loads(seed: int) -> None:
    rng = random.Random(seed)
    cell = Cell(CONFIG)
    for record in LogSource(rng, False).records(30):
        if cell.apply(*record).fenced:
            break
    info, sections, config = cell.snapshot_parts()
    own = [n for n, (name, data) in enumerate(sections) if name.startswith("cell.") and data]
    outcomes = set()
    for _ in range(150):
        at = rng.choice(own)
        data = bytearray(sections[at][1])
        for _ in range(rng.choice((1, 1, 4))):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        if rng.random() < 0.2:
            del data[rng.randrange(len(data)) :]
        changed = [*sections[:at], (sections[at][0], bytes(data)), *sections[at + 1 :]]
        found = snapshot.decode(snapshot.encode(info, changed, config))
        try:
            loaded = Cell.from_snapshot(CONFIG, found)
        except SnapshotError:
            outcomes.add("refused")
            continue
        outcomes.add("loaded")
        payload = encode(seal(time_command(), source=0, first_seq=1))
        loaded.apply(max(loaded.next_offset, info.in_seq), 1 << 61, payload)
        assert loaded.state_hash() != ""
    assert outcomes == {"refused", "loaded"}
