"""Does reading the passages found put them into a better order? The weight is chosen, and what it gives measured.

    python -m rag.evals.rerank ../shared/data [--sample 350] [--depth 24] [--out rag-eval/rerank]

Each collection is indexed, each question searched, and the first DEPTH passages are read by the reader of the settings.
What it makes of each is kept, so that weights can be tried without reading again; a run that is stopped goes on. Claims
of scifact are asked only where the reader's training saw neither them nor their abstracts.

The weight is chosen on half of the questions of scifact and of squad2-calibration, of the weights that lose nothing on
either the one that gains most, and measured on the other half; then the other way round. So every question counts, and
none with a weight that it had a part in choosing. Cranfield has no part in any choice.
"""

from __future__ import annotations

import argparse
import hashlib
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import rag
from rag.evals.asking import Place, Record, Records, indexed
from rag.evals.bootstrap import figure, mean
from rag.evals.datasets import Question, load
from rag.evals.scoring import ndcg
from rag.rerank import stretched, titled

WEIGHTS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
RANKED = 60  # passages found: the first ten texts are among them
COLLECTIONS = {
    "squad2-calibration": "reading/squad2-calibration.jsonl.gz",
    "scifact": "retrieval/scifact",
    "cranfield": "retrieval/cranfield",
}
CHOOSING = ("squad2-calibration", "scifact")


def sealed(text: str) -> bool:
    """Whether the reader's training never sees the scifact abstract of this id, nor any claim about it: two in five."""
    return hashlib.sha256(text.encode()).digest()[0] < 102


def read(path: Path, out: Path, sample: int, depth: int) -> list[Record]:
    """What the reader makes of the first passages of each question, in `out`/records.jsonl."""
    dataset = load(path)
    out.mkdir(parents=True, exist_ok=True)
    some = [q for q in dataset.questions if q.answerable]
    if dataset.name == "scifact":
        some = [q for q in some if all(map(sealed, q.gold))]
    some = random.Random(0).sample(some, min(sample, len(some)))
    records = Records(out / "records.jsonl")
    done = {r["id"] for r in records.done}
    try:
        with rag.Assistant(out / "index", rag.Config.load({"llm.model": "none"}), write=True) as assistant:
            if len(done) < len(some):
                indexed(assistant, dataset)
            for question in some:
                if question.id not in done:
                    records.add(_read(assistant, Place.of(dataset), question, depth))
    finally:
        records.close()
    return records.done


def _read(assistant: rag.Assistant, place: Place, question: Question, depth: int) -> Record:
    hits = assistant.search(question.text, RANKED, rerank=0)
    readings = assistant._rooms.reader.read(question.text, titled(hits[:depth]))
    return {
        "id": question.id,
        "group": question.group,
        "texts": [place.text[h.passage.source.id] for h in hits],
        "fused": [h.score for h in hits],
        "relevance": [r.relevance for r in readings],
        "grades": dict(question.grades) if question.grades else dict.fromkeys(question.gold, 1),
    }


def score(record: Record, weight: float) -> float:
    """nDCG@10 of the texts, in the order of rag.rerank with this weight."""
    read, found = stretched(record["relevance"]), len(record["texts"])
    gains = [*read, *[0.0] * (found - len(read))]
    order = sorted(range(found), key=lambda at: -(record["fused"][at] + weight * gains[at]))
    texts = list(dict.fromkeys(record["texts"][at] for at in order))[:10]
    grades: Mapping[str, int] = record["grades"]
    return ndcg([grades.get(t, 0) for t in texts], sorted(grades.values(), reverse=True))


def chosen(by: Mapping[str, Sequence[Record]]) -> float:
    """Of the weights with which no collection loses, the one that gains most over all; the smaller of two alike."""
    gains = {w: [_mean(some, w) - _mean(some, 0.0) for some in by.values()] for w in WEIGHTS}
    safe = [w for w in WEIGHTS if min(gains[w]) >= 0]
    return max(safe, key=lambda w: (round(sum(gains[w]), 6), -w))


def halves(by: Mapping[str, Sequence[Record]]) -> tuple[list[float], dict[str, list[tuple[Record, float]]]]:
    """The weight that each half of the records chooses, and all records with the weight that the other half chose."""
    weights = [chosen({name: some[half::2] for name, some in by.items()}) for half in (0, 1)]
    return weights, {
        name: [(r, weights[1 - half]) for half in (0, 1) for r in some[half::2]] for name, some in by.items()
    }


def _mean(some: Sequence[Record], weight: float) -> float:
    return sum(score(r, weight) for r in some) / len(some)


def table(name: str, some: Sequence[tuple[Record, float]]) -> str:
    """Fused, reranked with the weight beside each record, and the difference, each with its interval."""
    groups = [r["group"] for r, _ in some]
    fused, new = [score(r, 0.0) for r, _ in some], [score(r, weight) for r, weight in some]
    change = [n - f for n, f in zip(new, fused, strict=True)]
    cells = []
    for what, values in (("fused", fused), ("reranked", new), ("change", change)):
        made = figure(groups, mean(values))
        sign = "+" if what == "change" else ""
        cells.append(f"{what} {100 * made['value']:{sign}.1f} ({100 * made['low']:.1f} to {100 * made['high']:.1f})")
    return f"{name}, {len(some)} questions: nDCG@10 {', '.join(cells)}"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with reading/ and retrieval/")
    parser.add_argument("--sample", type=int, default=350, help="questions of each collection")
    parser.add_argument("--depth", type=int, default=24, help="passages read")
    parser.add_argument("--out", type=Path, default=Path("rag-eval/rerank"))
    args = parser.parse_args()
    by = {name: read(args.data / at, args.out / name, args.sample, args.depth) for name, at in COLLECTIONS.items()}
    choosing = {name: by[name] for name in CHOOSING}
    weights, crossed = halves(choosing)
    weight = chosen(choosing)
    print(f"weight {weights[0]} by one half of {' and '.join(CHOOSING)}, {weights[1]} by the other, {weight} by both")
    for name, some in by.items():
        print(table(name, crossed.get(name) or [(record, weight) for record in some]))
    for w in WEIGHTS:
        print(f"  weight {w:<4}: " + ", ".join(f"{name} {100 * _mean(some, w):.1f}" for name, some in by.items()))


if __name__ == "__main__":
    main()
