"""Judges the installed library against a file of PnL and risk cases (JSON lines).

A line is an object with ``name``, ``category``, ``inputs``, ``expected`` and ``abs_tol``. The shape
of the inputs chooses the rule, the keys of ``expected`` choose the answers; nothing depends on the
name of a case except where its words are the only place that names a published convention. A case
fails if an answer is outside the tolerance, if no rule offers it, if no rule fits the inputs, or if
an input was left unread: a case that is only half understood has not passed.

Paths of tables inside a case are relative to the folder above the one that holds the file
(``vectors/`` and ``data/`` are neighbours); the other places that are tried are listed in
`find_table`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tradecore.errors import DataError, TradecoreError
from tradecore.verify import pnl_margin, pnl_positions, pnl_returns, pnl_risk
from tradecore.verify.pnl_case import (
    Answers,
    CannotExpressError,
    Inputs,
    matches,
    show,
    to_fraction,
)
from tradecore.verify.report import Failure, FileResult, Progress, summary

__all__ = ["PnlCase", "PnlReport", "find_table", "judge", "run"]

# Other spellings of the names of answers; the rules use the ones on the right.
_ALIASES = {
    "realised": "realized",
    "realized_pnl": "realized",
    "realised_after": "realized_after",
    "realized_pnl_after": "realized_after",
    "realised_net": "realized_net",
    "closed_pnl": "realized_net",
    "net_pnl": "realized_net",
    "pnl": "total",
    "unrealised": "unrealized",
    "unrealized_pnl": "unrealized",
    "upnl": "unrealized",
    "total_pnl": "total",
    "avg_entry": "avg_px",
    "avg_price": "avg_px",
    "signed_qty": "qty",
    "commission": "fees",
    "commissions": "fees",
    "liquidation_px": "liq_px",
    "liq_price": "liq_px",
    "liquidation_price": "liq_px",
    "bankruptcy_price": "bankruptcy_px",
    "margin_call_price": "margin_call_px",
    "maintenance_margin": "maintenance",
    "expected_shortfall": "es",
    "value_at_risk": "var",
    "sharpe_ratio": "sharpe",
    "sortino_ratio": "sortino",
    "calmar_ratio": "calmar",
    "omega_ratio": "omega",
    "maxdrawdown": "max_drawdown",
    "annual_vol": "annual_volatility",
    "cagr": "annual_return",
    "cum_returns_final": "cum_return",
    "total_return": "cum_return",
    "downside_deviation": "downside_risk",
    "skewness": "skew",
    "kurt": "kurtosis",
    "excess_sharpe": "information_ratio",
    "stability_of_timeseries": "stability",
}

# Answers that sources also print in another form: a quantity without its sign (the side stands
# beside it), and 0 as the average price of a flat position.
_UNSIGNED = frozenset(("qty", "qty_after"))
_ZERO_WHEN_FLAT = frozenset(("avg_px", "avg_px_after", "avg_px_open", "avg_px_close"))

# The default of a file that states no tolerance: what double precision can be asked for.
_DEFAULT_TOLERANCE = Fraction(1, 10**9)


class PnlCase(msgspec.Struct, frozen=True):
    """Verdict on one case.

    Attributes
    ----------
    name : str
    passed : bool
    expected, actual : str
        What was expected and what came out, for a person; `actual` of a case that could not be
        judged is the reason.
    category : str
    line : int
        Line of the file, from 1.
    """

    name: str
    passed: bool
    expected: str
    actual: str
    category: str = ""
    line: int = 0


class PnlReport(msgspec.Struct, frozen=True):
    """Verdicts on all cases of a file, in its order.

    Attributes
    ----------
    path : str
    cases : list of PnlCase
    """

    path: str
    cases: list[PnlCase]

    @property
    def passed(self) -> int:
        """Number of cases that hold."""
        return sum(case.passed for case in self.cases)

    @property
    def failed(self) -> int:
        """Number of cases that do not."""
        return len(self.cases) - self.passed

    @property
    def failures(self) -> list[PnlCase]:
        """The cases that do not hold."""
        return [case for case in self.cases if not case.passed]


def find_table(name: str, file: Path, roots: Sequence[Path] = ()) -> Path:
    """Find a table that a case names by a relative path.

    Parameters
    ----------
    name : str
        Path inside the shared folder, with forward slashes.
    file : Path
        The file that holds the case.
    roots : sequence of Path
        Further folders to look in, before the usual ones.

    Returns
    -------
    Path
        The first that exists under: `roots`, the folder above the file's, the file's own folder,
        every folder above those, the working folder and a ``shared`` folder beside it.

    Raises
    ------
    CannotExpressError
        If it is nowhere, or the name leaves the folder it is looked for in.
    """
    relative = Path(name)
    if relative.is_absolute() or ".." in relative.parts:
        raise CannotExpressError(f"table {name!r}: a path inside the shared folder is needed")
    parents = list(file.resolve().parents)
    here = Path.cwd()
    for root in (*roots, *parents[1:2], *parents[:1], *parents[2:], here, here.parent / "shared"):
        if (root / relative).is_file():
            return root / relative
    raise CannotExpressError(f"table {name!r} was not found near {file}")


def _choose(inputs: Inputs, find: Callable[[str], Path]) -> Answers:
    """Return the answers of the rule that the inputs' shape calls for."""
    if inputs.any_of("csv", "file"):
        return pnl_returns.csv_rule(inputs, find)
    # The first rule whose inputs are all there. A rule with more inputs stands before one with
    # fewer.
    rules: list[tuple[tuple[str, ...], Callable[[Inputs], Answers]]] = [
        (("prev_qty", "txn_value"), pnl_positions.transaction_rule),
        (("buys",), pnl_positions.pool_rule),
        (("lots",), pnl_positions.lots_rule),
        (("fills", "method"), pnl_positions.lots_rule),
        (("fills",), pnl_positions.fills_rule),
        (("proceeds",), pnl_positions.repurchase_rule),
        (("purchases",), pnl_margin.deposit_rule),
        (("purchase",), pnl_margin.deposit_rule),
        (("tiers",), pnl_margin.tier_rule),
        (("standard",), pnl_margin.commission_rule),
        (("entry",), pnl_margin.liquidation_rule),
        (("funding_rate",), pnl_margin.funding_rule),
        (("market_value", "loan"), pnl_margin.equity_rule),
        (("market_value", "debit"), pnl_margin.equity_rule),
        (("px", "maintenance"), pnl_margin.margin_call_rule),
        (("loan", "maintenance"), pnl_margin.margin_call_rule),
        (("losses_desc",), pnl_risk.tail_rule),
        (("losses",), pnl_risk.tail_rule),
        (("sets",), pnl_returns.sets_rule),
        (("sharpe",), pnl_risk.sharpe_rule),
        (("returns",), pnl_returns.returns_rule),
        (("prices",), pnl_returns.returns_rule),
        (("equity",), pnl_returns.returns_rule),
        (("nav",), pnl_returns.returns_rule),
        (("positions", "sigmas"), pnl_risk.portfolio_rule),
        (("positions", "cov"), pnl_risk.portfolio_rule),
        (("weights",), pnl_risk.portfolio_rule),
        (("positions",), pnl_margin.adl_rule),
        (("sigma",), pnl_risk.gaussian_rule),
        (("sd",), pnl_risk.gaussian_rule),
        (("px", "qty", "fee_rate"), pnl_margin.fee_rule),
    ]
    for needed, rule in rules:
        if inputs.has(*needed):
            return rule(inputs)
    raise CannotExpressError(f"no rule for the inputs {', '.join(inputs.keys) or '(none)'}")


def _answer(answers: Answers, key: str) -> Any:
    """Return one expected answer, by its own name or another spelling of it."""
    name = key if key in answers else _ALIASES.get(key, key)
    if name not in answers:
        raise CannotExpressError(f"{key!r} cannot be computed from these inputs")
    return answers[name]()


def _other_form(key: str, value: Any) -> Any:
    """Return an answer as some sources print it; most answers have one form only."""
    if isinstance(value, list):
        return [_other_form(key, item) for item in value]
    if key in _UNSIGNED:
        return abs(value)
    return 0 if value is None and key in _ZERO_WHEN_FLAT else value


def _judge(case: Mapping[str, Any], find: Callable[[str], Path], line: int) -> PnlCase:
    """Judge one case; whatever goes wrong inside becomes its failure."""
    name = str(case.get("name") or f"line {line}")
    category = str(case.get("category") or "")
    expected = case.get("expected")

    def verdict(passed: bool, actual: str) -> PnlCase:
        return PnlCase(name, passed, show(expected), actual, category, line)

    if not isinstance(expected, dict) or not expected or not isinstance(case.get("inputs"), dict):
        return verdict(False, "the objects 'inputs' and 'expected' are needed")
    texts = [str(case.get(key) or "") for key in ("name", "source", "note")]
    inputs = Inputs(case["inputs"], texts)
    try:
        tolerance = case.get("abs_tol")
        tol = _DEFAULT_TOLERANCE if tolerance is None else to_fraction("abs_tol", tolerance)
        # Inputs such as 1e300 may overflow on the way; NaN and infinities then fail the comparison.
        with np.errstate(all="ignore"):
            answers = _choose(inputs, find)
            actual = {key: _answer(answers, key) for key in expected}
        if inputs.unread:
            raise CannotExpressError(f"input {inputs.unread[0]!r} is not understood here")
        passed = all(
            matches(want, actual[key], tol) or matches(want, _other_form(key, actual[key]), tol)
            for key, want in expected.items()
        )
    except CannotExpressError as error:
        return verdict(False, f"cannot be judged: {error}")
    except (TradecoreError, ArithmeticError, ValueError, OSError) as error:
        # The library refused the inputs. A case that expects a refusal names it as `error`.
        return verdict(False, f"refused: {type(error).__name__}: {error}")
    except (TypeError, AttributeError, LookupError, RecursionError, csv.Error) as error:
        return verdict(False, f"cannot be judged: a shape that no rule expects: {error}")
    shown = {
        key: {column: value[column] for column in expected[key] if column in value}
        if isinstance(value, Mapping) and isinstance(expected[key], dict)
        else value
        for key, value in actual.items()
    }
    return verdict(passed, show(shown))


def run(path: Path, *, roots: Sequence[Path] = ()) -> PnlReport:
    """Judge every case of a file.

    Parameters
    ----------
    path : Path
        JSON lines; blank lines are skipped.
    roots : sequence of Path
        Folders that hold the tables the cases name; see `find_table`.

    Returns
    -------
    PnlReport

    Raises
    ------
    DataError
        If the file cannot be read, is not UTF-8, or a line is no JSON object; with the byte offset
        of the line.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(str(error.strerror or error), str(path)) from error
    cases: list[PnlCase] = []
    offset = 0
    for number, line in enumerate(data.split(b"\n"), start=1):
        if line.strip():
            cases.append(_judge(_parse(line, path, offset), _finder(path, roots), number))
        offset += len(line) + 1
    return PnlReport(str(path), cases)


def judge(path: str, progress: Progress | None) -> FileResult:
    """Judge a file of PnL cases: `run`, in the form that all judges of this package share.

    Parameters
    ----------
    path : str
    progress : callable or None
        Told once that the file is done; a file takes a second or two.

    Returns
    -------
    FileResult
        ``pnl: P passed, F failed``, with every failed case.

    Raises
    ------
    DataError
        As `run`.
    """
    report = run(Path(path))
    if progress is not None:
        progress(path, len(report.cases), len(report.cases))
    failures = [Failure(case.name, case.expected, case.actual) for case in report.failures]
    return summary("pnl", path, len(report.cases), failures)


def _finder(path: Path, roots: Sequence[Path]) -> Callable[[str], Path]:
    """Return `find_table` for one file."""
    return lambda name: find_table(name, path, roots)


def _parse(line: bytes, path: Path, offset: int) -> dict[str, Any]:
    """Return the object of one line, numbers exact."""
    try:
        value = json.loads(line.decode("utf-8"), parse_float=Decimal, parse_constant=Decimal)
    except (UnicodeDecodeError, ValueError, RecursionError, ArithmeticError) as error:
        raise DataError(f"not a JSON object: {error}", str(path), offset) from error
    if not isinstance(value, dict):
        raise DataError("not a JSON object", str(path), offset)
    return value
