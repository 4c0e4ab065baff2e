"""Integer draws from a seeded generator, the same on every machine.

numpy promises the raw words of a bit generator for ever, but not what its distributions make of
them. Participants decide about money, so they draw integers from raw words and nothing else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Chance", "Ints"]

Ints = npt.NDArray[np.int64]

_PPM = 1_000_000


class Chance:
    """Vectors of integers out of one `numpy.random.Generator`.

    Parameters
    ----------
    rng : numpy.random.Generator
        Its bit generator is advanced; two objects on one generator share its stream.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._raw: Any = rng.bit_generator.random_raw

    def bits(self, n: int) -> npt.NDArray[np.uint64]:
        """Draw `n` uniform 64-bit words."""
        words: npt.NDArray[np.uint64] = np.asarray(self._raw(n), np.uint64)
        return words

    def below(self, n: int, bound: int) -> Ints:
        """Draw `n` integers uniform on [0, bound), bound <= 2**32 (bias below 2**-32)."""
        high = self.bits(n) >> np.uint64(32)
        return ((high * np.uint64(bound)) >> np.uint64(32)).astype(np.int64)

    def between(self, n: int, low: int, high: int) -> Ints:
        """Draw `n` integers uniform on low..high, both included."""
        return self.below(n, high - low + 1) + low

    def chance(self, n: int, ppm: int) -> npt.NDArray[np.bool_]:
        """Draw `n` booleans, each true with probability `ppm` per million."""
        return np.asarray(self.below(n, _PPM) < ppm)

    def bell(self, n: int, deviation: int) -> Ints:
        """Draw `n` near-normal integers of mean 0 and about this standard deviation.

        Notes
        -----
        The sum of twelve 16-bit uniforms has a deviation of 65,536 and ends at six of them
        (Irwin-Hall).
        """
        words = self.bits(3 * n).view(np.uint16).reshape(n, 12)
        total = words.sum(axis=1, dtype=np.int64) - 6 * 65535
        scaled: Ints = (total * deviation) >> 16
        return scaled

    def far(self, n: int, typical: int) -> Ints:
        """Draw `n` distances >= 0 of which half are below `typical` and a few are far.

        Notes
        -----
        ``typical * u / (1 - u)`` for a uniform u, cut at ``64 * typical``: a power law of exponent
        1, which is how far from the touch people place orders.
        """
        u = self.below(n, 1 << 16)
        away: Ints = np.minimum(u * typical // ((1 << 16) - u), 64 * typical)
        return away
