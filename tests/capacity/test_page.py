"""The page: complete, self-contained, and the same for the same lines."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from capacity_rows import line, rows
from tradecore.capacity.coefficients import from_results
from tradecore.capacity.page import build_page
from tradecore.capacity.plan import make_plan
from tradecore.capacity.profile import PROFILES
from tradecore.errors import ConfigError

pytest.importorskip("matplotlib", reason="the page needs matplotlib (extra research)")


class Balanced(HTMLParser):
    """Counts open elements; a page that forgets to close one leaves a number."""

    VOID = ("meta", "path", "use", "image", "line", "rect", "link")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attrs if name == "src"]

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def page() -> str:
    plan = make_plan(1_000_000, PROFILES["retail"], from_results(rows()))
    return build_page(rows(), plan)


def test_page_is_well_formed_and_fetches_nothing(page: str) -> None:
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    assert "<script" not in page
    assert not [source for source in parser.sources if not source.startswith(("https://", "#"))]
    assert not re.search(r"url\(['\"]?http", page)


def test_page_has_plan_pictures_checks_and_every_line(page: str) -> None:
    assert page.count("<svg") == 5  # rates, head-room, latency of the journal, two laws
    for words in ("1,000,000 users", "NSE (India)", "How far to trust this", "Assumptions"):
        assert words in page
    for row in rows():
        assert f"<td>{row.name}</td>" in page


def test_page_of_the_same_lines_is_the_same(page: str) -> None:
    plan = make_plan(1_000_000, PROFILES["retail"], from_results(rows()))
    assert build_page(rows(), plan) == page


def test_page_without_plan_reports_other_benchmarks() -> None:
    text = build_page([line("matching/busy", "ns/command", 30, 31, 32)], None)
    assert "Benchmark report" in text
    assert "matching/busy" in text
    assert "<svg" not in text


def test_page_escapes_what_files_bring() -> None:
    text = build_page([line("<script>x", "ns/command", 1)], None)
    assert "<script>x" not in text
    assert "&lt;script&gt;x" in text


def test_page_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="nothing to report"):
        build_page([], None)
