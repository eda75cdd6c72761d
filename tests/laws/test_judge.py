"""The laws of every judge: one judgement per claim, quotes as a set, a quote of itself holds, no text makes it fail."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.judge import Judge, RuleJudge
from rag.text import sentences

QUOTES = (
    "In 2024, U.S. exports to Japan totaled approximately $80 billion, while Japanese ones to the US reached $148 bn.",
    "Ishiba did not sign the treaty, nor did he refuse to meet the President on 3 May 1997.",
    "Will the gesture also mark a fresh start in the relations between the two countries?",
    "As an AI researcher, she said that the text is no answer to the question.",
    "No.",
    "The Diet (the parliament) may pass it; if so, prices could rise by 3.5% – or fall by 20 to 30 percent.",
)
CLAIMS = (
    "U.S. exports to Japan totaled $80 billion.",
    "Ishiba signed the treaty.",
    "",
    "Prices could rise by 3.5 percent.",
    "What is this?",
)
texts = st.text(max_size=120)
pieces = st.sampled_from(
    [w for q in QUOTES for w in q.split()]
    + ["not", "$", "％", "-", "[1]", "٣", "½", "²", "9" * 400, "U.S.", "\ud800", "ﬁ", "İ", "’"]
)
jumbles = st.lists(st.one_of(pieces, st.text(max_size=5)), max_size=25).map(" ".join)


@pytest.fixture(params=[RuleJudge], scope="module")
def judge(request: pytest.FixtureRequest) -> Judge:
    made: Judge = request.param()
    return made


@given(claims=st.lists(st.tuples(jumbles, st.lists(jumbles, max_size=3)), max_size=4))
@settings(max_examples=150, deadline=None)
def test_each_claim_gets_its_own_judgement_in_order(judge: Judge, claims: list[tuple[str, list[str]]]) -> None:
    together = judge.judge([c for c, _ in claims], [q for _, q in claims])
    assert together == [judge.judge([c], [q])[0] for c, q in claims]
    assert all(0.0 <= j.score <= 1.0 for j in together)
    assert all(j.failures for j in together if j.score < 1.0)


@pytest.mark.parametrize("quote", QUOTES)
def test_a_sentence_of_its_own_quotes_scores_1_without_failures(judge: Judge, quote: str) -> None:
    (alone,) = judge.judge([quote], [[quote]])
    (among,) = judge.judge([f" {quote}\n"], [[" ".join(QUOTES), "Another text."]])
    assert (alone.score, alone.failures) == (among.score, among.failures) == (1.0, ())


@given(text=st.one_of(texts, jumbles))
@settings(max_examples=150, deadline=None)
def test_whatever_a_document_holds_its_sentences_are_supported_by_themselves(judge: Judge, text: str) -> None:
    for span in sentences(text):
        (judgement,) = judge.judge([span.of(text)], [[text]])
        assert (judgement.score, judgement.failures) == (1.0, ())


@given(
    claim=st.one_of(st.sampled_from(CLAIMS), jumbles),
    quotes=st.lists(st.one_of(st.sampled_from(QUOTES), jumbles), max_size=5),
    data=st.data(),
)
@settings(max_examples=200, deadline=None)
def test_neither_the_order_of_the_quotes_nor_a_repeat_changes_anything(
    judge: Judge, claim: str, quotes: list[str], data: st.DataObject
) -> None:
    mixed = data.draw(st.permutations(quotes))
    repeated = mixed + (data.draw(st.lists(st.sampled_from(quotes), max_size=3)) if quotes else [])
    assert judge.judge([claim], [quotes]) == judge.judge([claim], [repeated])


@given(claim=st.one_of(texts, jumbles), quotes=st.lists(st.one_of(texts, jumbles), max_size=3))
@settings(max_examples=300, deadline=None)
def test_no_text_makes_a_judge_raise(judge: Judge, claim: str, quotes: list[str]) -> None:
    judge.judge([claim], [quotes])


def test_claims_and_quotes_of_different_number_are_refused(judge: Judge) -> None:
    with pytest.raises(ValueError):
        judge.judge(["One claim."], [])
