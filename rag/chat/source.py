"""A document as HTML, with one quote marked in it: what the panel beside the conversation shows.

Cut into lines in Python, where positions are code points, so that the browser never counts characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from itertools import pairwise

from rag.chat.names import shown
from rag.chat.original import on_pages
from rag.chat.show import esc
from rag.chat.texts import say
from rag.types import Document, Span

_WRAP = 120  # characters; longer lines are paragraphs
_LONG = 4000  # characters; a paragraph ends at the next line, so that none is too long to lay out at once
_BEGINS = frozenset({"", "#", "-", "*", "|", " ", "\t"})  # with these a line begins something new


def panel(document: Document, quote: Span, answer: Span | None = None) -> str:
    """Title, place and whole text; `quote` in <mark>, `answer` inside it in <mark class="key">.

    Raises ValueError if a span leaves the text: then the document is no longer the one that was quoted.
    """
    if quote.end > len(document.text) or (answer is not None and answer not in quote):
        raise ValueError(f"{quote} is no place in {document.source.title!r}")
    head = (
        f'<header class="doc"><h2 tabindex="-1" dir="auto">{esc(shown(document.source))}</h2>'
        f'<p class="where" dir="auto">{esc(document.where(quote))}{_dated(document)}</p>'
        f"{_views(document, quote)}</header>"
    )
    text = "".join(_paragraphs(document, quote, answer))
    return f'{head}<div class="text">{text}</div><div class="leaf-view" hidden></div>'


def _dated(document: Document) -> str:
    """The day that the document gives itself; '' if it gives none."""
    day = esc(document.source.date)
    return f' &middot; <time datetime="{day}">{day}</time>' if day else ""


def _views(document: Document, quote: Span) -> str:
    """How else the document can be looked at: a page as it is printed, the file itself."""
    id_ = esc(document.source.id)
    views = (
        f'<button type="button" class="plain view" data-leaf="{id_}" data-span="{quote.start}-{quote.end}"'
        f' aria-pressed="false">{say("source.printed")}</button>'
        if on_pages(document, quote)
        else ""
    )
    if document.source.uri.startswith("file:"):
        views += f'<button type="button" class="plain view" data-original="{id_}">{say("source.save")}</button>'
    return f'<p class="views">{views}</p>' if views else ""


def _paragraphs(document: Document, quote: Span, answer: Span | None) -> Iterator[str]:
    """The text in paragraphs, page labels between them; the browser lays out only those in sight."""
    pages = {mark.span.start: mark.label for mark in document.marks if mark.kind == "page"}
    headings = {mark.span.start for mark in document.marks if mark.kind == "heading" and mark.level <= 6}
    begins = {mark.span.start for mark in document.marks}  # rows and messages are no wrapped lines
    if document.source.media_type.startswith("text/x-"):  # source code: every line stands by itself
        begins |= {found.end() for found in re.finditer("\n", document.text)}
    for span in _spans(document.text, begins):
        for start in [start for start in pages if start <= span.end]:
            yield f'<p class="page" dir="auto">{esc(pages.pop(start))}</p>'
        kind = "h" if span.start in headings else "l"
        kind += " quoted" if span.overlaps(quote) else ""
        yield f'<p class="{kind}" dir="auto">{_marked(document.text, span, quote, answer)}</p>'


def _spans(text: str, starts: Set[int]) -> Iterator[Span]:
    """The lines of `text`, blank ones left out; those that a margin seems to have cut are one with the next, unless
    something new begins there."""
    begin = at = 0
    lines = text.split("\n")
    for n, line in enumerate(lines):
        end = at + len(line)
        after = lines[n + 1][:1] if n + 1 < len(lines) else ""
        goes_on = line and len(line) <= _WRAP and after not in _BEGINS and end + 1 not in starts
        if not goes_on or end - begin > _LONG or begin in starts:
            if text[begin:end].strip():
                yield Span(begin, end)
            begin = end + 1
        at = end + 1


def _marked(text: str, span: Span, quote: Span, answer: Span | None) -> str:
    """One paragraph, cut where a mark begins or ends; a mark over several is taken up again in each."""
    if not span.overlaps(quote):
        return esc(span.of(text))
    edges = {span.start, span.end}
    for mark in (quote, answer):
        if mark is not None:
            edges |= {edge for edge in (mark.start, mark.end) if span.start < edge < span.end}
    cuts = sorted(edges)
    return "".join(_piece(text, Span(a, b), quote, answer) for a, b in pairwise(cuts))


def _piece(text: str, piece: Span, quote: Span, answer: Span | None) -> str:
    inner = esc(piece.of(text))
    if piece not in quote:
        return inner
    key = ' class="key"' if answer is not None and piece in answer else ""
    return f"<mark{key}>{inner}</mark>"
