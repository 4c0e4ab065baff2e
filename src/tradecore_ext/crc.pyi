"""CRC32C of any buffer."""

from typing import Any, Final

from numpy.typing import NDArray
from typing_extensions import Buffer

IMPLEMENTATION: Final[str]

def crc32c(data: Buffer | NDArray[Any], crc: int = ...) -> int: ...
def crc32c_portable(data: Buffer | NDArray[Any], crc: int = ...) -> int: ...
