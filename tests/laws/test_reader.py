"""The laws of a Reader, run over every implementation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rag.errors import RagError
from rag.models import Models
from rag.read import Reader, Reading
from rag.read.overlap import OverlapReader
from rag.read.trained import TrainedReader

ROOT = Path(__file__).resolve().parents[2]
QUESTION = "How many trees will Japan give?"
TEXTS = [
    "Prime Minister Abe spoke on Friday. Japan will give 250 cherry blossom trees to the city. Rain fell.",
    "The museum opens at nine. Tickets are sold at the gate.",
    "",
    "In Osaka 40 trees fell in the storm! Nobody was hurt; Japan's railways stood still.",
]


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit vectors of letter counts: the same text, the same vector."""
    rows = np.array([[t.lower().count(c) + 0.01 for c in "abcdefghijklmnopqrstuvwxyz0123456789"] for t in texts])
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def weigh(stems: Sequence[str]) -> Mapping[str, float]:
    return dict.fromkeys(stems, 1.0)


def numbers(reading: Reading) -> list[float]:
    return [reading.relevance, reading.best_score, reading.null, *(score for _, score in reading.sentences)]


def trained() -> TrainedReader:
    models = Models()
    try:
        tokenizer = models.locate(models.entry("all-minilm-l6-v2", "embedder")) / "tokenizer.json"
        return TrainedReader(ROOT / "models" / "trained" / "reader", tokenizer)
    except RagError as e:
        pytest.skip(str(e))


@pytest.fixture(scope="module", params=["overlap", "trained"])
def reader(request: pytest.FixtureRequest) -> Reader:
    return OverlapReader(embed, weigh) if request.param == "overlap" else trained()


def test_there_is_one_reading_per_text_in_order(reader: Reader) -> None:
    for there, alone in zip(
        reader.read(QUESTION, TEXTS), [reader.read(QUESTION, [t])[0] for t in TEXTS], strict=True
    ):  # so order is kept, and what a text scores does not depend on its neighbours
        assert numbers(there) == pytest.approx(numbers(alone), abs=1e-4)
        assert [s for s, _ in there.sentences] == [s for s, _ in alone.sentences]
        assert there.best == alone.best


def test_no_texts_give_no_readings(reader: Reader) -> None:
    assert reader.read(QUESTION, []) == []


def test_every_span_lies_in_its_text_and_sentences_come_in_order(reader: Reader) -> None:
    for text, reading in zip(TEXTS, reader.read(QUESTION, TEXTS), strict=True):
        spans = [span for span, _ in reading.sentences]
        assert spans == sorted(spans)
        assert all(span.end <= len(text) and span.of(text).strip() for span in spans)
        assert reading.best is None or (reading.best.end <= len(text) and len(reading.best) > 0)


def test_a_text_without_words_is_read_as_holding_nothing(reader: Reader) -> None:
    for reading in reader.read(QUESTION, ["", "  \n\t ", "\u200b\u200b"]):
        assert reading.best is None or reading.best_score < reading.null
        assert reading.best_score < reading.null


def test_the_text_that_answers_scores_over_the_one_that_does_not(reader: Reader) -> None:
    good, other = reader.read(QUESTION, TEXTS[:2])
    assert good.best_score - good.null > other.best_score - other.null
    best = max(good.sentences, key=lambda item: item[1])[0]
    assert best.of(TEXTS[0]) == "Japan will give 250 cherry blossom trees to the city."


def test_a_text_of_any_length_is_read_to_its_end(reader: Reader) -> None:
    filler = "The committee met again and nothing of note was said about it. " * 120
    text = filler + "Japan will give 250 cherry blossom trees to the city."
    reading = reader.read(QUESTION, [text])[0]
    assert len(reading.sentences) == 121
    assert max(reading.sentences, key=lambda item: item[1])[0].end == len(text)


def test_positions_are_code_points_beside_characters_of_any_width(reader: Reader) -> None:
    before = "𝒜 naïve café 🎌👩‍👩‍👧 in “Kyōto” closed. "
    text = before + "Japan will give 250 cherry blossom trees to the city."
    best = max(reader.read(QUESTION, [text])[0].sentences, key=lambda item: item[1])[0]
    assert best.of(text) == "Japan will give 250 cherry blossom trees to the city."


@pytest.mark.parametrize("odd", ["\ud800 lone", "a\0b", "x" * 20_000, "word " * 5_000, "？" * 300, "\u202eabc"])
def test_odd_texts_and_questions_do_not_stop_it(reader: Reader, odd: str) -> None:
    reading = reader.read(odd, [odd, TEXTS[0]])[0]
    assert all(span.end <= len(odd) for span, _ in reading.sentences)
