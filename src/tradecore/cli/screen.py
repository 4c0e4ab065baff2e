"""What a command says, and how: for a person at a terminal, for a pipe, or as JSON for a program.

`rich` makes the terminal pleasant where it is installed (extra `cli`). Without it, or without a
terminal, the same words come as plain lines. Results go to stdout, progress and errors to stderr.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import msgspec

__all__ = ["FileProgress", "Progress", "Screen", "rate_text", "short_name", "size_text"]


def rate_text(per_second: float) -> str:
    """Return a rate in millions or thousands a second."""
    if per_second >= 1e6:
        return f"{per_second / 1e6:.2f} M/s"
    if per_second >= 1e3:
        return f"{per_second / 1e3:.0f} k/s"
    return f"{per_second:.0f}/s"


def size_text(n_bytes: float) -> str:
    """Return a size in MB or smaller units."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= size:
            return f"{n_bytes / size:,.1f} {unit}"
    return f"{n_bytes:.0f} bytes"


def short_name(path: str) -> str:
    """Return a file's name, shortened in the middle, so that a progress bar has room beside it."""
    name = path.rstrip("/").rpartition("/")[2] or path
    return name if len(name) <= 32 else f"{name[:15]}…{name[-16:]}"


class Progress(Protocol):
    """What reports how far a long job is."""

    def advance(self, amount: float) -> None:
        """Say that `amount` more is done."""

    def describe(self, what: str) -> None:
        """Say what is being done now."""


class _Silent:
    def advance(self, amount: float) -> None:
        """Nobody is looking."""

    def describe(self, what: str) -> None:
        """Nobody is listening."""


class _Bar:
    def __init__(self, bar: Any, task: Any) -> None:
        self._bar, self._task = bar, task

    def advance(self, amount: float) -> None:
        self._bar.advance(self._task, amount)

    def describe(self, what: str) -> None:
        self._bar.update(self._task, description=what)


class FileProgress:
    """Moves one bar along while several files are worked on, as ``progress(path, done, total)``.

    Parameters
    ----------
    bar : Progress
        Its total counts files.
    what : str
        What is being done to them.
    """

    def __init__(self, bar: Progress, what: str) -> None:
        self._bar, self._what = bar, what
        self._path = ""
        self._shown = 0.0

    def __call__(self, path: str, done: int, total: int) -> None:
        """Take over how far the work on a file is."""
        if path != self._path:
            self._path, self._shown = path, 0.0
            self._bar.describe(f"{self._what} {short_name(path)}")
        share = done / total if total else 0.0
        self._bar.advance(share - self._shown)
        self._shown = share


class Screen:
    """Where a command's words go.

    Parameters
    ----------
    json : bool
        Only `result` prints.
    plain : bool
        No colours, no live view, no bars, even on a terminal.

    Attributes
    ----------
    is_rich : bool
        Whether stdout is a terminal that can be drawn on, and `rich` is installed.
    """

    def __init__(self, *, json: bool = False, plain: bool = False) -> None:
        self.json = json
        dull = plain or json or os.environ.get("TERM") == "dumb"
        has_rich = importlib.util.find_spec("rich") is not None
        self.is_rich = not dull and has_rich and sys.stdout.isatty()
        self._can_bar = not dull and has_rich and sys.stderr.isatty()
        self._console: Any = None

    @property
    def console(self) -> Any:
        """The `rich` console; only where `is_rich`."""
        if self._console is None:
            from rich.console import Console

            self._console = Console(highlight=False)
        return self._console

    def line(self, text: str = "") -> None:
        """Print a line for people."""
        if not self.json:
            print(text)

    def heading(self, text: str) -> None:
        """Print a heading with a blank line above it."""
        if self.is_rich:
            self.console.print(f"\n[bold]{text}[/bold]")
        else:
            self.line(f"\n{text}")

    def error(self, text: str) -> None:
        """Print one line of error."""
        print(f"tradecore: {' '.join(text.split())}", file=sys.stderr)

    def warn(self, text: str) -> None:
        """Print one line that is not an error, away from the results."""
        print(f"tradecore: {text}", file=sys.stderr)

    def pairs(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Print names and values, one a line, values aligned."""
        width = max((len(name) for name, _ in pairs), default=0)
        for name, value in pairs:
            if self.is_rich:
                from rich.text import Text

                self.console.print(Text(f"  {name:<{width}}  ", "dim").append(value, "not dim"))
            else:
                self.line(f"  {name:<{width}}  {value}")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table: the first column to the left, the others to the right."""
        if self.json:
            return
        if self.is_rich:
            from rich import box
            from rich.table import Table

            table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1))
            for i, name in enumerate(columns):
                table.add_column(name, justify="right" if i else "left", no_wrap=True)
            for row in rows:
                table.add_row(*row)
            self.console.print(table)
            return
        widths = [max(len(cell) for cell in column) for column in zip(columns, *rows, strict=True)]
        for row in (columns, ["-" * width for width in widths], *rows):
            cells = [f"{row[0]:<{widths[0]}}"]
            cells += [f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True)]
            print("  " + "  ".join(cells).rstrip())

    @contextmanager
    def progress(self, what: str, total: float) -> Iterator[Progress]:
        """Show how far a job is, on a terminal only.

        Parameters
        ----------
        what : str
            What is being done.
        total : float
            What the amounts given to `Progress.advance` add up to.
        """
        if not self._can_bar:
            yield _Silent()
            return
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        columns = (
            *(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:3.0f} %"),
            ),
            TimeElapsedColumn(),
        )
        console = Console(stderr=True)
        with RichProgress(*columns, console=console, transient=True) as bar:
            yield _Bar(bar, bar.add_task(what, total=total))

    def result(self, document: Any) -> None:
        """Print the result as JSON, where that was asked for."""
        if self.json:
            text = msgspec.json.format(msgspec.json.encode(document), indent=2)
            print(text.decode())
