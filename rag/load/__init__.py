"""A file in, a `Document` out: canonical text, and marks that say which page or heading each stretch belongs to.

One reader per kind of file, chosen by the bytes where they tell and by the ending where they do not. The text that
comes out is final: line ends are `\\n`, and what a person cannot see (control, tag and zero-width characters,
bidi overrides) is dropped here, once, so that every later span points into what is shown.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from rag.errors import DocumentError
from rag.types import Document, Mark, Source

MAX_BYTES = 200_000_000
"""Larger files are refused: split them, or raise this with reason."""

Parsed = tuple[str, str, tuple[Mark, ...]]
"""Title ('' if the file names none), text, marks."""

_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e007f\ud800-\udfff]"
)
_EXCLUDED = (".*", "__pycache__", "node_modules", "*.egg-info")


def _plain(data: bytes) -> Parsed:
    from rag.load.plain import parse

    return parse(data)


def _markdown(data: bytes) -> Parsed:
    from rag.load.markdown import parse

    return parse(data)


def _html(data: bytes) -> Parsed:
    from rag.load.html import parse

    return parse(data)


def _pdf(data: bytes) -> Parsed:
    from rag.load.pdf import parse

    return parse(data)


def _docx(data: bytes) -> Parsed:
    from rag.load.docx import parse

    return parse(data)


_KINDS: dict[str, tuple[str, Callable[[bytes], Parsed]]] = {
    ".txt": ("text/plain", _plain),
    ".text": ("text/plain", _plain),
    ".log": ("text/plain", _plain),
    ".rst": ("text/plain", _plain),
    ".md": ("text/markdown", _markdown),
    ".markdown": ("text/markdown", _markdown),
    ".html": ("text/html", _html),
    ".htm": ("text/html", _html),
    ".xhtml": ("text/html", _html),
    ".pdf": ("application/pdf", _pdf),
    ".docx": ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", _docx),
}
SUFFIXES = tuple(_KINDS)
"""The endings that can be read."""


def load(path: Path) -> Document:
    """The document in the file at `path`. Raises DocumentError: missing, not readable, too large, no text in it."""
    return parse(read_bytes(path), path)


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


def parse(data: bytes, path: Path) -> Document:
    """The document in `data`, which came from `path`, read as its ending says unless the bytes know better."""
    media_type, reader = _kind(data, path)
    try:
        title, text, marks = reader(data)
    except DocumentError as e:
        raise DocumentError(f"{path}: {e.message}", e.hint) from e
    if not text.strip():
        raise DocumentError(f"{path} holds no text", "if it is a scan, run it through text recognition (OCR) first")
    uri = path.resolve().as_uri()
    return Document(Source.at(uri, clean(title).strip() or path.name, media_type), text, marks)


def files_under(paths: Iterable[Path]) -> Iterator[Path]:
    """Every readable file named or lying under `paths`, in order, hidden and generated folders left out.

    A file that is named outright is always yielded, so that its refusal can be reported. Links out of the tree are not
    followed.
    """
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for folder, folders, names in os.walk(path):
            folders[:] = sorted(f for f in folders if not _excluded(f))
            for name in sorted(names):
                file = Path(folder, name)
                if not _excluded(name) and file.suffix.lower() in _KINDS and not file.is_symlink():
                    yield file


def clean(text: str) -> str:
    """`text` with `\\n` line ends and without what cannot be seen.

    >>> clean("a\\r\\nb\\u200b\\x00")
    'a\\nb'
    """
    return _UNSEEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n"))


def _excluded(name: str) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in _EXCLUDED)


def _kind(data: bytes, path: Path) -> tuple[str, Callable[[bytes], Parsed]]:
    suffix = path.suffix.lower()
    if data.startswith(b"%PDF-"):
        suffix = ".pdf"
    elif suffix in (".pdf", ".docx") and not data.startswith(b"PK\x03\x04"):
        raise DocumentError(f"{path} is named {suffix} but is none", "check the file")
    if suffix not in _KINDS:
        raise DocumentError(f"{path}: files of this kind cannot be read yet", "these can: " + " ".join(SUFFIXES))
    return _KINDS[suffix]
