"""Follow-ups: what they lean on is searched with, a chain keeps its subject, and the question itself weighs too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

import rag
from rag.cli import app
from rag.evals.datasets import Dataset, Question, Text
from rag.evals.followups import pairs, recalls
from rag.evals.obedience import indexed_as
from rag.retrieve import Retriever, resolved, standalone
from rag.types import Span

TEXTS = (
    "The Halden bridge was opened in 1931 by the mayor.",
    "The Halden bridge is 240 metres long and carries two tracks.",
    "The Ostrava tunnel was opened in 1975 and is 900 metres long.",
    "A tunnel of the old kind has no tracks at all.",
    "Rice is grown in wet fields in the valley.",
)


@pytest.fixture(scope="module")
def bridges() -> Iterator[rag.Assistant]:
    with rag.open(documents=[], llm_model="none") as assistant:
        for n, text in enumerate(TEXTS):
            assistant.add_text(text, title=f"text {n}", uri=f"mem:{n}")
        yield assistant


def retriever(assistant: rag.Assistant) -> Retriever:
    return assistant._rooms.retriever


FIRST = ("When was the Halden bridge opened?", "The Halden bridge was opened in 1931 by the mayor.")


def test_a_chain_of_follow_ups_keeps_its_subject() -> None:
    history = [FIRST, ("And the tunnel?", "..."), ("How long is it?", "...")]
    assert standalone("Who built it?", history) == "When was the Halden bridge opened? Who built it?"
    assert standalone("And it?", [("And that?", "")]) == "And that? And it?"


def test_a_follow_up_is_searched_by_itself_after_what_it_leans_on_and_with_carried_words(
    bridges: rag.Assistant,
) -> None:
    query = resolved("How long is it?", [FIRST], retriever(bridges).rare)
    assert query.text == "When was the Halden bridge opened? How long is it?"
    joined, alone, carried = (text for text, _ in query.searches)
    assert (joined, alone) == (query.text, "How long is it?")
    assert {"Halden", "mayor"} <= set(carried.removeprefix(alone).split())
    assert sum(weight for _, weight in query.searches) == pytest.approx(1)


def test_a_question_that_stands_by_itself_is_searched_once(bridges: rag.Assistant) -> None:
    query = resolved("Which tunnel is 900 metres long?", [FIRST], retriever(bridges).rare)
    assert query.searches == (("Which tunnel is 900 metres long?", 1.0),)
    assert retriever(bridges).follow(query) == retriever(bridges).retrieve(query.text)


def test_hits_of_several_searches_are_one_list_each_passage_once_best_first(bridges: rag.Assistant) -> None:
    query = resolved("How long is it?", [FIRST], retriever(bridges).rare)
    hits = retriever(bridges).follow(query)
    assert hits[0].passage.text == TEXTS[1]
    assert len({h.passage.text for h in hits}) == len(hits)
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)


def test_words_that_no_passage_has_are_not_carried(bridges: rag.Assistant) -> None:
    assert retriever(bridges).rare(["halden", "zyzzyva", "metr"]) == ["halden", "metr"]


def test_an_answer_to_a_follow_up_says_what_was_searched_with(bridges: rag.Assistant) -> None:
    answer = bridges.ask("How long is it?", history=[FIRST])
    assert answer.trace.query == "When was the Halden bridge opened? How long is it?"
    assert TEXTS[1] in [e.text for e in answer.evidence]


def test_the_terminal_takes_what_was_asked_before_and_shows_the_query(bridges: rag.Assistant) -> None:
    asked = ["ask", "How long is it?", "--after", FIRST[0], "--no-llm", "--index", str(bridges.folder)]
    printed = CliRunner().invoke(app, asked).output
    assert f"searched with: {FIRST[0]} How long is it?" in printed
    alone = CliRunner().invoke(app, [*asked[:2], *asked[4:]]).output
    assert "searched with" not in alone


def test_recall_of_follow_ups_is_counted_by_the_text_that_answers() -> None:
    texts = tuple(Text(str(n), f"t{n}", text) for n, text in enumerate(TEXTS))

    def question(n: int, asked: str, answer: str) -> Question:
        at = TEXTS[n].index(answer)
        return Question(str(n), asked, (answer,), (str(n),), ((str(n), Span(at, at + len(answer))),), group="g")

    questions = (question(0, FIRST[0], "1931"), question(1, "How long is the Halden bridge?", "240"))
    dataset = Dataset("d", "reading", texts, questions, "")
    chosen = pairs(dataset, 9, 0)
    assert {p.follow_up for p in chosen} == {"When was it bridge opened?", "How long is it bridge?"}
    with rag.open(documents=[], llm_model="none") as assistant:
        found = recalls(assistant, indexed_as(assistant, dataset), chosen)
    assert found["as it was written"] == [1.0, 1.0]
    assert {len(hits) for hits in found.values()} == {2}
