"""The nouns refuse to be false."""

from __future__ import annotations

import pytest

from rag.types import Answer, Citation, Claim, Document, Mark, Outcome, Passage, Source, Span, Verdict, to_json

DOCUMENT = Document(
    Source.at("file:///a.txt", "A"),
    "One 😀 two.\nThree four.",
    (Mark(Span(0, 10), "page", "p. 3"), Mark(Span(0, 22), "heading", "Refunds", 1)),
)


def test_a_citation_holds_the_very_characters_of_its_document_past_an_emoji() -> None:
    citation = Citation.cut(DOCUMENT, Span(6, 10))
    assert citation.quote == "two."
    assert citation.where == "p. 3 - Refunds"
    assert citation.holds_in(DOCUMENT)


def test_a_citation_no_longer_holds_when_the_document_changed() -> None:
    citation = Citation.cut(DOCUMENT, Span(6, 10))
    assert not citation.holds_in(Document(DOCUMENT.source, DOCUMENT.text.replace("two", "ten")))
    assert not citation.holds_in(Document(Source.at("file:///b.txt", "B"), DOCUMENT.text))


@pytest.mark.parametrize("quote", ["", "two", "two.."])
def test_a_citation_whose_quote_cannot_fill_its_span_is_never_built(quote: str) -> None:
    with pytest.raises(ValueError):
        Citation(DOCUMENT.source, Span(6, 10), quote, "")


def test_a_short_answer_outside_its_quote_is_never_built() -> None:
    with pytest.raises(ValueError):
        Citation.cut(DOCUMENT, Span(6, 10), Span(0, 3))


def test_a_span_past_the_end_of_the_document_is_refused() -> None:
    with pytest.raises(ValueError):
        Passage.cut(DOCUMENT, Span(0, 99))
    with pytest.raises(ValueError):
        Citation.cut(DOCUMENT, Span(20, 99))


@pytest.mark.parametrize("ends", [(-1, 2), (3, 2)])
def test_a_span_that_runs_backwards_is_refused(ends: tuple[int, int]) -> None:
    with pytest.raises(ValueError):
        Span(*ends)


def test_where_falls_back_to_the_line() -> None:
    assert Document(DOCUMENT.source, DOCUMENT.text).where(Span(11, 16)) == "line 2"


def test_a_claim_outside_its_answer_is_refused() -> None:
    with pytest.raises(ValueError):
        Answer("q", "short", (Claim(Span(0, 9), (), Verdict.SUPPORTED),), (), Outcome.ANSWERED)


def test_an_answer_numbers_each_citation_once_in_the_order_of_its_claims() -> None:
    one, two = Citation.cut(DOCUMENT, Span(0, 3)), Citation.cut(DOCUMENT, Span(6, 10))
    claims = (Claim(Span(0, 1), (two,), Verdict.SUPPORTED), Claim(Span(1, 2), (one, two), Verdict.SUPPORTED))
    assert Answer("q", "ab", claims, (), Outcome.ANSWERED).citations == (two, one)


def test_json_of_a_citation_has_the_same_keys_as_the_noun() -> None:
    plain = to_json(Citation.cut(DOCUMENT, Span(6, 10), Span(6, 9)))
    assert plain == {
        "source": {
            "id": DOCUMENT.source.id,
            "uri": "file:///a.txt",
            "title": "A",
            "media_type": "text/plain",
            "date": "",
        },
        "span": {"start": 6, "end": 10},
        "quote": "two.",
        "where": "p. 3 - Refunds",
        "answer": {"start": 6, "end": 9},
    }


def test_marks_inside_marks_are_said_from_the_outside_in_and_places_before_headings() -> None:
    source = Source.at("file:///box.mbox", "box")
    marks = (
        Mark(Span(0, 50), "message", "message 'Offer'"),
        Mark(Span(20, 50), "attachment", "attachment 'plan.pdf'"),
        Mark(Span(20, 30), "page", "p. 1"),
        Mark(Span(20, 50), "heading", "Plan", 1),
        Mark(Span(60, 90), "sheet", "Sheet 'Sales'"),
        Mark(Span(60, 70), "row", "row 7"),
    )
    document = Document(source, "x" * 100, marks)
    assert document.where(Span(0, 5)) == "message 'Offer'"
    assert document.where(Span(25, 28)) == "message 'Offer', attachment 'plan.pdf', p. 1 - Plan"
    assert document.heading(Span(25, 28)) == "message 'Offer' > attachment 'plan.pdf' > Plan"
    assert document.where(Span(65, 66)) == "Sheet 'Sales', row 7"
    assert document.heading(Span(65, 66)) == "Sheet 'Sales'"
    assert document.where(Span(55, 56)) == "line 1"


def test_source_code_is_found_by_its_line() -> None:
    source = Source.at("file:///a.py", "a.py", "text/x-python")
    document = Document(source, "import os\ndef f():\n    pass\n", (Mark(Span(10, 29), "heading", "def f", 1),))
    assert document.where(Span(23, 27)) == "line 3 - def f"


def test_a_table_of_a_hundred_thousand_rows_finds_each_place_at_once() -> None:
    marks = tuple(Mark(Span(n, n + 1), "row", f"row {n}") for n in range(100_000))
    document = Document(Source.at("file:///a.csv", "a"), "x" * 100_000, marks)
    assert [document.where(Span(n, n + 1)) for n in range(0, 100_000, 10)][-1] == "row 99990"
