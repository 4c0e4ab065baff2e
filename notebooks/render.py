"""Execute the notebooks and write them with their pictures as Markdown: docs/notebooks.

    python notebooks/render.py            all of them, at full size (a few minutes)
    python notebooks/render.py 3          those whose name begins with 3

The notebooks are stored without output, so that a difference between two versions is one that
somebody wrote. `execute` takes other values for the cell tagged ``parameters``; tests use it to run
everything on small data.
"""

from __future__ import annotations

import argparse
import base64
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent / "docs" / "notebooks"


def notebooks() -> list[Path]:
    """Return the notebooks, in order."""
    return sorted(HERE.glob("*.ipynb"))


def load(path: Path, **parameters: object) -> Any:
    """Return a notebook, its parameters replaced by others it knows."""
    book = nbformat.read(path, as_version=4)
    for cell in book.cells:
        if "parameters" in cell.metadata.get("tags", []):
            known = {line.partition(" = ")[0] for line in cell.source.splitlines()}
            changes = [f"{k} = {v!r}" for k, v in parameters.items() if k in known]
            cell.source = "\n".join([cell.source, *changes])
    return book


def execute(path: Path, **parameters: object) -> Any:
    """Run a notebook in a kernel of its own and return it with its output.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        A cell raised.
    """
    book = load(path, **parameters)
    where = {"metadata": {"path": str(HERE.parent)}}
    with tempfile.TemporaryDirectory() as folder:
        # Sockets in the file system: nothing listens on the network.
        manager = AsyncKernelManager(
            kernel_name="python3", transport="ipc", connection_file=f"{folder}/kernel.json"
        )
        manager.ip = f"{folder}/socket"
        client = NotebookClient(book, km=manager, timeout=600, resources=where)
        client.execute()
    return book


def write(book: Any, name: str, folder: Path = TARGET) -> Path:
    """Write an executed notebook as Markdown, its pictures beside it; return the page."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"<!-- Made by notebooks/render.py from notebooks/{name}.ipynb. -->", ""]
    pictures = 0
    for cell in book.cells:
        if cell.cell_type == "markdown":
            lines += [cell.source, ""]
            continue
        lines += ["```python", cell.source, "```", ""]
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                pictures += 1
                picture = f"{name}-{pictures}.png"
                (folder / picture).write_bytes(base64.b64decode(data["image/png"]))
                lines += [f"![{name}, picture {pictures}]({picture})", ""]
            elif output.output_type == "stream" or "text/plain" in data:
                text = output.get("text") or data["text/plain"]
                lines += ["```text", str(text).rstrip(), "```", ""]
    page = folder / f"{name}.md"
    page.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    return page


def main(arguments: list[str]) -> None:
    """Render the notebooks whose names begin with what was given; all of them without."""
    parser = argparse.ArgumentParser(description="execute the notebooks and write them as Markdown")
    parser.add_argument("prefixes", nargs="*", help="beginnings of names; default all")
    parser.add_argument("--to", type=Path, default=TARGET, help="folder; default docs/notebooks")
    given = parser.parse_args(arguments)
    for path in notebooks():
        if not given.prefixes or path.name.startswith(tuple(given.prefixes)):
            print(f"{path.name} -> {write(execute(path), path.stem, given.to)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
