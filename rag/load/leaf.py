"""A page of a PDF as a picture, with the places of a quote on it: what a person compares the text with.

Drawn in a process of its own, started for one page: a hostile file can cost that process, never the server's, and the
PDF library must not be used from two threads.

    {"path": "/a.pdf", "page": 2, "text": "the page as indexed", "quote": [120, 181]}  in at standard input
    {"width": 900, "height": 1273, "boxes": [[0.1, 0.2, 0.5, 0.02], ...]}\n<PNG>       out at standard output
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import DocumentError
from rag.load import clean
from rag.types import Span

WIDTH = 1100  # pixels: sharp in a panel half as wide
_MEMORY_BYTES = 2 << 30
_SECONDS = 20
Box = tuple[float, float, float, float]
"""Left, top, width, height, each a share of the page from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """`png`: the page's picture; `boxes`: where the quote stands on it, none if that cannot be told."""

    png: bytes
    width: int
    height: int
    boxes: tuple[Box, ...]


def leaf(path: Path, page: int, text: str, quote: Span) -> Leaf:
    """Page `page` (from 0) of the PDF at `path`; `text`: the page as it was indexed, `quote`: a place in it. Raises
    DocumentError: damaged, locked, too slow to draw."""
    asked = {"path": str(path), "page": page, "text": text, "quote": [quote.start, quote.end]}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "rag.load.leaf"], input=json.dumps(asked).encode(), capture_output=True,
            timeout=_SECONDS, check=True, cwd=Path(__file__).resolve().parents[2],
        )  # fmt: skip
    except (subprocess.SubprocessError, OSError) as e:
        raise DocumentError(f"page {page + 1} of {path.name} cannot be drawn", "open the file in a viewer") from e
    head, _, png = done.stdout.partition(b"\n")
    told = json.loads(head)
    return Leaf(png, told["width"], told["height"], tuple(tuple(box) for box in told["boxes"]))


def _draw(path: str, page: int, text: str, quote: Span) -> tuple[dict[str, Any], bytes]:
    """What the child does."""
    import pypdfium2

    pdf = pypdfium2.PdfDocument(path)
    sheet = pdf[page]
    width, height = sheet.get_size()
    bitmap = sheet.render(scale=min(WIDTH / width, 4000 / height), rev_byteorder=True, prefer_bgrx=False)
    pixels = bitmap.to_numpy()[:, :, :3]
    rows, columns = pixels.shape[:2]
    png = _png(columns, rows, pixels.tobytes())
    boxes = [
        _share(box, sheet.get_mediabox(), sheet.get_rotation()) for box in _boxes(sheet.get_textpage(), text, quote)
    ]
    return {"width": columns, "height": rows, "boxes": boxes}, png


def _boxes(words: Any, text: str, quote: Span) -> list[tuple[float, float, float, float]]:
    """The boxes (left, bottom, right, top, in points) of the characters of `quote`, joined line by line.

    The page's characters are those of the text but for white space, so that one is counted along the other.
    """
    import pypdfium2.raw as raw

    units = [(i, raw.FPDFText_GetUnicode(words.raw, i)) for i in range(words.count_chars())]
    drawn = [(i, c) for i, unit in units if unit != 0xFFFE for c in _solid(clean(chr(unit) if unit else ""))]
    seen, wanted = "".join(c for _, c in drawn), _solid(quote.of(text))
    at = len(_solid(text[: quote.start])) if seen == _solid(text) else seen.find(wanted)
    if at < 0 or (seen != _solid(text) and seen.count(wanted) != 1):
        return []  # better no mark than one in the wrong place
    lines: list[tuple[float, float, float, float]] = []
    for i, _ in drawn[at : at + len(wanted)]:
        left, bottom, right, top = words.get_charbox(i, loose=True)
        last = lines[-1] if lines else None
        if last is not None and min(last[3], top) - max(last[1], bottom) > 0.5 * (top - bottom) and left >= last[0]:
            lines[-1] = (last[0], min(last[1], bottom), max(last[2], right), max(last[3], top))
        else:
            lines.append((left, bottom, right, top))
    return lines


def _solid(text: str) -> str:
    """Without what the reader of tables puts between cells (rag/load/grid.py), and white space."""
    return "".join(text.replace("|", " ").split())


def _share(box: Sequence[float], page: Sequence[float], rotation: int) -> Box:
    """Points from the lower left corner as shares from the upper left one; a turned page is turned along."""
    x0, y0, x1, y1 = page
    left, right = ((x - x0) / (x1 - x0) for x in (box[0], box[2]))
    top, bottom = ((y1 - y) / (y1 - y0) for y in (box[3], box[1]))
    for _ in range(rotation // 90):
        left, top, right, bottom = 1 - bottom, left, 1 - top, right
    return (round(left, 5), round(top, 5), round(right - left, 5), round(bottom - top, 5))


def _png(width: int, height: int, pixels: bytes) -> bytes:
    """RGB rows as a PNG."""
    row = 3 * width
    lines = b"".join(b"\0" + pixels[y * row : (y + 1) * row] for y in range(height))
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines, 3)),
        (b"IEND", b""),
    )
    framed = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def _main() -> None:
    with suppress(ImportError, ValueError, OSError):  # other systems have no such limit
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    asked = json.load(sys.stdin)
    told, png = _draw(asked["path"], asked["page"], asked["text"], Span(*asked["quote"]))
    sys.stdout.buffer.write(json.dumps(told).encode() + b"\n" + png)


if __name__ == "__main__":
    _main()
