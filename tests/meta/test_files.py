"""Rules about the files of the repository: what may stand in them and how large they grow."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from repository import ROOT, tracked_files

TEXT = {
    *(".py", ".pyx", ".pxd", ".pyi", ".h", ".def", ".c", ".cpp", ".hpp", ".md", ".toml", ".txt"),
    *(".sh", ".cmake", ".json", ".jsonl", ".cfg", ".in", ".yml", ".yaml", ".ipynb", ""),
}
# Written in pieces, so that this file does not break its own rule.
FORBIDDEN = {
    "a machine's path": re.compile(r"(?<![\w.])/(?:work|root|home|farm)/\w"),
    "a registry's host": re.compile(
        r"https?://(?:[\w.-]*\.)?(?:pypi|pythonhosted|npmjs|maven|crates|proxy\.golang|debian)\b"
    ),
    "a note to finish something": re.compile(r"\b(?:TO" r"DO|FIX" r"ME)\b"),
}
MAX_BYTES = 400_000


def _texts() -> list[Path]:
    return [path for path in tracked_files() if path.suffix in TEXT and path.name != "LICENSE"]


@pytest.mark.parametrize("what", sorted(FORBIDDEN))
def test_no_file_contains(what: str) -> None:
    wrong = []
    for path in _texts():
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if FORBIDDEN[what].search(line):
                wrong.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert not wrong, "\n".join(wrong)


def test_files_stay_small() -> None:
    large = [
        f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes"
        for path in tracked_files()
        if path.stat().st_size > MAX_BYTES
    ]
    assert not large, "\n".join(large)


def test_scripts_start_with_an_interpreter_and_are_executable() -> None:
    for path in [ROOT / ".ci" / "run", *(p for p in tracked_files() if p.suffix == ".sh")]:
        assert path.read_text("utf-8").startswith("#!"), path
        assert path.stat().st_mode & 0o100, path


def test_only_the_build_script_prints_nothing_but_the_result_of_the_tests() -> None:
    """`.ci/run` must end with the summary of pytest: nothing may follow `make test`."""
    lines = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    assert lines[-1] == "make test"
