"""Design bugs."""
from __future__ import annotations
import msgspec
class DesignBugs(msgspec.Struct):
    name: str = ""
BUGS: dict[str, str] = {}
def hunt(names, budget, processes):
    return []
