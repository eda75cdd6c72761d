"""Documents into passages: whole sentences, nothing lost, nothing over the window."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rag.split import embedded_text, split
from rag.text import sentences
from rag.types import Document, Mark, Source, Span


def lengths(texts: Sequence[str]) -> list[int]:
    """A tokenizer one can compute in one's head: a token is three characters that are no space."""
    return [(len("".join(t.split())) + 2) // 3 for t in texts]


def document(text: str, *headings: tuple[int, int, str]) -> Document:
    marks = tuple(Mark(Span(a, b), "heading", label, 1) for a, b, label in headings)
    return Document(Source.at("mem:a", "A"), text, marks)


@given(st.text(alphabet=st.sampled_from("ab c.\n\n😀é!"), max_size=600), st.integers(32, 80))
def test_every_character_that_is_no_space_is_in_exactly_one_passage_within_the_window(text: str, room: int) -> None:
    passages = split(document(text), lengths, room)
    assert "".join("".join(p.text.split()) for p in passages) == "".join(text.split())
    assert all(a.span.end <= b.span.start for a, b in pairwise(passages))
    assert all(lengths([p.text])[0] + 2 <= room for p in passages)
    assert all(p.text == p.span.of(text) for p in passages)


def test_a_sentence_is_not_cut_where_it_fits() -> None:
    text = " ".join(f"This is sentence number {n} of this text." for n in range(40))
    whole = {s.of(text) for s in sentences(text)}
    for passage in split(document(text), lengths, 60):
        assert {s.of(passage.text) for s in sentences(passage.text)} <= whole


def test_no_passage_speaks_under_two_headings() -> None:
    text = "Fees\n\nNone at all.\n\nRefunds\n\nTen days."
    at = text.index("Refunds")
    passages = split(document(text, (0, at, "Fees"), (at, len(text), "Refunds")), lengths, 200)
    assert [p.heading for p in passages] == ["Fees", "Refunds"]


def test_a_paragraph_that_does_not_fit_whole_begins_a_new_passage() -> None:
    text = "Aaa aaa aaa aaa aaa aaa aaa aaa aaa aaa aaa aaa.\n\nBbb bbb bbb bbb bbb bbb bbb. Ccc ccc ccc ccc ccc ccc."
    assert [p.text[:3] for p in split(document(text), lengths, 24)] == ["Aaa", "Bbb"]


def test_an_endless_heading_leaves_room_for_the_passage() -> None:
    heading = " ".join(["Word"] * 500)
    text = "One two three. " * 30
    for passage in split(document(text, (0, len(text), heading)), lengths, 60):
        assert lengths([embedded_text(passage, lengths, 60)])[0] + 2 <= 60 + 15
        assert passage.text in embedded_text(passage, lengths, 60)
