"""The workloads of the published numbers: which, how long, which seed, and the hash of their bytes.

    python bench/workloads.py                      list names, lengths, seeds, hashes
    python bench/workloads.py busy zipf --out DIR  write DIR/busy.bin, DIR/zipf.bin and check hashes
    python bench/workloads.py all --out DIR        all of them
    ... --commands N --seed S                      another length or seed (no published hash)

Generators and hashes ship with the library (`tradecore.testing.workloads`,
`tradecore.bench.published`; `tradecore bench workloads` shows them). `all --out` leaves the scenes
out: the binary format holds neither their times nor their phases.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tradecore.bench.published import PUBLISHED, Entry
from tradecore.errors import ConfigError
from tradecore.testing import workloads

__all__ = ["SUITE", "Entry", "main"]

SUITE = PUBLISHED


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all, or: {', '.join(SUITE)}")
    parser.add_argument("--out", type=Path, help="folder to write NAME.bin into")
    parser.add_argument("--commands", type=int, help="another length")
    parser.add_argument("--seed", type=int, help="another seed")
    options = parser.parse_args(argv)
    if not options.names:
        for entry in SUITE.values():
            print(f"{entry.name:<12} {entry.commands:>10,} seed {entry.seed}  {entry.sha256}")
            print(f"{'':<12} {workloads.DESCRIPTIONS[entry.name]}")
        return 0
    every = list(SUITE) if options.out is None else list(workloads.NAMES)
    names = every if options.names == ["all"] else options.names
    try:
        for name in names:
            if name not in SUITE:
                raise ConfigError(f"no workload named {name!r}; there are: {', '.join(SUITE)}")
            entry = SUITE[name]
            if options.commands is None and options.seed is None:
                work = entry.make()
            else:
                seed = entry.seed if options.seed is None else options.seed
                work = workloads.make(name, options.commands or entry.commands, seed)
            print(f"{name:<12} {len(work):>10,} seed {work.seed}  {work.sha256}")
            if options.out is not None:
                options.out.mkdir(parents=True, exist_ok=True)
                (options.out / f"{name}.bin").write_bytes(work.encode())
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
