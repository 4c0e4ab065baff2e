"""Record what other people's compiled code relies on: struct offsets, codes, exported functions.

Usage: python tools/abi_snapshot.py, with the kernel built for this interpreter. The record is
append-only: a new struct, code or function is added; a changed or removed one is refused unless
TC_ABI has counted up, because Cython would let such a change through at import without a word.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SNAPSHOT = ROOT / "tests" / "meta" / "abi_snapshot.json"

Snapshot = dict[str, Any]


def exported_functions(module_name: str) -> dict[str, str]:
    """Return the C functions a compiled module exports, each with the signature Cython checks."""
    capsules = getattr(importlib.import_module(module_name), "__pyx_capi__", {})
    name_of = ctypes.pythonapi.PyCapsule_GetName
    name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
    return {name: name_of(capsule).decode() for name, capsule in sorted(capsules.items())}


def current() -> Snapshot:
    """Return the snapshot of the kernel that is importable now."""
    from tradecore_ext import _abi

    modules = sorted(path.stem for path in (ROOT / "src" / "tradecore_ext").glob("*.pyx"))
    flat: Snapshot = {"abi": _abi.ABI}
    for struct, layout in _abi.STRUCTS.items():
        flat[f"struct {struct}"] = layout["itemsize"]
        for field, (kind, offset, count, size) in layout["fields"].items():
            # Reserved space may be renamed when a field moves into it; its place is not promised.
            if not field.startswith("reserved"):
                flat[f"field {struct}.{field}"] = f"{kind} x{count} at {offset}, {size} bytes"
    for enum, members in _abi.CODES.items():
        flat |= {f"code {enum}.{name}": value for name, value in members.items()}
    flat |= {f"status {name}": code for name, code in _abi.STATUSES.items()}
    for module in modules:
        functions = exported_functions(f"tradecore_ext.{module}")
        flat |= {f"function {module}.{name}": text for name, text in functions.items()}
    return flat


def recorded() -> Snapshot:
    """Return the snapshot in the repository, empty if there is none."""
    return json.loads(SNAPSHOT.read_text("utf-8")) if SNAPSHOT.exists() else {}


def broken(old: Snapshot, new: Snapshot) -> list[str]:
    """Return the promises of the old snapshot that the new one does not keep, one line each."""
    return [
        f"{key}: was {value}, is {new.get(key, 'gone')}"
        for key, value in old.items()
        if key != "abi" and new.get(key) != value
    ]


def main() -> int:
    """Write the snapshot, or refuse and return 1."""
    old, new = recorded(), current()
    wrong = broken(old, new)
    if wrong and new["abi"] == old["abi"]:
        print("\n".join(wrong), file=sys.stderr)
        print(
            "abi_snapshot: count up TC_ABI in tc_frame.h to break these promises", file=sys.stderr
        )
        return 1
    SNAPSHOT.write_text(json.dumps(new, indent=0) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
