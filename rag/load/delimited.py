"""CSV and TSV: every row with its header; which sign parts the cells is told by the rows themselves."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter

from rag.errors import DocumentError
from rag.load import table
from rag.load.draft import Draft, Parsed, clean
from rag.load.plain import decode

_SIGNS = ",;\t|"
_LOOKED_AT = 50  # rows


def parse(data: bytes) -> Parsed:
    """The rows, each marked with its number as a spreadsheet program counts: the header is row 1."""
    draft = Draft()
    text = clean(decode(data), draft.dropped)
    csv.field_size_limit(10_000_000)
    if declared := re.match(r"sep=(.)\n", text):  # Excel's own first line
        text = text[declared.end() :]
    sign = declared.group(1) if declared else _sign(text)
    try:
        rows = csv.reader(io.StringIO(text), delimiter=sign)
        numbered = ((number, [" ".join(cell.split()) for cell in cells]) for number, cells in enumerate(rows, start=1))
        for number, said in table.told(numbered):
            draft.item("row", f"row {number}", said, "\n")
    except csv.Error as e:
        raise DocumentError(f"it is no readable table: {e}", "save it anew as CSV") from e
    return draft.done()


def _sign(text: str) -> str:
    """The sign that cuts most of the first rows into the same number of cells, two or more; the comma if none does."""
    head = text[:100_000].split("\n", _LOOKED_AT)[:_LOOKED_AT]

    def evenness(sign: str) -> tuple[int, int]:
        try:
            widths = Counter(len(cells) for cells in csv.reader(head, delimiter=sign) if len(cells) > 1)
        except csv.Error:
            return (0, 0)
        return (widths.most_common(1)[0][1], widths.most_common(1)[0][0]) if widths else (0, 0)

    return max(_SIGNS, key=evenness)
