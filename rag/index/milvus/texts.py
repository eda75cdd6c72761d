"""Documents as strings that Milvus takes: any character, any length, in pieces that are put together again.

A string of Milvus is UTF-8 without surprises and has an end; a document may hold lone surrogates and NULs, and none is
too long. What is not plain UTF-8 goes as Base64.
"""

from __future__ import annotations

import base64
import json

from rag.types import Document, Mark, Source

PIECE = 16_000  # characters: at most 64,000 bytes of the 65,535 that a server takes
TOGETHER = 64  # pieces of one request: 4 MB


def packed(text: str) -> str:
    """Any text as one that every engine brings back as it was.

    >>> unpacked(packed("\\ud83d\\ude00")) == "\\ud83d\\ude00"
    True
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        pass
    else:
        if "\0" not in text:
            return f"t{text}"
    return "b" + base64.b64encode(text.encode("utf-8", "surrogatepass")).decode("ascii")


def unpacked(text: str) -> str:
    """What `packed` was given."""
    return text[1:] if text[:1] == "t" else base64.b64decode(text[1:]).decode("utf-8", "surrogatepass")


def pieces(document: Document) -> list[str]:
    """The marks and the text of a document."""
    told = json.dumps([m.flat() for m in document.marks], ensure_ascii=False)
    whole = packed(f"{len(told)} {told}{document.text}")
    return [whole[at : at + PIECE] for at in range(0, len(whole), PIECE)]


def joined(source: Source, pieces: list[str]) -> Document:
    """The document that these are the pieces of. Raises ValueError if they are not."""
    length, _, rest = unpacked("".join(pieces)).partition(" ")
    marks = json.loads(rest[: int(length)])
    return Document(source, rest[int(length) :], tuple(Mark.of(*mark) for mark in marks))
