"""A document in, passages out: whole sentences, within the embedder's window, cut and never copied.

A passage is filled sentence by sentence up to `max_tokens`, its heading counted, and ends with a paragraph when the
next one would not fit whole. A heading, a row or a message starts a new passage, so that no passage speaks under two of
them. A sentence that is itself too long is halved at a space until it fits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from rag.text import paragraphs, sentences
from rag.types import Document, Passage, Span

RULES = "sentences-4"  # changes whenever the same document would give other passages
_SPECIAL_TOKENS = 2
_HEADING_SHARE = 4  # a heading may fill a quarter of the passage's tokens, no more

Lengths = Callable[[Sequence[str]], list[int]]


def split(document: Document, lengths: Lengths, max_tokens: int) -> list[Passage]:
    """The passages of `document`, in order; together they hold every sentence. `lengths` counts tokens of texts."""
    passages = []
    for section in _sections(document):
        heading = document.heading(section)
        room = (
            max_tokens
            - _SPECIAL_TOKENS
            - min(lengths([heading])[0] + 1 if heading else 0, max_tokens // _HEADING_SHARE)
        )
        for span in _fill(document.text, section, lengths, room):
            passages.append(Passage.cut(document, span))
    return passages


def embedded_text(passage: Passage, lengths: Lengths, max_tokens: int) -> str:
    """What the embedder sees: the heading, cut from its left to its share, then the passage."""
    heading = passage.heading
    while heading and lengths([heading])[0] + 1 > max_tokens // _HEADING_SHARE:
        heading = heading.split(" ", 1)[1] if " " in heading else ""
    return f"{heading}\n{passage.text}" if heading else passage.text


def _sections(document: Document) -> list[Span]:
    """The text between two edges of what is marked; a page break does not end a passage, all others do."""
    edges = {edge for m in document.marks if m.kind != "page" for edge in (m.span.start, m.span.end)}
    bounds = sorted({0, len(document.text), *edges})
    return [Span(a, b) for a, b in pairwise(bounds) if document.text[a:b].strip()]


def _fill(text: str, section: Span, lengths: Lengths, room: int) -> list[Span]:
    """Sentences of the section, packed into spans of at most `room` tokens."""
    blocks = [b.shift(section.start) for b in paragraphs(section.of(text))]
    pieces: list[tuple[Span, int, bool]] = []  # span, tokens, is the first of its paragraph
    for block in blocks:
        first = True
        for sentence in sentences(block.of(text)):
            for part, tokens in _fitting(text, sentence.shift(block.start), lengths, room):
                pieces.append((part, tokens, first))
                first = False
    return _pack(pieces, room)


def _pack(pieces: Sequence[tuple[Span, int, bool]], room: int) -> list[Span]:
    spans: list[Span] = []
    start, end, used = None, 0, 0
    for i, (span, tokens, opens) in enumerate(pieces):
        paragraph = tokens + sum(t for _, t, _ in _rest_of_paragraph(pieces, i)) if opens else 0
        breaks = opens and used > room // 2 and used + paragraph > room
        if start is not None and (used + tokens > room or breaks):
            spans.append(Span(start, end))
            start = None
        if start is None:
            start, used = span.start, 0
        end, used = span.end, used + tokens
    return [*spans, Span(start, end)] if start is not None else spans


def _rest_of_paragraph(pieces: Sequence[tuple[Span, int, bool]], i: int) -> Sequence[tuple[Span, int, bool]]:
    after = i + 1
    while after < len(pieces) and not pieces[after][2]:
        after += 1
    return pieces[i + 1 : after]


def _fitting(text: str, span: Span, lengths: Lengths, room: int) -> list[tuple[Span, int]]:
    """The span itself if it fits, else its halves, cut at the space nearest to the middle."""
    tokens = lengths([span.of(text)])[0]
    if tokens <= room or len(span) < 2:
        return [(span, tokens)]
    middle = (span.start + span.end) // 2
    space = text.rfind(" ", span.start + 1, middle) + 1
    cut = space if space > span.start + len(span) // 4 else middle
    return _fitting(text, Span(span.start, cut), lengths, room) + _fitting(text, Span(cut, span.end), lengths, room)
