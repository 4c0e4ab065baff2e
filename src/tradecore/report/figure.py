"""Making a figure and writing it: PNG, SVG, PDF, or one self-contained HTML page."""

from __future__ import annotations

import html
import io
import os
from pathlib import Path
from typing import Any, Final

from tradecore.errors import ConfigError

__all__ = ["COLOURS", "Figure", "as_svg", "check_target", "new_figure", "save", "styled"]

Figure = Any
"""A matplotlib figure; the package is optional, so its types are not named."""

_KINDS: Final = (".png", ".svg", ".pdf", ".html")

# Okabe and Ito's palette: told apart by people who do not see all colours, and in print.
COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")

_STYLE: Final[Any] = {
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "tradecore",
}

_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff }}
svg {{ width: 100%; height: auto }}
pre {{ background: #f6f6f6; padding: 1rem; overflow-x: auto; font-size: 13px }}
</style></head><body>
<h1>{title}</h1>
{svg}
<pre>{text}</pre>
</body></html>
"""


def check_target(path: str, option: str = "--plot") -> None:
    """Refuse a plot that could not be written, before the work that it would show.

    Parameters
    ----------
    path : str
        Where it is to be written.
    option : str
        How the user asked for it, for the message.

    Raises
    ------
    ConfigError
        Unknown ending, no such folder, or matplotlib is not installed.
    """
    target = Path(path)
    if target.suffix.lower() not in _KINDS:
        raise ConfigError(f"{option} {path}: the name must end with one of {', '.join(_KINDS)}")
    if target.is_dir() or not os.access(target.parent, os.W_OK):
        raise ConfigError(f"{option} {path}: cannot be written there; choose a folder that exists")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ConfigError(
            f"{option} needs matplotlib: pip install 'tradecore[research]', or leave {option} out"
        ) from None


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of so many inches, without a window system."""
    import matplotlib
    from matplotlib.figure import Figure as MatplotlibFigure

    with matplotlib.rc_context(_STYLE):
        return MatplotlibFigure(figsize=(width, height), dpi=110, layout="constrained")


def styled() -> Any:
    """Return the context in which axes are made and drawn, so that all plots look alike."""
    import matplotlib

    return matplotlib.rc_context(_STYLE)


def as_svg(figure: Figure) -> str:
    """Return a figure as an ``<svg>`` element for a page; the same figure gives the same text."""
    buffer = io.StringIO()
    with styled():
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :]


def save(figure: Figure, path: str, title: str, text: str = "") -> None:
    """Write a figure; the ending chooses the kind.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : str
        ``.png``, ``.svg``, ``.pdf`` or ``.html``.
    title, text : str
        Heading of an HTML page, and the report printed below its picture.

    Raises
    ------
    OSError
        It cannot be written; the file is named.
    """
    try:
        _write(figure, path, title, text)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error


def _write(figure: Figure, path: str, title: str, text: str) -> None:
    kind = Path(path).suffix.lower()
    with styled():
        if kind != ".html":
            # Without dates and versions the same run gives the same file.
            metadata = {".png": {"Software": None}, ".pdf": {"CreationDate": None}}.get(
                kind, {"Date": None}
            )
            figure.savefig(path, metadata=metadata)
            return
    svg = as_svg(figure)
    page = _PAGE.format(title=html.escape(title), svg=svg, text=html.escape(text))
    Path(path).write_text(page, "utf-8")
