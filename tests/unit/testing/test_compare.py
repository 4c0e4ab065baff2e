"""The tools that find, shorten and show differences, on engines whose differences are known."""

from __future__ import annotations

from typing import Any

import pytest

from tradecore.testing import build, scenario
from tradecore.testing.compare import Coverage, compare, minimise
from tradecore.testing.oracle import OracleConfig, OracleEngine
from tradecore.testing.show import command_line, event_line, frames_of
from tradecore.testing.strategies import stream


class Wrong(OracleEngine):
    """An oracle with one fault: it forgets every third cancel."""

    cancels = 0

    def end(self, o: Any, kind: int, status: int) -> None:
        self.cancels += 1
        if self.cancels % 3:
            super().end(o, kind, status)


def order(number: int, **fields: int) -> bytes:
    return build.order(
        **(
            {"order_id": number, "side": 1, "ord_type": 2, "tif": 1, "px": 9, "order_qty": 5}
            | fields
        )
    )


def cancels(count: int) -> list[bytes]:
    made = [build.instrument()]
    for number in range(1, count + 1):
        made += [order(number), build.cancel(order_id=number)]
    return made


def test_equal_engines_have_no_difference() -> None:
    coverage = Coverage()
    commands = stream(3, 400)
    assert compare(commands, OracleEngine(), OracleEngine(), coverage=coverage) is None
    assert sum(coverage.hits.values()) > 100


def test_first_difference_names_the_command_and_both_events() -> None:
    found = compare(cancels(10), Wrong(), OracleEngine())
    assert found is not None
    assert found.index == 6
    text = str(found)
    assert "oracle: [seq 7 in 7] CANCELED #3" in text
    assert "CANCEL_ORDER order_id=3" in text


def test_missing_events_are_a_difference_in_batches_too() -> None:
    commands = [b"".join(cancels(10))]
    found = compare(commands, Wrong(), OracleEngine())
    assert found is not None
    assert found.index == 0


def test_states_are_compared_when_asked() -> None:
    found = compare(
        cancels(2), OracleEngine(), OracleEngine(), state_every=1, states=lambda _a, _b: "apart"
    )
    assert found is not None
    assert "apart" in found.what


def test_minimise_keeps_only_what_the_failure_needs() -> None:
    def fails(commands: Any) -> bool:
        return compare(commands, Wrong(), OracleEngine()) is not None

    short = minimise(cancels(40), fails)
    assert fails(short)
    assert len(short) == 7, [command_line(c) for c in short]


def test_any_stream_can_be_written_down_and_read_back() -> None:
    for accounts in (False, True):
        for seed in range(6):
            for command in stream(seed, 200, accounts):
                line = command_line(command)
                assert scenario.command_of(line) == command, line


def test_event_lines_name_every_kind() -> None:
    engine = OracleEngine(OracleConfig(accounts=True, max_accounts=64, max_assets=8, max_groups=8))
    seen = set()
    for seed in range(12):
        engine = OracleEngine(engine.config)
        for frame in frames_of(engine.apply(b"".join(stream(seed, 400, True)))):
            seen.add(event_line(frame).split()[0])
    assert len(seen) >= 15
    assert not [kind for kind in seen if kind.isdigit()]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("> NEW 1 A1 buy 5@10 sideways", "sideways"),
        ("NEW 1 A1 buy 5@10", "neither command nor event"),
        ("> FROB x=1", "FROB"),
        ("> NEW 1", "NEW 1"),
    ],
)
def test_a_wrong_scenario_line_is_named(line: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        scenario.parse("case.txt", f"# rule\n{line}\n")
    assert "case.txt:2" in str(caught.value)


def test_render_and_parse_are_inverse() -> None:
    done = "<   DONE INSTRUMENT #0 A0 i0 - OK\n"
    text = f"# a rule\naccounts on\n\n> DEFINE\n{done}\n# why\n> DEFINE\n{done}"
    case = scenario.parse("x", text)
    assert case.accounts
    assert scenario.render(case, [step.events for step in case.steps]) == text
