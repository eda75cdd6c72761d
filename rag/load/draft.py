"""What every parser writes on: the text so far, the marks over it, and the count of what was left out.

The text that comes out is final: line ends are `\\n`, and what a person cannot see (control, tag and zero-width
characters, bidi overrides) is dropped here, once and counted, so that every later span points into what is shown.
"""

from __future__ import annotations

import datetime
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from rag.errors import DocumentError
from rag.types import Mark, MarkKind, Span

MAX_CHARACTERS = 50_000_000
"""A longer text is refused: it would be fifteen times War and Peace."""

_UNSEEN = {
    "control characters": "\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\ufff9-\ufffb",
    "zero-width characters": "\u00ad\u034f\u180e\u200b\u2060-\u2064\u206a-\u206f\ufeff",
    "direction marks": "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069",
    "tag characters": "\U000e0000-\U000e007f",
    "broken characters": "\ud800-\udfff",
}
_ANY_UNSEEN = re.compile("|".join(f"([{characters}])" for characters in _UNSEEN.values()))
# Joiners and variants shape letters and emoji one at a time; in runs, or after Latin letters, they only hide data.
_STRAY = re.compile(
    "^[\u200c\u200d]+|(?<=[\x00-\u024f\u200c\u200d])[\u200c\u200d]+"
    "|(?<=[\ufe00-\ufe0f\U000e0100-\U000e01ef])[\ufe00-\ufe0f\U000e0100-\U000e01ef]+"
)
_LINE_ENDS = re.compile("\r\n|[\r\f\x85\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a parser makes of a file's bytes. `title`: '' if the file names none; `date`: 'YYYY-MM-DD' or ''; `dropped`:
    how many of what was left out; `notes`: what else a person should know."""

    title: str
    text: str
    marks: tuple[Mark, ...] = ()
    date: str = ""
    dropped: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[str, ...] = ()


def clean(text: str, dropped: Counter[str] | None = None) -> str:
    """`text` with `\\n` line ends and without what cannot be seen, which is counted in `dropped` by kind.

    >>> clean("a\\r\\nb\\u200b\\x00")
    'a\\nb'
    """
    if text.isascii() and text.isprintable():  # most cells of most tables
        return text
    names, found = tuple(_UNSEEN), Counter[str]() if dropped is None else dropped

    def unseen(match: re.Match[str]) -> str:
        found[names[(match.lastindex or 1) - 1]] += 1
        return ""

    def stray(match: re.Match[str]) -> str:
        found["zero-width characters"] += len(match.group())
        return ""

    return _STRAY.sub(stray, _ANY_UNSEEN.sub(unseen, _LINE_ENDS.sub("\n", text)))


def sections(headings: list[tuple[int, int, str]], length: int) -> tuple[Mark, ...]:
    """(start, level, label) of each heading, in order, as marks: each reaches to the next of its level or above."""
    marks, open_ = [], list[tuple[int, int, str]]()
    for at, level, label in [*headings, (length, -1, "")]:
        start = min(at, length)  # an empty heading at the end may stand past it
        while open_ and open_[-1][1] >= level:
            begun, depth, words = open_.pop()
            if words:
                marks.append(Mark(Span(begun, start), "heading", words, depth))
        open_.append((start, level, label))
    return tuple(sorted(marks, key=lambda m: (m.span.start, m.level)))


class Draft:
    """A text that grows block by block. Raises DocumentError when it outgrows MAX_CHARACTERS."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0
        self._headings: list[tuple[int, int, str]] = []
        self._marks: list[Mark] = []
        self._begun: dict[int, int] = {}  # number of an open stretch -> where its first words stand
        self._opened = itertools.count()
        self._empty: set[int] = set()  # open stretches in which nothing was said yet
        self._pages: list[tuple[int, str]] = []
        self._turned = ""
        self.dropped: Counter[str] = Counter()
        self.notes: list[str] = []

    def say(self, words: str, gap: str = "\n\n") -> None:
        """Append a block, `gap` between it and what stands before. Blank ones leave no trace."""
        words = clean(words, self.dropped).strip("\n").rstrip()
        if words.strip():
            self._append(words, gap)

    def heading(self, words: str, level: int) -> None:
        """Append a heading; its section reaches to the next of its level or above."""
        label = " ".join(clean(words).split())
        if label:
            self.say(words)
            self._headings.append((self._last, level, label))

    def item(self, kind: MarkKind, label: str, words: str, gap: str = "\n\n", level: int = 0) -> None:
        """Append a block that is a marked stretch by itself: `within` in one step, for the many rows of a table."""
        before = self._length
        self.say(words, gap)
        if self._length > before:
            self._marks.append(Mark(Span(self._last, self._length), kind, label, level))

    @contextmanager
    def within(self, kind: MarkKind, label: str, level: int = 0, date: str = "") -> Iterator[None]:
        """Mark what is said in this block; nothing said, nothing marked. Sections end with it."""
        number, label = next(self._opened), " ".join(clean(label).split())
        outer, self._headings = self._headings, []
        self._empty.add(number)
        yield
        self._marks += sections(self._headings, self._length)
        self._headings = outer
        self._empty.discard(number)
        if (start := self._begun.pop(number, None)) is not None and label:
            self._marks.append(Mark(Span(start, self._length), kind, label, level, date))

    def turn(self, label: str) -> None:
        """What is said from here on stands on the page of this name; unlike `within`, sections go on over it."""
        self._turned = label

    def place(self, parsed: Parsed, gap: str = "\n\n") -> None:
        """Append a whole parsed text, as it is, with its marks and counts."""
        if parsed.text.strip():
            self._append(parsed.text, gap)
            at = self._last
            self._marks += [replace(m, span=m.span.shift(at)) for m in parsed.marks]
        self.dropped.update(parsed.dropped)
        self.notes += parsed.notes

    def done(self, title: str = "", date: str = "") -> Parsed:
        """The finished text."""
        turns = [*self._pages, (self._length + 2, "")]  # pages are parted by a blank line
        pages = [Mark(Span(a, b - 2), "page", label) for (a, label), (b, _) in itertools.pairwise(turns)]
        marks = (*sections(self._headings, self._length), *self._marks, *pages)
        return Parsed(
            " ".join(clean(title).split()),
            "".join(self._pieces),
            tuple(sorted(marks, key=lambda m: (m.span.start, -m.span.end, m.level))),
            date,
            MappingProxyType({what: n for what, n in self.dropped.items() if n}),
            tuple(self.notes),
        )

    def _append(self, words: str, gap: str) -> None:
        gap = gap if self._pieces else ""
        self._pieces += (gap, words)
        self._last = self._length + len(gap)
        self._length = self._last + len(words)
        if self._turned:
            self._pages.append((self._last, self._turned))
            self._turned = ""
        self._begun.update(dict.fromkeys(self._empty, self._last))
        self._empty.clear()
        if self._length > MAX_CHARACTERS:
            raise DocumentError(f"it holds over {MAX_CHARACTERS:,} characters", "split it")


def iso_day(text: str) -> str:
    """The day at the head of an ISO or a PDF date, 'YYYY-MM-DD'; '' if there is none or it is no day.

    >>> iso_day("D:20240302114500+01'00'"), iso_day("2024-03-02T11:45:00Z"), iso_day("2024-13-45")
    ('2024-03-02', '2024-03-02', '')
    """
    found = re.match(r"\s*(?:D:)?(\d{4})[-/]?(\d\d)[-/]?(\d\d)", text)
    try:
        return datetime.date(*map(int, found.groups())).isoformat() if found else ""
    except ValueError:
        return ""
