"""The lead of a short answer: read off by the trained reader, told by side of the threshold."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

import rag
from rag.answer.wording import CLEAR
from rag.evals.datasets import Dataset, Question, Text
from rag.evals.leads import leads, table
from rag.read import Reading, Short
from rag.types import Span

TEXT = "The bridge of Arden is 90 metres long. The bridge of Lund was built in 1931 by Anna Berg."


class Marks:
    """A reader that marks what it is told to."""

    name = fingerprint = "marks"

    def __init__(self, words: str, lead: float) -> None:
        self._words, self._lead = words, lead

    def read(self, question: str, texts: Sequence[str]) -> list[Reading]:
        whole, at = Span(0, len(texts[0])), texts[0].index(self._words)
        short = Short(Span(at, at + len(self._words)), 1.0, self._lead)
        return [Reading(0.0, ((whole, 1.0),), None, 1.0, 0.0, (short,))]


def dataset(*answers: str) -> Dataset:
    questions = tuple(Question(f"q{n}", "When was it built?", (a,), ("t",)) for n, a in enumerate(answers))
    return Dataset("made up", "reading", (Text("t", "Bridges", TEXT),), questions, "")


@pytest.mark.parametrize(("marked", "right"), [("1931", True), ("in 1931", True), ("Anna Berg", False)])
def test_a_short_answer_is_right_if_one_lies_in_the_other(marked: str, right: bool) -> None:
    assert leads(Marks(marked, 3.0), dataset("1931"), 9) == [(3.0, right)]


def test_a_sentence_without_the_answer_is_left_out() -> None:
    assert leads(Marks("1931", 3.0), dataset("1764"), 9) == []


def test_the_table_tells_both_sides_of_the_threshold() -> None:
    found = [(CLEAR - 0.5, False), (CLEAR - 0.1, True), (CLEAR, True), (CLEAR + 4, True)]
    assert table(found)[-2:] == [
        f"under {CLEAR:g}, not worded: 50.0% of 2 right",
        f"from {CLEAR:g} on: 100.0% of 2 right",
    ]


def test_the_trained_reader_knows_what_else_might_be_meant(quoting: rag.Assistant) -> None:
    reader = quoting._rooms.reader

    def lead(question: str, text: str) -> float:
        (reading,) = reader.read(question, [text])
        return next(a.lead for a in reading.answers if a is not None)

    sure = lead("Who built the bridge?", "The bridge was built in 1931 by Anna Berg.")
    torn = lead("Who built the bridge?", "The bridge was built by Anna Berg, and the bridge was built by Karl Weiss.")
    assert sure > torn > 0
    assert sure > CLEAR
