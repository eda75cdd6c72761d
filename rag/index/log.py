"""SQLite's write-ahead log, read from outside: which pages were committed to it.

The format is fixed (sqlite.org/fileformat2.html#walformat): 32 bytes of header, then frames of 24 bytes and one page.
A frame counts if it carries the salts of the header and the sum of everything before it, and if a frame that ends a
transaction follows: whatever SQLite would believe after a crash, and nothing else.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Sums = tuple[int, int]
HEADER, FRAME = 32, 24


class Log:
    """The log at `path`, with pages of `size` bytes. It may be written by others meanwhile."""

    def __init__(self, path: Path, size: int, digest: Callable[[bytes], int]) -> None:
        self._path, self._size, self._digest = path, size, digest
        self._header = b""
        self._sums: Sums = (0, 0)
        self.frames = 0
        """How many committed frames the log holds, as of the last `committed`."""

    def committed(self) -> dict[int, int]:
        """The pages that were committed since this was last asked, by number, each with the digest of what it now is.

        Raises OSError.
        """
        found: dict[int, int] = {}
        begun: dict[int, int] = {}
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            self._header, self.frames = b"", 0
            return found
        with file:
            self._begin(file.read(HEADER))
            words = ">u4" if self._header[3:4] == b"\x83" else "<u4"
            file.seek(HEADER + self.frames * (FRAME + self._size))
            frames, sums = self.frames, self._sums
            while self._header and len(frame := file.read(FRAME + self._size)) == FRAME + self._size:
                sums = _summed(sums, frame[:8] + frame[FRAME:], words)
                if frame[8:16] != self._header[16:24] or frame[16:24] != struct.pack(">II", *sums):
                    break
                frames += 1
                number, ends = struct.unpack(">II", frame[:8])
                begun[number] = self._digest(frame[FRAME:])
                if ends:
                    found |= begun
                    begun.clear()
                    self.frames, self._sums = frames, sums
        return found

    def _begin(self, header: bytes) -> None:
        """Go on where we were, or at the start of a log that was begun anew."""
        if header == self._header:
            return
        words = ">u4" if header[3:4] == b"\x83" else "<u4"
        whole = len(header) == HEADER and header[24:] == struct.pack(">II", *_summed((0, 0), header[:24], words))
        self._header, self.frames = header if whole else b"", 0
        self._sums = struct.unpack(">II", header[24:]) if whole else (0, 0)


def _summed(before: Sums, data: bytes, words: str) -> Sums:
    """SQLite's running sum: for each two words, `a += x + b; b += y + a`, all modulo 2^32. A step is a matrix, so that
    all of them at once are a product with its powers, whose entries are Fibonacci numbers."""
    pairs = np.frombuffer(data, words).astype(np.uint32).reshape(-1, 2)
    x, y = pairs[:, 0], pairs[:, 0] + pairs[:, 1]
    (p, q, r), (aa, ab, bb) = _powers(len(pairs))
    a = p * before[0] + q * before[1] + int(np.einsum("i,i->", aa, x)) + int(np.einsum("i,i->", ab, y))
    b = q * before[0] + r * before[1] + int(np.einsum("i,i->", ab, x)) + int(np.einsum("i,i->", bb, y))
    return a % 2**32, b % 2**32


@lru_cache(maxsize=8)
def _powers(steps: int) -> tuple[tuple[int, int, int], NDArray[np.uint32]]:
    """The entries (first, other, last) of the matrix [[1, 1], [1, 2]] to the power of `steps`, and of all lower
    powers, (3, steps), the highest first."""
    powers = [(1, 0, 1)]
    for _ in range(steps):
        p, q, r = powers[-1]
        powers.append(((p + q) % 2**32, (p + 2 * q) % 2**32, (q + 2 * r) % 2**32))
    return powers[steps], np.array(powers[:steps][::-1], np.uint32).T.copy()
