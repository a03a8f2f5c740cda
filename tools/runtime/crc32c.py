"""CRC32C (Castagnoli; RFC 3720, 12.1) of what a frame holds: by google-crc32c where it is installed, else by numpy.

The numpy way: bytes become 32-bit words in rows of a fixed number of columns. Advancing a state over a whole row is a linear map, so all
columns advance at once (Horner's rule over the rows); then columns are folded in halves.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray

    Buffer: TypeAlias = bytes | bytearray | memoryview
    Extend: TypeAlias = Callable[[int, bytes | NDArray[np.uint8]], int]
    Words: TypeAlias = NDArray[np.uint32]
    Tables: TypeAlias = tuple[Words, Words]
    """A linear map of 32-bit words: its values on the low and on the high 16 bits."""

POLYNOMIAL = 0x82F63B78
"""0x1EDC6F41 with its bits reversed."""

SHORT_BYTES = 512
"""Up to so many bytes one after the other is quicker."""

COLUMNS = (64, 4096)
"""Words in a row, for messages up to `LONG_BYTES` and for longer ones."""

LONG_BYTES = 65536

STEP_BYTES = 16384
"""How much `Checksum` waits for."""


def crc32c(*parts: Buffer) -> int:
    """Return the CRC32C of the parts, one after the other."""
    extend = _packaged()
    if extend is None:
        return crc32c_numpy(*parts)
    crc = 0
    for part in parts:
        crc = extend(crc, part if isinstance(part, bytes) else np.frombuffer(part, np.uint8))
    return crc


class Checksum:
    """The CRC32C of a buffer that fills bit by bit, behind some bytes that are there already.

    What has come is taken in while the rest is on its way, so little is left to do at the end; without the package all is done then.
    """

    def __init__(self, before: bytes, data: Buffer) -> None:
        """Begin with the bytes that stand before the buffer, and the buffer."""
        self._before = before
        self._data = np.frombuffer(data, np.uint8)
        self._extend = _packaged()
        self._crc = self._extend(0, before) if self._extend is not None else 0
        self._taken = 0

    def take(self, filled: int) -> None:
        """Take in the buffer's first bytes, if enough have come since."""
        if filled - self._taken >= STEP_BYTES:
            self._take(filled)

    def value(self) -> int:
        """Return the CRC32C of everything, now that the buffer is full."""
        if self._extend is None:
            return crc32c_numpy(self._before, self._data.data)
        self._take(len(self._data))
        return self._crc

    def _take(self, filled: int) -> None:
        if self._extend is not None:
            self._crc = self._extend(self._crc, self._data[self._taken : filled])
            self._taken = filled


@lru_cache(maxsize=32)
def _packaged() -> Extend | None:
    """Return the package's function. It takes arrays as they are, not bytearrays and memoryviews: those would have to be copied."""
    try:
        import google_crc32c
    except ImportError:
        return None
    return cast("Extend", google_crc32c.extend) if google_crc32c.implementation == "c" else None


def crc32c_numpy(*parts: Buffer) -> int:
    """Return what `crc32c` does, without the package."""
    nbytes = sum(memoryview(part).nbytes for part in parts)
    if nbytes <= SHORT_BYTES:
        return _by_bytes(parts)
    columns = COLUMNS[nbytes > LONG_BYTES]
    padded = np.zeros(-(-nbytes // (4 * columns)) * 4 * columns, np.uint8)
    at = start = len(padded) - nbytes
    for part in parts:
        raw = np.frombuffer(part, np.uint8)
        padded[at : at + len(raw)] = raw
        at += len(raw)
    padded[start : start + 4] ^= 0xFF
    rows = padded.view("<u4").reshape(-1, columns)
    advance = _tables(columns)
    state = rows[0].astype(np.uint32)
    for row in rows[1:]:
        state = _mapped(advance, state) ^ row
    while len(state) > 1:
        half = len(state) // 2
        state = _mapped(_tables(half), state[:half]) ^ state[half:]
    return int(_mapped(_tables(1), state)[0]) ^ 0xFFFFFFFF


def _by_bytes(parts: Sequence[Buffer]) -> int:
    table = _byte_table()
    crc = 0xFFFFFFFF
    for part in parts:
        for byte in bytes(part):
            crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


@lru_cache(maxsize=32)
def _byte_table() -> tuple[int, ...]:
    return tuple(_over_bits(byte, 8) for byte in range(256))


def _over_bits(state: int, bits: int) -> int:
    for _ in range(bits):
        state = (state >> 1) ^ (POLYNOMIAL if state & 1 else 0)
    return state


def _mapped(tables: Tables, states: Words) -> Words:
    return tables[0][states & 0xFFFF] ^ tables[1][states >> 16]


@lru_cache(maxsize=32)
def _tables(words: int) -> Tables:
    """Return the map that advances a state over so many zero words, a power of two."""
    if words == 1:
        images = np.array([_over_bits(1 << bit, 32) for bit in range(32)], np.uint32)
    else:
        half = _tables(words // 2)
        images = _mapped(half, _mapped(half, np.left_shift(np.uint32(1), np.arange(32, dtype=np.uint32))))
    low, high = np.zeros(1 << 16, np.uint32), np.zeros(1 << 16, np.uint32)
    for bit in range(16):
        low[1 << bit : 2 << bit] = low[: 1 << bit] ^ images[bit]
        high[1 << bit : 2 << bit] = high[: 1 << bit] ^ images[16 + bit]
    return low, high
