"""Questions from a user's own documents: right by construction, whoever words them; and what is told of the figures."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from rag.errors import UsageError
from rag.evals.datasets import Dataset, Question
from rag.evals.own import headed, plainly
from rag.evals.phrasing import accepted, reworded
from rag.types import Document, Mark, Source, Span

SENTENCE = "The harbour museum in Hull was opened by the sailor Edith Lowe in 1931 with 40 model ships."


def document(name: str, *parts: tuple[str, str]) -> Document:
    """A document of sections: heading, text."""
    text, marks = "", []
    for label, words in parts:
        start = len(text)
        text += f"{label}\n\n{words}\n\n"
        marks.append(Mark(Span(start, len(text)), "heading", label, 1))
    return Document(Source.at(name, name), text, tuple(marks))


def holding(*documents: Document, says: Callable[[str], str] | None = None) -> Any:
    """What of an assistant is needed here."""
    own = {d.source.id: d for d in documents}
    llm = None if says is None else SimpleNamespace(stream=lambda prompt, _: iter([says(prompt[-1].content)]))
    rows = [SimpleNamespace(source=d.source) for d in documents]
    return SimpleNamespace(sources=lambda: rows, document=own.__getitem__, _rooms=SimpleNamespace(llm=llm))


def test_a_heading_asks_for_what_stands_under_it() -> None:
    one = document("a", ("Refunds", "Goods go back within thirty days of their purchase."), ("Empty", "-"))
    made = headed(holding(one), 9, 0)
    assert [q.text for q in made] == ["What is said about Refunds?"]
    (place,) = made[0].places
    assert "thirty days" in place[1].of(one.text) and "Empty" not in place[1].of(one.text)


def test_a_heading_over_two_places_asks_for_neither() -> None:
    words = "Goods go back within thirty days of their purchase."
    two = [document("a", ("Refunds", words), ("Delivery", words)), document("b", ("REFUNDS", words), ("2.1", words))]
    assert [q.text for q in headed(holding(*two), 9, 0)] == ["What is said about Delivery?"]
    assert headed(holding(*two), 0, 0) == []


@pytest.mark.parametrize(
    ("text", "answer", "right"),
    [
        ("Who opened the harbour museum in Hull?", "Edith Lowe", True),
        ("In what year did Edith Lowe open the harbour museum?", "1931", True),
        ("How many model ships did the museum open with?", "40", True),
        ("Who opened the harbour museum in Leeds?", "Edith Lowe", False),  # another place
        ("Who opened the railway museum in Hull?", "Edith Lowe", False),  # another museum
        ("When did Edith Lowe open the harbour museum?", "40", False),  # asks for a date
        ("How many museums did Edith Lowe open in Hull?", "1931", False),  # a year is no number of things
        ("Did Edith Lowe open the museum in 1931?", "1931", False),  # says the answer
        ("Who opened it?", "Edith Lowe", False),  # about nothing
        ("Edith Lowe opened the harbour museum.", "1931", False),
        ("Who opened the harbour museum? And when?", "Edith Lowe", False),
    ],
)
def test_a_worded_question_must_be_answered_by_its_sentence_and_say_nothing_else(
    text: str, answer: str, right: bool
) -> None:
    assert accepted(text, SENTENCE, answer) is right


def test_a_worded_question_speaks_of_what_stands_beside_its_answer() -> None:
    sentence = "The White House imposed new tariffs; yet under Ishiba a trade agreement was reached in July."
    assert accepted("Who imposed new tariffs in the end?", sentence, "White House") is False
    assert accepted("Who imposed the new tariffs?", sentence, "White House") is True
    assert accepted("What was the new trade agreement reached?", sentence, "White House") is False
    assert accepted("What was the trade agreement reached?", sentence, "July") is False
    assert accepted("When was the trade agreement under Ishiba reached?", sentence, "July") is True


def test_what_the_judge_does_not_accept_stays_as_it_was_cut() -> None:
    one = Document(Source.at("a", "a"), SENTENCE)
    span = Span(0, len(SENTENCE))

    def question(id_: str, answer: str) -> Question:
        return Question(id_, f"cut {id_}?", (answer,), (one.source.id,), ((one.source.id, span),))

    fooled = Question("f", "cut f?", (), (one.source.id,), answerable=False)
    dataset = Dataset("own", "reading", (), (question("1", "Edith Lowe"), question("2", "40"), fooled), "")
    made = reworded(holding(one, says=lambda _: "Who opened the harbour museum in Hull?"), dataset)
    assert [q.text for q in made.questions] == ["Who opened the harbour museum in Hull?", "cut 2?", "cut f?"]
    assert made.name == "own, 1 in the model's words"
    with pytest.raises(UsageError, match="no language model"):
        reworded(holding(one), dataset)


def test_figures_are_told_in_words() -> None:
    def figure(value: float) -> dict[str, float]:
        return {"value": value}

    told = plainly(
        {
            "retrieval: the right passage is first": figure(0.9),
            "retrieval: the right passage is among ten": figure(0.98),
            "evidence top-1: the first sentence holds the answer": figure(0.81),
            "coverage: answerable ones answered": figure(0.7),
            "wrong among answered": figure(0.06),
            "unanswerable ones answered": figure(0.3),
        }
    )
    assert "right passage first in 9 of 10 questions, and among the first ten in 20 of 20." in told
    assert "right one in 8 of 10." in told
    assert "are 7 of 10; of these 1 of 20 rest on a wrong sentence" in told
    assert "do not answer, 3 of 10 are answered all the same" in told
    assert "fooled" not in plainly({}) and plainly({}).startswith("The questions use")
