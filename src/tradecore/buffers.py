"""What counts as bytes here, and the one way to look at them.

Frames arrive as `bytes`, a mapped file, a numpy structured array, a Kafka payload. All become a
flat, read-only `memoryview` of unsigned bytes, without a copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, cast

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Buffer

__all__ = ["BytesLike", "byte_view"]

BytesLike: TypeAlias = "Buffer | NDArray[Any]"
"""Any contiguous buffer. numpy arrays are named because their stubs hide the buffer before 3.12."""


def byte_view(data: BytesLike) -> memoryview:
    """Return a flat read-only view of the bytes of a buffer, without copying.

    Parameters
    ----------
    data : bytes-like
        Any C-contiguous buffer of any element type and shape.

    Raises
    ------
    TypeError
        Not a buffer.
    ValueError
        Not contiguous: pass a copy of it.
    """
    view = memoryview(cast("Buffer", data))
    if not view.c_contiguous:
        raise ValueError("the buffer is not contiguous; pass a copy of it")
    if view.format != "B" or view.ndim != 1:
        view = view.cast("B") if view.nbytes else memoryview(b"")
    return view.toreadonly()
