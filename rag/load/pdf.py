"""PDF: the text of each page, with the page it stands on."""

from __future__ import annotations

from rag.errors import DocumentError
from rag.load import Parsed, clean
from rag.types import Mark, Span

MAX_PAGES = 20_000


def parse(data: bytes) -> Parsed:
    """Page texts, parted by a blank line, each marked 'p. N'. Raises DocumentError: encrypted, damaged, too long."""
    import pypdfium2

    try:
        pdf = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as e:
        locked = "password" in str(e).lower()
        raise DocumentError(
            "it is locked with a password" if locked else f"it is no readable PDF: {e}",
            "save a copy without the password" if locked else "open it in a viewer and save it anew",
        ) from e
    try:
        if len(pdf) > MAX_PAGES:
            raise DocumentError(f"it has {len(pdf):,} pages, over {MAX_PAGES:,}", "split it")
        title = str(pdf.get_metadata_dict().get("Title", ""))
        pages = [_page_text(pdf, number) for number in range(len(pdf))]
    finally:
        pdf.close()
    return (title, *_joined(pages))


def _page_text(pdf: object, number: int) -> str:
    page = pdf[number]  # type: ignore[index]
    # U+FFFE stands for a hyphen at a line's end: the word goes on in the next line
    return clean(page.get_textpage().get_text_bounded().replace("\ufffe\r\n", "").replace("\ufffe", "")).strip()


def _joined(pages: list[str]) -> tuple[str, tuple[Mark, ...]]:
    marks: list[Mark] = []
    end = 0
    for number, page in enumerate(pages, start=1):
        if page:
            start = end + 2 if marks else 0  # a blank line between pages
            end = start + len(page)
            marks.append(Mark(Span(start, end), "page", f"p. {number}"))
    return "\n\n".join(page for page in pages if page), tuple(marks)
