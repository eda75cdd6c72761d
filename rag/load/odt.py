"""OpenDocument text: headings, paragraphs, lists, tables and notes in their order.

Tracked deletions, comments and what is hidden (by its own element or by its style) are left out and counted.
"""

from __future__ import annotations

from typing import Any

from rag.errors import DocumentError
from rag.load import table
from rag.load.archive import ANEW, Archive
from rag.load.draft import Draft, Parsed, iso_day

_URNS = "urn:oasis:names:tc:opendocument:xmlns"
_TEXT, _TABLE, _OFFICE = f"{{{_URNS}:text:1.0}}", f"{{{_URNS}:table:1.0}}", f"{{{_URNS}:office:1.0}}"
_STYLE, _META, _FO = f"{{{_URNS}:style:1.0}}", f"{{{_URNS}:meta:1.0}}", f"{{{_URNS}:xsl-fo-compatible:1.0}}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_HIDDEN = {f"{_TEXT}hidden-text", f"{_TEXT}hidden-paragraph"}
_DELETED = {f"{_TEXT}tracked-changes", f"{_OFFICE}annotation", f"{_OFFICE}annotation-end"}
_BLOCKS = {
    f"{_TEXT}{name}" for name in ("section", "list", "list-item", "list-header", "index-body", "table-of-content")
}


def parse(data: bytes) -> Parsed:
    """Paragraphs parted by blank lines. Raises DocumentError: damaged, locked, a zip bomb."""
    archive = Archive(data)
    if "META-INF/manifest.xml" in archive.names and b"encryption-data" in archive.read("META-INF/manifest.xml"):
        raise DocumentError("it is locked with a password", "save a copy without the password")
    content = archive.xml("content.xml")
    body = content.find(f"{_OFFICE}body/{_OFFICE}text")
    if body is None:
        raise DocumentError("it is no OpenDocument text", ANEW)
    sheets = [content, *([archive.xml("styles.xml")] if "styles.xml" in archive.names else [])]
    walk = _Walk(frozenset(name for sheet in sheets for name in _hidden_styles(sheet)))
    walk.blocks(body)
    about = archive.xml("meta.xml") if "meta.xml" in archive.names else None
    told = (
        {name: about.findtext(f".//{name}") or "" for name in (f"{_DC}title", f"{_DC}date", f"{_META}creation-date")}
        if about is not None
        else {}
    )
    date = iso_day(told.get(f"{_DC}date", "")) or iso_day(told.get(f"{_META}creation-date", ""))
    return walk.draft.done(told.get(f"{_DC}title", ""), date)


def _hidden_styles(sheet: Any) -> list[str]:
    return [
        look.getparent().get(f"{_STYLE}name", "")
        for look in sheet.iter(f"{_STYLE}text-properties")
        if look.get(f"{_TEXT}display") == "none" or look.get(f"{_FO}font-size") in ("0pt", "1pt")
    ]


class _Walk:
    """The walk over one document."""

    def __init__(self, hidden: frozenset[str]) -> None:
        self.draft = Draft()
        self._hidden = hidden
        self._notes: list[str] = []

    def blocks(self, parent: Any) -> None:
        """Append what stands in the body, depth first, without recursion."""
        stack = list(reversed(parent))
        while stack:
            element = stack.pop()
            if element.tag in _DELETED:
                self._drop("characters of deleted text and comments", element)
            elif element.get(f"{_TEXT}display") == "none":
                self._drop("characters of hidden text", element)
            elif element.tag == f"{_TEXT}h":
                level = element.get(f"{_TEXT}outline-level", "1")
                self.draft.heading(self._words(element), int(level) if level.isdigit() else 1)
            elif element.tag == f"{_TEXT}p":
                self.draft.say(self._words(element))
            elif element.tag == f"{_TABLE}table":
                self.draft.say(self._table(element))
            elif element.tag in _BLOCKS:
                stack += reversed(element)
            while self._notes:
                self.draft.say(f"Footnote: {self._notes.pop(0)}")

    def _words(self, element: Any) -> str:
        """What is seen of a paragraph or a cell; paragraphs inside it are lines."""
        pieces: list[str] = []
        stack: list[Any] = [element]
        while stack:
            node = stack.pop()
            if isinstance(node, str):
                pieces.append(" ".join(f"^{node}$".split())[1:-1])  # runs of white space are one space
                continue
            if not isinstance(node.tag, str):  # a comment or an instruction
                stack += [node.tail or ""] if node is not element else []
                continue
            stack += [node.tail] if node is not element and node.tail else []
            if node.tag in _HIDDEN or node.get(f"{_TEXT}style-name") in self._hidden:
                self._drop("characters of hidden text", node)
            elif node.tag in _DELETED:
                self._drop("characters of deleted text and comments", node)
            elif node.tag == f"{_TEXT}note":
                body = node.find(f"{_TEXT}note-body")
                self._notes += [self._words(body).strip()] if body is not None else []
            elif node.tag == f"{_TEXT}s":
                pieces.append(" ")
            elif node.tag in (f"{_TEXT}tab", f"{_TEXT}line-break"):
                pieces.append("\t" if node.tag.endswith("tab") else "\n")
            else:
                pieces += ["\n"] if node.tag in (f"{_TEXT}p", f"{_TEXT}h") and pieces else []
                stack += reversed(node)
                stack += [node.text] if node.text else []
        return "".join(pieces)

    def _table(self, element: Any) -> str:
        rows = list(element.iter(f"{_TABLE}table-row"))
        cells = [[self._words(cell) for cell in row.iterchildren(f"{_TABLE}table-cell")] for row in rows]
        merged = any(c.get(f"{_TABLE}number-columns-spanned") for c in element.iter(f"{_TABLE}table-cell"))
        return table.lines(cells, header=not merged and len(list(element.iter(f"{_TABLE}table"))) == 1)

    def _drop(self, what: str, element: Any) -> None:
        self.draft.dropped[what] += sum(len(words) for words in element.itertext())
