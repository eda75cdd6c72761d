"""Word: paragraphs, tables and footnotes in their order, with the sections that its heading styles open.

Read from the XML of the body, because the library's own text leaves out tracked insertions and content controls. What
a reader of the page does not see is left out and counted: deleted text, hidden runs, white or one-point letters.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

from rag.errors import DocumentError
from rag.load import table
from rag.load.archive import ANEW, BROKEN, Archive, xml
from rag.load.draft import Draft, Parsed, iso_day

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_SIGNS = {f"{_W}tab": "\t", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}noBreakHyphen": "-"}
_SKIPPED = {f"{_W}{name}" for name in ("instrText", "delInstrText", "rPr", "pPr", "object", "pict")} | {
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"  # says again what Choice says
}
_BREAK = f"{_W}lastRenderedPageBreak"
_DELETED = {f"{_W}del", f"{_W}moveFrom"}


def parse(data: bytes) -> Parsed:
    """Paragraphs parted by blank lines. Raises DocumentError: damaged, locked, a zip bomb."""
    Archive(data).refuse_entities()
    import docx

    try:
        document = docx.Document(io.BytesIO(data))
        word = _Word(document)
        word.blocks(document.element.body)
        about = document.core_properties
        date = about.modified or about.created
        return word.draft.done(str(about.title or ""), iso_day(date.isoformat()) if date else "")
    except (*BROKEN, docx.opc.exceptions.OpcError) as e:
        raise DocumentError(f"it is no readable Word document: {e}", ANEW) from e


class _Word:
    """The walk over one document."""

    def __init__(self, document: Any) -> None:
        self.draft = Draft()
        self._document = document
        self._levels: dict[str, int] = {s.style_id: _level(s) for s in document.styles if s.type == 1}
        self._notes = dict(_footnotes(document))
        self._page = 0
        if next(document.element.body.iter(_BREAK), None) is not None:
            self._turn()

    def blocks(self, parent: Any) -> None:
        """Append what stands in the body, or in a content control of it."""
        for element in parent:
            if element.tag in (f"{_W}p", f"{_W}tbl"):
                self._block(element)
            elif element.tag in (f"{_W}sdt", f"{_W}sdtContent", f"{_W}ins", f"{_W}moveTo", f"{_W}customXml"):
                self.blocks(element)

    def _block(self, element: Any) -> None:
        """A paragraph or a table: it stands on the page on which it begins."""
        breaks = sum(1 for _ in element.iter(_BREAK))
        first = next((node.tag for node in element.iter(_BREAK, f"{_W}t")), "") == _BREAK
        if first:
            self._turn()
        if element.tag == f"{_W}p":
            self._paragraph(element)
        else:
            self.draft.say(self._table(element))
        for _ in range(breaks - first):
            self._turn()

    def _turn(self) -> None:
        """A new page, where Word had one when it last saved the file."""
        self._page += 1
        self.draft.turn(f"p. {self._page}")

    def _paragraph(self, element: Any) -> None:
        style = element.find(f"{_W}pPr/{_W}pStyle")
        level = self._levels.get(style.get(f"{_W}val"), 0) if style is not None else 0
        text = self._text(element).strip()
        if level:
            self.draft.heading(text, level)
        else:
            self.draft.say(text)
        for reference in element.iter(f"{_W}footnoteReference"):
            note = self._notes.get(reference.get(f"{_W}id", ""))
            if note is not None:
                self.draft.say(f"Footnote: {self._text(note).strip()}")

    def _text(self, element: Any, in_table: bool = False) -> str:
        """The words that are seen in a paragraph, a cell or a note; paragraphs inside it are lines."""
        pieces: list[str] = []
        stack: list[Any] = [element]
        while stack:
            node = stack.pop()
            if isinstance(node, str):
                pieces.append(node)
            elif node.tag in _DELETED:
                self.draft.dropped["characters of deleted text"] += sum(
                    len(t.text or "") for t in node.iter(f"{_W}delText")
                )
            elif node.tag == f"{_W}r" and _is_unseen(node, in_table):
                self.draft.dropped["characters of hidden text"] += sum(len(t.text or "") for t in node.iter(f"{_W}t"))
            elif node.tag == f"{_W}t":
                pieces.append(node.text or "")
            elif node.tag in _SIGNS:
                pieces.append(_SIGNS[node.tag])
            elif node.tag not in _SKIPPED:
                stack += ["\n"] if node.tag == f"{_W}p" and node is not element else []
                stack += reversed(node)
        return "".join(pieces)

    def _table(self, element: Any) -> str:
        rows = list(element.iter(f"{_W}tr"))
        cells = [[self._text(cell, in_table=True) for cell in row.iterchildren(f"{_W}tc")] for row in rows]
        merged = any(element.iter(f"{_W}gridSpan", f"{_W}vMerge")) or len(list(element.iter(f"{_W}tbl"))) > 1
        look = element.find(f"{_W}tblPr/{_W}tblLook")
        headed = next(element.iter(f"{_W}tblHeader"), None) is not None
        first = look is not None and (look.get(f"{_W}firstRow") == "1" or int(look.get(f"{_W}val") or "0", 16) & 0x20)
        bold = len(rows) > 1 and _is_bold(rows[0]) and not _is_bold(rows[1])  # as other programs set a header
        told = headed or first or bold or table.stands_over_values(cells)
        return table.lines(cells, header=not merged and bool(told))


def _is_bold(row: Any) -> bool:
    """True if every run with words in it is bold."""
    runs = [run for run in row.iter(f"{_W}r") if any((t.text or "").strip() for t in run.iter(f"{_W}t"))]
    bold = [run.find(f"{_W}rPr/{_W}b") for run in runs]
    return bool(bold) and all(b is not None and b.get(f"{_W}val", "1") not in ("0", "false") for b in bold)


def _level(style: Any) -> int:
    """The depth of a heading style, from 1; 0 if it is none."""
    found = re.fullmatch(r"Heading (\d)", str(style.name))
    outline = style.element.find(f"{_W}pPr/{_W}outlineLvl")
    if found is None and outline is not None and int(outline.get(f"{_W}val", "9")) < 9:
        return int(outline.get(f"{_W}val")) + 1
    return int(found.group(1)) if found else int(str(style.name) == "Title")


def _is_unseen(run: Any, in_table: bool) -> bool:
    """True for a hidden run, letters of a point or less, and white ones outside tables (their ground may be dark)."""
    look = run.find(f"{_W}rPr")
    if look is None:
        return False
    hidden = look.find(f"{_W}vanish")
    size, colour = look.find(f"{_W}sz"), look.find(f"{_W}color")
    tiny = size is not None and str(size.get(f"{_W}val")).isdigit() and int(size.get(f"{_W}val")) <= 2
    white = colour is not None and str(colour.get(f"{_W}val")).upper() == "FFFFFF" and not in_table
    ground = look.find(f"{_W}shd") is not None or look.find(f"{_W}highlight") is not None or _in_shade(run)
    return (hidden is not None and hidden.get(f"{_W}val", "1") not in ("0", "false")) or tiny or (white and not ground)


def _in_shade(run: Any) -> bool:
    above = list(run.iterancestors())
    return any(a.tag.endswith("}txbxContent") or a.find(f"{_W}pPr/{_W}shd") is not None for a in above)


def _footnotes(document: Any) -> Iterator[tuple[str, Any]]:
    for relation in document.part.rels.values():
        if relation.reltype.endswith("/footnotes") and not relation.is_external:
            for note in xml(relation.target_part.blob, "its footnotes").iter(f"{_W}footnote"):
                yield note.get(f"{_W}id", ""), note
