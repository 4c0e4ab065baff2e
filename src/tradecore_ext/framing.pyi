"""Where one command ends and the next begins."""

from typing import Any

from numpy.typing import NDArray
from typing_extensions import Buffer

def count_commands(frames: Buffer | NDArray[Any]) -> int: ...
def command_offset(frames: Buffer | NDArray[Any], index: int) -> int: ...
