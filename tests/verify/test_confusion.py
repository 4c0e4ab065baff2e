"""Values of the wrong type or size anywhere in a case: a failed case or one error, nothing else."""

from __future__ import annotations

import contextlib
import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tradecore import verify
from tradecore.errors import DataError
from verify_cases import CASES, as_case

EDGE = {
    "name": "edge",
    "messages": [{"type": "new", "side": 0, "ioc": 0, "qty": 1, "seq": 0, "id": 1, "px": 100}],
    "reports": ["0,0,0,1,100,1"],
    "bbo_after_each": [[100, None]],
}
ORDER = {"Side": "B", "OrderID": "1", "Type": "2", "MES": "", "Size": "10", "Price": "100"}
COINTOSSX = {
    "suite": "LimitOrder",
    "n": 1,
    "description": "",
    "init": [],
    "aggressor": [ORDER],
    "expected_book": [ORDER],
    "stock": [{"StockCode": "1", "MRS": "1", "TickSize": "1"}],
    "expected_trades": [],
}
STRANGE: list[Any] = [
    *(None, True, False, 0, -1, 1 << 63, 1 << 70, 1e308, 0.5, "", "x", "NaN", "1e400"),
    *([], {}, [[]], {"a": 1}, "\uff11\uff12"),
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*path, index))


def confused(case: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    case = copy.deepcopy(case)
    path = draw.choice(list(places(case)))
    target: Any = case
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = copy.deepcopy(draw.choice(STRANGE))
    return case


@pytest.mark.parametrize("seed", range(4))
def test_strange_value_never_escapes(seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)
    good = [*(as_case(case[0]) for case in CASES), EDGE, COINTOSSX]
    path = tmp_path / "cases"
    for _ in range(100):
        path.write_text(json.dumps(confused(draw.choice(good), draw)))
        try:
            results = verify.run([path])
        except DataError:
            continue  # no longer recognised as a file of cases
        assert len(results) == 1
        assert bool(results[0].failures) == (results[0].failed > 0)


@pytest.mark.parametrize("case", [EDGE, COINTOSSX, as_case("tick")])
def test_damaged_bytes_never_escape(case: dict[str, Any], tmp_path: Path) -> None:
    draw = random.Random(11)
    good = json.dumps(case).encode()
    path = tmp_path / "cases"
    for _ in range(100):
        data = bytearray(good)
        data[draw.randrange(len(data))] = draw.randrange(256)
        path.write_bytes(data[: draw.choice((len(data), draw.randrange(len(data)) + 1))])
        with contextlib.suppress(DataError):
            assert len(verify.run([path])) == 1
