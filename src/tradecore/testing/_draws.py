"""Reproducible random draws for the workload generators, in integers only.

A workload is published together with its SHA-256, so its bytes must not depend on the numpy
version, the CPU's vector unit or the C library. `numpy.random` keeps only its raw bit streams
stable, and vectorised `log`, `exp` and `cos` differ in the last bit between machines. Everything
here therefore starts from SplitMix64 (a counter hashed by a bijection, so draws are vectorised and
streams are independent) and reaches other distributions through integer tables or integer sums.

Used by `tradecore.testing.workloads` and its siblings only.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1
PPM = 1_000_000  # every probability in the generators is a count per million


def mix(x: U64) -> U64:
    """Hash 64-bit words by a bijection, so that distinct inputs stay distinct.

    Parameters
    ----------
    x : ndarray of uint64, any shape

    Returns
    -------
    ndarray of uint64, the same shape. O(n).

    Notes
    -----
    Source: the finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
    """
    z = x.copy()
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


class Draws:
    """One seeded source of draws; every call takes the next independent stream.

    Parameters
    ----------
    seed : int
        Any integer; only its low 64 bits count.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed & _MASK
        self._stream = 0

    def bits(self, n: int) -> U64:
        """Draw `n` uniform 64-bit words."""
        self._stream += 1
        # The stream number is hashed with the seed, so neighbouring seeds share no stream.
        key = mix(np.array([self._seed, self._stream], dtype=np.uint64))
        start = (int(key[0]) + int(key[1]) * 3) & _MASK
        # Wrapping multiply-add modulo 2**64 is the point; numpy arrays wrap without a warning.
        counter = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
        counter += np.full(1, start, dtype=np.uint64)
        return mix(counter)

    def below(self, n: int, bound: int) -> I64:
        """Draw `n` integers uniform on [0, bound), bound <= 2**32 (bias below 2**-32)."""
        high = self.bits(n) >> np.uint64(32)
        return ((high * np.uint64(bound)) >> np.uint64(32)).astype(np.int64)

    def chance(self, n: int, ppm: int) -> NDArray[np.bool_]:
        """Draw `n` booleans, each true with probability `ppm` per million."""
        return np.asarray(self.below(n, PPM) < ppm)

    def bell(self, n: int) -> I64:
        """Draw `n` near-normal integers of mean 0 and standard deviation 65,536.

        The sum of twelve 16-bit uniforms (Irwin-Hall): exact, and cut off at six deviations, which
        keeps a price path free of freak steps.
        """
        total = np.zeros(n, dtype=np.int64)
        for _ in range(3):
            total += self.bits(n).view(np.uint16).reshape(n, 4).sum(axis=1, dtype=np.int64)
        return total - 6 * 65535

    def pick(self, n: int, weights: NDArray[np.float64]) -> I64:
        """Draw `n` indices with the given relative weights. O(n log len(weights))."""
        # fsum: numpy sums in an order that depends on the vector width, so in the last bit too.
        whole = math.fsum(weights)
        parts = [round(w / whole * 2.0**40) for w in weights.tolist()]
        scaled = np.cumsum(np.array(parts, dtype=np.uint64))
        draws = (self.bits(n) >> np.uint64(24)) % scaled[-1]
        found: I64 = np.searchsorted(scaled, draws, side="right").astype(np.int64)
        return found

    def lifetimes(self, n: int, mean: int) -> I64:
        """Draw `n` exponential lifetimes (integers, mean `mean` up to 2**40)."""
        table = _exponential_table()
        quantile = (self.bits(n) >> np.uint64(48)).astype(np.int64)
        # The table is in 1/4096; multiply first, so that short lifetimes keep their resolution.
        return (table[quantile] * np.int64(mean)) >> np.int64(12)

    def shuffled(self, n: int) -> I64:
        """Draw a permutation of 0..n-1. O(n log n)."""
        order: I64 = np.argsort(self.bits(n), kind="stable").astype(np.int64)
        return order


def _exponential_table() -> I64:
    """Return 65,536 quantiles of the unit exponential distribution in 1/4096."""
    steps = 1 << 16
    values = [round(-4096.0 * math.log((k + 0.5) / steps)) for k in range(steps)]
    return np.array(values, dtype=np.int64)


def zipf_weights(n: int, exponent: float) -> NDArray[np.float64]:
    """Return the weights 1/(k+1)**exponent for k = 0..n-1, the popularity of instruments."""
    return np.array([1.0 / math.pow(k + 1.0, exponent) for k in range(n)])
