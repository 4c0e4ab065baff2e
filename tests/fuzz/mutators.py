"""Seeded byte mutations: what disks, networks and hostile people do to good bytes."""

from __future__ import annotations

import random

_EDGES = [0, 1, 0x7F, 0x80, 0xFF]
_WIDE = [0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**56, 2**62, 2**63 - 1, 2**63, 2**64 - 1]


def _place(data: bytearray, chance: random.Random, size: int = 1) -> int:
    return chance.randrange(max(len(data) - size + 1, 1))


def flip(data: bytearray, chance: random.Random) -> None:
    """One bit."""
    data[_place(data, chance)] ^= 1 << chance.randrange(8)


def set_byte(data: bytearray, chance: random.Random) -> None:
    """One byte, to an edge value or anything."""
    data[_place(data, chance)] = chance.choice([*_EDGES, chance.randrange(256)])


def set_field(data: bytearray, chance: random.Random) -> None:
    """An aligned integer of 2, 4 or 8 bytes, to an edge value."""
    size = chance.choice([2, 4, 8])
    at = _place(data, chance, size) // size * size
    data[at : at + size] = (chance.choice(_WIDE) & (1 << 8 * size) - 1).to_bytes(size, "little")


def add_to_field(data: bytearray, chance: random.Random) -> None:
    """An aligned integer, by a little."""
    size = chance.choice([1, 2, 4, 8])
    at = _place(data, chance, size) // size * size
    value = int.from_bytes(data[at : at + size], "little") + chance.choice([-2, -1, 1, 2])
    data[at : at + size] = (value & (1 << 8 * size) - 1).to_bytes(size, "little")


def cut(data: bytearray, chance: random.Random) -> None:
    """The end off."""
    del data[_place(data, chance) :]


def remove(data: bytearray, chance: random.Random) -> None:
    """A piece out of the middle, often whole frames."""
    unit = chance.choice([1, 64])
    at = _place(data, chance) // unit * unit
    del data[at : at + unit * chance.randrange(1, 4)]


def repeat(data: bytearray, chance: random.Random) -> None:
    """A piece twice, often whole frames."""
    unit = chance.choice([1, 64])
    at = _place(data, chance) // unit * unit
    data[at:at] = data[at : at + unit * chance.randrange(1, 4)]


def swap(data: bytearray, chance: random.Random) -> None:
    """Two lines of 64 bytes."""
    a, b = (_place(data, chance, 64) // 64 * 64 for _ in range(2))
    if len(data) >= max(a, b) + 64:
        data[a : a + 64], data[b : b + 64] = data[b : b + 64], data[a : a + 64]


def zero(data: bytearray, chance: random.Random) -> None:
    """A stretch of zeros, as of a sector that was never written."""
    size = min(chance.choice([8, 64, 512]), len(data))
    at = _place(data, chance, size)
    data[at : at + size] = bytes(size)


def extend(data: bytearray, chance: random.Random) -> None:
    """Something behind the end."""
    data += chance.choice([bytes(64), chance.randbytes(64), b"\0", chance.randbytes(7)])


MUTATORS = [flip, set_byte, set_field, add_to_field, cut, remove, repeat, swap, zero, extend]


def mutate(seeds: list[bytes], chance: random.Random) -> bytes:
    """Return one of the seeds, or two spliced, with 1 to 6 mutations."""
    data = bytearray(chance.choice(seeds))
    if chance.random() < 0.1:
        other = chance.choice(seeds)
        at = chance.randrange(len(data)) // 64 * 64
        data[at:] = other[at:]
    for _ in range(chance.choice([1, 1, 1, 2, 3, 6])):
        if data:
            chance.choice(MUTATORS)(data, chance)
    return bytes(data)
