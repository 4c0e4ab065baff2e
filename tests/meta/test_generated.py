"""Generated files equal their source, and the reader of the header refuses what it cannot read."""

from __future__ import annotations

from pathlib import Path

import generate
import pytest
import tc_header
from repository import ROOT


@pytest.mark.parametrize("name", sorted(generate.TARGETS))
def test_generated_file_equals_what_the_generator_writes(name: str) -> None:
    assert (ROOT / name).read_text("utf-8") == generate.render()[name], "run `make generate`"


def _include(folder: Path, frame: tuple[str, str] = ("", ""), status: str = "") -> Path:
    """Copy the headers with one piece of text exchanged or one status line appended."""
    text = (tc_header.INCLUDE / "tc_frame.h").read_text("utf-8")
    assert frame[0] in text
    (folder / "tc_frame.h").write_text(text.replace(*frame, 1) if frame[0] else text, "utf-8")
    text = (tc_header.INCLUDE / "tc_status.def").read_text("utf-8")
    (folder / "tc_status.def").write_text(text + status, "utf-8")
    return folder


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    int64_t order_qty;", "    int64_t order_qty : 5;", "not understood"),
        ("    uint8_t stp;", "    uint16_t stp;", "hole"),
        ("} tc_command;", "    uint64_t more;\n} tc_command;", "72 bytes, its TC_ASSERT says 64"),
        ("TC_SIDE_SELL = 2", "TC_SIDE_SELL = 1", "uses a code twice"),
        ("TC_SIDE_SELL = 2", "TC_SIDE_SELL", "not understood in enum tc_side"),
        ("    int64_t px; ", "    money_t px; ", "unknown type money_t"),
        ("#define TC_ABI 1", "#define TC_ABI sizeof(int)", "not a constant"),
        ("typedef struct tc_terms {", "typedef union tc_terms {", "not understood"),
    ],
)
def test_header_outside_the_subset_is_refused(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(tc_header.HeaderError, match=message):
        tc_header.read(_include(tmp_path, (old, new)))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('TC_STATUS(100, AGAIN, "A code used again.")\n', "unique and ascending"),
        ('TC_STATUS(999, OK, "A name used again.")\n', "name is used twice"),
        ('TC_STATUS(700, STRANGER, "No family.")\n', "unique and ascending|no family"),
        ("TC_STATUS(999, X)\n", "not understood"),
    ],
)
def test_status_line_that_breaks_a_rule_is_refused(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(tc_header.HeaderError, match=message):
        tc_header.read(_include(tmp_path, status=line))


def test_unchanged_copy_of_the_headers_reads_the_same(tmp_path: Path) -> None:
    assert tc_header.read(_include(tmp_path)) == tc_header.read()
