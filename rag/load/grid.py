"""The tables of a PDF, which knows none: lines with wide gaps in them, cut into cells that stand under one another.

    Article   Weight kg   Price EUR          | Article | Weight kg | Price EUR |
    Tea               2           4    ->    | Tea | 2 | 4 |    under the heading 'Article | Weight kg | Price EUR'

Sure signs only: three lines or more whose columns never meet. A header is told as in Word and may hold for the next
page too. Nothing but white space and the signs between the cells is added to what the page says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from rag.load import table

WIDE = 1.0  # times the height of the letters: a gap between two cells
TOUCHING = 0.1  # likewise: none at all
LEAST = 3  # lines of a table
_LONG = 60  # characters of a cell, on average: columns of a newspaper are no table
_NEAR = 3  # lines between a table and the edge of its page, beyond which it does not go on
_WORD = re.compile(r"\S+")


class Cell(NamedTuple):
    """Words of one line without a wide gap, and where they stand, in points."""

    text: str
    left: float
    right: float
    low: float
    high: float


Row = list[Cell]
Columns = list[tuple[float, float]]


class Table(NamedTuple):
    """Rows from `first` up to `end`, the places of their columns, their header."""

    first: int
    end: int
    columns: Columns
    header: str


class Block(NamedTuple):
    """Lines of a page; `header`: of the columns that they are cut into, '' if they are none or it has no names."""

    header: str
    text: str


class Pages:
    """Reads one page after the other; a table may go on from one to the next."""

    def __init__(self) -> None:
        self._open: Table | None = None  # what stood at the foot of the last page

    def blocks(self, page: Any) -> list[Block]:
        """The lines of a page (a pypdfium2 text page), its tables cut into cells."""
        lines = list(_lines(page))
        rows = _rows(lines)
        tables = list(_tables(rows, self._open))
        after = len(rows) - tables[-1].end if tables else _NEAR + 1
        self._open = tables[-1] if after <= _NEAR else None
        found, at = [], 0
        for each in tables:
            body = each.first + (each.header == _plain(rows[each.first]))
            over = [_cut(row, each.columns) for row in rows[each.first : body]]
            found.append(Block("", "\n".join([*_said(rows[at : each.first]), *over])))
            found.append(Block(each.header, "\n".join(_cut(row, each.columns) for row in rows[body : each.end])))
            at = each.end
        return [block for block in [*found, Block("", "\n".join(_said(rows[at:])))] if block.text]


def _lines(page: Any) -> Iterator[Row]:
    """Each line of the page, cut at its wide gaps."""
    import pypdfium2.raw as raw

    sides = raw.FS_RECTF()

    def word(text: str, at: int) -> Cell:
        """Where the word stands whose first letter has this place in the text."""
        raw.FPDFText_GetLooseCharBox(page, raw.FPDFText_GetCharIndexFromTextIndex(page, at), sides)
        left, low, high = sides.left, sides.bottom, sides.top
        raw.FPDFText_GetLooseCharBox(page, raw.FPDFText_GetCharIndexFromTextIndex(page, at + _units(text) - 1), sides)
        return Cell(text, left, sides.right, min(low, sides.bottom), max(high, sides.top))

    at = 0
    for line in page.get_text_range().split("\n"):
        cells: Row = []
        for found in _WORD.finditer(line):
            _append(cells, word(found.group(), at + _units(line[: found.start()])), " ")
        yield cells
        at += _units(line) + 1


def _append(cells: Row, cell: Cell, gap: str) -> None:
    """One more cell of a line, or more words of the last one, with `gap` between."""
    before = cells[-1] if cells else None
    if before is None or cell.left - before.right > WIDE * max(before.high - before.low, cell.high - cell.low):
        cells.append(cell)
    else:
        low, high = min(before.low, cell.low), max(before.high, cell.high)
        cells[-1] = Cell(before.text + gap + cell.text, before.left, cell.right, low, high)


def _rows(lines: Sequence[Row]) -> list[list[Row]]:
    """Lines that stand beside one another, put together: each row as the lines that it is made of."""
    rows: list[list[Row]] = []
    for line in lines:
        last = rows[-1][-1][-1:] if rows else []
        if line and last and _beside(last[0], line[0]):
            near = line[0].left - last[0].right < WIDE * (last[0].high - last[0].low)
            touches = line[0].left - last[0].right < TOUCHING * (last[0].high - last[0].low)
            if near:  # the library parts what belongs together, too
                _append(rows[-1][-1], line[0], "" if touches else " ")
                rows[-1][-1] += line[1:]
            else:
                rows[-1].append(line)
        else:
            rows.append([line])
    return rows


def _beside(a: Cell, b: Cell) -> bool:
    if any(cell.high - cell.low > 2 * (cell.right - cell.left) for cell in (a, b) if len(cell.text) > 1):
        return False  # they run up the page
    shared = min(a.high, b.high) - max(a.low, b.low)
    height = min(a.high - a.low, b.high - b.low)
    return b.left > a.right - TOUCHING * height and shared > 0.5 * height


def _tables(rows: Sequence[list[Row]], before: Table | None) -> Iterator[Table]:
    """The tables among these rows, in order; `before`: one that may go on at the head of them."""
    first = 0
    while first < len(rows):
        end, columns = _reach(rows, first)
        if end - first < LEAST or not _short(rows[first:end]):
            first += 1
            continue
        said = [_told(row, columns) for row in rows[first:end]]
        header = _plain(rows[first]) if table.stands_over_values(said) else ""
        if not header and before is not None and first <= _NEAR and _alike(columns, before.columns):
            header = before.header
        yield Table(first, end, columns, header)
        first, before = end, None


def _reach(rows: Sequence[list[Row]], first: int) -> tuple[int, Columns]:
    """How far the rows from `first` on stand in the columns of the first of them, and where these are then."""
    columns = [(cell.left, cell.right) for cell in _cells(rows[first])]
    end = first + 1 if len(columns) > 1 else first
    while first < end < len(rows):
        cells = _cells(rows[end])
        wider = _with(columns, cells)
        if not cells or wider is None:
            break
        columns, end = wider, end + 1
    while end > first and len(_cells(rows[end - 1])) < 2:
        end -= 1  # the text that follows is no cell of the first column
    return end, columns


def _with(columns: Columns, cells: Row) -> Columns | None:
    """The columns with one more row in them; None if it does not stand in them."""
    places = [_place(columns, cell) for cell in cells] if len(cells) < len(columns) else list(range(len(cells)))
    if len(cells) > len(columns) or any(a >= b for a, b in pairwise(places)) or -1 in places:
        return None
    wider = list(columns)
    for place, cell in zip(places, cells, strict=True):
        wider[place] = (min(wider[place][0], cell.left), max(wider[place][1], cell.right))
    return wider if all(a[1] < b[0] for a, b in pairwise(wider)) else None


def _place(columns: Columns, cell: Cell) -> int:
    """The column that the cell stands in, -1 if it is none or several."""
    over = [n for n, (left, right) in enumerate(columns) if cell.left < right and left < cell.right]
    return over[0] if len(over) == 1 else -1


def _alike(a: Columns, b: Columns) -> bool:
    return len(a) == len(b) and all(x[0] < y[1] and y[0] < x[1] for x, y in zip(a, b, strict=True))


def _short(rows: Sequence[list[Row]]) -> bool:
    cells = [cell for row in rows for cell in _cells(row)]
    return sum(len(cell.text) for cell in cells) <= _LONG * len(cells)


def _cells(row: list[Row]) -> Row:
    return [cell for line in row for cell in line]


def _told(row: list[Row], columns: Columns) -> list[str]:
    """What stands in each column."""
    cells, said = _cells(row), [""] * len(columns)
    for n, cell in enumerate(cells):
        said[n if len(cells) == len(columns) else _place(columns, cell)] = cell.text
    return said


def _cut(row: list[Row], columns: Columns) -> str:
    """A row in one line, as Markdown has it."""
    return f"| {' | '.join(_told(row, columns))} |"


def _plain(row: list[Row]) -> str:
    return " | ".join(cell.text for cell in _cells(row))


def _said(rows: Sequence[list[Row]]) -> list[str]:
    """Lines that are no table, as the page has them."""
    return [" ".join(cell.text for cell in line) for row in rows for line in row]


def _units(text: str) -> int:
    """Its length as the library counts it, in UTF-16."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
