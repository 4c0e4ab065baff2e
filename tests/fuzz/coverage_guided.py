"""Coverage-guided fuzzing with atheris (libFuzzer), for those who have it installed.

    pip install atheris
    python tests/fuzz/coverage_guided.py journal -max_total_time=60

New inputs that reach new code are written to build/fuzz/TARGET; the saved corpus is only read. What
it finds belongs into tests/fuzz/corpus/TARGET, where test_mutations.py runs it for ever.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

try:
    import atheris  # type: ignore[import-untyped]
except ImportError:
    sys.exit("coverage_guided: atheris is not installed: pip install atheris (CPython 3.8 to 3.13)")

with atheris.instrument_imports(include=["tradecore"]):
    from fuzz.targets import CORPUS, TARGETS


def main() -> None:
    """Run libFuzzer on the target named first; other arguments are libFuzzer's."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: coverage_guided.py {{{','.join(TARGETS)}}} [libFuzzer options]")
    target = sys.argv.pop(1)
    grown = ROOT / "build" / "fuzz" / target
    grown.mkdir(parents=True, exist_ok=True)
    options = [sys.argv[0], *sys.argv[1:], str(grown), str(CORPUS / target)]
    atheris.Setup(options, TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
