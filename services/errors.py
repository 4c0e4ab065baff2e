"""The one exception of these scripts."""

from __future__ import annotations

__all__ = ["ServiceError"]


class ServiceError(RuntimeError):
    """A server cannot be had; the text is one clear sentence with what to do."""
