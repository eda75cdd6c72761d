"""The laws of every Embedder, run over each of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rag.embed import FORM, Embedder
from rag.errors import ModelMissing, TextTooLong
from rag.models import Models

TEXTS = ["Trees", "How many cherry trees will Japan give?", "word " * 200, "Zürich 彼は行った 😀", "a \ud800 b", "x"]


@pytest.fixture(scope="module", params=["onnx", pytest.param("sentence", marks=pytest.mark.slow)])
def embedder(request: pytest.FixtureRequest) -> Iterator[Embedder]:
    models = Models()
    entry = models.entry("all-minilm-l6-v2", "embedder")
    try:
        folder = models.verified(entry)
    except ModelMissing as e:
        pytest.skip(str(e))
    if request.param == "onnx":
        from rag.embed.onnx import OnnxEmbedder

        yield OnnxEmbedder(entry.name, models.exported(entry), folder, entry.fingerprint)
    else:
        from rag.embed.sentence import SentenceEmbedder

        yield SentenceEmbedder(entry.name, folder, entry.fingerprint)


def test_rows_have_length_one_and_the_order_of_the_texts(embedder: Embedder) -> None:
    together = embedder.passages(TEXTS)
    assert together.shape == (len(TEXTS), embedder.dim)
    assert together.dtype == np.float32
    assert np.abs(np.linalg.norm(together, axis=1) - 1).max() < 1e-5
    for row, text in zip(together, TEXTS, strict=True):
        assert np.abs(embedder.passages([text])[0] - row).max() < 1e-5


def test_no_texts_give_no_rows(embedder: Embedder) -> None:
    assert embedder.passages([]).shape == (0, embedder.dim)
    assert embedder.lengths([]) == []


def test_nothing_is_cut_silently(embedder: Embedder) -> None:
    fits = "word " * (embedder.window - 2)
    assert embedder.passages([fits]).shape[0] == 1
    with pytest.raises(TextTooLong):
        embedder.passages([fits + "word"])


def test_the_meaning_of_a_question_is_nearer_to_its_answer(embedder: Embedder) -> None:
    q = embedder.questions(["How many trees does Japan give?"])[0]
    near, far = embedder.passages(["Japan will donate 250 cherry trees.", "The recipe needs two eggs."])
    assert q @ near > q @ far + 0.3


@pytest.mark.slow
def test_the_fast_runtime_gives_nearly_the_vectors_of_sentence_transformers_and_in_fp32_the_very_ones(
    tmp_path: Path,
) -> None:
    from rag.embed.export import export
    from rag.embed.onnx import OnnxEmbedder
    from rag.embed.sentence import SentenceEmbedder

    models = Models()
    entry = models.entry("all-minilm-l6-v2", "embedder")
    folder = models.verified(entry)
    reference = SentenceEmbedder(entry.name, folder, entry.fingerprint)
    expected = reference.passages(TEXTS)
    fast = OnnxEmbedder(entry.name, models.exported(entry), folder, entry.fingerprint)
    cosines = (fast.passages(TEXTS) * expected).sum(1)
    assert cosines.min() > 0.995 and cosines.max() < 0.99999  # int8, and not the fp32 file under its name
    (tmp_path / "exact.onnx").write_bytes(export(folder, exact=True))
    exact = OnnxEmbedder(entry.name, tmp_path / "exact.onnx", folder, entry.fingerprint)
    assert np.abs(exact.passages(TEXTS) - expected).max() < 1e-5
    assert fast.lengths(TEXTS) == reference.lengths(TEXTS)


def test_the_same_weights_give_the_same_file_and_the_form_is_part_of_the_fingerprint() -> None:
    from rag.embed.export import export

    models = Models()
    entry = models.entry("all-minilm-l6-v2", "embedder")
    folder = models.verified(entry)
    assert export(folder) == models.exported(entry).read_bytes()
    assert FORM in models.exported(entry).name
