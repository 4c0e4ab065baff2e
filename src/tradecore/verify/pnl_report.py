"""PnL and risk cases in the form of the common report; the rules are `tradecore.verify.pnl`'s."""

from __future__ import annotations

from pathlib import Path

from tradecore.verify import pnl
from tradecore.verify.report import Failure, FileResult, Progress, summary

__all__ = ["judge"]


def judge(path: str, progress: Progress | None = None) -> FileResult:
    """Judge a file of PnL and risk cases.

    Raises
    ------
    DataError
        The file is damaged.
    """
    report = pnl.run(Path(path))
    failures = [Failure(case.name, case.expected, case.actual) for case in report.failures]
    if progress:
        progress(path, len(report.cases), len(report.cases))
    return summary("pnl", path, len(report.cases), failures)
