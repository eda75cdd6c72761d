"""A hash for each page of the database, which SQLite does not keep: a bit that turns over is seen, whatever its size.

    PAGES       8 bytes for each page of store.db, in their order

At any moment, after a kill and after a power cut too, each page of store.db has the hash that PAGES names, or lies in
the log, which has sums of its own. So the hashes are taken from the log with every commit, and are on the disk before
SQLite copies the pages from the log into the database; it may not do that by itself (`wal_autocheckpoint` is 0).

A hash is the sum of the page's 64-bit words, each times its own odd number, modulo 2^64: it sees whatever happens to
one word, and anything else but for one chance in some 2^60. It runs as fast as memory is read; against forgers there
are the hashes of the rows.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.files import write_atomically
from rag.index.log import Log

Hashes = NDArray[np.uint64]
PAGES = "PAGES"
BLOCK = 1 << 20  # bytes read at a time
LOOKS = 4  # at a page that seems wrong: another process may be copying it from the log at this moment
LOOK_S = 0.05


class Pages:
    """The page hashes of the database at `database`, an existing file that SQLite has found to be one."""

    def __init__(self, database: Path) -> None:
        self._path, self._log_path = database.with_name(PAGES), database.with_name(f"{database.name}-wal")
        self._file = _File.opened(database)
        self.size = int.from_bytes(os.pread(self._file.handle, 2, 16), "big")
        self.size = self.size if self.size > 1 else 65536
        self._log = self._fresh_log()
        self._owed: dict[int, int] = {}

    @property
    def known(self) -> bool:
        """False where an older version made the index, or PAGES was lost."""
        return self._path.is_file()

    @property
    def bytes(self) -> int:
        """The size of the database."""
        return os.fstat(self._file.handle).st_size

    def follow(self) -> int:
        """Write down the hashes of what was committed since; how many pages the log holds. Raises OSError."""
        self._owed |= self._log.committed()
        if self._owed and self.known:
            handle = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                for first, hashes in _runs(self._owed):
                    if os.pwrite(handle, hashes, 8 * (first - 1)) != len(hashes):
                        raise OSError(errno.ENOSPC, "the disk is full")
            finally:
                os.close(handle)
        self._owed.clear()
        return self._log.frames

    def fold(self, con: sqlite3.Connection, mode: str) -> bool:
        """A checkpoint, the hashes first; False if somebody who reads kept it from being whole. Raises OSError."""
        self.follow()
        if self.known:
            handle = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        return not con.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()[0]

    def wrong(self, stopped: Callable[[], bool] = lambda: False) -> list[int]:
        """The pages, some of them if there are very many, that are not what was written, by number. Raises OSError."""
        suspects = self._suspects(stopped)
        for look in range(LOOKS):
            if not suspects:
                break
            time.sleep(LOOK_S if look else 0)
            held = self._fresh_log().committed()
            suspects = [number for number in suspects if number not in held and not self._holds(number)]
        return suspects

    def anew(self) -> None:
        """Take the hashes of the pages as they are: they were proven in another way. Raises OSError."""
        hashes = {at + 1 + i: int(h) for at, block in self._blocks() for i, h in enumerate(block)}
        self._log = self._fresh_log()
        hashes |= self._log.committed()
        listed = np.zeros(max(hashes, default=0), "<u8")
        for number, own in hashes.items():
            listed[number - 1] = own
        write_atomically(self._path, listed.tobytes())
        self._owed.clear()

    def close(self) -> None:
        """Let go. After SQLite has, or it loses its locks."""
        self._file.close()

    def _fresh_log(self) -> Log:
        return Log(self._log_path, self.size, lambda page: int(hashes_of(page, self.size)[0]))

    def _blocks(self) -> Iterable[tuple[int, Hashes]]:
        """How many pages come before, and the hashes of the next ones."""
        step = max(1, BLOCK // self.size)
        for at in range(0, self.bytes // self.size, step):
            block = os.pread(self._file.handle, step * self.size, at * self.size)
            yield at, hashes_of(block[: len(block) // self.size * self.size], self.size)

    def _suspects(self, stopped: Callable[[], bool]) -> list[int]:
        listed = np.fromfile(self._path, "<u8")
        seen, found = 0, list[int]()
        for at, hashes in self._blocks():
            if stopped() or len(found) > 1000:
                return found
            seen = at + len(hashes)
            said = np.zeros(len(hashes), np.uint64)
            said[: max(0, len(listed) - at)] = listed[at:seen]
            found += (np.flatnonzero(said != hashes) + at + 1).tolist()
        return found + (np.flatnonzero(listed[seen:]) + seen + 1).tolist()

    def _holds(self, number: int) -> bool:
        page = os.pread(self._file.handle, self.size, (number - 1) * self.size)
        with self._path.open("rb") as file:
            file.seek(8 * (number - 1))
            said = file.read(8).ljust(8, b"\0")
        return len(page) == self.size and hashes_of(page, self.size)[0] == int.from_bytes(said, "little")


def begin(database: Path, folder: Path, size: int) -> None:
    """Write PAGES into `folder` for a new database, which nobody has open and which has no log. Raises OSError."""
    write_atomically(folder / PAGES, hashes_of(database.read_bytes(), size).astype("<u8").tobytes())


def hashes_of(pages: bytes, size: int) -> Hashes:
    """One hash for each page of `size` bytes; 0 for a page of zeros, which SQLite leaves where it needs none."""
    words = np.frombuffer(pages, "<u8").reshape(-1, size // 8)
    hashes: Hashes = np.einsum("ij,j->i", words, _odd(size // 8))
    return hashes


@lru_cache(maxsize=8)
def _odd(number: int) -> Hashes:
    """Odd numbers drawn once and for all; NumPy promises that this generator will never draw others."""
    return np.random.PCG64(2025).random_raw(number) | np.uint64(1)


def _runs(hashes: dict[int, int]) -> Iterable[tuple[int, bytes]]:
    """The hashes of neighbouring pages together, with the number of the first."""
    numbers = np.array(sorted(hashes), np.int64)
    for run in np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1):
        yield int(run[0]), b"".join(hashes[int(n)].to_bytes(8, "little") for n in run)


class _File:
    """A database file open for reading, shared by all who read it in this process.

    SQLite's locks on a file are the process's: whoever closes any handle to that file takes them away. So the one
    handle is closed when nobody in this process needs it any more.
    """

    _all: dict[tuple[int, int], _File] = {}  # noqa: RUF012
    _turn = threading.Lock()

    def __init__(self, path: Path, key: tuple[int, int]) -> None:
        self.handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._key, self._users = key, 0

    @classmethod
    def opened(cls, path: Path) -> _File:
        with cls._turn:
            found = path.stat()
            key = (found.st_dev, found.st_ino)
            if key not in cls._all:
                cls._all[key] = cls(path, key)
            cls._all[key]._users += 1
            return cls._all[key]

    def close(self) -> None:
        with self._turn:
            self._users -= 1
            if not self._users:
                del self._all[self._key]
                with suppress(OSError):
                    os.close(self.handle)
