"""What the reader learns from: groups that say what is right, and negatives that are none by mistake."""

from __future__ import annotations

import gzip
import importlib
import json
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rag.errors import RagError
from rag.evals.rerank import sealed
from rag.models import Models
from rag.read.trained import Scored, Scores
from rag.types import Span

HOME = Path(__file__).resolve().parents[1] / "models" / "trained" / "reader"
HARBOUR = "The harbour of Hull was deepened in 1811. The mill of Goole burnt down in 1840. Ann Lee built it again."
BRIDGE = "The bridge of Hull was finished in 1764 by a mason from Derby. Ten boats may pass under it at a time."


def of_training(name: str) -> ModuleType:
    """A file of the training; others of the same name may have been imported before."""
    before = set(sys.modules)
    sys.path.insert(0, str(HOME))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(HOME))
        for new in set(sys.modules) - before:
            if str(HOME) in str(getattr(sys.modules[new], "__file__", "")):
                del sys.modules[new]


@pytest.fixture(scope="module")
def mixing() -> Iterator[ModuleType]:
    pytest.importorskip("torch")
    yield of_training("mine")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from tokenizers import Tokenizer

    models = Models()
    try:
        folder = models.locate(models.entry("all-minilm-l6-v2", "embedder"))
    except RagError as e:
        pytest.skip(str(e))
    made = Tokenizer.from_file(str(folder / "tokenizer.json"))
    made.no_truncation()
    made.no_padding()
    return made


def test_a_question_becomes_keywords_or_a_statement_that_holds_its_answer() -> None:
    phrasings = of_training("phrasings")
    assert phrasings.keywords("In what year did the earthquake in Sichuan occur?") == "year earthquake Sichuan occur"
    for question, answer, told in (
        ("Who built the mill?", "Ann Lee", "Ann Lee built the mill"),
        ("What is the capital of France?", "Paris", "the capital of France is Paris"),
        ("In what year did the crisis begin?", "1973", "the crisis begin 1973"),
        ("How many boats were counted?", "18", "counted were 18"),
        ("Is Hull a harbour?", "yes", None),
    ):
        assert phrasings.statement(question, answer) == told


def test_an_exchanged_name_is_never_another_form_of_the_same() -> None:
    edits = of_training("edits")
    passage = "Most Macs were sold by Apple, and the Mac's rival was made by Atari."
    rng = random.Random(0)
    made = {edits.edited("Who designed the Mac?", passage, [{"text": "Apple"}], rng, safe=True) for _ in range(20)}
    assert made == {"Who designed the Atari?"}


class Believing:
    """A reader that believes a text as much as the question's and the text's words together are long."""

    def scores(self, question: str, texts: Sequence[str]) -> list[Scores]:
        return [Scores(0.0, (Scored(Span(0, 1), 0.0, 0.0, None, (len(question) + len(text)) / 100),)) for text in texts]


def test_the_most_believed_negative_is_mined_and_it_does_not_hold_the_answer(
    mixing: ModuleType, tokenizer: Any
) -> None:
    texts = [BRIDGE, HARBOUR + " It was mended in 1764, too, they say, and once more after that.", HARBOUR, "No boats."]
    row = {"source": "s", "id": 1, "title": "Hull", "context": BRIDGE, "question": "When was Hull finished?",
           "answers": [{"text": "1764", "start": BRIDGE.index("1764")}]}  # fmt: skip
    found = mixing.contexts([{**row, "context": t} for t in texts], tokenizer)
    near = mixing.Neighbours(list(found.values()))
    hard = mixing.hardest(Believing(), row, found[BRIDGE], near, random.Random(0))
    assert hard["passage"] == HARBOUR  # the longest but for the one that holds 1764
    assert hard["edit"] == "When was Derby finished?"
    assert hard["id"] == "s 1"


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    """Sixty abstracts, each with a claim about it alone."""
    (tmp_path / "qrels").mkdir()
    kin = [" ".join(f"{letter}x{n % 8}" for letter in "ABCDE") for n in range(60)]  # rare words that some share
    corpus = [
        {"_id": str(n), "title": f"{kin[n]} and gene G{n}", "text": f"{kin[n]} raise gene G{n} in mice. Rats were fed."}
        for n in range(60)
    ]
    queries = [{"_id": f"q{n}", "text": f"{kin[n]} raise the gene G{n} of mice"} for n in range(60)]
    for name, rows in (("corpus", corpus), ("queries", queries)):
        (tmp_path / f"{name}.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    lines = ["query-id\tcorpus-id\tscore", *(f"q{n}\t{n}\t1" for n in range(60))]
    (tmp_path / "qrels" / "train.tsv").write_text("\n".join(lines))
    return tmp_path


def test_claims_are_learned_without_the_sealed_abstracts_and_with_what_is_right_among_others(
    beir: Path, tokenizer: Any
) -> None:
    pytest.importorskip("torch")
    claims = of_training("claims")
    groups = claims.claim_groups(beir, tokenizer, random.Random(1))
    away = {n for n in range(60) if sealed(str(n))}
    assert 5 < len(away) < 35
    asked = set()
    for group in groups:
        assert group.has_span == group.has_evidence == 0.0
        texts = [tokenizer.decode(p.ids.tolist()) for p in group.pairs]
        question = tokenizer.decode(group.pairs[0].question)
        number = question.split("gene g")[1].split()[0]
        asked.add(("raise the gene" in question, int(number)))
        assert not any(f"gene g{n} in mice" in text for n in away for text in texts)
        assert [f"gene g{number} in mice" in text for text in texts] == [p.relevant for p in group.pairs]
        assert len(group.pairs) > 1 and sum(p.relevant for p in group.pairs) == 1
    assert {n for claim, n in asked if claim} == set(range(60)) - away
    assert {n for claim, n in asked if not claim} & away == set()


def test_passages_of_an_abstract_are_whole_sentences_and_lose_none() -> None:
    pytest.importorskip("torch")
    claims = of_training("claims")
    text = " ".join(f"Sentence {n} has some words in it, and a few more than that." for n in range(60))
    parts = list(claims.passages(text))
    assert " ".join(parts) == text and all(len(p) <= claims.PASSAGE and p.endswith(".") for p in parts)


def test_weights_between_two_runs_have_each_ones_share() -> None:
    torch = pytest.importorskip("torch")
    made = of_training("export").between({"w": torch.tensor([4.0, 0.0])}, {"w": torch.tensor([0.0, 8.0])}, 0.25)
    assert made["w"].tolist() == [1.0, 6.0]
