"""CRC32C of any buffer."""

from typing import Final

from typing_extensions import Buffer

IMPLEMENTATION: Final[str]

def crc32c(data: Buffer, crc: int = ...) -> int: ...
def crc32c_portable(data: Buffer, crc: int = ...) -> int: ...
