"""Spans of sentences and words."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.text import fold, paragraphs, sentences, terms, words

HARD = [
    (
        "Dr. A. B. Smith paid $3.50 to the U.S. on Jan. 5. He left.",
        ["Dr. A. B. Smith paid $3.50 to the U.S. on Jan. 5.", "He left."],
    ),
    ("It was sold in the U.S. The price fell.", ["It was sold in the U.S.", "The price fell."]),
    ("Use it, e.g. here. Then stop.", ["Use it, e.g. here.", "Then stop."]),
    ('"Really?" he said. She left!', ['"Really?" he said.', "She left!"]),
    ("He said “Go.” Then he went.", ["He said “Go.”", "Then he went."]),
    ("Version 3.11.7 is out. Get it.", ["Version 3.11.7 is out.", "Get it."]),
    ("1. First item\n2. Second item", ["1. First item", "2. Second item"]),
    ("## 2. Leave\nEveryone has some.", ["## 2. Leave", "Everyone has some."]),
    ("See fig. 3 and p. 12. Done.", ["See fig. 3 and p. 12.", "Done."]),
    ("Is it no. 5? No. It is 6.", ["Is it no. 5?", "No.", "It is 6."]),
    ("彼は行った。そして帰った。", ["彼は行った。", "そして帰った。"]),
    (
        "A Title\nThis body line is much longer than the title is.",
        ["A Title", "This body line is much longer than the title is."],
    ),
    (
        "Present: Joan Whitfield (chair), Colin Tate\nApologies: Derek Marsh",
        ["Present: Joan Whitfield (chair), Colin Tate", "Apologies: Derek Marsh"],
    ),
    (
        "Use: rare (up to 1 in 1,000); Effects: rash\nUse: common (up to 1 in 10); Effects: headache",
        ["Use: rare (up to 1 in 1,000); Effects: rash", "Use: common (up to 1 in 10); Effects: headache"],
    ),
    ("Note: the tower is high\nand old.", ["Note: the tower is high\nand old."]),
    (
        "This is wrapped text that goes\nover one line end. And on.",
        ["This is wrapped text that goes\nover one line end.", "And on."],
    ),
]


@pytest.mark.parametrize(("text", "expected"), HARD)
def test_hard_cases_split_as_a_person_would(text: str, expected: list[str]) -> None:
    assert [s.of(text) for s in sentences(text)] == expected


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=300))
def test_sentences_lie_in_order_and_lose_nothing_but_space(text: str) -> None:
    spans = sentences(text)
    assert all(a.end <= b.start for a, b in pairwise(spans))
    assert "".join("".join(s.of(text).split()) for s in spans) == "".join(text.split())


@given(st.text(max_size=200))
def test_words_and_terms_never_raise_and_lie_in_order(text: str) -> None:
    spans = words(text)
    assert all(a.end <= b.start for a, b in pairwise(spans))
    assert all(s.of(text).strip() for s in spans)
    terms(text)


def test_folding_meets_spellings_that_a_person_would_not_tell_apart() -> None:
    assert fold("Café’s") == fold("cafe") == fold("ＣＡＦＥ")


def test_terms_leave_out_words_without_meaning_and_meet_other_forms() -> None:
    assert terms("How many trees were donated?") == terms("many tree donating")


def test_a_blank_line_parts_paragraphs() -> None:
    text = "one\ntwo\n \n\nthree "
    assert [p.of(text) for p in paragraphs(text)] == ["one\ntwo", "three"]


def test_a_megabyte_without_a_space_takes_no_longer_than_it_must() -> None:
    assert len(sentences("x" * 1_000_000)) == 1
