"""Documentation: links lead somewhere, public names explain themselves."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from repository import ROOT, Module, library_modules, tracked_files

import tradecore

PAGES = [path for path in tracked_files() if path.suffix == ".md"]
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)|!\[[^\]\n]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]+`")


def _anchors(page: Path) -> set[str]:
    """Return the anchors that the usual renderers give to headings."""
    text = FENCE.sub("", page.read_text("utf-8"))
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", text, re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        while slug in found:
            slug += "-1"
        found.add(slug)
    return found | set(re.findall(r'<a (?:id|name)="([^"]+)"', text))


def _links(page: Path) -> list[str]:
    text = CODE.sub("", FENCE.sub("", page.read_text("utf-8")))
    return [first or second for first, second in LINK.findall(text)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_resolve(page: Path) -> None:
    wrong = []
    for link in _links(page):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        has_anchor = anchor and target.suffix == ".md" and target.exists()
        if not target.exists() or (has_anchor and anchor not in _anchors(target)):
            wrong.append(link)
    assert not wrong, f"{page.relative_to(ROOT)}: {wrong}"


def _public(body: list[ast.stmt]) -> list[ast.FunctionDef | ast.ClassDef]:
    return [
        node
        for node in body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not any("overload" in ast.unparse(mark) for mark in node.decorator_list)
    ]


@pytest.mark.parametrize("module", library_modules(), ids=lambda module: module.name)
def test_public_names_of_a_module_are_documented(module: Module) -> None:
    wrong = [] if ast.get_docstring(module.tree) else ["the module itself"]
    if any(part.startswith("_") for part in module.name.split(".")):
        assert not wrong, module.name
        return
    for node in _public(module.tree.body):
        if not ast.get_docstring(node):
            wrong.append(node.name)
        if isinstance(node, ast.ClassDef):
            wrong += [
                f"{node.name}.{method.name}"
                for method in _public(node.body)
                if not ast.get_docstring(method) and isinstance(method, ast.FunctionDef)
            ]
    assert not wrong, f"{module.name}: no docstring: {', '.join(wrong)}"


def test_top_level_names_exist_and_are_documented() -> None:
    assert sorted(set(tradecore.__all__)) == sorted(tradecore.__all__)
    plain = (int, str, bytes, float, tuple)
    undocumented = [
        name
        for name in tradecore.__all__
        if not isinstance(getattr(tradecore, name), plain)
        and not (getattr(tradecore, name).__doc__ or "").strip()
    ]
    assert not undocumented
