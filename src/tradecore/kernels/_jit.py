"""The one place of the library that knows Numba.

Every compiled kernel is declared with `jit` from here, so the compiler's settings are stated once:
no fast-math (results must not depend on how a loop was vectorised), IEEE division
(`error_model="numpy"`: x/0 is inf, not an exception inside a loop), and a disk cache only when the
caller's environment asks for it.

Kernels carry no explicit signatures. Numba compiles an explicit signature at import, which would
make everybody pay for every kernel (about 0.3 to 1 s each); without one a kernel is compiled at its
first call. The public wrappers coerce every argument to one dtype and layout first, so exactly one
specialisation of a kernel ever exists per process.

Numba is an optional dependency (extra ``research``). Where it is missing the same functions run as
ordinary Python: the results are equal, the speed is not. `HAVE_NUMBA` tells which of the two is
running.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["CACHE_VARIABLE", "HAVE_NUMBA", "jit", "jit_parallel", "prange"]

# Opt in to Numba's disk cache. Off by default: the cache is keyed by file time stamps, it unpickles
# what it finds next to the sources, and a read-only installation cannot write it.
CACHE_VARIABLE = "TRADECORE_NUMBA_CACHE"

_F = TypeVar("_F", bound=Callable[..., Any])

_numba: Any
try:
    import numba
except ImportError:
    _numba = None
else:
    _numba = numba

HAVE_NUMBA: bool = _numba is not None
_CACHE: bool = os.environ.get(CACHE_VARIABLE, "") not in ("", "0")

prange: Any = range if _numba is None else _numba.prange


def jit(function: _F) -> _F:
    """Compile `function` in nopython mode at its first call; it releases the GIL while it runs.

    Parameters
    ----------
    function : callable
        A function over arrays and scalars, without Python objects.

    Returns
    -------
    callable
        The dispatcher (or `function` itself where Numba is not installed). It can be called from
        other compiled code.
    """
    if _numba is None:
        return function
    compiled: _F = _numba.njit(error_model="numpy", nogil=True, cache=_CACHE)(function)
    return compiled


def jit_parallel(function: _F) -> _F:
    """Compile `function` like `jit`, with `prange` loops spread over Numba's threads.

    Parameters
    ----------
    function : callable
        As in `jit`. Only integer reductions may be used inside `prange`: a float sum would depend
        on the number of threads.

    Returns
    -------
    callable
        The dispatcher (or `function` itself where Numba is not installed).
    """
    if _numba is None:
        return function
    compiled: _F = _numba.njit(error_model="numpy", nogil=True, parallel=True, cache=_CACHE)(
        function
    )
    return compiled
