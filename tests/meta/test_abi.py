"""The layout that compiled users rely on: header, modules and record agree, promises are kept."""

from __future__ import annotations

import abi_snapshot
import tc_header

from tradecore_ext import _abi, get_include

HEADER = tc_header.read()


def test_struct_layout_of_the_compiler_equals_the_layout_of_the_generators() -> None:
    for struct in HEADER.structs:
        layout = _abi.STRUCTS[struct.name]
        assert layout["itemsize"] == struct.size
        assert {name: values[1:] for name, values in layout["fields"].items()} == {
            field.name: (field.offset, field.count, field.size) for field in struct.fields
        }


def test_structs_have_no_holes() -> None:
    for name, layout in _abi.STRUCTS.items():
        end = 0
        for field, (_, offset, _, size) in layout["fields"].items():
            assert offset == end, f"{name}.{field}"
            end += size
        assert end == layout["itemsize"], name


def test_frames_are_whole_cache_lines_and_share_their_first_fields() -> None:
    frames = {name: s for name, s in _abi.STRUCTS.items() if name != "tc_margin_tier"}
    for name, layout in frames.items():
        assert layout["itemsize"] % _abi.CONSTANTS["TC_FRAME_BYTES"] == 0, name
    event = list(_abi.STRUCTS["tc_event"]["fields"].items())[:8]
    for name, layout in frames.items():
        if name.endswith("_event"):
            assert list(layout["fields"].items())[:8] == event, name
        else:
            assert layout["fields"]["kind"][:2] == ("<u2", 8), name


def test_codes_and_statuses_equal_the_header() -> None:
    assert {status.name: status.code for status in HEADER.statuses} == _abi.STATUSES
    for enum in HEADER.enums:
        assert _abi.CODES[enum.name] == {
            member.name.removeprefix(enum.prefix): member.value for member in enum.members
        }
    assert {c.name: c.value for c in HEADER.constants} == _abi.CONSTANTS
    assert _abi.CONSTANTS["TC_ABI"] == _abi.ABI


def test_get_include_names_the_folder_of_the_headers() -> None:
    assert tc_header.read(tc_header.Path(get_include())) == HEADER


def test_abi_record_holds_everything_and_every_promise_is_kept() -> None:
    old, new = abi_snapshot.recorded(), abi_snapshot.current()
    assert not abi_snapshot.broken(old, new)
    assert old == new, "run tools/abi_snapshot.py to record what is new"


def test_abi_record_notices_a_moved_field_and_a_reused_code() -> None:
    old = {"abi": 1, "field tc_x.px": "<i8 x1 at 8, 8 bytes", "status A": 100}
    moved = old | {"field tc_x.px": "<i8 x1 at 16, 8 bytes"}
    assert abi_snapshot.broken(old, moved)
    assert abi_snapshot.broken(old, {"abi": 1, "field tc_x.px": old["field tc_x.px"]})
    assert not abi_snapshot.broken(old, old | {"status B": 101})
