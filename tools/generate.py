"""Rewrite, or with --check compare, every file generated from tc_frame.h and tc_status.def.

Usage: python tools/generate.py [--check]. Needs nothing but the standard library, so that it also
runs before the package can be built.
"""

from __future__ import annotations

import argparse
import sys

import emit_cython
import emit_docs
import emit_python
import tc_header

TARGETS = {
    "src/tradecore_ext/types.pxd": emit_cython.types_pxd,
    "src/tradecore_ext/_abi.pyx": emit_cython.abi_pyx,
    "src/tradecore_ext/_abi.pyi": emit_cython.abi_pyi,
    "src/tradecore/status.py": emit_python.status_py,
    "src/tradecore/codes.py": emit_python.codes_py,
    "docs/reference/frames.md": emit_docs.frames_md,
    "docs/reference/statuses.md": emit_docs.statuses_md,
}


def render() -> dict[str, str]:
    """Return the text of every generated file by its path in the repository."""
    header = tc_header.read()
    return {path: emit(header) for path, emit in TARGETS.items()}


def main() -> int:
    """Write what changed; with --check write nothing and return 1 if anything would change."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only")
    check = parser.parse_args().check
    stale = []
    for name, text in render().items():
        path = tc_header.ROOT / name
        if path.exists() and path.read_text("utf-8") == text:
            continue
        stale.append(name)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    for name in stale:
        print(f"{'stale' if check else 'wrote'} {name}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
