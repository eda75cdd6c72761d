"""The trained reader: its file, its windows, its marks; what it says is measured in models/trained/reader."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from rag.errors import ModelDamaged, ModelMissing, RagError
from rag.models import Models
from rag.read.trained import (
    _OVERLAP,
    _ROOM,
    Scored,
    Scores,
    TrainedReader,
    _better,
    _checked,
    _Piece,
    _pieces,
    _trimmed,
    _windows,
)
from rag.types import Span

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "models" / "trained" / "reader"


@pytest.fixture(scope="module")
def reader() -> TrainedReader:
    models = Models()
    try:
        return TrainedReader(FOLDER, models.locate(models.entry("all-minilm-l6-v2", "embedder")) / "tokenizer.json")
    except RagError as e:
        pytest.skip(str(e))


def pieces(*sizes: int) -> list[_Piece]:
    ends = np.cumsum(sizes).tolist()
    return [_Piece(n, end - size, end) for n, (size, end) in enumerate(zip(sizes, ends, strict=True))]


def test_every_piece_is_read_in_some_window_and_no_window_is_too_long() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        some = pieces(*rng.integers(1, _ROOM + 1, size=rng.integers(1, 40)).tolist())
        windows = _windows(some)
        assert {p for w in windows for p in w} == set(some)
        assert all(w[-1].high - w[0].low <= _ROOM for w in windows)
        starts = [w[0].low for w in windows]
        assert starts == sorted(set(starts))  # each window goes on: it ends


def test_a_window_repeats_whole_sentences_of_the_one_before_but_not_too_much() -> None:
    first, second = _windows(pieces(*[20] * 11))[:2]
    assert [p.owner for p in first] == list(range(10))
    assert second[0].owner == 7  # 7, 8 and 9 are 60 tokens, a fourth sentence would be over the overlap
    assert 60 <= _OVERLAP < 80


def test_a_sentence_longer_than_a_window_is_read_in_overlapping_pieces() -> None:
    at = np.array([[n, n + 1] for n in range(500)])
    some = _pieces(at, [Span(0, 500)])
    assert some[0].low == 0 and some[-1].high == 500
    assert all(p.high - p.low <= _ROOM for p in some)
    assert all(a.high - b.low == _OVERLAP for a, b in pairwise(some))


def test_sentences_without_tokens_have_no_piece() -> None:
    assert [p.owner for p in _pieces(np.array([[0, 3], [10, 12]]), [Span(0, 3), Span(5, 6), Span(10, 12)])] == [0, 2]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (" 250 trees, ", "250 trees"),
        ("“Hamlet”", "Hamlet"),
        ("Tokyo (Japan)", "Tokyo (Japan)"),
        ("(Japan)", "Japan"),
        ("-5", "-5"),
        ("$2.5 million.", "$2.5 million"),
        ("...", "..."),
    ],
)
def test_an_answer_loses_the_marks_around_it_and_none_inside(text: str, kept: str) -> None:
    span = _trimmed(text, Span(0, len(text)))
    assert span is not None and span.of(text) == kept


def test_two_views_of_a_sentence_keep_the_higher_scores_and_the_better_answer() -> None:
    one = Scored(Span(0, 9), 1.0, 4.0, Span(0, 2), 3.0)
    two = Scored(Span(0, 9), 2.0, 3.5, Span(3, 5), 3.2)
    assert _better(one, two) == Scored(Span(0, 9), 2.0, 4.0, Span(3, 5), 3.2)


def test_calibration_is_a_weighted_sum_that_can_be_worked_out(reader: TrainedReader) -> None:
    scores = Scores(2.0, (Scored(Span(0, 4), 1.0, 3.0, Span(1, 2), 3.0), Scored(Span(5, 9), -1.0, -9.0, None, -9.0)))
    weights = {"evidence": 0.5, "spans": 0.25, "relevance": 1.0, "bias": -1.0}
    reading = reader.reading(scores, {"sentence": weights, "text": {**weights, "spans": 0.0}})
    assert [score for _, score in reading.sentences] == [0.5 + 0.75 + 2 - 1, -0.5 - 2.25 + 2 - 1]
    assert (reading.best_score, reading.null, reading.best) == (0.5 + 2 - 1, 0.0, Span(1, 2))


def test_the_short_answer_is_marked_inside_its_sentence(reader: TrainedReader) -> None:
    text = "Prime Minister Abe spoke on Friday. Japan will give 250 cherry blossom trees to the city. Rain fell."
    reading = reader.read("How many trees will Japan give?", [text])[0]
    assert reading.best is not None and "250" in reading.best.of(text)
    assert reading.best in max(reading.sentences, key=lambda item: item[1])[0]


def test_a_question_about_something_else_leans_to_no(reader: TrainedReader) -> None:
    text = "Prime Minister Abe spoke on Friday. Japan will give 250 cherry blossom trees to the city."
    yes = reader.read("How many trees will Japan give?", [text])[0]
    no = reader.read("What is the capital of Australia?", [text])[0]
    assert yes.best_score - yes.null > 0 > no.best_score - no.null


def test_one_flipped_bit_in_the_model_is_refused(tmp_path: Path) -> None:
    if not (FOLDER / "reader.onnx").is_file():
        pytest.skip("the trained reader is not there")
    shutil.copy(FOLDER / "reader.json", tmp_path)
    raw = bytearray((FOLDER / "reader.onnx").read_bytes())
    raw[len(raw) // 2] ^= 1
    (tmp_path / "reader.onnx").write_bytes(raw)
    with pytest.raises(ModelDamaged):
        _checked(tmp_path)


def test_a_missing_or_unreadable_card_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing):
        _checked(tmp_path)
    (tmp_path / "reader.json").write_text("{")
    (tmp_path / "reader.onnx").write_bytes(b"")
    with pytest.raises(ModelDamaged):
        _checked(tmp_path)


def test_the_card_names_the_file_that_is_shipped_and_it_is_small() -> None:
    if not (FOLDER / "reader.onnx").is_file():
        pytest.skip("the trained reader is not there")
    card = json.loads((FOLDER / "reader.json").read_text("utf-8"))
    assert card["bytes"] == (FOLDER / "reader.onnx").stat().st_size <= 25_000_000
    assert set(card["calibration"]) == {"sentence", "text"}
