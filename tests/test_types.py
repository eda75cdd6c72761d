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
        "source": {"id": DOCUMENT.source.id, "uri": "file:///a.txt", "title": "A", "media_type": "text/plain"},
        "span": {"start": 6, "end": 10},
        "quote": "two.",
        "where": "p. 3 - Refunds",
        "answer": {"start": 6, "end": 9},
    }
