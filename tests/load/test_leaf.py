"""A page of a PDF as a picture: the boxes lie where the quote's ink is."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from rag.errors import DocumentError
from rag.load import load
from rag.load.leaf import Leaf, leaf
from rag.types import Span
from tests.load.make import pdf

PAGES = ("An old house\nstands by the river.\nAn old house stands.", "Refunds\nare paid within ten days.")


def _ink(drawn: Leaf) -> np.ndarray:
    """The picture read back by another hand: rows and columns, True where it is dark."""
    data, at = drawn.png[8:], 0
    rows = b""
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        if data[at + 4 : at + 8] == b"IDAT":
            rows += data[at + 8 : at + 8 + length]
        at += 12 + length
    flat = np.frombuffer(zlib.decompress(rows), np.uint8).reshape(drawn.height, 1 + 3 * drawn.width)
    return flat[:, 1:].reshape(drawn.height, drawn.width, 3).mean(axis=2) < 128  # type: ignore[no-any-return]


def _place(tmp_path: Path, page: int, quote: str, nth: int = 0) -> tuple[Leaf, np.ndarray]:
    file = tmp_path / "a.pdf"
    file.write_bytes(pdf(*PAGES))
    document = load(file)
    mark = [m for m in document.marks if m.kind == "page"][page]
    text = mark.span.of(document.text)
    start = -1
    for _ in range(nth + 1):
        start = text.index(quote, start + 1)
    drawn = leaf(file, page, text, Span(start, start + len(quote)))
    return drawn, _ink(drawn)


def test_all_ink_of_a_line_lies_in_the_box_of_its_quote_and_no_other_line(tmp_path: Path) -> None:
    drawn, ink = _place(tmp_path, 1, "are paid within ten days.")
    ((x, y, w, h),) = drawn.boxes
    top, bottom = round(y * drawn.height), round((y + h) * drawn.height)
    inside = ink[top:bottom, round(x * drawn.width) : round((x + w) * drawn.width)]
    assert inside.any()
    assert inside.sum() == ink[top:bottom].sum()  # the line, from its first letter to its last
    assert ink.sum() > inside.sum()  # the other line is not in it


def test_the_second_of_two_like_quotes_is_marked_at_its_own_place(tmp_path: Path) -> None:
    first, _ = _place(tmp_path, 0, "An old house")
    second, _ = _place(tmp_path, 0, "An old house", nth=1)
    assert len(first.boxes) == len(second.boxes) == 1
    assert second.boxes[0][1] - first.boxes[0][1] == pytest.approx(2 * 20 / 800, abs=0.002)  # two lines of 20 points
    assert second.boxes[0][0] == pytest.approx(first.boxes[0][0], abs=0.002) == pytest.approx(50 / 600, abs=0.01)


def test_a_quote_over_two_lines_has_a_box_on_each(tmp_path: Path) -> None:
    drawn, _ = _place(tmp_path, 0, "house\nstands by the river.")
    assert len(drawn.boxes) == 2
    assert drawn.boxes[0][0] > drawn.boxes[1][0]  # it begins in the middle of its line


def test_words_that_are_not_on_the_page_get_no_box_and_a_broken_file_is_said(tmp_path: Path) -> None:
    file = tmp_path / "a.pdf"
    file.write_bytes(pdf(*PAGES))
    assert leaf(file, 0, "Another text altogether.", Span(0, 7)).boxes == ()
    file.write_bytes(pdf(*PAGES)[:200])
    with pytest.raises(DocumentError, match=r"page 1 of a\.pdf cannot be drawn"):
        leaf(file, 0, "x", Span(0, 1))
