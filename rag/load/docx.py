"""Word: paragraphs and tables in their order, with the sections that its heading styles open."""

from __future__ import annotations

import io
import re
import zipfile

from rag.errors import DocumentError
from rag.load import Parsed, clean
from rag.load.markdown import sections

_MAX_UNPACKED = 500_000_000
_MAX_RATIO = 200


def parse(data: bytes) -> Parsed:
    """Paragraphs parted by blank lines; table rows as 'a | b'. Raises DocumentError: damaged, a zip bomb."""
    _refuse_bombs(data)
    import docx
    from docx.table import Table

    try:
        document = docx.Document(io.BytesIO(data))
        blocks = [
            (_table(block), 0) if isinstance(block, Table) else (clean(block.text).strip(), _level(block))
            for block in document.iter_inner_content()
        ]
        title = str(document.core_properties.title)
    except (KeyError, ValueError, AttributeError, docx.opc.exceptions.OpcError) as e:
        raise DocumentError(f"it is no readable Word document: {e}", "open it in an editor and save it anew") from e
    blocks = [(block, level) for block, level in blocks if block]
    text = "\n\n".join(block for block, _ in blocks)
    headings, start = [], 0
    for block, level in blocks:
        if level:
            headings.append((start, level, " ".join(block.split())))
        start += len(block) + 2
    return title, text, sections(headings, len(text))


def _level(paragraph: object) -> int:
    style = getattr(getattr(paragraph, "style", None), "name", "")
    found = re.fullmatch(r"Heading (\d)", str(style))
    return int(found.group(1)) if found else int(str(style) == "Title")


def _table(table: object) -> str:
    rows = (" | ".join(" ".join(cell.text.split()) for cell in row.cells) for row in table.rows)  # type: ignore[attr-defined]
    return clean("\n".join(row for row in rows if row.strip(" |")))


def _refuse_bombs(data: bytes) -> None:
    try:
        members = zipfile.ZipFile(io.BytesIO(data)).infolist()
    except zipfile.BadZipFile as e:
        raise DocumentError(
            "it is no readable Word document: not a zip file", "open it in an editor and save it anew"
        ) from e
    unpacked = sum(m.file_size for m in members)
    if unpacked > _MAX_UNPACKED or unpacked > _MAX_RATIO * max(len(data), 10_000):
        raise DocumentError(f"it would unpack to {unpacked:,} bytes", "it looks like a zip bomb")
