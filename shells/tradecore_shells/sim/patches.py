"""Planting and taking out again: attributes that are something else for a while."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

__all__ = ["Patches"]

_ABSENT = object()


class Patches:
    """Replacements that end with a context.

    Parameters
    ----------
    stack : ExitStack
        Whose end takes everything out again.

    Attributes
    ----------
    settings : dict
        What a world is to do differently: read by `World`.
    """

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.settings: dict[str, Any] = {}

    def set(self, owner: Any, name: str, value: Any) -> Any:
        """Replace an attribute and return what stood there."""
        before = vars(owner).get(name, _ABSENT)

        def back() -> None:
            if before is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, before)

        self._stack.callback(back)
        original = getattr(owner, name)
        setattr(owner, name, value)
        return original
