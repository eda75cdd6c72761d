"""A file in, a `Document` out: canonical text, and marks that say which page, heading, row or message each stretch is.

    kinds.py     which kind of file it is, by its bytes and its ending
    child.py     the process in which it is parsed, with limits on memory, time and size (worker.py is its other end)
    draft.py     what every parser writes on: text, marks, the count of what was left out
    the others   one parser each: `parse(bytes) -> Parsed`

Plain text alone is read in this very process: nothing in it can run away.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from rag.errors import DocumentError, UsageError
from rag.load.child import LIMITS, Child, Limits
from rag.load.draft import Parsed, clean
from rag.load.kinds import BY_SUFFIX, FORMATS, PLAIN, is_plain
from rag.types import Document, Source

__all__ = [
    "FORMATS",
    "SUFFIXES",
    "Limits",
    "Loaded",
    "Loader",
    "clean",
    "load",
    "media_type",
    "read_bytes",
    "seen",
]

MAX_BYTES = 200_000_000
"""Larger files are refused: split them, or raise this with reason."""

SUFFIXES = tuple(BY_SUFFIX)
"""The endings that can be read."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A document, and what a person should know of how it was read: 'characters of hidden text: 214'."""

    document: Document
    notes: tuple[str, ...] = ()


class Loader:
    """Parses files one after the other, all but plain text in one child process that starts when it is first needed.

    Safe to use from several threads. Close it, or use it in a `with`: the process ends with it."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._child = Child(limits)

    def parse(self, data: bytes, path: Path) -> Loaded:
        """The document in `data`, which came from `path`, read as its ending says unless the bytes know better.

        Raises DocumentError: a kind that cannot be read, damaged, locked, over a limit, no text in it."""
        try:
            media_type, parsed = self._read(data, path.name)
        except DocumentError as e:
            raise DocumentError(f"{path}: {e.message}", e.hint) from e
        if not parsed.text.strip():
            hint = "if it is a scan, run it through text recognition (OCR) first" if data else "it has 0 bytes"
            raise DocumentError(f"{path} holds no text", hint)
        title = clean(parsed.title).strip() or seen(path.name)
        source = Source.at(path.resolve().as_uri(), title, media_type, parsed.date)
        counted = (f"{what}: {n:,}" for what, n in parsed.dropped.items())
        return Loaded(Document(source, parsed.text, parsed.marks), (*counted, *parsed.notes))

    def close(self) -> None:
        """End the child process; closing twice is fine."""
        self._child.close()

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, data: bytes, name: str) -> tuple[str, Parsed]:
        return (PLAIN.media_type, PLAIN.read(data)) if is_plain(data, name) else self._child.read(data, name)


def load(path: Path) -> Document:
    """The document in the file at `path`. Raises DocumentError: missing, not readable, too large, no text in it."""
    with Loader() as loader:
        return loader.parse(read_bytes(path), path).document


def media_type(name: str) -> str:
    """The media type of a file ending, 'pdf' or '.pdf'; a media type as it is. Raises UsageError if nothing is known.

    >>> media_type("pdf"), media_type("text/*")
    ('application/pdf', 'text/*')
    """
    if "/" in name:
        return name
    kind = BY_SUFFIX.get("." + name.lower().lstrip("."))
    if kind is None:
        raise UsageError(f"files of the kind {name!r} cannot be read", "for example pdf, docx, md or text/*")
    return kind.media_type


def seen(name: str) -> str:
    """A name as a person may see it on one line: a file's may hold anything, an escape sequence of a terminal too.

    >>> seen("a\\x1b[2J\\nb.txt")
    'a[2J b.txt'
    """
    return " ".join(clean(re.sub("[\ud800-\udfff]", "\ufffd", name)).split())


def read_bytes(path: Path) -> bytes:
    """The file's bytes; only from a regular file, so that a pipe or a device cannot hang the reader."""
    try:
        # without O_NONBLOCK, opening a pipe would wait for its writer for ever
        with os.fdopen(
            os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb"
        ) as file:
            info = os.fstat(file.fileno())
            if not stat.S_ISREG(info.st_mode):
                raise DocumentError(f"{path} is not a file", "name a file or a folder")
            if info.st_size > MAX_BYTES:
                raise DocumentError(f"{path} has {info.st_size:,} bytes, over {MAX_BYTES:,}", "split it")
            return file.read()
    except OSError as e:
        raise DocumentError(f"{path} cannot be read: {e.strerror}", "check the path and its rights") from e
