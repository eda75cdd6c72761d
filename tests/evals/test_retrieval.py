"""The figures of retrieval: worked out by hand where they can be, and on a collection small enough to look at."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import numpy as np
import pytest

from rag.config import Config
from rag.evals import retrieval
from rag.evals.datasets import Question
from rag.evals.figures import STEPS

TEXTS = {
    "t1": ("Cherry", "Cherry trees bloom in April along the river."),
    "t2": ("Iron", "Iron rusts when it is left in wet air."),
    "t3": ("Whales", "Whales are mammals that live in the sea. " * 30),
    "t4": ("Bread", "Bread rises because yeast gives off gas."),
}
QUERIES = {"q1": ("When do cherry trees bloom?", "t1"), "q2": ("What makes bread rise?", "t4"), "q3": ("whales", "t3")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    (folder / "qrels").mkdir(parents=True)
    lines = [json.dumps({"_id": id, "title": title, "text": text}) for id, (title, text) in TEXTS.items()]
    (folder / "corpus.jsonl").write_text("\n".join(lines))
    (folder / "queries.jsonl").write_text("\n".join(json.dumps({"_id": q, "text": t}) for q, (t, _) in QUERIES.items()))
    rows = [f"{q}\t{gold}\t1" for q, (_, gold) in QUERIES.items()]
    (folder / "qrels" / "train.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *rows]))
    return folder


def test_a_ranking_is_worth_what_the_paper_says() -> None:
    question = Question("q", "?", (), ("a", "b"), grades=MappingProxyType({"a": 1, "b": 1, "c": 0}))
    second = retrieval.scored([question], [["x", "a", "c"]])
    assert second.ndcg == pytest.approx((1 / math.log2(3)) / (1 + 1 / math.log2(3)))
    assert second.recall == 0.5
    assert retrieval.scored([question], [["b", "a"]]).ndcg == 1.0


def test_each_retriever_is_asked_alone_and_a_text_stands_where_its_best_passage_does(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of = retrieval.collected(folder, tmp_path / "out", Config())
    assert of.splits == "train"
    assert len(of.ids) > len(TEXTS), "the long text has several passages"
    found = retrieval.rankings(of)
    assert [len(both["dense"]) for both in found] == [len(of.ids)] * 3, "the embedder ranks everything"
    assert {of.text_of[id] for id, _ in found[2]["lexical"]} == {"t3"}, "BM25 only what holds the word"
    assert of.found(found[2]["dense"])[0] == "t3"
    assert sorted(of.found(found[2]["dense"])) == sorted(TEXTS)
    assert retrieval.fused(of, found, 1.0) == retrieval.scored(
        of.dataset.questions, [of.found(b["dense"]) for b in found]
    )
    of.index.close()
    retrieval.report(folder, tmp_path / "out", Config(), reference=False)
    said = capsys.readouterr().out
    assert "tiny: 4 texts" in said
    assert "3 questions (train)" in said
    assert said.count("nDCG@10 1.0000") >= 3
    assert said.count("dense_weight 0.") == 11


def test_the_reference_embeds_each_block_once_and_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Reference:
        seen: list[str] = []  # noqa: RUF012

        def passages(self, texts: Sequence[str]) -> Any:
            if "c" in texts and len(self.seen) < 4:
                self.seen += texts
                raise KeyboardInterrupt
            self.seen += texts
            return np.array([[ord(text)] for text in texts], np.float32)

    monkeypatch.setattr(retrieval, "BLOCK", 2)
    reference = cast(Any, Reference())
    with pytest.raises(KeyboardInterrupt):
        retrieval._kept(reference, list("abcde"), tmp_path)
    vectors = retrieval._kept(reference, list("abcde"), tmp_path)
    assert vectors[:, 0].tolist() == [ord(c) for c in "abcde"]
    assert reference.seen == list("abcdcde")


def test_the_rows_of_the_figures_are_in_what_it_prints(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = retrieval.Score(0.5, 0.4, 0.6, 0.75), retrieval.Score(0.75, 0.4, 0.6, 0.25)
    monkeypatch.setattr(retrieval, "beside_reference", lambda *_: scores)
    for name in ("scifact", "cranfield"):
        retrieval.report(folder.rename(tmp_path / name), tmp_path / "out", Config(), reference=True)
        folder = tmp_path / name
    said = capsys.readouterr().out
    (rows,) = (step.rows for step in STEPS if step.name == "retrieval")
    read = {name: row(said) for name, row in rows.items()}
    assert not [name for name, value in read.items() if "not printed" in value], read
    assert [value for name, value in read.items() if "fp32" in name] == ["-0.2500, +0.5000"] * 2
    assert "1.0000, 1.0000" in read[next(name for name in read if name.startswith("cranfield"))]
