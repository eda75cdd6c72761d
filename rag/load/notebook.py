"""Jupyter notebooks: cell by cell, what is written, what is coded, and what that said in words."""

from __future__ import annotations

from typing import Any

from rag.errors import DocumentError
from rag.load import markdown
from rag.load.draft import Draft, Parsed
from rag.load.plain import decode
from rag.load.records import loads


def parse(data: bytes) -> Parsed:
    """The cells, each marked 'cell N'; pictures are left out. Raises DocumentError: no notebook."""
    book, draft = loads(decode(data)), Draft()
    cells = book.get("cells") if isinstance(book, dict) else None
    if not isinstance(cells, list):
        raise DocumentError("it is no notebook", "save it anew as version 4")
    for number, cell in enumerate(cells, start=1):
        if not isinstance(cell, dict):
            continue
        with draft.within("row", f"cell {number}"):
            if cell.get("cell_type") == "markdown":
                draft.place(markdown.parse(_words(cell.get("source")).encode("utf-8", "replace")))
                continue
            draft.say(_words(cell.get("source")))
            for output in cell.get("outputs") or ():
                draft.say(_said(output))
    return draft.done()


def _said(output: Any) -> str:
    if not isinstance(output, dict):
        return ""
    shown = output.get("data")
    return _words(shown.get("text/plain") if isinstance(shown, dict) else output.get("text"))


def _words(source: Any) -> str:
    """A multi-line string as the format has it: one string, or a list of lines."""
    return "".join(map(str, source)) if isinstance(source, list) else str(source or "")
