"""Which letters of a PDF page leave no ink: the oldest way to whisper to a program behind its reader's back.

Sure signs only, since a letter that is dropped cannot be cited. White letters count where nothing lies on the page but
text (on a picture or a coloured field they may well be seen); letters that are told to be invisible count where there
is no picture (under a scan they are what text recognition read); letters under a point count everywhere.
"""

from __future__ import annotations

import ctypes
from typing import Any

_TINY = 1.0  # points
_WHITE = 250  # of 255, each of red, green and blue


def seen(page: Any, text: Any) -> tuple[str, int] | None:
    """The text of a page without the letters that leave no ink, and how many those were; None if all are seen."""
    import pypdfium2.raw as raw

    things = [raw.FPDFPage_GetObject(page, i) for i in range(raw.FPDFPage_CountObjects(page))]
    kinds = {raw.FPDFPageObj_GetType(thing) for thing in things}
    written = (thing for thing in things if raw.FPDFPageObj_GetType(thing) == raw.FPDF_PAGEOBJ_TEXT)
    if raw.FPDF_PAGEOBJ_FORM not in kinds and all(_leaves_ink(raw, thing, kinds) for thing in written):
        return None  # letter by letter would cost twice what reading the page does
    known: dict[int, bool] = {}
    hidden: set[int] = set()
    count = raw.FPDFText_CountChars(text)
    for i in range(count):
        drawn = raw.FPDFText_GetTextObject(text, i)
        if not drawn:
            continue  # a space or a line end that no one wrote
        address = ctypes.addressof(drawn.contents)
        if address not in known:
            known[address] = _leaves_ink(raw, drawn, kinds)
        if not known[address]:
            hidden.add(i)
    if not hidden:
        return None
    units = (raw.FPDFText_GetUnicode(text, i) for i in range(count) if i not in hidden)
    words = b"".join((unit & 0xFFFF).to_bytes(2, "little") for unit in units).decode("utf-16-le", "replace")
    return words, len(hidden)


def _leaves_ink(raw: Any, drawn: Any, kinds: set[int]) -> bool:
    mode = raw.FPDFTextObj_GetTextRenderMode(drawn)
    if mode == raw.FPDF_TEXTRENDERMODE_INVISIBLE:
        return raw.FPDF_PAGEOBJ_IMAGE in kinds or raw.FPDF_PAGEOBJ_FORM in kinds
    size, matrix = ctypes.c_float(), raw.FS_MATRIX()
    if raw.FPDFTextObj_GetFontSize(drawn, size) and raw.FPDFPageObj_GetMatrix(drawn, matrix):
        scale = abs(matrix.a * matrix.d - matrix.b * matrix.c) ** 0.5
        if 0 <= size.value * scale < _TINY:
            return False
    colour = [ctypes.c_uint() for _ in range(4)]
    white = raw.FPDFPageObj_GetFillColor(drawn, *colour) and all(part.value >= _WHITE for part in colour[:3])
    return not (white and mode == raw.FPDF_TEXTRENDERMODE_FILL and kinds == {raw.FPDF_PAGEOBJ_TEXT})
