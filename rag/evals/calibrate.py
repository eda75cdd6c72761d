"""How the readers are joined, and the gate behind them, learnt from questions with and without an answer.

    python -m rag.evals.calibrate ../shared/data/reading/squad2-calibration.jsonl.gz --off-topic FILE [--write]

Every context of the file becomes a document of one index; its questions are asked through the public API without the
LLM, answerable ones and unanswerable ones alike, and questions of the off-topic file, whose contexts are not in the
index. Logistic regressions (Newton's method, L2) follow: of what the trained reader says of a sentence, and of a text,
on whether it holds a gold answer (its own constants, in reader.json); of all that is known of a sentence on the same;
and of the best sentence's score, and whether the question speaks against it (rag/lack.py), on whether that one does
(both in gate.json). Documents are split in two, so that what
is printed was not learnt from. With --write the results are stored in models/trained.

More signals for the gate than the best sentence's score were tried once by hand on such questions (best span,
relevance, lead, coverage, names, cosine): none raised the AUROC on the other half (0.727 with it alone, 0.711 to
0.720 with more).
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import rag
from rag.answer.page import nowhere
from rag.evals.asking import indexed
from rag.evals.datasets import Question, load
from rag.evals.scoring import auroc, holds, upper_bound, wrong_at
from rag.lack import against, cost
from rag.models import Models
from rag.read.joint import SIGNALS, JointReader, Part
from rag.types import Evidence, Hit, Span
from rag.weigh import RIVALS

THRESHOLDS = {"strict": 0.5, "balanced": 0.3, "lenient": 0.12}
CLOSEST = 0.05
Array = NDArray[np.float64]


HEADS = SIGNALS[:3]  # those of the trained reader alone
GATE = ("sentence", "lack")


@dataclass(frozen=True, slots=True)
class Asked:
    """One asked question: its half of the documents, its kind, and float64 arrays, the last column 1 where a gold
    answer is held: candidate `sentences` (n, signals + 2), the last column but one what the question holds against the
    sentence (rag/lack.py), and `texts` (n, heads + 1) with the best evidence of a text, all its spans together, its
    relevance."""

    half: int
    kind: str
    sentences: Array
    texts: Array


@dataclass(frozen=True, slots=True)
class Learnt:
    """Weights, the bias last: of a sentence's signals; of the best sentence's joint score and of what speaks against
    it; and of the trained reader's heads on a sentence and on a text."""

    reading: Array
    gate: Array
    sentence: Array
    text: Array

    def best(self, asked: Asked) -> tuple[float, bool]:
        """The confidence in the best sentence of a question, and whether it holds a gold answer."""
        top, seen = _seen(asked, self.reading)
        return float(1 / (1 + np.exp(-(seen @ self.gate[:-1] + self.gate[-1])))), bool(asked.sentences[top, -1])


def _seen(asked: Asked, reading: Array) -> tuple[int, Array]:
    """Which sentence is the best, as the answer chooses it (rag/weigh.py), and what the gate sees of it: its joint
    score less that cost, and 1 where something speaks against it."""
    joint = asked.sentences[:, : len(SIGNALS)] @ reading[:-1] + reading[-1]
    cost = asked.sentences[:, len(SIGNALS)]
    first = np.argsort(-joint, kind="stable")[:RIVALS]
    top = int(first[(joint - cost)[first].argmax()])
    return top, np.array([joint[top] - cost[top], float(cost[top] > 0)])


def ask_all(path: Path, off_topic: Path, most: int, seed: int) -> list[Asked]:
    """Index all contexts of `path`, ask `most` questions of each kind (off topic: half as many)."""
    dataset = load(path)
    some = dataset.sample(most, seed).questions
    others = load(off_topic).questions
    plan = [("answerable" if q.answerable else "unanswerable", q) for q in some]
    plan += [("off topic", q) for q in random.Random(seed).sample(others, min(most // 2, len(others)))]
    halves = {group: i % 2 for i, group in enumerate(sorted({q.group for q in dataset.questions}))}
    config = rag.Config.load({"llm.model": "none", "read.model": "joint"}, environ={})
    found = []
    with tempfile.TemporaryDirectory() as folder, rag.Assistant(Path(folder), config) as assistant:
        indexed(assistant, dataset)
        for n, (kind, question) in enumerate(plan):
            arrays = _arrays(assistant, question, () if kind == "off topic" else question.answers)
            found.append(Asked(halves.get(question.group, n % 2), kind, *arrays))
            if n % 100 == 99:
                print(f"  asked {n + 1} of {len(plan)}", flush=True)
    return found


def _arrays(assistant: rag.Assistant, question: Question, golds: Sequence[str]) -> tuple[Array, Array]:
    """What is known of each candidate sentence and of each text found."""
    reader = assistant._rooms.reader
    assert isinstance(reader, JointReader)
    hits = assistant.search(question.text, assistant.config.retrieve.k)
    texts = [hit.passage.text for hit in hits]
    readings, parts = reader.parts(question.text, texts)
    absent = nowhere(assistant._rooms)

    def held_against(hit: Hit, span: Span) -> float:
        return cost(against(question.text, Evidence(hit, span.shift(hit.passage.span.start), 0.0), absent))

    sentences = [
        (*p.signals(), held_against(hit, span), bool(golds) and holds(span.of(hit.passage.text), golds))
        for hit, reading, own in zip(hits, readings, parts, strict=True)
        for (span, _), p in zip(reading.sentences, own, strict=True)
        if p.overlap is not None
    ]
    whole = [
        (*_together(own), bool(golds) and holds(text, golds)) for text, own in zip(texts, parts, strict=True) if own
    ]
    return np.array(sentences, float), np.array(whole, float)


def _together(parts: Sequence[Part]) -> tuple[float, float, float]:
    """The heads for a whole text: the best evidence, the log-odds of all its spans, its relevance; clipped as read."""
    spans = float(np.logaddexp.reduce([p.spans for p in parts]))
    evidence, all_spans, relevance = np.clip([max(p.evidence for p in parts), spans, parts[0].relevance], -20, 20)
    return float(evidence), float(all_spans), float(relevance)


def learnt(asked: Sequence[Asked]) -> Learnt:
    """The regressions."""
    rows = np.concatenate([a.sentences for a in asked])
    whole = np.concatenate([a.texts for a in asked])
    reading = logistic(rows[:, : len(SIGNALS)], rows[:, -1], 1e-6)
    tops = [_seen(a, reading) for a in asked]
    right = np.array([a.sentences[top, -1] for a, (top, _) in zip(asked, tops, strict=True)])
    return Learnt(
        reading,
        logistic(np.array([seen for _, seen in tops]), right, 1e-2),
        logistic(rows[:, : len(HEADS)], rows[:, -1], 1e-6),
        logistic(whole[:, :-1], whole[:, -1], 1e-6),
    )


def logistic(x: Array, y: Array, l2: float) -> Array:
    """Weights, the bias last, of a logistic regression by Newton's method on standardised columns."""
    mean, spread = x.mean(0), x.std(0) + 1e-9
    z = np.c_[(x - mean) / spread, np.ones(len(x))]
    w = np.zeros(z.shape[1])
    for _ in range(40):
        p = 1 / (1 + np.exp(-np.clip(z @ w, -30, 30)))
        gradient = z.T @ (p - y) + l2 * len(y) * np.r_[w[:-1], 0]
        w -= np.linalg.solve((z.T * (p * (1 - p))) @ z + l2 * len(y) * np.eye(len(w)), gradient)
    raw = w[:-1] / spread
    return np.asarray(np.r_[raw, w[-1] - (raw * mean).sum()], np.float64)


def report(by: Learnt, asked: Sequence[Asked]) -> dict[str, str]:
    """What it does on documents that it did not learn from."""
    best = [(a.kind, *by.best(a)) for a in asked]
    kinds = {kind: [c for k, c, _ in best if k == kind] for kind in ("answerable", "unanswerable", "off topic")}
    answerable = [(c, right) for k, c, right in best if k == "answerable"]
    confidences, rights = [c for c, _ in answerable], [right for _, right in answerable]
    said = {
        "questions": ", ".join(f"{len(some)} {kind}" for kind, some in kinds.items()),
        "first sentence holds the answer": f"{sum(rights) / len(rights):.1%}",
        "AUROC answerable against unanswerable": f"{auroc(kinds['answerable'], kinds['unanswerable']):.3f}",
        "AUROC answerable against off topic": f"{auroc(kinds['answerable'], kinds['off topic']):.3f}",
        "wrong among answered at 60 % coverage": f"{wrong_at(confidences, rights, 0.6):.1%}",
    }
    for name, threshold in THRESHOLDS.items():
        answered = [right for c, right in answerable if c >= threshold]
        wrong = sum(not right for right in answered)
        shares = ", ".join(
            f"{kind} {sum(c >= threshold for c in some) / len(some):.1%}" for kind, some in kinds.items()
        )
        said[name] = (
            f"answers {shares}; of the {len(answered)} answerable ones {wrong / max(1, len(answered)):.1%} wrong, "
            f"below {upper_bound(wrong, len(answered)):.1%} with 95 % confidence"
        )
    return said


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--off-topic", type=Path, required=True)
    parser.add_argument("--sample", type=int, default=300, help="questions of each kind (off topic: half)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="store the gate in models/trained/gate")
    args = parser.parse_args()
    asked = ask_all(args.file, args.off_topic, args.sample, args.seed)
    halves = [[a for a in asked if a.half == half] for half in (0, 1)]
    measured = {}
    for half in (0, 1):
        measured = report(learnt(halves[half]), halves[1 - half])
        print(f"\nlearnt from half {half}, measured on the other:")
        print("\n".join(f"  {name}: {value}" for name, value in measured.items()))
    by = learnt(asked)
    gate, constants = stored(by, measured), {"sentence": _named(HEADS, by.sentence), "text": _named(HEADS, by.text)}
    print(json.dumps({"gate.json": gate, "reader.json, calibration": constants}, indent=2))
    if args.write:
        models = Models()
        (models.locate(models.entry("gate", "gate")) / "gate.json").write_text(
            json.dumps(gate, indent=2) + "\n", "utf-8"
        )
        card = models.locate(models.entry("reader", "reader")) / "reader.json"
        facts = json.loads(card.read_text("utf-8")) | {"calibration": constants}
        card.write_text(json.dumps(facts, indent=1) + "\n", "utf-8")


def stored(by: Learnt, measured: dict[str, str]) -> dict[str, Any]:
    """The fields of rag.gate.Gate."""
    return {
        "weights": {name: round(float(w), 4) for name, w in zip(GATE, by.gate[:-1], strict=True)},
        "bias": round(float(by.gate[-1]), 4),
        "answered": THRESHOLDS,
        "closest": CLOSEST,
        "reading": _named(SIGNALS, by.reading),
        "measured": measured,
    }


def _named(names: Sequence[str], weights: Array) -> dict[str, float]:
    """Weights by name, the bias last."""
    return {name: round(float(w), 4) for name, w in zip([*names, "bias"], weights, strict=True)}


if __name__ == "__main__":
    main()
