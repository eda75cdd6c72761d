"""The main job, end to end: ask the seed texts with the real models, get answers with exact citations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import rag
from rag.chat import library
from rag.evals.seeds import Result, asked, questions, table
from rag.types import Origin, Outcome

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def assistant() -> Iterator[rag.Assistant]:
    with rag.open(documents=ROOT / "seeds") as assistant:
        yield assistant


@pytest.fixture(scope="module")
def results(assistant: rag.Assistant) -> list[Result]:
    found = list(asked(assistant, questions()))
    print("\n" + table(found))
    return found


def of(results: list[Result], kind: str) -> list[Result]:
    return [r for r in results if r.question.kind == kind]


def test_the_questions_are_those_that_were_promised() -> None:
    kinds = [q.kind for q in questions()]
    assert kinds.count("answerable") >= 40
    assert kinds.count("near") + kinds.count("far") >= len(kinds) / 3
    texts = {path.name: path.read_text("utf-8") for path in (ROOT / "seeds").glob("*.txt")}
    for line in (ROOT / "tests/journeys/seed_questions.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        sources = [row["source"]] if isinstance(row["source"], str) else row["source"] or []
        there = "\n".join(texts[name] for name in sources)
        assert all(said in there for said in [*row["answers"], *row["evidence"]]), row["id"]
        assert bool(row["answers"]) == (row["kind"] == "answerable")


def test_a_correct_answer_lies_in_the_cited_quotes(results: list[Result]) -> None:
    answerable = of(results, "answerable")
    assert sum(r.quoted for r in answerable) >= 0.85 * len(answerable)


def test_the_questions_that_the_empty_page_offers_are_answered_and_rightly(assistant: rag.Assistant) -> None:
    answers = {q: assistant.ask(q) for q in library.examples(assistant.sources())}
    assert [q for q, answer in answers.items() if answer.outcome is not Outcome.ANSWERED] == []
    said = ["250", "Japan remains one of America’s largest trading partners", "North Korea", "do not have a majority"]
    assert [words for words, answer in zip(said, answers.values(), strict=True) if words not in answer.text] == []


def test_no_far_off_question_is_answered(results: list[Result]) -> None:
    assert [r.question.text for r in of(results, "far") if r.answered] == []


def test_near_misses_are_declined_more_often_than_two_in_five(results: list[Result]) -> None:
    near = of(results, "near")
    assert sum(not r.answered for r in near) >= 0.4 * len(near)


def test_most_answerable_questions_are_answered(results: list[Result]) -> None:
    answerable = of(results, "answerable")
    assert sum(r.answered for r in answerable) >= 0.6 * len(answerable)


def test_every_citation_is_the_very_characters_of_its_source(results: list[Result]) -> None:
    texts = {p.resolve().as_uri(): p.read_bytes().decode("utf-8") for p in (ROOT / "seeds").glob("*.txt")}
    citations = [c for r in results for c in r.answer.citations]
    assert citations
    assert all(texts[c.source.uri][c.span.start : c.span.end] == c.quote for c in citations)


def test_every_shown_sentence_is_cited(results: list[Result]) -> None:
    for result in results:
        for words, claim in result.answer:
            assert claim.citations, words


def test_the_model_words_some_answers_itself(results: list[Result]) -> None:
    assert any(c.origin is Origin.MODEL for r in results if r.answered for c in r.answer.claims)


def test_the_same_question_gets_the_same_answer(assistant: rag.Assistant) -> None:
    question = "How many cherry trees will Japan give?"
    one, two = assistant.ask(question), assistant.ask(question)
    assert (one.text, one.claims, one.outcome) == (two.text, two.claims, two.outcome)


def test_an_edited_fact_is_followed(tmp_path: Path) -> None:
    text = (ROOT / "seeds" / "001_6b10a84c2a205f2b.txt").read_text("utf-8")
    (tmp_path / "edited.txt").write_text(text.replace("donate 250 cherry", "donate 375 cherry"), "utf-8")
    with rag.open(documents=tmp_path) as assistant:
        answer = assistant.ask("How many cherry blossom trees will Japan donate to the United States?")
    assert "375" in answer.text
    assert "250 cherry" not in answer.text
