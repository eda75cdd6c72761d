"""A row of a table and a question in; out, the cell that is asked for, by the name of its column.

A reader takes a row for a sentence and the nearest value for the answer: of '| Phone | 3 years | 700 EUR |' the years,
for 'How much is the budget for a phone?'. But the question names a column, and the row stands under the names of its
own: in its passage's heading (Markdown), or before each value (`rag/load/table.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rag.text import stems, terms
from rag.types import Span

_NAMED = re.compile(r"(?:^|; )([^:;|]{1,80}): ([^;]+)")
_BORDER = re.compile(r"(?<!\\)\|")
_HALF = 0.5
_HOW = frozenset(("much", "mani"))


def asked(question: str, row: str, heading: str) -> Span | None:
    """The value, in characters of `row`, of the one column that `question` names best; None where it names none, or
    two equally well, or `row` is none. A cell whose words stand in the question is what is asked about.

    >>> asked("What is the budget for a phone?", "Device: Phone; Cycle: 3 years; Budget: 700 EUR", "").of(
    ...     "Device: Phone; Cycle: 3 years; Budget: 700 EUR")
    '700 EUR'
    """
    cells = list(_cells(row, heading))
    if not cells:  # most sentences are no rows
        return None
    wanted, every = set(terms(question)), stems(question)
    named = []
    for name, value in cells:
        column, said = set(terms(name)), set(terms(value.of(row)))
        met = column & wanted if column else (column := stems(name)) & every  # 'What to do' has no telling word
        if column and said and not said <= wanted and len(met) >= _HALF * len(column):
            named.append((len(met) / len(column), len(met), value))
    named.sort(key=lambda found: found[:2], reverse=True)
    if not named or (len(named) > 1 and named[0][:2] == named[1][:2]):
        return None
    return named[0][2]


def looked_up(question: str, row: str, heading: str, cell: Span) -> bool:
    """True if `row` is the one that is asked about: each telling word of `question` stands in it, outside `cell`, or
    over it, and one of them in a cell.

    >>> row = "Device: Phone; Cycle: 3 years; Budget: 700 EUR"
    >>> [looked_up(f"What is the budget for a {thing}?", row, "", Span(38, 45)) for thing in ("phone", "laptop")]
    [True, False]
    """
    cells = list(_cells(row, heading))
    keys = {s for _, value in cells if value != cell for s in stems(value.of(row))}
    over = stems(heading).union(*(stems(name) for name, _ in cells))
    telling = set(terms(question)) - _HOW
    return bool(keys & telling) and telling <= keys | over


def _cells(row: str, heading: str) -> Iterator[tuple[str, Span]]:
    """Each cell's column and place; nothing where the text is no row under known columns."""
    if row.startswith("|"):
        names = [name.strip() for name in heading.rpartition(" > ")[2].split(" | ")]
        bars = [bar.start() for bar in _BORDER.finditer(row)]
        places = [_trimmed(row, a + 1, b) for a, b in zip(bars, [*bars[1:], len(row)], strict=True)]
        if len(names) > 1 and len(places) >= len(names) and not any(len(p) for p in places[len(names) :]):
            yield from zip(names, places, strict=False)
        return
    found = list(_NAMED.finditer(row))
    if len(found) > 1 and found[0].start() == 0 and found[-1].end() == len(row):
        yield from ((cell[1], _trimmed(row, *cell.span(2))) for cell in found)


def _trimmed(row: str, start: int, end: int) -> Span:
    inside = row[start:end]
    left = len(inside) - len(inside.lstrip())
    return Span(start + left, max(start + left, start + len(inside.rstrip())))
