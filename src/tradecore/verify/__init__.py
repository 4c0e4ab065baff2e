"""Judges of this build against independent files: what was expected and what comes out.

``tradecore verify`` is the terminal's way in, `run` the program's. Every judge compares the
compiled engine or the kernels with expectations that somebody else wrote; which judge reads a file
is decided by its content. Part of the library's edge.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from tradecore.errors import ConfigError, DataError
from tradecore.verify import captures, cointossx, detect, edge, itch, lobster, matching, workload
from tradecore.verify.report import Failure, FileResult, Judge, Progress

__all__ = ["Failure", "FileResult", "Progress", "run"]


def _pnl(path: str, progress: Progress | None = None) -> FileResult:
    """Judge PnL and risk cases. Imported on demand: these judges need the Numba kernels."""
    from tradecore.verify import pnl_report

    return pnl_report.judge(path, progress)


def _lots(path: str, progress: Progress | None = None) -> FileResult:
    """Judge lot reports. Imported on demand, as above."""
    from tradecore.verify import lots

    return lots.judge(path, progress)


_JUDGES: dict[str, Judge] = {
    "matching": matching.judge,
    "pnl": _pnl,
    "edge": edge.judge,
    "cointossx": cointossx.judge,
    "workload": workload.judge,
    "lobster": lobster.judge,
    "captures": captures.judge,
    "itch": itch.judge,
    "lots": _lots,
}


def _files_under(folder: str) -> Iterator[str]:
    """Yield the files of a folder tree in the order of their names."""
    for root, folders, names in os.walk(folder):
        folders.sort()
        yield from (os.path.join(root, name) for name in sorted(names))


def _found_under(folder: str) -> list[tuple[str, str]]:
    """Return (path, kind) of the files under a folder that a judge knows."""
    found = []
    for path in _files_under(folder):
        try:
            kind = detect.detect(path)
        except DataError:
            kind = "damaged"
        if kind in _JUDGES or kind == "damaged":
            found.append((path, kind))
    return found


def _plan(paths: Iterable[str]) -> list[tuple[str, str, bool]]:
    """Return (path, kind, named by the caller) of everything to judge; errors before any work."""
    plan: list[tuple[str, str, bool]] = []
    for path in paths:
        if os.path.isdir(path):
            found = _found_under(path)
            if not any(kind in _JUDGES for _, kind in found):
                raise DataError("nothing in this folder is a kind of file that is judged", path)
            plan.extend((inner, kind, False) for inner, kind in found)
            continue
        kind = detect.detect(path)
        if kind in detect.COMPANIONS:
            raise DataError(
                f"this is a file of expected results ({kind}); give the file it belongs to", path
            )
        if kind is None:
            known = ", ".join(detect.KINDS)
            raise DataError(f"the content is of no kind that is judged ({known})", path)
        plan.append((path, kind, True))
    if not plan:
        raise ConfigError("no file to judge")
    return plan


def _judge(path: str, kind: str, expect: str | None, progress: Progress | None) -> FileResult:
    if kind == "workload":
        return workload.judge(path, progress, expect)
    return _JUDGES[kind](path, progress)


def run(
    paths: Iterable[str | os.PathLike[str]],
    expect: str | None = None,
    progress: Progress | None = None,
) -> list[FileResult]:
    """Judge files; the kind of each is recognised by its content.

    Parameters
    ----------
    paths : iterable of str or path-like
        Files, and folders whose files are judged, all those that a judge knows.
    expect : str, optional
        SHA-256 of the canonical report stream, in hexadecimal. Exactly one workload must be among
        the files then.
    progress : callable, optional
        Called as ``progress(path, done, total)`` while a file is judged; `total` may be 0.

    Returns
    -------
    list of FileResult
        One per file, in order. A damaged file that was found in a folder is a failed result.

    Raises
    ------
    DataError
        A file that the caller named is damaged, cannot be read or is of no known kind; a folder
        without any file that is judged.
    ConfigError
        `expect` is no digest, or does not name exactly one workload.
    """
    plan = _plan([os.fspath(path) for path in paths])
    if expect is not None:
        expect = expect.strip().lower()
        if len(expect) != 64 or not set(expect) <= set("0123456789abcdef"):
            raise ConfigError(f"a SHA-256 has 64 hexadecimal digits, this one is {expect!r}")
        workloads = sum(kind == "workload" for _, kind, _ in plan)
        if workloads != 1:
            raise ConfigError(f"an expected digest needs exactly one workload, not {workloads}")
    results = []
    for path, kind, named in plan:
        try:
            if kind == "damaged":
                detect.detect(path)
            results.append(_judge(path, kind, expect, progress))
        except DataError as error:
            if named:
                raise
            failure = Failure(path, "a readable file", str(error))
            results.append(
                FileResult(
                    path=path,
                    kind=kind,
                    passed=0,
                    failed=1,
                    lines=[f"{kind}: cannot be judged, {error}"],
                    failures=[failure],
                )
            )
    return results
