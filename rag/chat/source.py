"""A document as HTML, with one quote marked in it: what the panel beside the conversation shows.

Cut into lines in Python, where positions are code points, so that the browser never counts characters.
"""

from __future__ import annotations

from collections.abc import Iterator

from rag.chat.show import esc
from rag.types import Document, Span


def panel(document: Document, quote: Span, answer: Span | None = None) -> str:
    """Title, place and whole text; `quote` in <mark>, `answer` inside it in <mark class="key">.

    Raises ValueError if a span leaves the text: then the document is no longer the one that was quoted.
    """
    if quote.end > len(document.text) or (answer is not None and answer not in quote):
        raise ValueError(f"{quote} is no place in {document.source.title!r}")
    head = (
        f'<header class="doc"><h2 tabindex="-1" dir="auto">{esc(document.source.title)}</h2>'
        f'<p class="where" dir="auto">{esc(document.where(quote))}</p></header>'
    )
    return f'{head}<div class="text">{"".join(_lines(document, quote, answer))}</div>'


def _lines(document: Document, quote: Span, answer: Span | None) -> Iterator[str]:
    pages = {mark.span.start: mark.label for mark in document.marks if mark.kind == "page"}
    headings = {mark.span.start for mark in document.marks if mark.kind == "heading"}
    at = 0
    for text in document.text.split("\n"):
        line = Span(at, at + len(text))
        for start in [start for start in pages if line.start <= start <= line.end]:
            yield f'<p class="page" dir="auto">{esc(pages.pop(start))}</p>'
        if text.strip():
            kind = "h" if line.start in headings else "l"
            yield f'<p class="{kind}" dir="auto">{_marked(document.text, line, quote, answer)}</p>'
        at = line.end + 1


def _marked(text: str, line: Span, quote: Span, answer: Span | None) -> str:
    """One line, cut where a mark begins or ends; a mark over several lines is taken up again in each."""
    if not line.overlaps(quote):
        return esc(line.of(text))
    edges = {line.start, line.end}
    for span in (quote, answer):
        if span is not None:
            edges |= {edge for edge in (span.start, span.end) if line.start < edge < line.end}
    cuts = sorted(edges)
    return "".join(_piece(text, Span(a, b), quote, answer) for a, b in zip(cuts, cuts[1:], strict=False))


def _piece(text: str, piece: Span, quote: Span, answer: Span | None) -> str:
    inner = esc(piece.of(text))
    if piece not in quote:
        return inner
    key = ' class="key"' if answer is not None and piece in answer else ""
    return f"<mark{key}>{inner}</mark>"
