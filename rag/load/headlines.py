"""The headings of a PDF that has no bookmarks: lines that are set larger than the text, or that are numbered.

    Line(page 2, "3.2 Refunds", height 16)  over a text of height 11   ->   a section of level 2

Sure signs only: a heading that is none would part a passage from what it belongs to. What is said again and again is a
running title; a line that is numbered but not set off counts only if all such lines stand in order.
"""

from __future__ import annotations

import ctypes
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

LARGER = 1.15  # times the height of the text
LONGEST = 120  # characters
REPEATED = 3  # so often, and it is a running title
_NUMBERED = re.compile(r"(\d{1,3}(?:\.\d{1,3}){0,5})\.?\s+(?=[^\W\d_])")
_DEEP = re.compile(r"\d{1,3}(?:\.\d{1,3}){1,5}\.?\s+[A-Z][^.!?;]*")
_CONTENTS = re.compile(r"\.{3,}|(?:\. ){3,}|\s\d+$")  # as tables of contents have them


class Line(NamedTuple):
    """A line of page `page`, from 0; `height` of its letters in points; `bold`: all of it."""

    page: int
    text: str
    height: float
    bold: bool


class Headline(NamedTuple):
    """What opens a section: the line or two that say it, and its level from 1."""

    page: int
    lines: tuple[str, ...]
    level: int


def lines(page: Any, number: int) -> Iterator[Line]:
    """The lines of a page's text (a pypdfium2 text page), by their first letter and their last."""
    import pypdfium2.raw as raw

    at = 0
    for piece in page.get_text_range().split("\n"):
        said = piece.strip()
        if said:
            first, last = (_units(piece[: piece.index(said)]), _units(piece.rstrip()) - 1)
            ends = [raw.FPDFText_GetCharIndexFromTextIndex(page, at + end) for end in (first, last)]
            if min(ends) >= 0:
                _, low, _, high = page.get_charbox(ends[0], loose=True)
                yield Line(number, " ".join(said.split()), high - low, all(_bold(raw, page, end) for end in ends))
        at += _units(piece) + 1


def headlines(every: Sequence[Line]) -> list[Headline]:
    """The lines that open a section, in their order."""
    heights = Counter[float]()
    for line in every:
        heights[round(line.height, 1)] += len(line.text)
    if not heights:
        return []
    body, often = heights.most_common(1)[0][0], Counter(line.text for line in every)
    able = [line for line in every if often[line.text] < REPEATED and _can_be(line.text)]
    large = [line for line in able if line.height >= LARGER * body]
    set_off = large + [line for line in able if line.bold and _NUMBERED.match(line.text) and line not in large]
    plain = [line for line in able if line not in set_off and _DEEP.fullmatch(line.text)]
    if any(_number(a.text) >= _number(b.text) for a, b in pairwise(plain)):
        plain = []
    ranks = {height: n for n, height in enumerate(sorted({round(line.height) for line in large}, reverse=True), 1)}
    chosen = {*set_off, *plain}
    return list(_joined([line for line in every if line in chosen], every, ranks))


def _joined(chosen: Sequence[Line], every: Sequence[Line], ranks: dict[int, int]) -> Iterator[Headline]:
    """Each with its level; one that goes on in the next line, set alike and without a number of its own, with both."""
    after = {id(a): b for a, b in pairwise(every)}
    taken = set[int]()
    for line in chosen:
        if id(line) in taken:
            continue
        said: tuple[str, ...] = (line.text,)
        following = after.get(id(line))
        alike = following is not None and following.page == line.page and abs(following.height - line.height) < 0.5
        if following is not None and alike and following in chosen and not _NUMBERED.match(following.text):
            said = (line.text, following.text)
            taken.add(id(following))
        depth = len(_number(line.text)) or ranks.get(round(line.height), 6)
        yield Headline(line.page, said, min(depth, 6))


def _can_be(text: str) -> bool:
    words = _NUMBERED.sub("", text, count=1)
    return len(text) <= LONGEST and sum(map(str.isalpha, words)) >= 3 and not _CONTENTS.search(text)


def _number(text: str) -> tuple[int, ...]:
    """(3, 2) for '3.2 Refunds', () for a line without a number."""
    found = _NUMBERED.match(text)
    return tuple(map(int, found[1].split("."))) if found else ()


def _bold(raw: Any, page: Any, at: int) -> bool:
    name = ctypes.create_string_buffer(200)
    raw.FPDFText_GetFontInfo(page, at, name, 200, None)
    return raw.FPDFText_GetFontWeight(page, at) >= 600 or b"bold" in name.value.lower()


def _units(text: str) -> int:
    """Its length as the library counts it, in UTF-16."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
