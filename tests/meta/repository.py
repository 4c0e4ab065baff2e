"""What the rules of the repository are about: its files, modules and imports, read but not run.

Every test of this folder takes its lists from here: one idea of what a source file is.
"""

from __future__ import annotations

import ast
import functools
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "src" / "tradecore"
KERNEL = ROOT / "src" / "tradecore_ext"


@functools.cache
def tracked_files() -> tuple[Path, ...]:
    """All files git knows, and the new ones it does not ignore; every file where git is absent."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        names = (ROOT / name for name in listed.stdout.split("\0") if name)
    else:
        names = ROOT.rglob("*")
    return tuple(sorted(path for path in names if path.is_file()))


@dataclass(frozen=True)
class Module:
    """One Python module of the library: its dotted name, its file and its syntax tree."""

    name: str
    path: Path
    tree: ast.Module

    def nodes(self, *kinds: type[ast.AST]) -> Iterator[ast.AST]:
        return (node for node in ast.walk(self.tree) if isinstance(node, kinds))

    def at(self, node: ast.AST) -> str:
        return f"{self.path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


@functools.cache
def library_modules() -> tuple[Module, ...]:
    """Every module of src/tradecore."""
    modules = []
    for path in sorted(LIBRARY.rglob("*.py")):
        parts = path.relative_to(LIBRARY.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        modules.append(Module(name, path, ast.parse(path.read_text("utf-8"), str(path))))
    return tuple(modules)


def _type_checking_blocks(tree: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for statement in node.body:
                yield from ast.walk(statement)


def imports(module: Module) -> Iterator[tuple[str, ast.AST]]:
    """Yield (dotted name, node) of every import that may run; those under TYPE_CHECKING never do.

    ``from tradecore import x`` yields ``tradecore.x`` when that is a module, else ``tradecore``.
    """
    names = {known.name for known in library_modules()}
    never_run = set(_type_checking_blocks(module.tree))
    for node in module.nodes(ast.Import, ast.ImportFrom):
        if node in never_run:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
            continue
        assert isinstance(node, ast.ImportFrom)
        base = node.module or ""
        if node.level:
            package = module.name.split(".")
            if module.path.name != "__init__.py":
                package = package[:-1]
            package = package[: len(package) - node.level + 1]
            base = ".".join([*package, base] if base else package)
        for alias in node.names:
            whole = f"{base}.{alias.name}"
            yield (whole if whole in names else base), node


def is_within(name: str, package: str) -> bool:
    """Tell whether a dotted name is the package or inside it."""
    return name == package or name.startswith(package + ".")
