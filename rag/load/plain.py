"""Plain text: only its encoding has to be found."""

from __future__ import annotations

import codecs
from collections import Counter

from rag.errors import DocumentError
from rag.load.draft import Parsed, clean

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


_CONTROL = frozenset(range(32)) - set(b"\t\n\r\f\x1b")


def parse(data: bytes) -> Parsed:
    """Text in any encoding; no title, no marks."""
    dropped: Counter[str] = Counter()
    return Parsed("", clean(decode(data), dropped), dropped=dropped)


def decode(data: bytes) -> str:
    """Byte order mark, then UTF-8, then the likeliest other encoding. Raises DocumentError on binary data.

    >>> decode("Zürich".encode("latin-1"))
    'Zürich'
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    head = data[:4096]
    if sum(byte in _CONTROL for byte in head) > len(head) // 10:  # a stray NUL in a text is only dropped
        raise DocumentError("it is binary, not text", "check what kind of file it is")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    text = data.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    beyond_ascii = len(text) - len(text.encode("ascii", "ignore"))
    if beyond_ascii > 5 * broken:
        return text  # UTF-8 but for a few bytes, which are seen as U+FFFD
    from charset_normalizer import from_bytes

    # Western Europe first: on a short text the detector's statistics are worth less than what is common.
    best = from_bytes(data, cp_isolation=["cp1252", "latin_1"]).best() or from_bytes(data).best()
    if best is not None:
        return str(best)
    if broken * 20 > len(text):
        raise DocumentError("its text encoding cannot be told", "save it as UTF-8")
    return text
