"""The compiled kernel of tradecore: Cython without the GIL, C structs in arenas, no I/O.

Python users want `tradecore`. Cython and C code finds declarations here: ``cimport
tradecore_ext.types`` and the headers in `get_include()`; compare ``TC_ABI`` of the header with
``tradecore_ext._abi.ABI`` at import.
"""

from __future__ import annotations

from os.path import dirname, join

__all__ = ["get_include"]


def get_include() -> str:
    """Return the folder of tc_frame.h and tc_status.def, for a C compiler's ``-I``.

    Returns
    -------
    str
        Absolute path inside the installed package.
    """
    return join(dirname(__file__), "include")
