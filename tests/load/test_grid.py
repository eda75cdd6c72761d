"""Tables of a PDF: cells stay apart, each row stands under the names of its columns, over pages too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from load.make import loaded, pdf

from rag.cells import asked
from rag.load.leaf import leaf
from rag.split import split
from rag.types import Document, Span

COLUMNS = (50, 250, 400)
HEADER = ("Article", "Weight", "Price")
NAMES = "Article | Weight | Price"
TEAS = [("Tea", "2", "4"), ("Mint tea", "11", "700"), ("Rye", "3", "1.20")]


def laid(rows: Sequence[Sequence[str]], columns: Sequence[int] = COLUMNS, top: int = 700, after: str = "") -> str:
    """A page with each cell written by itself at its place, as most programs write them; '' leaves it out."""
    cells = [
        f"1 0 0 1 {x} {top - 20 * n} Tm ({cell}) Tj"
        for n, row in enumerate(rows)
        for x, cell in zip(columns, row, strict=False)
        if cell
    ]
    return f"Prices) Tj {' '.join(cells)} 1 0 0 1 50 100 Tm ({after or 'The end of the page'}"


def read(*pages: str) -> Document:
    return loaded("a.pdf", pdf(*pages)).document


def headed(document: Document) -> dict[str, str]:
    """What stands under which names of columns."""
    return {m.span.of(document.text): m.label for m in document.marks if m.kind == "heading" and m.level == 7}


def test_each_row_is_a_line_of_cells_under_the_names_of_its_columns() -> None:
    document = read(laid([HEADER, *TEAS], top=650))
    body = "| Tea | 2 | 4 |\n| Mint tea | 11 | 700 |\n| Rye | 3 | 1.20 |"
    assert document.text == f"Prices\n| Article | Weight | Price |\n{body}\nThe end of the page"
    assert headed(document) == {body: NAMES}
    at = document.text.index("| Mint")
    row = Span(at, at + 23)
    assert document.where(row) == f"p. 1 - {NAMES}"
    found = asked("What is the price of mint tea?", row.of(document.text), document.heading(row))
    assert found is not None
    assert found.of(row.of(document.text)) == "700"
    (passage,) = [p for p in split(document, lambda texts: [len(t.split()) for t in texts], 99) if "Tea" in p.text]
    assert (passage.text, passage.heading) == (body, NAMES)


def test_a_table_that_goes_on_over_the_page_keeps_its_header() -> None:
    long = [HEADER, *TEAS * 9]
    document = read(laid(long, top=690), laid(TEAS, top=650), laid(TEAS[:2], (50, 250), top=650))
    pages = [text for text, names in headed(document).items() if names == NAMES]
    assert [text.count("\n") + 1 for text in pages] == [27, 3]


def test_an_empty_cell_leaves_its_column_empty_and_a_long_one_goes_on_below() -> None:
    rows = [HEADER, ("Tea", "", "4"), ("Mint", "2", "5"), ("and lemon", "", ""), ("Rye", "3", "")]
    document = read(laid(rows, top=650))
    assert "| Tea |  | 4 |\n| Mint | 2 | 5 |\n| and lemon |  |  |\n| Rye | 3 |  |" in document.text


def test_a_table_whose_header_is_not_sure_has_none() -> None:
    document = read(laid([("Anna", "Leeds"), ("Ben", "York"), ("Cleo", "Hull")], top=650))
    assert "| Anna | Leeds |\n| Ben | York |" in document.text
    assert headed(document) == {}


LEFT = "words of the left column which go on and on and on here"
RIGHT = "words of the right one which has nothing to do with it all"


@pytest.mark.parametrize("page", [
    laid([(LEFT, RIGHT)] * 6, (50, 320)),  # two columns of a newspaper, written line by line
    laid([("The", "cat sat"), ("A mouse ran", "by"), ("It", "saw nothing")], (50, 130)),  # gaps that do not meet
    laid([HEADER, TEAS[0]]),  # two lines only
])  # fmt: skip
def test_what_is_no_table_is_cut_into_no_cells(page: str) -> None:
    assert "|" not in read(page).text


def test_what_is_written_letter_by_letter_stays_one_word_and_what_stands_apart_two() -> None:
    document = read("x) Tj 1 0 0 1 50 600 Tm (Article number 1) Tj 1 0 0 1 138.03 600 Tm (1) Tj "
                    "1 0 0 1 300 600 Tm (2) Tj 1 0 0 1 400 600 Tm (4")  # fmt: skip
    assert "number 11" in document.text
    assert "112" not in document.text
    assert "24" not in document.text


def test_lines_that_run_up_the_page_stay_lines() -> None:
    lines = [f"0 1 -1 0 {x} 100 Tm (Line {x} of the words that run up the page) Tj" for x in (100, 114, 128, 142)]
    text = read(f"x) Tj {' '.join(lines)} (").text
    assert text.split("\n")[1:] == [f"Line {x} of the words that run up the page" for x in (100, 114, 128, 142)]


def test_words_beyond_the_edge_of_the_page_are_not_read() -> None:
    assert "secret" not in read("Seen words) Tj 1 0 0 1 50 -300 Tm (secret words").text


def test_a_row_is_found_again_on_the_picture_of_its_page(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf(laid([HEADER, *TEAS], top=650)))
    document = read(laid([HEADER, *TEAS], top=650))
    at = document.text.index("| Mint tea | 11")
    (box,) = leaf(tmp_path / "a.pdf", 0, document.text, Span(at, at + 23)).boxes
    assert box[0] == pytest.approx(50 / 600, abs=0.01)
    assert box[1] == pytest.approx((800 - 610 - 12) / 800, abs=0.02)
    assert box[2] > (400 - 50) / 600
