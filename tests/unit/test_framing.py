"""The walk from command to command, against a plain loop over the same rule."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradecore_ext.framing import command_offset, count_commands


def frames_with(conts: list[int]) -> bytes:
    buffer = bytearray(64 * len(conts))
    buffer[10::64] = bytes(conts)
    return bytes(buffer)


def starts(conts: list[int]) -> list[int]:
    found, at = [], 0
    while at < len(conts):
        found.append(at)
        at += 1 + conts[at]
    return found


CONTS = st.lists(st.sampled_from([0, 0, 0, 0, 0, 0, 1, 1, 3, 255]), max_size=60)


@given(CONTS)
def test_count_commands_agrees_with_plain_walk(conts: list[int]) -> None:
    assert count_commands(frames_with(conts)) == len(starts(conts))


@given(CONTS)
def test_command_offset_agrees_with_plain_walk(conts: list[int]) -> None:
    frames = frames_with(conts)
    expected = [64 * at for at in starts(conts)] + [len(frames)]
    assert [command_offset(frames, k) for k in range(len(expected))] == expected


def test_count_commands_last_command_cut_short_counts() -> None:
    assert count_commands(frames_with([0, 3])) == 2
    assert command_offset(frames_with([0, 3]), 2) == 128


def test_count_commands_long_run_without_continuations() -> None:
    assert count_commands(frames_with([0] * 4099)) == 4099
    assert count_commands(np.zeros((7, 8), "<u8")) == 7


@pytest.mark.parametrize("size", [1, 63, 65])
def test_count_commands_part_of_a_frame_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"{size} bytes are not a whole number"):
        count_commands(bytes(size))
    with pytest.raises(ValueError, match="not a whole number"):
        command_offset(bytes(size), 0)


@pytest.mark.parametrize("index", [-1, 3])
def test_command_offset_beyond_the_end_is_refused(index: int) -> None:
    with pytest.raises(ValueError, match=f"no command {index}"):
        command_offset(bytes(128), index)
