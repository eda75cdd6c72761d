"""Markdown: the source is the text, so that a quote stands in the file as cited; the parser finds the headings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from rag.load.draft import Parsed, clean, iso_day, sections
from rag.load.plain import decode
from rag.types import Mark, Span

_FRONT = re.compile(r"---\n.*?\n(?:---|\.\.\.)(?=\n|$)", re.DOTALL)

_UNDER_ALL = 7  # below the deepest heading


def parse(data: bytes) -> Parsed:
    """The Markdown source with its sections marked; the title is the first heading of the highest level.

    Comments, which no reader of the page sees, are left out and counted."""
    dropped: Counter[str] = Counter()
    text = clean(decode(data), dropped)
    if "<!--" in text:
        text = _without_comments(text, dropped)
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    tokens = _tokens(_without_front_matter(text))
    headings = [
        (starts[token.map[0]], int(token.tag[1]), _plain(tokens[i + 1].content))
        for i, token in enumerate(tokens)
        if token.type == "heading_open" and token.map and token.level == 0
    ]
    marks = (*sections(headings, len(text)), *_columns(tokens, starts))
    return Parsed(_title(headings), text, tuple(sorted(marks, key=_place)), _date(text), dropped)


def _place(mark: Mark) -> tuple[int, int]:
    return (mark.span.start, mark.level)


def _columns(tokens: list[Any], starts: list[int]) -> Iterator[Mark]:
    """The rows of each table under the names of their columns, so that a row that is cited alone is understood."""
    header: list[str] = []
    for before, token in pairwise(tokens):
        if token.type == "thead_open":
            header = []
        elif before.type == "th_open":
            header.append(_plain(token.content))
        elif token.type == "tbody_open" and token.map and any(header):
            span = Span(starts[token.map[0]], starts[token.map[1]] - 1)
            yield Mark(span, "heading", " | ".join(header), _UNDER_ALL)


def _tokens(text: str) -> list[Any]:
    from markdown_it import MarkdownIt

    return list(MarkdownIt("commonmark").enable("table").parse(text))


def _without_comments(text: str, dropped: Counter[str]) -> str:
    """The text without HTML comments, but for those that are shown: in code."""
    shown = {line for t in _tokens(text) if t.type in ("fence", "code_block") and t.map for line in range(*t.map)}

    def drop(found: re.Match[str]) -> str:
        line = text.count("\n", 0, found.start())
        before = text[text.rfind("\n", 0, found.start()) + 1 : found.start()]
        if line in shown or before.count("`") % 2:
            return found.group()
        dropped["characters of comments"] += len(found.group())
        return ""

    return re.sub(r"<!--.*?(?:-->|\Z)", drop, text, flags=re.DOTALL)


def _title(headings: list[tuple[int, int, str]]) -> str:
    return min(headings, key=lambda h: h[1])[2] if headings else ""


def _plain(inline: str) -> str:
    """A heading's words without their markup."""
    inline = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", inline)
    return re.sub(r"[*_`]+", "", inline).strip()


def _date(text: str) -> str:
    """The day that the front matter names, '' if none."""
    found = _FRONT.match(text)
    dated = re.search(r"(?m)^date:\s*[\"']?(.*)$", found.group()) if found else None
    return iso_day(dated.group(1)) if dated else ""


def _without_front_matter(text: str) -> str:
    """The text with a leading `---` block blanked, its lines kept, so that places stay the same."""
    found = _FRONT.match(text)
    return "\n" * found.group().count("\n") + text[found.end() :] if found else text
