"""Timing over many passages: how the index is filled, and what is made of the seconds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from rag.evals.datasets import Dataset, Question, Text
from rag.evals.pace import Asked, _cut, figures, filled

TEXTS = tuple(Text(f"c{n}", "T", f"text {n}") for n in range(6))
QUESTIONS = tuple(Question(f"q{n}", f"question {n}?", ("x",), (f"c{n}",)) for n in range(6))


class Shelf:
    """What `filled` needs of an assistant; every text has two passages."""

    def __init__(self) -> None:
        self.uris: list[str] = []

    def __len__(self) -> int:
        return 2 * len(self.uris)

    def sources(self) -> list[Any]:
        return [SimpleNamespace(source=SimpleNamespace(uri=uri)) for uri in self.uris]

    def add_text(self, text: str, *, title: str, uri: str) -> None:
        self.uris.append(uri)


def test_texts_are_added_until_there_are_enough_and_only_once() -> None:
    shelf, dataset = Shelf(), Dataset("d", "reading", TEXTS, QUESTIONS, "")
    known = filled(shelf, dataset, 5)  # type: ignore[arg-type]
    assert shelf.uris == ["eval:c0", "eval:c1", "eval:c2"]
    assert known == ["question 0?", "question 1?", "question 2?"]
    assert filled(shelf, dataset, 5) == known and len(shelf.uris) == 3  # type: ignore[arg-type]


def test_seconds_are_told_for_all_and_for_those_where_the_model_was_asked() -> None:
    made = figures([Asked(0.1, 0.2, False), Asked(None, 0.3, False), Asked(0.2, 0.9, True)])
    assert made["first verified quote, p50 s"] == 0.2 and made["whole answer, p50 s"] == 0.3
    assert made["whole answer, the model asked, p50 s"] == made["whole answer, p95 s"] == 0.9
    assert "whole answer, the model asked, p50 s" not in figures([Asked(0.1, 0.2, False)])


def test_a_text_is_cut_to_whole_words_that_fit() -> None:
    text = " ".join(["word"] * 300)
    assert len(_cut(text, lambda some: 2 * len(some.split())).split()) == 64
