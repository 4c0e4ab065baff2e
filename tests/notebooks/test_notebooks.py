"""Every notebook runs on small data, is stored without output, and has a rendered copy."""

from __future__ import annotations

import importlib.util
import io
import re
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("nbclient")
pytest.importorskip("numba")
matplotlib = pytest.importorskip("matplotlib")

ROOT = Path(__file__).resolve().parents[2]
SMALL = {
    "SECONDS": 30,
    "LIMIT": 10_000,
    "DAYS": 700,
    "SCENARIOS": 2_000,
    "MARKETS": 2,
    "LOTS": 300,
}


def _render() -> Any:
    spec = importlib.util.spec_from_file_location("render", ROOT / "notebooks" / "render.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


render = _render()
BOOKS = render.notebooks()


def test_there_are_six() -> None:
    assert [path.name[0] for path in BOOKS] == list("123456")


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_notebook_is_stored_without_output_and_rendered(path: Path) -> None:
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    page = (ROOT / "docs" / "notebooks" / f"{path.stem}.md").read_text(encoding="utf-8")
    for cell in book.cells:
        assert cell.source in page, f"render {path.name} again: {cell.source[:60]!r} is not in it"
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", page)
    assert pictures, "a notebook without a picture"
    for picture in pictures:
        assert (ROOT / "docs" / "notebooks" / picture).read_bytes()[:4] == b"\x89PNG"


@pytest.mark.slow
@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_notebook_runs_on_small_data(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, so that compiled code is compiled once; a warning is an error."""
    monkeypatch.chdir(ROOT)
    matplotlib.use("Agg")
    from matplotlib import pyplot

    space: dict[str, Any] = {"__name__": "__main__"}
    printed = io.StringIO()
    try:
        with redirect_stdout(printed):
            for cell in render.load(path, **SMALL).cells:
                if cell.cell_type == "code":
                    exec(compile(cell.source, path.name, "exec"), space)  # noqa: S102
    finally:
        pyplot.close("all")
    assert printed.getvalue()


@pytest.mark.slow
def test_rendering_writes_a_page_with_text_and_pictures(tmp_path: Path) -> None:
    """In a process of its own: a kernel's sockets outlive the client's last line."""
    command = [sys.executable, "-W", "ignore", "notebooks/render.py", "--to", str(tmp_path), "6"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / f"{BOOKS[5].stem}.md").read_text(encoding="utf-8")
    assert "```text\na million retail users" in text
    assert text.count("![") == len(list(tmp_path.glob("*.png"))) == 2


def test_a_parameter_replaces_only_what_the_notebook_knows() -> None:
    book = render.load(BOOKS[0], SECONDS=5, DAYS=3)
    (cell,) = [c for c in book.cells if "parameters" in c.metadata.get("tags", [])]
    assert cell.source.endswith("SECONDS = 5")
    assert "DAYS" not in cell.source
