"""The real servers, for the worlds that need one."""

from __future__ import annotations

from services.testing import real_servers  # noqa: F401
