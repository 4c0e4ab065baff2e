"""Run chaos and print the table and the verdict; exit code 1 if a promise was broken."""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from chaos.checker import judge
from chaos.diskfull import fill_disks
from chaos.faults import FULL, SHORT, inflict
from chaos.rig import ENV, ROOT, Rig

DISKS = {"full": 10, "short": 1}


def run(folder: Path, seed: int, *, short: bool, rate: float, quiet: bool = False) -> list[str]:
    """Run once; return what was wrong. Prints the table."""

    def say(line: str) -> None:
        if not quiet:
            print(line, flush=True)

    began = time.monotonic()
    rig = Rig(folder, seed, rate)
    try:
        rig.start()
        say(f"seed {seed}, {rate:g} orders/s, folder {folder}")
        time.sleep(2.0)
        faults = inflict(rig, SHORT if short else FULL, seed, calm_s=0.4 if short else 0.8, say=say)
        rig.heal()
        time.sleep(3.0)
        rig.stop_load()
        _settle(rig)
        rig.drain()
        verdict, counts = asyncio.run(judge(rig.kafka.url, rig.postgres.url, folder, rig.cell))
        done = subprocess.run(
            [sys.executable, "-m", "tradecore.cli", "reconcile", "--config",
             str(folder / "portfolio-a.toml")],
            env=ENV, capture_output=True, text=True, check=False,
        )  # fmt: skip
        verdict.must(done.returncode == 0, f"reconcile: {done.stdout[-1500:]}{done.stderr[-500:]}")
    finally:
        rig.close()
    disks, trouble = fill_disks(folder / "disks", seed, DISKS["short" if short else "full"])
    faults["fill the disk"] = disks
    verdict.wrong += trouble
    for name, count in sorted(faults.items()):
        say(f"{count:6d}  {name}")
        verdict.must(count > 0, f"no fault of class {name!r}")
    for name, count in sorted(counts.items()):
        say(f"{count:10,d}  {name}")
    say(f"restarts: {rig.restarts}")
    record = {
        "seed": seed, "short": short, "rate": rate, "seconds": round(time.monotonic() - began, 1),
        "faults": dict(faults), "counts": counts, "restarts": rig.restarts, "wrong": verdict.wrong,
    }  # fmt: skip
    (folder / "record.json").write_text(json.dumps(record))
    return verdict.wrong


def main() -> int:
    """Parse, run, tell."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--short", action="store_true", help="every class of faults, few of each")
    parser.add_argument("--rate", type=float, default=20_000.0, help="orders a second")
    parser.add_argument("--folder", type=Path, help="kept; default a temporary one")
    parser.add_argument("--record", type=Path, help="append the record to this file")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        wrong = run(folder, args.seed, short=args.short, rate=args.rate)
        if args.record:
            commit = subprocess.run(
                ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
            ).stdout.strip()
            record = {"commit": commit, **json.loads((folder / "record.json").read_text())}
            with args.record.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(record) + "\n")
    for line in wrong[:50]:
        print(f"WRONG: {line}")
    print("chaos: every promise was kept" if not wrong else f"chaos: {len(wrong)} things are wrong")
    return int(bool(wrong))


def _settle(rig: Rig) -> None:
    """Wait until the portfolio has written what the log holds."""
    import asyncpg

    from tradecore_shells.plumbing.adapters import open_log

    async def wait() -> None:
        log = open_log(rig.log_url)
        try:
            deadline = time.monotonic() + 120.0
            while True:
                try:
                    connection = await asyncpg.connect(rig.postgres.url)
                    place = await connection.fetchval(
                        "SELECT next_offset FROM consumer_offset WHERE consumer = 'portfolio'"
                    )
                    await connection.close()
                    end = (await log.bounds("executions", 0)).end
                    if place is not None and end - place < 20:
                        return
                except OSError:
                    pass
                if time.monotonic() > deadline:
                    raise AssertionError(f"the portfolio stays behind: {place} of {end}")
                await asyncio.sleep(0.3)
        finally:
            await log.close()

    asyncio.run(wait())


if __name__ == "__main__":
    sys.exit(main())
