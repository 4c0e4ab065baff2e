"""Run one stream in a process of its own and print what it gave: events, state, kernel, hash seed.

    python child.py WORKLOAD COMMANDS BATCH

Called by test_processes.py with another PYTHONHASHSEED, or another build of the kernel on the path.
"""

from __future__ import annotations

import hashlib
import json
import sys

from determinism.venue import run
from tradecore.bench.setting import compiler_of
from tradecore_ext import engine as kernel


def main() -> None:
    """Print one line of JSON."""
    name, commands, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    events, state = run(name, commands, batch)
    line = {
        "events": hashlib.sha256(events).hexdigest(),
        "state": state,
        "compiler": compiler_of(kernel.__file__),
        "module": kernel.__file__,
        # Differs between processes with random seeds: shows that the seeds were really different.
        "hash": hash("tradecore"),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
