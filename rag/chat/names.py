"""What a document is called on the page: its title, or what a person reads in its file name."""

from __future__ import annotations

import re
from urllib.parse import unquote

from rag.types import Source

_WORDLESS = re.compile(r"[\W\d_]*(?:[0-9a-f]{8,}[\W\d_]*)*", re.IGNORECASE)  # digits and hashes: no name in it


def shown(source: Source) -> str:
    """The title; where that is a bare file name, its words.

    >>> shown(Source.at("file:///a/annual_report-2024.pdf", "annual_report-2024.pdf"))
    'Annual report 2024'
    >>> shown(Source.at("file:///a/001_6b10a84c2a205f2b.txt", "001_6b10a84c2a205f2b.txt"))
    '001_6b10a84c2a205f2b.txt'
    """
    name = file_name(source.uri)
    if source.title not in (name, source.uri):
        return source.title
    stem = re.sub(r"\.[A-Za-z0-9]{1,10}$", "", name)
    words = re.sub(r"[\s_]+|(?<=\w)-(?=\w)", " ", stem).strip()
    if not words or _WORDLESS.fullmatch(stem):
        return source.title
    return words[0].upper() + words[1:]


def file_name(uri: str) -> str:
    """The last part of a path or address, as a person wrote it."""
    return unquote(re.split(r"[/\\]", uri.rstrip("/"))[-1])
