"""Markdown: the source is the text, so that a quote stands in the file as cited; the parser finds the headings."""

from __future__ import annotations

import re

from rag.load import Parsed, clean
from rag.load.plain import decode
from rag.types import Mark, Span


def parse(data: bytes) -> Parsed:
    """The Markdown source with its sections marked; the title is the first heading of the highest level."""
    from markdown_it import MarkdownIt

    text = clean(decode(data))
    lines = text.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    tokens = MarkdownIt("commonmark").parse(_without_front_matter(text))
    headings = [
        (starts[token.map[0]], int(token.tag[1]), _plain(tokens[i + 1].content))
        for i, token in enumerate(tokens)
        if token.type == "heading_open" and token.map and token.level == 0
    ]
    return _title(headings), text, sections(headings, len(text))


def sections(headings: list[tuple[int, int, str]], length: int) -> tuple[Mark, ...]:
    """(start, level, label) of each heading, in order, as marks: each reaches to the next of its level or above."""
    marks = []
    for i, (start, level, label) in enumerate(headings):
        end = next((s for s, other, _ in headings[i + 1 :] if other <= level), length)
        if label:
            marks.append(Mark(Span(start, end), "heading", label, level))
    return tuple(marks)


def _title(headings: list[tuple[int, int, str]]) -> str:
    return min(headings, key=lambda h: h[1])[2] if headings else ""


def _plain(inline: str) -> str:
    """A heading's words without their markup."""
    inline = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", inline)
    return re.sub(r"[*_`]+", "", inline).strip()


def _without_front_matter(text: str) -> str:
    """The text with a leading `---` block blanked, its lines kept, so that places stay the same."""
    found = re.match(r"---\n.*?\n(?:---|\.\.\.)(?=\n|$)", text, re.DOTALL)
    return "\n" * found.group().count("\n") + text[found.end() :] if found else text
