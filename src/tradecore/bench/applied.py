"""Apply the first frames of a file and do nothing else: the program whose instructions are counted.

    python -m tradecore.bench.applied FRAMES.npy CONFIG.json COUNT

Apart from `tradecore.bench.instructions`, because everything imported here is counted too.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec
import numpy as np

from tradecore.dtypes import COMMAND
from tradecore.engine import Engine, EngineConfig

__all__ = ["main"]

BATCH = 256


def main(argv: list[str]) -> int:
    """Apply ``COUNT`` frames in batches of 256."""
    path, config, count = argv
    frames = np.load(path).view(COMMAND)[: int(count)]
    engine = Engine(msgspec.json.decode(Path(config).read_bytes(), type=EngineConfig))
    for at in range(0, len(frames), BATCH):
        engine.apply(frames[at : at + BATCH])
    return 0


if __name__ == "__main__":
    main(sys.argv[1:])
    # What the interpreter does while it ends is not the same twice.
    os._exit(0)
