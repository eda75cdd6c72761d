"""Bytes onto the disk, whole or not at all.

What a keeper promises rests on three things: a file that is either the old one or the new one, a name for its exact
bytes, and a lock that two processes cannot both hold. Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

__all__ = ["TMP", "Lock", "kept", "safe_name", "sha256_of", "sync_folder", "unkept", "write_atomically", "writing"]

_UNSAFE = re.compile(r"[^\w .()+,&-]+")
TMP = "tmp-"
"""How the name of an unfinished file begins. Whoever holds the folder's lock may delete such files."""


def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes, 64 hex digits; read in pieces, so that size does not matter."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """What is written in this block becomes the content of `path`: after a crash or a full disk the old file stands, or
    the new one, whole.

    Write beside it, fsync, rename, fsync the folder: in that order, or a power cut keeps the name and loses the bytes.
    Raises OSError, and then leaves nothing behind.
    """
    tmp = path.with_name(f"{TMP}{secrets.token_hex(8)}")
    try:
        with tmp.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        tmp.replace(path)
    except BaseException:
        with suppress(OSError):
            tmp.unlink()
        raise
    sync_folder(path.parent)


def write_atomically(path: Path, data: bytes | memoryview) -> None:
    """`writing` for bytes that are at hand."""
    with writing(path) as file:
        file.write(data)


def kept(file: BinaryIO, name: str, folder: Path) -> Path:
    """Where the bytes of an uploaded file lie now: `folder`/<sha256>/<name>. The same bytes under the same name always
    land in the same place, whole or not at all, and a hostile name can do nothing."""
    digest = hashlib.sha256()
    file.seek(0)
    while piece := file.read(1 << 20):
        digest.update(piece)
    place = folder / digest.hexdigest() / safe_name(name)
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        tmp = place.with_name(f"{TMP}{secrets.token_hex(8)}")
        file.seek(0)
        try:
            with tmp.open("xb") as copy:
                shutil.copyfileobj(file, copy)
            tmp.replace(place)
        finally:
            tmp.unlink(missing_ok=True)
    return place


def unkept(place: Path) -> None:
    """Take away what `kept` put there."""
    place.unlink(missing_ok=True)
    with suppress(OSError):  # other names of the same bytes
        place.parent.rmdir()


def safe_name(name: str) -> str:
    """A file name without surprises (letters, digits and a few signs), its suffix kept.

    >>> safe_name("../../<img onerror>.txt")
    'img onerror.txt'
    """
    path = Path(name)
    stem, suffix = (_UNSAFE.sub("", part) for part in (path.stem, path.suffix))
    return (stem.strip(" .")[:80] or "document") + suffix[:10]


def sync_folder(folder: Path) -> None:
    """Bring the names in `folder` to the disk: a rename counts only after this."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Lock:
    """Held by one process at a time, from construction to `release()`; the kernel frees it when the process dies.

    Raises BlockingIOError, with the holder's process id in the text where it is known, if somebody else has it.
    """

    def __init__(self, path: Path) -> None:
        import fcntl  # here, because other systems do not have it and only keepers of an index need it

        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._handle, 20, 0).decode("ascii", "replace").strip()
            os.close(self._handle)
            raise BlockingIOError(f"{path} is held by process {holder}" if holder else f"{path} is held") from None
        with suppress(OSError):  # a full disk must not keep anybody from locking: the id is only for people
            os.pwrite(self._handle, f"{os.getpid():<19}\n".encode("ascii"), 0)

    def release(self) -> None:
        """Let the next one in; releasing twice is fine."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
