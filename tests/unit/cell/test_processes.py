"""Two processes that read one log are in one state and have said the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CODE = """
import hashlib, random
from cell_logs import LogSource
from tradecore.cell import Cell, CellConfig
from tradecore.engine import EngineConfig

config = CellConfig(
    engine=EngineConfig(
        accounts=True, max_orders=4096, max_instruments=8, max_accounts=64, id_seed={seed}
    ),
    recent_orders=40,
    depth_ns=10**6,
)
cell = Cell(config, cell_id=1)
said = hashlib.sha256()
for record in LogSource(random.Random(11), True).records(80):
    output = cell.apply(*record)
    for payload in (*output.executions(cell), *output.market(cell)):
        said.update(payload)
    if output.fenced:
        break
print(cell.state_hash(), said.hexdigest(), cell.exec_seq > 200)
"""


def test_hash_seed_and_id_seed_show_nowhere() -> None:
    tests = Path(__file__).parents[2]
    found = set()
    for seed in (1, 2):
        environment = os.environ | {
            "PYTHONHASHSEED": str(seed),
            "PYTHONPATH": os.pathsep.join([str(tests), *sys.path]),
        }
        done = subprocess.run(
            [sys.executable, "-c", CODE.format(seed=seed)],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        found.add(done.stdout)
    (line,) = found
    assert line.split()[2] == "True"
