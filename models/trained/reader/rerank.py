"""Does reading help ranking? nDCG@10 of BM25's first twenty, as they come, reread, and both together.

python models/trained/reader/rerank.py ../shared/data/retrieval/scifact [--questions 100]
"""

from __future__ import annotations

import argparse
import math
import random
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from data import records

from rag import lexical
from rag.fuse import fuse_scores
from rag.models import Models
from rag.read.trained import TrainedReader

DEPTH = 20


def ndcg(ranked: Sequence[str], grades: dict[str, int], k: int = 10) -> float:
    """Gain 2^grade - 1, discounted by log2 of the place; 1.0 is the best order of all graded documents."""

    def gain(some: Sequence[int]) -> float:
        return sum((2**g - 1) / math.log2(n + 2) for n, g in enumerate(some))

    best = gain(sorted(grades.values(), reverse=True)[:k])
    return gain([grades.get(d, 0) for d in ranked[:k]]) / best if best else 0.0


def main() -> None:
    """Print the three figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--weight", type=float, default=0.3, help="of the reader when both are fused")
    chosen = parser.parse_args()
    texts = {r["_id"]: f"{r['title']}\n{r['text']}".strip() for r in records(chosen.folder / "corpus.jsonl.gz")}
    grades: dict[str, dict[str, int]] = defaultdict(dict)
    for line in next((chosen.folder / "qrels").glob("*.tsv")).read_text("utf-8").splitlines()[1:]:
        query, document, grade = line.split("\t")
        grades[query][document] = int(grade)
    names = list(texts)
    words = sqlite3.connect(":memory:")
    words.execute(lexical.SCHEMA)
    lexical.add(words, ((n, texts[name], "") for n, name in enumerate(names)))
    models = Models()
    tokenizer = models.locate(models.entry("all-minilm-l6-v2", "embedder")) / "tokenizer.json"
    reader = TrainedReader(Path(__file__).parent, tokenizer)
    asked = [r for r in records(chosen.folder / "queries.jsonl.gz") if r["_id"] in grades]
    totals: dict[str, float] = defaultdict(float)
    some = random.Random(5).sample(asked, min(chosen.questions, len(asked)))
    for row in some:
        found = lexical.search(words, lexical.query_terms(row["text"]), DEPTH)
        read = reader.scores(row["text"], [texts[names[n]] for n, _ in found])
        reread = sorted(((n, s.relevance) for (n, _), s in zip(found, read, strict=True)), key=lambda x: -x[1])
        both = fuse_scores({"bm25": found, "reader": reread}, {"bm25": 1 - chosen.weight, "reader": chosen.weight})
        for name, ranking in (("BM25", found), ("reader", reread), ("both", both)):
            totals[name] += ndcg([names[n] for n, _ in ranking], grades[row["_id"]])
    print(len(some), "questions, nDCG@10:", {name: round(total / len(some), 4) for name, total in totals.items()})


if __name__ == "__main__":
    main()
