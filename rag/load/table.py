"""Rows of cells in, lines of text out: each row carries its header, so that a row that is cited alone is understood.

Region | Sales 2024
Region: North; Sales 2024: 12
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

_NUMBER = re.compile(r"[\s(+\-−]*[$€£¥]?\s*[\d.,'’\s]*\d[\d.,'’]*\s*(?:[%$€£¥)]|[A-Z]{3})?\s*")
_YEAR = re.compile(r"(?:19|20)\d\d")
_DATE = re.compile(r"\d{4}-\d\d-\d\d|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}")


def is_header(cells: Sequence[str]) -> bool:
    """True if a row can head the others: two or more cells, all different words or years, no other number, no date."""
    said = [cell.strip() for cell in cells if cell.strip()]
    words = [cell for cell in said if not _YEAR.fullmatch(cell)]
    plain = bool(words) and not any(_is_value(cell) or len(cell) > 80 for cell in words)
    return len(said) >= 2 and plain and len(set(said)) == len(said)


def stands_over_values(rows: Sequence[Sequence[str]]) -> bool:
    """True if the first row heads the others though nothing says so: three columns or more, and one of them in which
    all the others have a number or a date. Two columns may as well be names and what they are.

    >>> stands_over_values([["Item", "Note", "Price"], ["Tea", "green", "3"], ["Milk", "cold", "1.20"]])
    True
    """
    said = [cells for cells in rows if any(cell.strip() for cell in cells)]
    if len(said) < 2 or len(said[0]) < 3 or not is_header(said[0]):
        return False
    columns = list(zip(*said, strict=False))
    return any(column[0].strip() and all(_is_value(cell.strip()) for cell in column[1:]) for column in columns)


def row(headers: Sequence[str], cells: Sequence[str]) -> str:
    """One row in words, empty cells left out; a cell without a header stands alone.

    >>> row(["Region", "Sales 2024"], ["North", "12"])
    'Region: North; Sales 2024: 12'
    """
    named = ((headers[i] if i < len(headers) else "", " ".join(cell.split())) for i, cell in enumerate(cells))
    return "; ".join(f"{header}: {cell}" if header else cell for header, cell in named if cell)


def lines(rows: Sequence[Sequence[str]], header: bool) -> str:
    """A whole table, one line a row: 'a | b', or with `header` each row after the first with its header."""
    flat = [[" ".join(cell.split()) for cell in cells] for cells in rows]
    flat = [cells for cells in flat if any(cells)]
    even = len({len(cells) for cells in flat}) == 1
    if header and even and len(flat) > 1 and is_header(flat[0]):
        return "\n".join([" | ".join(flat[0]), *(row(flat[0], cells) for cells in flat[1:])])
    return "\n".join(" | ".join(cells) for cells in flat)


def told(rows: Iterable[tuple[int, Sequence[str]]]) -> Iterator[tuple[int, str]]:
    """The rows of a sheet in words, with their numbers, blank ones left out: captions as they are, each row of a table
    with its header. A header is the first row that can be one; after a blank row, one that stands over numbers.

    >>> list(told([(1, ["Sales"]), (3, ["Region", "2024"]), (4, ["North", "12"])]))
    [(1, 'Sales'), (3, 'Region | 2024'), (4, 'Region: North; 2024: 12')]
    """
    headers: Sequence[str] = ()
    fresh = True
    for (number, cells), after in _with_next(rows):
        said = [cell for cell in cells if cell]
        if not said:
            fresh = True
        elif fresh and is_header(cells) and (not headers or any(map(_is_value, after))):
            headers, fresh = cells, False
            yield number, " | ".join(said)
        elif fresh and len(said) == 1:
            yield number, said[0]
        else:
            fresh = False
            yield number, row(headers, cells)


def _with_next(rows: Iterable[tuple[int, Sequence[str]]]) -> Iterator[tuple[tuple[int, Sequence[str]], Sequence[str]]]:
    """Each row with the cells of the one that follows it."""
    before: tuple[int, Sequence[str]] | None = None
    for now in rows:
        if before is not None:
            yield before, now[1]
        before = now
    if before is not None:
        yield before, ()


def _is_value(cell: str) -> bool:
    return len(cell) <= 40 and bool(_NUMBER.fullmatch(cell) or _DATE.match(cell))
