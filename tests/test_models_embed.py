"""Embedders of other makes: the first token or the mean, with prompts or without, as sentence-transformers has them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rag import models as keeper
from rag.assistant import Assistant
from rag.config import Config
from rag.embed.export import exportable
from rag.embed.onnx import OnnxEmbedder
from rag.embed.sentence import SentenceEmbedder
from rag.errors import ModelError
from rag.models import Models

ASKED = """
import sys, rag
with rag.open(documents="seeds", llm_model="none") as assistant:
    answer = assistant.ask("How many cherry trees will Japan give?")
    print(answer.outcome.name, sorted({"torch", "transformers", "sentence_transformers"} & set(sys.modules)))
"""
TEXTS = ["Trees", "How many cherry trees will Japan give?", "word " * 90, "Zürich 彼は行った 😀"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the default embedder, to be changed."""
    models = Models()
    return Path(shutil.copytree(models.verified(models.entry("all-minilm-l6-v2", "embedder")), tmp_path / "other"))


def change(path: Path, **values: object) -> None:
    told = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(told | values))


def embedder(name: str, tmp_path: Path) -> OnnxEmbedder | SentenceEmbedder:
    found = Assistant(tmp_path / "index", Config().replace({"embed.model": name, "models.folder": str(tmp_path / "m")}))
    made = found._embedder
    assert isinstance(made, OnnxEmbedder | SentenceEmbedder)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("flags", ["flags", "word"])
@pytest.mark.parametrize("first", [True, False])
def test_the_first_token_or_the_mean_with_prompts_gives_the_vectors_of_sentence_transformers(
    folder: Path, tmp_path: Path, first: bool, flags: str
) -> None:
    pooling = {"pooling_mode_cls_token": first, "pooling_mode_mean_tokens": not first}
    if flags == "word":
        pooling = {"pooling_mode": "cls" if first else "mean"}  # type: ignore[dict-item]
        (folder / "1_Pooling" / "config.json").write_text('{"word_embedding_dimension": 384}')
    change(folder / "1_Pooling" / "config.json", **pooling)
    change(folder / "config_sentence_transformers.json", prompts={"query": "query: ", "passage": "passage: "})
    fast, reference = embedder(str(folder), tmp_path), SentenceEmbedder("r", folder, "r")
    assert isinstance(fast, OnnxEmbedder)
    for ours, theirs in ((fast.passages, reference.passages), (fast.questions, reference.questions)):
        assert np.abs(ours(TEXTS) - theirs(TEXTS)).max() < 1e-5
    assert np.abs(fast.passages(TEXTS[:1]) - fast.questions(TEXTS[:1])).max() > 0.01
    assert fast.fingerprint != embedder("all-minilm-l6-v2", tmp_path).fingerprint


def test_the_prompts_of_the_catalogue_stand_before_each_text(folder: Path, tmp_path: Path) -> None:
    models = Models()
    model = models.exported(models.entry("all-minilm-l6-v2", "embedder"))
    plain = OnnxEmbedder("m", model, folder, "m")
    prompted = OnnxEmbedder("m", model, folder, "m", prompts=models.entry("e5-small-v2").prompts)
    assert np.array_equal(prompted.questions(["trees"]), plain.passages(["query: trees"]))
    assert np.array_equal(prompted.passages(["trees"]), plain.passages(["passage: trees"]))
    assert prompted.lengths(["trees"]) == plain.lengths(["trees"])


@pytest.mark.parametrize(
    ("file", "values"),
    [
        ("config.json", {"model_type": "mpnet"}),
        ("config.json", {"hidden_act": "relu"}),
        ("config.json", {"position_embedding_type": "relative_key"}),
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}),
        ("1_Pooling/config.json", {"pooling_mode": "weightedmean"}),
    ],
)
def test_what_the_exporter_does_not_know_is_left_to_sentence_transformers(
    folder: Path, file: str, values: dict[str, object]
) -> None:
    assert exportable(folder)
    change(folder / file, **values)
    assert not exportable(folder)


def test_a_dense_layer_behind_the_pooling_is_not_left_out_in_silence(folder: Path) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    dense = {"idx": 3, "name": "3", "path": "3_Dense", "type": "sentence_transformers.models.Dense"}
    (folder / "modules.json").write_text(json.dumps([*modules, dense]))
    assert not exportable(folder)


@pytest.mark.slow
def test_a_model_of_another_kind_runs_in_sentence_transformers(folder: Path, tmp_path: Path) -> None:
    change(folder / "1_Pooling" / "config.json", pooling_mode_mean_tokens=False, pooling_mode_max_tokens=True)
    made = embedder(str(folder), tmp_path)
    assert isinstance(made, SentenceEmbedder)
    assert made.passages(TEXTS).shape == (4, 384)


def test_an_export_that_does_not_fit_the_memory_says_both_numbers(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "free_memory", lambda: 100_000_000)
    with pytest.raises(ModelError, match=r"needs 0\.4 GB of memory, and 0\.1 GB are free"):
        embedder("all-minilm-l6-v2", tmp_path)


def test_a_question_is_answered_end_to_end_without_torch() -> None:
    """Documents read, split, embedded and stored; the question found, read and answered: torch is never imported."""
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run([sys.executable, "-c", ASKED], cwd=root, capture_output=True, text=True, timeout=300)
    assert done.stdout == "ANSWERED []\n", done.stderr
