"""What becomes of a citation when its document changes, moves or goes."""

from __future__ import annotations

import pytest

from rag.standing import Standing, standing
from rag.types import Citation, Document, Mark, Source, Span

OLD = Document(Source.at("file:///a", "a"), "Tariffs rose. Japan gives 250 trees. Tariffs fell.")
QUOTE = Citation.cut(OLD, Span(14, 36), Span(26, 29))


def now(text: str, uri: str = "file:///a") -> Document:
    return Document(Source.at(uri, "a"), text, (Mark(Span(0, len(text)), "page", "p. 9"),))


def test_what_stands_at_its_place_holds_whatever_changed_around_it() -> None:
    found = standing(QUOTE, now("TARIFFS ROSE! Japan gives 250 trees. And more."))
    assert (found.standing, found.citation) == (Standing.HOLDS, QUOTE)


def test_a_quote_that_moved_is_cut_anew_with_its_short_answer() -> None:
    document = now("A new first sentence. Tariffs rose. Japan gives 250 trees.")
    found = standing(QUOTE, document)
    assert found.standing is Standing.MOVED
    assert found.citation is not None
    assert found.citation.holds_in(document)
    assert found.citation.quote == QUOTE.quote
    assert found.citation.answer is not None
    assert found.citation.answer.of(document.text) == "250"
    assert found.citation.where == "p. 9"


@pytest.mark.parametrize(("text", "at"), [
    ("Japan gives 250 trees. " * 5, 23), ("x" * 40 + " Japan gives 250 trees. Japan gives 250 trees.", 41),
    ("Japan gives 250 trees. 12345 Japan gives 250 trees.", 0),
])  # fmt: skip
def test_of_several_places_the_nearest_to_the_old_one_counts(text: str, at: int) -> None:
    found = standing(QUOTE, now(text))
    assert found.citation is not None
    assert found.citation.span.start == at


@pytest.mark.parametrize("text", ["Japan gives 251 trees.", "japan gives 250 trees.", "Japan gives 250  trees.", ""])
def test_a_document_that_no_longer_says_it_makes_it_stale(text: str) -> None:
    found = standing(QUOTE, now(text))
    assert (found.standing, found.citation) == (Standing.STALE, None)


def test_a_quote_is_not_found_in_the_middle_of_a_word() -> None:
    old = Document(Source.at("file:///a", "a"), "he left")
    quote = Citation.cut(old, Span(0, 7))
    assert standing(quote, now("Then she left")).standing is Standing.STALE
    assert standing(quote, now("Today he lefty")).standing is Standing.STALE
    assert standing(quote, now("Then (he left)")).standing is Standing.MOVED


def test_a_removed_document_is_gone_unless_it_lives_on_under_another_address() -> None:
    assert standing(QUOTE, None).standing is Standing.GONE
    assert standing(QUOTE, None, [now("Japan gives 250 trees.", "file:///b")]).standing is Standing.GONE
    found = standing(QUOTE, None, [now("", "file:///b"), now(OLD.text, "file:///c")])
    assert found.standing is Standing.MOVED
    assert found.citation is not None
    assert found.citation.source.uri == "file:///c"
    assert found.citation.span == QUOTE.span
