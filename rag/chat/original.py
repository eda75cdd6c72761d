"""The file that a document was read from: found again, proven to be the same, its pages drawn with the quote marked."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from rag.chat import names
from rag.chat.show import esc
from rag.chat.texts import say
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
        raise DocumentError(say("original.no_file", name=name), say("original.text_shown"))
    path = Path(unquote(address.path))
    try:
        stat = path.stat()
        if (known := _proven.get(path)) is None or known[:2] != (stat.st_mtime_ns, stat.st_size):
            known = _proven[path] = (stat.st_mtime_ns, stat.st_size, sha256_of(path))
    except OSError:
        raise DocumentError(say("original.file_gone", path=path), say("original.text_here")) from None
    if row.digest and known[2] != row.digest:
        raise DocumentError(say("original.changed", name=name), f"rag add {os.fspath(path)}")
    return path


def leaves(assistant: Assistant, source_id: str, quote: Span, number: int | None = None) -> str:
    """The pages that `quote` stands on, or page `number` (from 1), as HTML: their pictures, marks where it stands, a
    way to the pages beside them. Raises DocumentError."""
    document = assistant.document(source_id)
    pages = pages_of(document)
    if not pages:
        raise DocumentError(say("original.no_pages"), say("original.text_shown"))
    shown = on_pages(document, quote) if number is None else [number]
    if not shown or any(n not in pages for n in shown):
        raise DocumentError(say("original.no_page", name=names.shown(document.source)), say("original.text_shown"))
    figures = "".join(_figure(assistant, document, pages[n], n, quote) for n in shown)
    return f"{_turning(shown, list(pages))}{figures}"


def picture(assistant: Assistant, source_id: str, quote: Span, number: int) -> bytes:
    """The PNG of page `number`, from 1. Raises DocumentError."""
    document = assistant.document(source_id)
    page = pages_of(document).get(number)
    if page is None:
        raise DocumentError(say("original.no_page", name=names.shown(document.source)))
    return _leaf(assistant, document, page, number, quote).png


def pages_of(document: Document) -> dict[int, Mark]:
    """The pages of a PDF by their number, from 1; none of any other document."""
    if document.source.media_type != "application/pdf":
        return {}
    return {int(mark.label.split()[-1]): mark for mark in document.marks if mark.kind == "page"}


def on_pages(document: Document, quote: Span) -> list[int]:
    """The numbers of the pages on which `quote` stands."""
    return sorted(n for n, mark in pages_of(document).items() if mark.span.overlaps(quote))


def _figure(assistant: Assistant, document: Document, page: Mark, number: int, quote: Span) -> str:
    drawn = _leaf(assistant, document, page, number, quote)
    boxes = "".join(
        f'<i class="box" style="left:{x:.3%};top:{y:.3%};width:{w:.3%};height:{h:.3%}"></i>'
        for x, y, w, h in drawn.boxes
    )
    told = f'<p class="where">{say("original.unknown")}</p>' if page.span.overlaps(quote) and not boxes else ""
    url = f"page/leaf/{esc(document.source.id)}/{quote.start}-{quote.end}.png?page={number}"
    name = say("original.page", n=number, title=esc(names.shown(document.source)))
    return (
        f'{told}<figure class="leaf"><img src="{url}" alt="{name}" width="{drawn.width}" height="{drawn.height}">'
        f"{boxes}</figure>"
    )


def _turning(shown: Sequence[int], pages: Sequence[int]) -> str:
    """The way to the page before and the page after, 0 where there is none."""
    before = max((n for n in pages if n < shown[0]), default=0)
    after = min((n for n in pages if n > shown[-1]), default=0)
    name = "original.one" if len(shown) == 1 else "original.several"
    said = say(name, n=shown[0], first=shown[0], last=shown[-1], all=max(pages))

    def button(number: int, sign: str, name: str) -> str:
        off = "" if number else " disabled"
        return f'<button type="button" class="plain" data-turn="{number}" aria-label="{name}"{off}>{sign}</button>'

    where = f'<span role="status">{said}</span>'
    back, on = button(before, "&lsaquo;", say("original.before")), button(after, "&rsaquo;", say("original.after"))
    return f'<p class="turning">{back}{where}{on}</p>'


def _leaf(assistant: Assistant, document: Document, page: Mark, number: int, quote: Span) -> Leaf:
    from rag.load.leaf import leaf as draw

    path = file_of(assistant, document.source.id)
    inside = _within(page.span, quote)
    key = (_proven[path][2], number, inside)
    with _lock:  # one page at a time: a click must not start ten processes
        if key not in _drawn:
            _drawn[key] = draw(path, number - 1, page.span.of(document.text), inside)
            while len(_drawn) > _KEPT:
                _drawn.popitem(last=False)
        _drawn.move_to_end(key)
        return _drawn[key]


def _within(page: Span, quote: Span) -> Span:
    """What of the quote stands on the page, counted from the page's beginning; empty if nothing does."""
    if not page.overlaps(quote):
        return Span(0, 0)
    return Span(max(quote.start, page.start), min(quote.end, page.end)).shift(-page.start)
