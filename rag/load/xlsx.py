"""Excel: every sheet, every row with its header, numbers and days as a person sees them.

Read as a stream, so that a long sheet costs little memory. Hidden sheets, rows and columns are left out and counted.
"""

from __future__ import annotations

import datetime
import io
import re
from collections.abc import Iterator, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from rag.errors import DocumentError
from rag.load import table
from rag.load.archive import ANEW, BROKEN, Archive
from rag.load.draft import Draft, Parsed, iso_day

_ROW = re.compile(rb"<(?:\w+:)?row\b[^>]*>")
_COLUMN = re.compile(rb"<(?:\w+:)?col\b[^>]*>")
_HIDDEN = re.compile(rb'\bhidden="(?:1|true)"')
_UNWORKED = re.compile(
    rb"(?:</(?:\w+:)?f>|<(?:\w+:)?f\b[^>]*/>)\s*(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v></(?:\w+:)?v>)?\s*</(?:\w+:)?c>"
)


def parse(data: bytes) -> Parsed:
    """The rows of the visible sheets, each marked. Raises DocumentError: damaged, locked, a zip bomb."""
    archive = Archive(data)
    archive.refuse_entities()
    import openpyxl

    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        draft = Draft()
        for sheet in book.worksheets:
            if sheet.sheet_state == "visible":
                _sheet(draft, sheet, archive.read(sheet._worksheet_path.lstrip("/")))
            else:
                draft.dropped["hidden sheets"] += 1
        about = book.properties
        date = about.modified or about.created
        return draft.done(about.title or "", iso_day(date.isoformat()) if date else "")
    except BROKEN as e:
        raise DocumentError(f"it is no readable Excel file: {e}", ANEW) from e


def _sheet(draft: Draft, sheet: Any, source: bytes) -> None:
    hidden_rows = {_number(row, rb'\br="(\d+)"') for row in _ROW.findall(source) if _HIDDEN.search(row)}
    hidden_columns = {
        column
        for found in _COLUMN.findall(source)
        if _HIDDEN.search(found)
        for column in range(_number(found, rb'\bmin="(\d+)"'), min(_number(found, rb'\bmax="(\d+)"'), 16_384) + 1)
    }
    if unworked := len(_UNWORKED.findall(source)):
        draft.dropped["formulas without a value (save it in Excel once)"] += unworked
    sheet.reset_dimensions()  # what the sheet says of its size may be false
    with draft.within("sheet", f"Sheet '{sheet.title}'"):
        for number, text in table.told(_rows(draft, sheet, hidden_rows, hidden_columns)):
            draft.item("row", f"row {number}", text, "\n")


def _number(tag: bytes, pattern: bytes) -> int:
    found = re.search(pattern, tag)
    return int(found.group(1)) if found else 0


def _rows(draft: Draft, sheet: Any, rows: set[int], columns: set[int]) -> Iterator[tuple[int, Sequence[str]]]:
    for number, cells in enumerate(sheet.iter_rows(), start=1):
        if number in rows:
            draft.dropped["hidden rows"] += any(cell.value is not None for cell in cells)
            continue
        draft.dropped["cells formatted to show nothing"] += sum(
            c.value is not None and c.number_format == ";;;" for c in cells
        )
        texts = ["" if c.value is None else " ".join(shown(c.value, c.number_format).split()) for c in cells]
        if columns:
            draft.dropped["cells in hidden columns"] += sum(bool(t) for i, t in enumerate(texts, 1) if i in columns)
            texts = [text for i, text in enumerate(texts, 1) if i not in columns]
        yield number, texts


def shown(value: object, code: str) -> str:
    """A cell as a person sees it under its number format; days as YYYY-MM-DD, whatever the format's order.

    >>> shown(0.125, "0.0%"), shown(1234.5, '#,##0.00 "€"'), shown(0.1 + 0.2, "General")
    ('12.5%', '1,234.50 €', '0.3')
    """
    if code == ";;;":
        return ""  # the format that shows nothing
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime.datetime | datetime.date):
        return _day(value, code)
    if isinstance(value, int | float):
        return _figure(value, code or "General")
    return value.isoformat(timespec="minutes") if isinstance(value, datetime.time) else str(value)


def _day(value: datetime.date, code: str) -> str:
    signs = re.sub(r'"[^"]*"|\[[^\]]*\]|\\.', "", code or "").lower()
    if "d" not in signs and "h" not in signs and "y" in signs:
        return value.strftime("%Y-%m" if "m" in signs else "%Y")
    if isinstance(value, datetime.datetime) and value.time() != datetime.time():
        return value.isoformat(" ", "seconds" if value.second else "minutes")
    return value.strftime("%Y-%m-%d")


def _figure(value: int | float, code: str) -> str:
    sections = code.split(";")
    section = sections[1] if value < 0 and len(sections) > 1 and "0" in sections[1] else sections[0]
    plain = re.sub(r"\[\$([^\]-]*)[^\]]*\]", r"\1", section)  # [$€-407]: the currency of a country
    plain = re.sub(r"\[[^\]]*\]|_.|\*.|\\|\"", "", plain)
    found = re.search(r"[#0?][#0?,]*(?:\.([0#?]+))?", plain)
    if code in ("General", "@") or found is None or re.search(r"[Ee][+-]|/", plain):
        return f"{value:.15g}" if isinstance(value, float) else str(value)
    decimals = found.group(1) or ""
    figure = Decimal(repr(value)) * (100 if "%" in plain else 1)
    rounded = figure.quantize(Decimal(1).scaleb(-len(decimals)), ROUND_HALF_UP)
    text = f"{abs(rounded) if section is not sections[0] else rounded:{',' if ',' in found.group() else ''}f}"
    spare = len(decimals) - len(decimals.rstrip("#?"))
    for _ in range(spare):
        text = text.removesuffix("0")
    return f"{plain[: found.start()]}{text.removesuffix('.')}{plain[found.end() :]}".strip()
