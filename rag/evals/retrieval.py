"""How good the retrievers are, each asked alone, fused, and beside what it must not fall behind.

    python -m rag.evals.retrieval FOLDER... [--out FOLDER] [--no-reference]

FOLDER is a collection in BEIR's layout with relevance judgements; a text counts as found where its best passage
stands. Four tables: each retriever alone and both fused; the embedder beside sentence-transformers in fp32 on the very
same passages, both ranked by brute force; every `retrieve.dense_weight`; and what others published, which is of
another split wherever it says so. What was embedded is kept in `--out`, so that a run that is stopped goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rag.add import Adder
from rag.config import Config
from rag.embed import Embedder, Vectors
from rag.evals.bootstrap import figure, mean
from rag.evals.datasets import Dataset, Question, load
from rag.evals.scoring import ndcg, recall
from rag.fuse import fuse_scores
from rag.index import Index
from rag.load import clean
from rag.models import Models
from rag.models.embedding import embedder
from rag.split import embedded_text
from rag.types import Document, Source

if TYPE_CHECKING:
    from rag.embed.sentence import SentenceEmbedder

DEPTH = 60  # passages of each retriever: ten texts are among them, however many passages a text has
WEIGHTS = [n / 10 for n in range(11)]
BLOCK = 256  # passages that the reference embeds before it keeps them
PUBLISHED = {
    "scifact": (
        ("BM25, BEIR (Thakur et al. 2021)", "test", 0.665),
        ("all-MiniLM-L6-v2, whole abstracts (sbert.net, MTEB)", "test", 0.645),
    )
}
Ranking = list[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Collection:
    """A dataset in an index, and what is known of its passages. `text_of`: passage id to the id of its text."""

    dataset: Dataset
    splits: str
    index: Index
    embedder: Embedder
    ids: list[int]
    text_of: dict[int, str]

    def found(self, ranking: Sequence[tuple[int, float]]) -> list[str]:
        """The texts, each where its best passage stands."""
        return list(dict.fromkeys(self.text_of[id] for id, _ in ranking))


@dataclass(frozen=True, slots=True)
class Score:
    """Means over the questions; `low` and `high` are the 95 % interval of nDCG@10."""

    ndcg: float
    low: float
    high: float
    recall: float

    def __str__(self) -> str:
        return f"nDCG@10 {self.ndcg:.4f} ({self.low:.3f}-{self.high:.3f})   recall@10 {self.recall:.4f}"


def scored(questions: Sequence[Question], found: Sequence[Sequence[str]]) -> Score:
    """What the rankings of these questions are worth."""
    gains = [[q.grades.get(text, 0) for text in texts] for q, texts in zip(questions, found, strict=True)]
    ideals = [[grade for grade in q.grades.values() if grade > 0] for q in questions]
    each = [ndcg(got, ideal) for got, ideal in zip(gains, ideals, strict=True)]
    recalls = [recall(got, ideal, 10) for got, ideal in zip(gains, ideals, strict=True)]
    gain = figure([q.id for q in questions], mean(each))
    return Score(gain["value"], gain["low"], gain["high"], sum(recalls) / len(recalls))


def collected(folder: Path, out: Path, config: Config) -> Collection:
    """The collection in an index under `out`, made as far as it is missing."""
    dataset = load(folder)
    with_what = embedder(Models(), config.embed.model)
    index = Index.open(
        out / "index", embedder=with_what.fingerprint, dim=with_what.dim, rules=f"eval:{config.split.max_tokens}"
    )
    adder, there = Adder(index, with_what, config.split.max_tokens), {row.source.uri for row in index.sources()}
    for n, text in enumerate(dataset.texts, start=1):
        if f"eval:{text.id}" not in there:
            adder.put(Document(Source.at(f"eval:{text.id}", text.title), clean(text.text)))
        if n % 500 == 0:
            print(f"  {n} of {len(dataset.texts)} texts are in the index", flush=True)
    index.flush()
    every = index.dense(with_what.questions(["all"]), len(index))[0][0]
    ids = sorted(int(id) for id in every)
    text_of = {id: p.source.uri.removeprefix("eval:") for id, p in zip(ids, index.passages(ids), strict=True)}
    splits = ", ".join(sorted(path.stem for path in folder.glob("qrels/*.tsv")))
    return Collection(dataset, splits, index, with_what, ids, text_of)


def rankings(of: Collection) -> list[dict[str, Ranking]]:
    """What each retriever finds for each question when it is asked alone."""
    vectors = of.embedder.questions([q.text for q in of.dataset.questions])
    ids, cosines = of.index.dense(vectors, DEPTH)
    return [
        {
            "dense": list(zip(own.tolist(), near.tolist(), strict=True)),
            "lexical": of.index.lexical(q.text, DEPTH),
        }
        for q, own, near in zip(of.dataset.questions, ids, cosines, strict=True)
    ]


def fused(of: Collection, found: Sequence[dict[str, Ranking]], weight: float) -> Score:
    """Both together, as `rag.retrieve` puts them together."""
    weights = {"dense": weight, "lexical": 1 - weight}
    return scored(of.dataset.questions, [of.found(fuse_scores(both, weights)) for both in found])


def beside_reference(of: Collection, out: Path, config: Config) -> tuple[Score, Score]:
    """The shipped embedder and sentence-transformers in fp32 on the same passages, by brute force."""
    from rag.embed.sentence import SentenceEmbedder

    models = Models()
    entry = models.entry(config.embed.model, "embedder")
    reference = SentenceEmbedder(entry.name, models.verified(entry), entry.fingerprint, prompts=entry.prompts)
    passages = of.index.passages(of.ids)
    keys = [of.index.key(p) for p in passages]
    known = of.index.vectors_of(keys)
    most = min(config.split.max_tokens, of.embedder.window)
    texts = [embedded_text(p, of.embedder.lengths, most) for p in passages]
    return (
        _brute(of, of.embedder.questions, np.stack([known[key] for key in keys])),
        _brute(of, reference.questions, _kept(reference, texts, out)),
    )


def _kept(reference: SentenceEmbedder, texts: Sequence[str], out: Path) -> Vectors:
    """The reference's vectors of the passages, block by block, each embedded once."""
    blocks = []
    for first in range(0, len(texts), BLOCK):
        path = out / f"reference-{first:07}.npy"
        if not path.is_file():
            vectors = reference.passages(texts[first : first + BLOCK])
            np.save(path.with_suffix(".tmp.npy"), vectors)
            path.with_suffix(".tmp.npy").replace(path)
        blocks.append(np.load(path))
        if first % (8 * BLOCK) == 0:
            print(f"  {first} of {len(texts)} passages through sentence-transformers", flush=True)
    return np.concatenate(blocks)


def _brute(of: Collection, questions: Callable[[Sequence[str]], Vectors], vectors: Vectors) -> Score:
    cosines = questions([q.text for q in of.dataset.questions]) @ vectors.T
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :DEPTH]
    return scored(of.dataset.questions, [of.found([(of.ids[at], 0.0) for at in row]) for row in order])


def report(folder: Path, out: Path, config: Config, reference: bool) -> None:
    """Print the tables of one collection."""
    out.mkdir(parents=True, exist_ok=True)
    of = collected(folder, out, config)
    questions, chosen = of.dataset.questions, config.retrieve.dense_weight
    name = of.dataset.name
    print(f"\n{name}: {len(of.dataset.texts)} texts, {len(of.ids)} passages, {len(questions)} questions ({of.splits})")
    found = rankings(of)
    alone = {kind: scored(questions, [of.found(both[kind]) for both in found]) for kind in ("lexical", "dense")}
    best = fused(of, found, chosen)
    print(f"  BM25 alone          {alone['lexical']}\n  the embedder alone  {alone['dense']}")
    print(f"  both, fused         {best}   dense_weight {chosen}")
    beaten = all(best.ndcg > part.ndcg and best.recall > part.recall for part in alone.values())
    print(f"  fused beats both of its parts: {'yes' if beaten else 'NO'}")
    for who, split, value in PUBLISHED.get(name, ()):
        print(f"  published, {split} split: nDCG@10 {value:.3f}  {who}")
    sweep = {weight: fused(of, found, weight) for weight in WEIGHTS}
    for weight, score in sweep.items():
        print(f"  dense_weight {weight:.1f}    {score}")
    top = max(sweep, key=lambda weight: sweep[weight].ndcg)
    print(f"  the best of these is {top}, by nDCG@10 {sweep[top].ndcg - best.ndcg:+.4f} against the setting, {chosen}")
    if reference:
        ours, theirs = beside_reference(of, out, config)
        print(f"  the embedder as it is shipped           {ours}\n  sentence-transformers, fp32             {theirs}")
        print(f"  difference: nDCG@10 {ours.ndcg - theirs.ndcg:+.4f}, recall@10 {ours.recall - theirs.recall:+.4f}")
    of.index.close()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=Path("rag-eval/retrieval"))
    parser.add_argument("--no-reference", action="store_true", help="without sentence-transformers")
    args = parser.parse_args()
    for folder in args.folders:
        report(folder, args.out / folder.name, Config.load({}), not args.no_reference)


if __name__ == "__main__":
    main()
