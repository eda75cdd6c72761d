"""Measure the shipped reader, and calibrate it: one command, the figures of the card.

    python models/trained/reader/evaluate.py [--questions 400] [--calibrate]

Documents never trained on: the sealed articles of squad1-train, and squad2-calibration, whose other half is not
answerable from its paragraph. Calibration is fitted on one half of its articles and scored on the other, both ways;
`--calibrate` then writes the constants fitted on all of them into reader.json, beside the scores.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from data import plain, records, sealed
from measure import auroc, exact, f1, interval, logistic, wrong_at

from rag import lexical
from rag.embed import Embedder
from rag.embed.onnx import OnnxEmbedder
from rag.fuse import fuse_scores
from rag.gate import signals
from rag.models import Models
from rag.read import Reading
from rag.read.trained import Scores, TrainedReader
from rag.text import terms

HERE = Path(__file__).parent
Row = dict[str, Any]
Judged = tuple[str, float, float]
"""(kind of question, the gate's logit, 1.0 if the first sentence holds a gold answer)."""
NAMES = ("evidence", "spans", "relevance", "bias")
GATE = ("span", "sentence", "relevance", "lead", "coverage", "names")


class Corpus:
    """Contexts, found by BM25 and cosine, fused as the product does it."""

    def __init__(self, contexts: Sequence[str], embedder: Embedder) -> None:
        self.contexts, self.embedder = list(contexts), embedder
        self.words = sqlite3.connect(":memory:")
        self.words.execute(lexical.SCHEMA)
        lexical.add(self.words, ((n, text, "") for n, text in enumerate(self.contexts)))
        self.vectors = embedder.passages([shortened(text, embedder) for text in self.contexts])
        held: dict[str, int] = {}
        for text in self.contexts:
            for term in set(terms(text)):
                held[term] = held.get(term, 0) + 1
        self.held = held

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


@dataclass(slots=True)
class Asked:
    """One question with what the reader saw for it."""

    row: Row
    contexts: list[str]
    scores: list[Scores]
    kind: str = "answerable"

    def gold(self, context: str, start: int, end: int) -> bool | None:
        """Does this stretch of this context hold a gold answer? None where the words stand there unannotated."""
        answers = self.row["answers"] if self.kind == "answerable" else []
        if context == self.row["context"]:
            if any(start <= a["start"] and a["start"] + len(a["text"]) <= end for a in answers):
                return True
        elif any(plain(a["text"]) in plain(context[start:end]) for a in answers):
            return None
        return False


def ask(reader: TrainedReader, rows: Sequence[Row], contexts: Sequence[Sequence[str]], kind: str) -> list[Asked]:
    """Read for every question its contexts."""
    began, made = time.monotonic(), []
    for row, some in zip(rows, contexts, strict=True):
        made.append(Asked(row, list(some), reader.scores(row["question"], list(some)), kind))
    pairs = sum(len(a.contexts) for a in made)
    if pairs:
        print(f"  {kind}: {pairs} pairs, {(time.monotonic() - began) / pairs * 1000:.1f} ms each", flush=True)
    return made


def log_sum(values: Sequence[float]) -> float:
    return float(np.logaddexp.reduce(values)) if len(values) else -30.0


def sentence_signals(some: Sequence[Asked]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Signals and labels of all sentences, unannotated look-alikes left out."""
    rows, labels = [], []
    for a in some:
        for context, scores in zip(a.contexts, a.scores, strict=True):
            for s in scores.sentences:
                label = a.gold(context, s.span.start, s.span.end)
                if label is not None:
                    rows.append((s.evidence, s.spans, scores.relevance, 1.0))
                    labels.append(float(label))
    return np.array(rows), np.array(labels)


def text_signals(some: Sequence[Asked]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Signals and labels of all texts."""
    rows, labels = [], []
    for a in some:
        for context, scores in zip(a.contexts, a.scores, strict=True):
            label = a.gold(context, 0, len(context))
            if label is not None and scores.sentences:
                top = max(s.evidence for s in scores.sentences)
                rows.append((top, log_sum([s.spans for s in scores.sentences]), scores.relevance, 1.0))
                labels.append(float(label))
    return np.array(rows), np.array(labels)


def calibrated(some: Sequence[Asked]) -> dict[str, dict[str, float]]:
    """Constants of the two logistics."""
    made = {}
    for name, signal in (("sentence", sentence_signals), ("text", text_signals)):
        values, labels = signal(some)
        beta = logistic(np.clip(values, -20, 20), labels)
        made[name] = {n: round(float(b), 4) for n, b in zip(NAMES, beta, strict=True)}
    return made


def readings(reader: TrainedReader, a: Asked, constants: dict[str, dict[str, float]]) -> list[Reading]:
    """What the reader says with these constants."""
    return [reader.reading(s, constants) for s in a.scores]


def best_sentences(said: Sequence[Reading]) -> list[tuple[int, int, int, float]]:
    """(context, start, end, score) of all sentences, best first."""
    found = [(n, s.start, s.end, score) for n, r in enumerate(said) for s, score in r.sentences]
    return sorted(found, key=lambda f: -f[3])


def holds(a: Asked, place: tuple[int, int, int, float]) -> bool:
    return a.gold(a.contexts[place[0]], place[1], place[2]) is True


def answer_of(a: Asked, said: Sequence[Reading]) -> tuple[str, float]:
    """The best short answer of all texts, and its text's score."""
    top = max(range(len(said)), key=lambda n: said[n].best_score)
    best = said[top].best
    return (best.of(a.contexts[top]) if best else ""), said[top].best_score - said[top].null


def short_answers(reader: TrainedReader, some: Sequence[Asked], constants: dict[str, dict[str, float]]) -> Row:
    """EM and F1 of the best span, gold passage given, nothing withheld."""
    said = [answer_of(a, readings(reader, a, constants))[0] for a in some]
    golds = [[g["text"] for g in a.row["answers"]] for a in some]
    scores = [f1(s, g) for s, g in zip(said, golds, strict=True)]
    em = [exact(s, g) for s, g in zip(said, golds, strict=True)]
    return {"questions": len(some), "EM": mean(em), "F1": mean(scores),
            "F1 95%": [round(100 * x, 1) for x in interval(scores, [a.row["title"] for a in some])]}  # fmt: skip


def mean(values: Sequence[float]) -> float:
    return round(100 * float(np.mean(values)), 2)


def squad2(reader: TrainedReader, fit: Sequence[Asked], test: Sequence[Asked], constants: Any) -> list[float]:
    """F1 of each test question when silence is allowed, the threshold chosen on `fit`."""

    def table(some: Sequence[Asked]) -> list[tuple[float, float, float]]:
        rows = []
        for a in some:
            said, score = answer_of(a, readings(reader, a, constants))
            golds = [g["text"] for g in a.row["answers"]]
            rows.append((score, f1(said, golds), f1("", golds)))
        return rows

    known = table(fit)
    cuts = np.quantile([k[0] for k in known], np.linspace(0.02, 0.98, 97))
    cut = max(cuts, key=lambda c: sum(k[1] if k[0] >= c else k[2] for k in known))
    return [k[1] if k[0] >= cut else k[2] for k in table(test)]


def gate_signals(reader: TrainedReader, some: Sequence[Asked], corpus: Corpus, constants: Any) -> list[list[float]]:
    """The signals of rag/gate.py for each question."""
    made = []
    for a in some:
        weights = corpus.weigh(list(dict.fromkeys(terms(a.row["question"]))))
        values = signals(a.row["question"], readings(reader, a, constants), a.contexts, weights)
        made.append([values[name] for name in GATE] + [1.0])
    return made


def halves(some: Sequence[Asked]) -> list[tuple[list[Asked], list[Asked]]]:
    """By article: (fit, test) and (test, fit)."""
    titles = sorted({a.row["title"] for a in some})
    first = [a for a in some if a.row["title"] in titles[::2]]
    second = [a for a in some if a.row["title"] not in titles[::2]]
    return [(first, second), (second, first)]


def by_kind(some: Sequence[Asked], kind: str) -> list[Asked]:
    return [a for a in some if a.kind == kind]


def gold_report(reader: TrainedReader, some: Sequence[Asked]) -> Row:
    """squad2-calibration with each question's own paragraph: short answers, silence, AUROC; out of fold."""
    f1s: list[float] = []
    yes: list[float] = []
    no: list[float] = []
    answerable = []
    for fit, test in halves(some):
        constants = calibrated(fit)
        f1s += squad2(reader, fit, test, constants)
        for a in test:
            score = answer_of(a, readings(reader, a, constants))[1]
            (yes if a.kind == "answerable" else no).append(score)
        answerable.append(short_answers(reader, by_kind(test, "answerable"), constants))
    pooled = {k: round(float(np.average([s[k] for s in answerable], weights=[s["questions"] for s in answerable])), 2)
              for k in ("EM", "F1")}  # fmt: skip
    return {"questions": len(some), "answerable": pooled, "SQuAD 2.0 F1": mean(f1s),
            "AUROC same paragraph": round(auroc(yes, no), 4)}  # fmt: skip


def full_report(reader: TrainedReader, some: Sequence[Asked], corpus: Corpus) -> tuple[Row, list[Judged]]:
    """Everything retrieved: evidence, errors at 60 % coverage, AUROCs; out of fold. And (kind, confidence, right)."""
    judged: list[Judged] = []
    top1, top3, passage, first_found, titles = [], [], [], [], []
    baseline, f1s = [], []
    for fit, test in halves(some):
        constants = calibrated(fit)
        right = {id(a): float(holds(a, best_sentences(readings(reader, a, constants))[0])) for a in some}
        beta = logistic(np.array(gate_signals(reader, fit, corpus, constants)), np.array([right[id(a)] for a in fit]))
        for a, values in zip(test, gate_signals(reader, test, corpus, constants), strict=True):
            judged.append((a.kind, float(np.dot(values, beta)), right[id(a)]))
            if a.kind != "answerable":
                continue
            said = readings(reader, a, constants)
            ranked = best_sentences(said)
            top1.append(holds(a, ranked[0]))
            top3.append(any(holds(a, r) for r in ranked[:3]))
            passage.append(a.contexts[ranked[0][0]] == a.row["context"])
            first_found.append(a.contexts[0] == a.row["context"])
            baseline.append(holds(a, (0, said[0].sentences[0][0].start, said[0].sentences[0][0].end, 0.0)))
            f1s.append(f1(answer_of(a, said)[0], [g["text"] for g in a.row["answers"]]))
            titles.append(a.row["title"])
    answerable = [j for j in judged if j[0] == "answerable"]
    score = {k: [j[1] for j in judged if j[0] == k] for k in ("answerable", "same paragraph", "wrong corpus")}
    report = {
        "questions": len(answerable), "evidence top-1": mean(top1), "evidence top-3": mean(top3),
        "top-1 95%": [round(100 * x, 1) for x in interval([float(t) for t in top1], titles)],
        "right passage first, reader": mean(passage), "right passage first, retrieval": mean(first_found),
        "baseline: first sentence of the first passage": mean(baseline), "short-answer F1": mean(f1s),
        "wrong among answered at 60 % coverage": round(100 * wrong_at([j[1] for j in answerable], [j[2] for j in answerable], 0.6), 2),
        "AUROC same paragraph": round(auroc(score["answerable"], score["same paragraph"]), 4),
        "AUROC wrong corpus": round(auroc(score["answerable"], score["wrong corpus"]), 4),
    }  # fmt: skip
    return report, judged


def thresholds(judged: Sequence[Judged]) -> tuple[Row, Row]:
    """Confidence from which to answer, by strictness, and what each choice costs; and where 'closest' begins.

    The mix: answerable questions and as many about something else. A choice is the lowest threshold at which wrong ones
    among answered stay under its rate.
    """
    kinds = {k: [j for j in judged if j[0] == k] for k in ("answerable", "same paragraph", "wrong corpus")}
    weight = {"answerable": 1.0, "same paragraph": 0.0,
              "wrong corpus": len(kinds["answerable"]) / max(1, len(kinds["wrong corpus"]))}  # fmt: skip
    chance = sorted(((1 / (1 + math.exp(-z)), right, weight[kind]) for kind, z, right in judged), reverse=True)
    cuts, costs = {}, {}
    for name, rate in (("strict", 0.03), ("balanced", 0.06), ("lenient", 0.12)):
        wrong = given = 0.0
        cut = chance[0][0]
        for confidence, right, w in chance:
            given, wrong = given + w, wrong + w * (1 - right)
            if given > 30 and wrong <= rate * given:
                cut = confidence
        cuts[name] = round(cut, 4)
        share = {k: [(1 / (1 + math.exp(-z))) >= cut for _, z, _ in some] for k, some in kinds.items()}
        errors = [1 - r for k, z, r in judged if k == "answerable" and 1 / (1 + math.exp(-z)) >= cut]
        costs[name] = {"answered": mean(share["answerable"]), "wrong among answered": mean(errors or [0.0]),
                       "same-paragraph unanswerable answered": mean(share["same paragraph"] or [0.0]),
                       "wrong corpus answered": mean(share["wrong corpus"] or [0.0])}  # fmt: skip
    off = sorted(1 / (1 + math.exp(-z)) for _, z, _ in kinds["wrong corpus"])
    cuts["closest"] = round(min(off[int(0.9 * len(off))], cuts["lenient"]), 4) if off else 0.1
    return cuts, costs


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


def main() -> None:
    """Measure, print, and with --calibrate write reader.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=400, help="answerable ones with full retrieval")
    parser.add_argument("--calibrate", action="store_true", help="write constants and scores into reader.json")
    parser.add_argument("--folder", type=Path, default=HERE)
    parser.add_argument("--data", type=Path, default=HERE.parents[3] / "shared" / "data" / "reading")
    chosen = parser.parse_args()
    models = Models()
    entry = models.entry("all-minilm-l6-v2", "embedder")
    folder = models.verified(entry)
    embedder = OnnxEmbedder(entry.name, models.exported(entry), folder, entry.fingerprint, 1)
    reader = TrainedReader(chosen.folder, folder / "tokenizer.json")
    seen = gather(reader, chosen.data, chosen.questions, embedder, lambda text: print(text, flush=True))
    constants = calibrated(seen["full"])
    full, judged = full_report(reader, seen["full"], seen["corpus"])
    cuts, costs = thresholds(judged)
    right = [float(holds(a, best_sentences(readings(reader, a, constants))[0])) for a in seen["full"]]
    beta = logistic(np.array(gate_signals(reader, seen["full"], seen["corpus"], constants)), np.array(right))
    scores = {"sealed articles, gold passage": short_answers(reader, seen["sealed"], constants),
              "squad2-calibration, gold passage": gold_report(reader, seen["gold"]),
              "squad2-calibration, full retrieval": full}  # fmt: skip
    gate = {"weights": {n: round(float(b), 4) for n, b in zip(GATE, beta[:-1], strict=True)},
            "bias": round(float(beta[-1]), 4), "thresholds": cuts, "measured": costs}  # fmt: skip
    print(json.dumps({"calibration": constants, "gate": gate, "scores": scores}, indent=1))
    if chosen.calibrate:
        card = json.loads((chosen.folder / "reader.json").read_text("utf-8"))
        card |= {"calibration": constants, "gate": gate, "scores": scores}
        (chosen.folder / "reader.json").write_text(json.dumps(card, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
