"""Who may import whom. A slip here breaks the product, so it is a test and not a convention."""

from __future__ import annotations

import ast
import sys

import layers
from repository import Module, imports, is_within, library_modules

# What needs an event loop, a network, another process or a thread belongs into the shells.
NEVER_IN_LIBRARY = ("asyncio", "socket", "ssl", "selectors", "select", "http", "urllib", "_thread")
# What would make pure code depend on the machine, the moment or the environment.
NEVER_IN_PURE = (
    *("os", "io", "pathlib", "shutil", "tempfile", "glob", "mmap", "fcntl", "subprocess"),
    *("time", "random", "secrets", "uuid", "locale", "platform", "getpass", "signal"),
    *("threading", "multiprocessing", "concurrent", "queue", "logging"),
)
THIRD_PARTY = {
    "pure": {"numpy", "msgspec"},
    "policy": {"numpy", "msgspec"},
    "kernels": {"numpy", "numba"},
    "testing": {"numpy", "msgspec", "hypothesis"},
}
# Optional packages of the edge; each module imports them only when asked for what needs them.
THIRD_PARTY["edge"] = {
    *("numpy", "msgspec", "rich", "matplotlib", "pandas", "polars", "pyarrow", "zstandard"),
    *("hdrh", "gymnasium", "ray"),
}


def test_library_imports_only_the_layers_below() -> None:
    wrong = []
    for module in library_modules():
        layer = layers.of(module)
        allowed = {"pure", layer, *layers.MAY_IMPORT[layer]}
        for name, node in imports(module):
            if is_within(name, "tradecore") and layers.layer_of(name) not in allowed:
                wrong.append(f"{module.at(node)}: {layer} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_kernels_are_not_imported_by_the_top_of_any_pure_module() -> None:
    wrong = [
        f"{module.at(node)}: {name}"
        for module in library_modules()
        if not is_within(module.name, "tradecore.kernels")
        for name, node in imports(module)
        if node in module.tree.body
        and is_within(name, "tradecore.kernels")
        and layers.of(module) != "edge"
    ]
    assert not wrong, "\n".join(wrong)


def test_library_has_no_event_loop_and_no_network() -> None:
    assert not _imported(library_modules(), NEVER_IN_LIBRARY)


def test_pure_library_does_not_see_files_clocks_or_environment() -> None:
    kinds = {"pure", "policy"}
    pure = tuple(module for module in library_modules() if layers.of(module) in kinds)
    assert not _imported(pure, NEVER_IN_PURE)


def test_third_party_packages_stay_in_their_layer() -> None:
    wrong = []
    for module in library_modules():
        allowed = THIRD_PARTY[layers.of(module)]
        for name, node in imports(module):
            top = name.partition(".")[0]
            known = {"tradecore", "tradecore_ext", "__future__"} | sys.stdlib_module_names
            if top not in known and top not in allowed:
                wrong.append(f"{module.at(node)}: {layers.of(module)} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_optional_packages_are_imported_where_they_are_used_not_at_the_top() -> None:
    core = {"numpy", "msgspec", "tradecore", "tradecore_ext"} | sys.stdlib_module_names
    wrong = [
        f"{module.at(node)}: {name}"
        for module in library_modules()
        if layers.of(module) != "kernels"
        for name, node in imports(module)
        if node in module.tree.body and name.partition(".")[0] not in core
    ]
    assert not wrong, "\n".join(wrong)


def test_shells_do_not_exist_in_the_library() -> None:
    wrong = [
        f"{module.at(node)}: {name}"
        for module in library_modules()
        for name, node in imports(module)
        if is_within(name, "tradecore_shells")
    ]
    assert not wrong, "\n".join(wrong)


def test_layers_name_modules_that_exist() -> None:
    """A renamed module must not silently fall into another layer."""
    names = {module.name for module in library_modules()}
    listed = {package for packages in layers.LAYERS.values() for package in packages}
    assert listed <= names, f"not in src/tradecore: {sorted(listed - names)}"


def _imported(modules: tuple[Module, ...], banned: tuple[str, ...]) -> list[str]:
    return [
        f"{module.at(node)}: {name}"
        for module in modules
        for name, node in imports(module)
        if any(is_within(name, ban) for ban in banned)
    ]


def test_the_reader_of_imports_sees_every_form() -> None:
    """The rules above are worth what this reader sees."""
    source = (
        "import os.path, tradecore.errors\n"
        "from tradecore import errors\n"
        "from . import errors as e\n"
        "from .errors import DataError\n"
        "if TYPE_CHECKING:\n    import asyncio\n"
        "def f():\n    import time\n"
    )
    here = next(module for module in library_modules() if module.name == "tradecore.errors")
    found = [name for name, _ in imports(Module("tradecore.x", here.path, ast.parse(source)))]
    assert sorted(found) == sorted(
        ["os.path", "tradecore.errors", "time", *["tradecore.errors"] * 3]
    )
