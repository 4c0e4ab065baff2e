"""The workloads of the published numbers: which, how long, which seed, and the hash of their bytes.

    python bench/workloads.py                      list names, lengths, seeds, hashes
    python bench/workloads.py busy zipf --out DIR  write DIR/busy.bin, DIR/zipf.bin and check hashes
    python bench/workloads.py all --out DIR        all of them
    ... --commands N --seed S                      another length or seed (no published hash)

The generators ship with the library (`tradecore.testing.workloads`); here they are only named and
pinned. A hash that differs means that the generator changed, and with it every number.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from tradecore.errors import ConfigError
from tradecore.testing import workloads
from tradecore.testing.results import WorkloadRef


@dataclass(frozen=True)
class Entry:
    """A published input. `sha256` is `Workload.sha256`: file bytes, then account ids if any."""

    name: str
    commands: int
    seed: int
    sha256: str

    def make(self) -> workloads.Workload:
        """Generate the workload and check its hash."""
        work = workloads.make(self.name, self.commands, self.seed)
        if work.sha256 != self.sha256:
            raise ConfigError(
                f"workload {self.name}: sha256 {work.sha256} is not the published one"
            )
        return work

    @property
    def ref(self) -> WorkloadRef:
        """Return what a result line says about its input."""
        return WorkloadRef(self.name, self.seed, self.sha256)


def _entry(name: str, sha256: str) -> Entry:
    return Entry(name, 2_000_000, workloads.CANONICAL_SEED, sha256)


SUITE: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        _entry("static", "bac6c8b70966110c7b235e2fee9b676bf407f041c03b5eed907f664892385c66"),
        _entry("normal", "81510e3bb2becd712321c616a199c8d3f29a41b3579f8c31361cfa1e500ed3e0"),
        _entry("swing-25", "c017d3390fff1dab5f907d14f09436349458b55f7989b7b541d4ec2c5814ee88"),
        _entry("swing-40", "532cb59a9f4cbfa0486611ed32cde645c8e39c0f4646428de7adc1a9c1126941"),
        _entry("flash-crash", "5e0c04abe8c323a6cae1d3b3c4d91b962c2ac9943e3ef7e3083fb527c19e00e7"),
        _entry("busy", "b694414003b872ac624dc1bae5b6dcf84f5d931df98fdd4193813d09001c07cf"),
        _entry("zipf", "228b8ae6af604b99873833379d9f2312df231f04675ca52c94d1363c73a1b0b1"),
        _entry("pipeline", "326b04e233af2100cf87785155c427754b247d0db1a68123a99123021255518c"),
        _entry("moves", "0c3a51f1d2312cbee5d9f34cab017fdea785b3f22ae01711c433f6074abfff24"),
    )
}


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
    names = list(SUITE) if options.names == ["all"] else options.names
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
