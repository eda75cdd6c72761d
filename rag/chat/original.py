"""The file that a document was read from: found again, proven to be the same, its page drawn with the quote marked."""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from rag.chat import names
from rag.chat.show import esc
from rag.errors import DocumentError
from rag.files import sha256_of
from rag.types import Document, Mark, Span

if TYPE_CHECKING:
    from rag.assistant import Assistant
    from rag.load.leaf import Leaf

_KEPT = 24  # pictures of pages
_drawn: OrderedDict[tuple[str, int, Span], Leaf] = OrderedDict()
_lock = Lock()
_proven: dict[Path, tuple[int, int, str]] = {}


def file_of(assistant: Assistant, source_id: str) -> Path:
    """The original file. Raises KeyError for an unknown source; DocumentError if the file is gone or another one."""
    row = next((r for r in assistant.sources() if r.source.id == source_id), None)
    if row is None:
        raise KeyError(source_id)
    address = urlsplit(row.source.uri)
    name = names.file_name(row.source.uri)
    if address.scheme != "file" or "#" in row.source.uri:
        raise DocumentError(f"{name} is no file of its own", "its text is shown")
    path = Path(unquote(address.path))
    try:
        stat = path.stat()
        if (known := _proven.get(path)) is None or known[:2] != (stat.st_mtime_ns, stat.st_size):
            known = _proven[path] = (stat.st_mtime_ns, stat.st_size, sha256_of(path))
    except OSError:
        raise DocumentError(
            f"the original file is gone: {path}", "its text, as it was indexed, is still here"
        ) from None
    if row.digest and known[2] != row.digest:
        raise DocumentError(f"{name} has changed since it was indexed", f"rag add {os.fspath(path)}")
    return path


def leaf(assistant: Assistant, source_id: str, quote: Span) -> str:
    """The page on which `quote` begins, as HTML: its picture, marks where the quote stands. Raises DocumentError."""
    document = assistant.document(source_id)
    page = page_of(document, quote)
    if page is None:
        raise DocumentError("this document has no pages", "its text is shown")
    number = int(page.label.split()[-1])
    drawn = _leaf(assistant, document, page, number, quote)
    boxes = "".join(
        f'<i class="box" style="left:{x:.3%};top:{y:.3%};width:{w:.3%};height:{h:.3%}"></i>'
        for x, y, w, h in drawn.boxes
    )
    told = (
        ""
        if boxes
        else '<p class="where">Where the words stand on this page could not be told; they are in the text.</p>'
    )
    url = f"page/leaf/{esc(source_id)}/{quote.start}-{quote.end}.png"
    name = f"Page {number} of {esc(names.shown(document.source))}"
    return (
        f'{told}<figure class="leaf"><img src="{url}" alt="{name}" width="{drawn.width}" height="{drawn.height}">'
        f"{boxes}</figure>"
    )


def picture(assistant: Assistant, source_id: str, quote: Span) -> bytes:
    """The PNG of that page."""
    document = assistant.document(source_id)
    page = page_of(document, quote)
    if page is None:
        raise DocumentError("this document has no pages")
    return _leaf(assistant, document, page, int(page.label.split()[-1]), quote).png


def page_of(document: Document, quote: Span) -> Mark | None:
    """The page mark over the beginning of `quote`, in a PDF; else None."""
    if document.source.media_type != "application/pdf":
        return None
    over = (m for m in document.marks if m.kind == "page" and m.span.start <= quote.start < m.span.end)
    return next(over, None)


def _leaf(assistant: Assistant, document: Document, page: Mark, number: int, quote: Span) -> Leaf:
    from rag.load.leaf import leaf as draw

    path = file_of(assistant, document.source.id)
    key = (_proven[path][2], number, quote)
    with _lock:  # one page at a time: a click must not start ten processes
        if key not in _drawn:
            inside = Span(quote.start, min(quote.end, page.span.end)).shift(-page.span.start)
            _drawn[key] = draw(path, number - 1, page.span.of(document.text), inside)
            while len(_drawn) > _KEPT:
                _drawn.popitem(last=False)
        _drawn.move_to_end(key)
        return _drawn[key]
