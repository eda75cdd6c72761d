"""PowerPoint: slide by slide, its title, its words, its tables, its notes. Hidden slides are left out and counted."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from rag.errors import DocumentError
from rag.load import table
from rag.load.archive import ANEW, BROKEN, Archive
from rag.load.draft import Draft, Parsed, iso_day


def parse(data: bytes) -> Parsed:
    """The slides, each marked 'slide N'. Raises DocumentError: damaged, locked, a zip bomb."""
    Archive(data).refuse_entities()
    import pptx
    from pptx.exc import PythonPptxError

    try:
        show, draft = pptx.Presentation(io.BytesIO(data)), Draft()
        for number, slide in enumerate(show.slides, start=1):
            if slide._element.get("show") in ("0", "false"):
                draft.dropped["hidden slides"] += 1
                continue
            with draft.within("page", f"slide {number}"):
                _slide(draft, slide)
        about = show.core_properties
        date = about.modified or about.created
        return draft.done(about.title or "", iso_day(date.isoformat()) if date else "")
    except (*BROKEN, PythonPptxError) as e:
        raise DocumentError(f"it is no readable PowerPoint file: {e}", ANEW) from e


def _slide(draft: Draft, slide: Any) -> None:
    title = slide.shapes.title
    if title is not None and title.has_text_frame:
        draft.heading(_words(title.text_frame), 1)
    for shape in _shapes(draft, slide.shapes):
        if shape.has_text_frame and not (title is not None and shape.shape_id == title.shape_id):
            draft.say(_words(shape.text_frame))
        elif getattr(shape, "has_table", False):
            rows = [[_words(cell.text_frame) for cell in row.cells] for row in shape.table.rows]
            draft.say(table.lines(rows, header=bool(shape.table.first_row)))
    if slide.has_notes_slide and (frame := slide.notes_slide.notes_text_frame) is not None and frame.text.strip():
        draft.say(f"Notes: {_words(frame)}")


def _shapes(draft: Draft, shapes: Any) -> Iterator[Any]:
    """All shapes, those in groups in their place, without the hidden ones."""
    stack = list(reversed(list(shapes)))
    while stack:
        shape = stack.pop()
        described = next(shape._element.iter("{*}cNvPr"), None)
        if described is not None and described.get("hidden") in ("1", "true"):
            words = "".join(t.text or "" for t in shape._element.iter("{*}t"))
            draft.dropped["characters of hidden text"] += len(words)
        elif hasattr(shape, "shapes"):
            stack += reversed(list(shape.shapes))
        else:
            yield shape


def _words(frame: Any) -> str:
    return "\n".join(line for p in frame.paragraphs if (line := p.text.replace("\v", "\n").strip()))
