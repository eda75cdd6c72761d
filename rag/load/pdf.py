"""PDF: the text of each page, with the page it stands on and the sections that its bookmarks or its headings open."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from rag.errors import DocumentError
from rag.load.draft import Draft, Parsed, clean, iso_day, sections
from rag.load.grid import Block, Pages
from rag.load.headlines import Line, headlines
from rag.load.headlines import lines as lines_of
from rag.load.ink import seen
from rag.types import Mark

MAX_PAGES = 20_000
ANEW = "open it in a viewer and save it anew"
_MAX_BOOKMARKS = 10_000
_UNDER_ALL = 7  # the header of a table: below the deepest heading
_HYPHEN = re.compile("[\x02\ufffe](?:\r\n)?")  # what the library has for a hyphen at a line's end: the word goes on


def parse(data: bytes) -> Parsed:
    """Page texts, parted by a blank line, each marked 'p. N'. Raises DocumentError: locked, damaged, too long."""
    import pypdfium2

    try:
        pdf = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as e:
        locked = "password" in str(e).lower()
        raise DocumentError(
            "it is locked with a password" if locked else f"it is no readable PDF: {e}",
            "save a copy without the password" if locked else ANEW,
        ) from e
    try:
        return _read(pdf)
    finally:
        pdf.close()


def _read(pdf: Any) -> Parsed:
    import pypdfium2

    if len(pdf) > MAX_PAGES:
        raise DocumentError(f"it has {len(pdf):,} pages, over {MAX_PAGES:,}", "split it")
    draft, pages, blank, broken = Draft(), Pages(), 0, 0
    lines: list[Line] | None = None if next(iter(pdf.get_toc(max_depth=1)), None) else []
    for number in range(len(pdf)):
        try:
            blocks = _blocks(pdf, number, draft, lines, pages)
        except pypdfium2.PdfiumError:
            broken += 1
            continue
        blank += not blocks
        with draft.within("page", f"p. {number + 1}"):
            for n, block in enumerate(blocks):
                with draft.within("heading", block.header, _UNDER_ALL):
                    draft.say(_HYPHEN.sub("", block.text), "\n" if n else "\n\n")
    if broken == len(pdf):
        raise DocumentError("none of its pages can be read", ANEW)
    if broken:
        draft.notes.append(f"{broken} of {len(pdf)} pages cannot be read: {ANEW}")
    if 0 < blank < len(pdf):
        draft.notes.append(f"{blank} of {len(pdf)} pages hold no text: if they are scans, run it through OCR first")
    about = pdf.get_metadata_dict()
    parsed = draft.done(str(about.get("Title", "")), iso_day(str(about.get("CreationDate", ""))))
    marks = (*parsed.marks, *(_bookmarked(pdf, parsed) if lines is None else _headed(lines, parsed)))
    return Parsed(parsed.title, parsed.text, marks, parsed.date, parsed.dropped, parsed.notes)


def _blocks(pdf: Any, number: int, draft: Draft, lines: list[Line] | None, pages: Pages) -> list[Block]:
    """What a page says, in order, its tables apart."""
    page = pdf[number]
    text = page.get_textpage()
    if lines is not None:
        lines += lines_of(text, number)
    inked = seen(page, text)
    if inked is not None:
        draft.dropped["characters of hidden text"] += inked[1]
    words = str(text.get_text_bounded() if inked is None else inked[0]).strip()
    if inked is None and "".join(words.split()) == "".join(text.get_text_range().split()):  # nothing beyond the edge
        blocks = pages.blocks(text)  # letter by letter: at once, the library runs cells of one letter together
    else:
        blocks = [Block("", words)] if words else []
    text.close()
    page.close()  # else a long file holds all its pages at once
    return blocks


def _bookmarked(pdf: Any, parsed: Parsed) -> tuple[Mark, ...]:
    """The bookmarks as sections: from the line of the page that says the same, else from the head of the page."""
    pages = {mark.label: mark.span for mark in parsed.marks}
    headings = []
    for count, bookmark in enumerate(pdf.get_toc(max_depth=6)):
        if count >= _MAX_BOOKMARKS:
            break
        target = bookmark.get_dest()
        page = (
            pages.get(f"p. {target.get_index() + 1}") if target is not None and target.get_index() is not None else None
        )
        label = " ".join(bookmark.get_title().split())
        if page is not None and label:
            headings.append((_line_of(page.of(parsed.text), label, page.start), bookmark.level + 1, label))
    return sections(sorted(headings, key=lambda h: h[0]), len(parsed.text))


def _headed(lines: Sequence[Line], parsed: Parsed) -> tuple[Mark, ...]:
    """The lines that are headings as sections, where they stand in the text: one that was hidden stands nowhere."""
    pages = {mark.label: mark.span for mark in parsed.marks}
    headings, at = list[tuple[int, int, str]](), 0
    for headline in headlines(lines):
        page = pages.get(f"p. {headline.page + 1}")
        found = None if page is None else _same_line(parsed.text, headline.lines[0], max(at, page.start), page.end)
        if found is not None and page is not None:
            label, *rest = headline.lines
            at = parsed.text.find("\n", found, page.end) + 1 or page.end
            goes_on = bool(rest) and _same_line(parsed.text, rest[0], at, page.end) == at
            headings.append((found, headline.level, _HYPHEN.sub("", " ".join([label, *rest] if goes_on else [label]))))
    return sections(headings, len(parsed.text))


def _same_line(text: str, line: str, at: int, end: int) -> int | None:
    """Where the first line of `text` between `at` and `end` begins that is this one, but for its spaces."""
    wanted = "".join(clean(_HYPHEN.sub("", line)).split())
    for piece in text[at:end].split("\n"):
        if "".join(piece.split()) == wanted:
            return at
        at += len(piece) + 1
    return None


def _line_of(page: str, label: str, at: int) -> int:
    """Where on the page the line stands that says `label`; `at`, the page's own place, if none does."""
    wanted = "".join(label.split()).casefold()
    for line in page.split("\n"):
        said = "".join(line.split()).casefold()
        if said.endswith(wanted) and len(said) <= len(wanted) + 8:  # 'Refunds' names '3.2 Refunds' as well
            return at
        at += len(line) + 1
    return at - len(page) - 1
