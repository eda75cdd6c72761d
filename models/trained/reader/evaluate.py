"""Measure the shipped reader, and calibrate it: one command, the figures of the card.

    python models/trained/reader/evaluate.py [--questions 400] [--calibrate]

Documents never trained on: the sealed articles of squad1-train, and squad2-calibration, half of whose questions cannot
be answered from their paragraph. Calibration is fitted on one half of its articles and scored on the other, both ways.
`--calibrate` then writes the constants fitted on all of them into reader.json, beside the scores.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from data import records, sealed
from measure import logistic
from reports import (
    GATE,
    Asked,
    Row,
    best_sentences,
    calibrated,
    full_report,
    gate_signals,
    gold_report,
    holds,
    readings,
    short_answers,
    thresholds,
)

from rag import lexical
from rag.embed import Embedder, Vectors
from rag.embed.onnx import OnnxEmbedder
from rag.fuse import fuse_scores
from rag.models import Models
from rag.read.trained import TrainedReader
from rag.text import terms

HERE = Path(__file__).parent


class Corpus:
    """Contexts, found by BM25 and cosine, fused as the product does it."""

    def __init__(self, contexts: Sequence[str], embedder: Embedder) -> None:
        self.contexts, self.embedder = list(contexts), embedder
        self.words = sqlite3.connect(":memory:")
        self.words.execute(lexical.SCHEMA)
        lexical.add(self.words, ((n, text, "") for n, text in enumerate(self.contexts)))
        self.vectors = self._vectors()
        held: dict[str, int] = {}
        for text in self.contexts:
            for term in set(terms(text)):
                held[term] = held.get(term, 0) + 1
        self.held = held

    def _vectors(self) -> Vectors:
        """One per context; kept, because they take longer than the reading."""
        digest = hashlib.sha256("\0".join([self.embedder.fingerprint, *self.contexts]).encode()).hexdigest()[:16]
        kept = HERE / "runs" / f"vectors-{digest}.npy"
        if not kept.exists():
            kept.parent.mkdir(exist_ok=True)
            np.save(kept, self.embedder.passages([shortened(text, self.embedder) for text in self.contexts]))
        return np.asarray(np.load(kept), np.float32)

    def find(self, questions: Sequence[str], k: int) -> list[list[int]]:
        """Context numbers, best first, per question."""
        cosines = self.embedder.questions(list(questions)) @ self.vectors.T
        return [self._fused(q, row, k) for q, row in zip(questions, cosines, strict=True)]

    def _fused(self, question: str, cosines: np.ndarray[Any, Any], k: int) -> list[int]:
        dense = [(int(n), float(cosines[n])) for n in np.argsort(-cosines, kind="stable")[:40]]
        rankings = {"dense": dense, "lexical": lexical.search(self.words, lexical.query_terms(question), 40)}
        return [n for n, _ in fuse_scores(rankings, {"dense": 0.5, "lexical": 0.5})[:k]]

    def weigh(self, some: Sequence[str]) -> Mapping[str, float]:
        """idf by stem."""
        return {t: math.log(1 + len(self.contexts) / (1 + self.held.get(t, 0))) for t in some}


def shortened(text: str, embedder: Embedder) -> str:
    """The text as far as the embedder reads; the product never meets this, its passages are cut to fit."""
    while embedder.lengths([text])[0] > embedder.window - 2:
        text = text[: int(len(text) * 0.9)]
    return text


def ask(reader: TrainedReader, rows: Sequence[Row], contexts: Sequence[Sequence[str]], kind: str) -> list[Asked]:
    """Read for every question its contexts."""
    began, made = time.monotonic(), []
    for row, some in zip(rows, contexts, strict=True):
        made.append(Asked(row, list(some), reader.scores(row["question"], list(some)), kind))
    pairs = sum(len(a.contexts) for a in made)
    if pairs:
        print(f"  {kind}: {pairs} pairs, {(time.monotonic() - began) / pairs * 1000:.1f} ms each", flush=True)
    return made


def sampled(rows: Sequence[Row], most: int) -> list[Row]:
    """A random sample, the same every time."""
    return random.Random(5).sample(list(rows), min(most, len(rows)))


def gather(reader: TrainedReader, data: Path, most: int, embedder: Embedder, tell: Callable[[str], None]) -> Row:
    """Read everything that the reports need."""
    rows = list(records(data / "squad2-calibration.jsonl.gz"))
    yes, no = [r for r in rows if r["answers"]], [r for r in rows if not r["answers"]]
    train = list(records(data / "squad1-train.jsonl.gz"))
    away = sealed({r["title"] for r in train})
    kept = [r for r in train if r["title"] in away]
    tell("gold passage")
    some = sampled(kept, 2 * most)
    made: Row = {"sealed": ask(reader, some, [[r["context"]] for r in some], "answerable"), "gold": []}
    for some, kind in ((sampled(yes, 2 * most), "answerable"), (sampled(no, 2 * most), "same paragraph")):
        made["gold"] += ask(reader, some, [[r["context"]] for r in some], kind)
    corpus = Corpus(list(dict.fromkeys(r["context"] for r in rows)), embedder)
    other = Corpus(list(dict.fromkeys(r["context"] for r in kept)), embedder)
    tell(f"full retrieval: {len(corpus.contexts)} contexts, wrong corpus {len(other.contexts)}")
    made["full"], made["corpus"] = [], corpus
    plan = (("answerable", yes, most, corpus), ("same paragraph", no, most // 2, corpus),
            ("wrong corpus", yes, most // 2, other))  # fmt: skip
    for kind, pool, count, where in plan:
        some = sampled(pool, count)
        found = where.find([r["question"] for r in some], 8)
        made["full"] += ask(reader, some, [[where.contexts[n] for n in f] for f in found], kind)
    return made


def report(reader: TrainedReader, seen: Row) -> Row:
    """Constants fitted on everything, and scores that are out of fold."""
    constants, weigh = calibrated(seen["full"]), seen["corpus"].weigh
    full, judged = full_report(reader, seen["full"], weigh)
    right = [float(holds(a, best_sentences(readings(reader, a, constants))[0])) for a in seen["full"]]
    beta = logistic(np.array(gate_signals(reader, seen["full"], weigh, constants)), np.array(right))
    scores = {"sealed articles, gold passage": short_answers(reader, seen["sealed"], constants),
              "squad2-calibration, gold passage": gold_report(reader, seen["gold"]),
              "squad2-calibration, full retrieval": full}  # fmt: skip
    gate = {"weights": {n: round(float(b), 4) for n, b in zip(GATE, beta[:-1], strict=True)},
            "bias": round(float(beta[-1]), 4)} | thresholds(judged)  # fmt: skip
    return {"calibration": constants, "gate": gate, "scores": scores}


def main() -> None:
    """Measure, print, and with --calibrate write reader.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=400, help="answerable ones with full retrieval")
    parser.add_argument("--calibrate", action="store_true", help="write reader.json")
    parser.add_argument("--folder", type=Path, default=HERE)
    parser.add_argument("--data", type=Path, default=HERE.parents[3] / "shared" / "data" / "reading")
    chosen = parser.parse_args()
    models = Models()
    entry = models.entry("all-minilm-l6-v2", "embedder")
    folder = models.verified(entry)
    embedder = OnnxEmbedder(entry.name, models.exported(entry), folder, entry.fingerprint, 1)
    reader = TrainedReader(chosen.folder, folder / "tokenizer.json")
    seen = gather(reader, chosen.data, chosen.questions, embedder, lambda text: print(text, flush=True))
    facts = report(reader, seen)
    print(json.dumps(facts, indent=1))
    if chosen.calibrate:
        card = json.loads((chosen.folder / "reader.json").read_text("utf-8"))
        card |= facts
        (chosen.folder / "reader.json").write_text(json.dumps(card, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
