"""The same bytes in give the same bytes out: what could break that is banned from the sources."""

from __future__ import annotations

import ast
import re

import layers
import pytest
from repository import KERNEL, ROOT, Module, library_modules

PURE = [module for module in library_modules() if layers.of(module) == "pure"]
EVERY = list(library_modules())

# Built-ins whose value differs between runs or processes, and doors to the outside.
BANNED_CALLS = {"id", "hash", "open", "input", "print", "eval", "exec", "compile", "__import__"}
BANNED_CLOCKS = {"now", "utcnow", "today", "perf_counter", "monotonic", "time_ns"}
UNSAFE_EVERYWHERE = {"eval", "exec"}
UNSAFE_MODULES = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}


def _calls(module: Module) -> list[tuple[str, ast.Call]]:
    found = []
    for node in module.nodes(ast.Call):
        assert isinstance(node, ast.Call)
        if isinstance(node.func, ast.Name):
            found.append((node.func.id, node))
        elif isinstance(node.func, ast.Attribute):
            found.append(("." + node.func.attr, node))
    return found


def test_pure_library_calls_nothing_that_differs_between_runs() -> None:
    banned = BANNED_CALLS | {"." + name for name in BANNED_CLOCKS}
    wrong = [
        f"{module.at(node)}: {name}()"
        for module in PURE
        for name, node in _calls(module)
        if name in banned and not _inside_dunder_hash(module, node)
    ]
    assert not wrong, "\n".join(wrong)


def _inside_dunder_hash(module: Module, call: ast.Call) -> bool:
    """``hash()`` may implement ``__hash__``; its value must not get out of the process."""
    return any(
        isinstance(node, ast.FunctionDef) and node.name == "__hash__" and call in ast.walk(node)
        for node in ast.walk(module.tree)
    )


def _is_set(node: ast.AST) -> bool:
    if isinstance(node, ast.Set | ast.SetComp):
        return True
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in {"set", "frozenset"}
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr | ast.BitAnd | ast.Sub):
        return _is_set(node.left) or _is_set(node.right)
    return False


def test_pure_library_never_iterates_in_hash_order() -> None:
    wrong = []
    for module in PURE:
        for node in ast.walk(module.tree):
            iterated = []
            if isinstance(node, ast.For | ast.comprehension):
                iterated = [node.iter]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id in {"list", "tuple", "enumerate", "iter", "zip", "map"}:
                    iterated = list(node.args)
            elif isinstance(node, ast.Starred):
                iterated = [node.value]
            wrong += [module.at(each) for each in iterated if _is_set(each)]
    assert not wrong, "sort the set first:\n" + "\n".join(wrong)


def test_library_neither_pickles_nor_evaluates() -> None:
    wrong = []
    for module in EVERY:
        wrong += [
            f"{module.at(node)}: {name}()"
            for name, node in _calls(module)
            if name in UNSAFE_EVERYWHERE
        ]
        for node in module.nodes(ast.Import, ast.ImportFrom):
            names = [alias.name for alias in getattr(node, "names", [])]
            names.append(getattr(node, "module", None) or "")
            if UNSAFE_MODULES & {name.partition(".")[0] for name in names}:
                wrong.append(f"{module.at(node)}: pickle")
        wrong += [
            f"{module.at(node)}: allow_pickle"
            for node in module.nodes(ast.keyword)
            if isinstance(node, ast.keyword)
            and node.arg == "allow_pickle"
            and not (isinstance(node.value, ast.Constant) and node.value.value is False)
        ]
    assert not wrong, "\n".join(wrong)


# ----------------------------------------------------------------------------------- the kernel
KERNEL_SOURCES = sorted([*KERNEL.glob("*.pyx"), *KERNEL.glob("*.pxd"), *KERNEL.rglob("*.h")])
COMMENT_OR_STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"""' r"|'(?:[^'\\\n]|\\.)*'" r'|"(?:[^"\\\n]|\\.)*"' r"|\#[^\n]*",
    re.DOTALL,
)
C_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
KERNEL_BANS = {
    "floating point": re.compile(r"\b(double|float|long\s+double|fabs|pow|sqrt|floor|ceil)\b"),
    "a clock": re.compile(
        r"\b(time|clock|gettimeofday|clock_gettime|perf_counter|rdtsc|__rdtsc)\b"
    ),
    "chance": re.compile(r"\b(random|rand|srand|drand48|urandom)\b"),
    "the environment or a file": re.compile(
        r"\b(getenv|environ|fopen|open|read|printf|print)\s*\("
    ),
    "an address or a hash order": re.compile(r"\b(id|hash)\s*\("),
}


def _code_only(text: str, suffix: str) -> str:
    """Blank out comments and strings, keeping line numbers."""
    pattern = C_COMMENT if suffix == ".h" else COMMENT_OR_STRING

    # The text under `cdef extern from *:` is C, although it looks like a docstring.
    def blank(match: re.Match[str]) -> str:
        body = match.group()
        before = match.string[: match.start()].rstrip().rpartition("\n")[2]
        if body.startswith('"""') and before.startswith("cdef extern"):
            return C_COMMENT.sub(lambda m: "\n" * m.group().count("\n"), body)
        return "\n" * body.count("\n")

    return pattern.sub(blank, text)


@pytest.mark.parametrize("path", KERNEL_SOURCES, ids=lambda path: path.name)
def test_kernel_source_has_no_float_clock_chance_or_io(path: object) -> None:
    assert hasattr(path, "read_text")
    code = _code_only(path.read_text("utf-8"), path.suffix)  # type: ignore[attr-defined]
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {what}: {line.strip()}"  # type: ignore[attr-defined]
        for number, line in enumerate(code.splitlines(), 1)
        for what, pattern in KERNEL_BANS.items()
        if pattern.search(line)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "line",
    ["cdef double x = 1", "from libc.time cimport time", "x = rand()", "getenv(b'A')", "hash(x)"],
)
def test_kernel_bans_catch_what_they_name(line: str) -> None:
    assert any(ban.search(_code_only(line, ".pyx")) for ban in KERNEL_BANS.values())


def test_kernel_bans_ignore_comments_and_docstrings() -> None:
    text = '"""A double in time."""\n# float\nx = 1  # rand()\n'
    code = _code_only(text, ".pyx")
    assert not any(ban.search(code) for ban in KERNEL_BANS.values())
    assert code.count("\n") == text.count("\n")


def test_kernel_bans_look_into_verbatim_c() -> None:
    text = 'cdef extern from *:\n    """\n    /* no float */\n    static double x;\n    """\n'
    code = _code_only(text, ".pyx")
    assert "double" in code
    assert "float" not in code
