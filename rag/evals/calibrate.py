"""How the two readers are joined, and the gate behind them, learnt from questions with and without an answer.

    python -m rag.evals.calibrate ../shared/data/reading/squad2-calibration.jsonl.gz --off-topic FILE [--write]

Every context of the file becomes a document of one index; its questions are asked through the public API without the
LLM, answerable ones and unanswerable ones alike, and questions of the off-topic file, whose contexts are not in the
index. Two logistic regressions (Newton's method, L2) follow: of a sentence's two scores on whether it holds a gold
answer, and of the signals of the gate on whether the best sentence does. Documents are split in two, so that what is
printed was not learnt from. With --write the result is stored in models/trained/gate.

More signals than the best sentence's score were tried once by hand on such questions (best span, relevance, lead,
coverage, names, cosine): none raised the AUROC on the other half (0.727 with it alone, 0.711 to 0.720 with more).
"""

from __future__ import annotations

import argparse
import gzip
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
from rag.evals.scoring import auroc, holds, upper_bound, wrong_at
from rag.models import Models
from rag.read.joint import JointReader

THRESHOLDS = {"strict": 0.4, "balanced": 0.18, "lenient": 0.08}
CLOSEST = 0.05
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Asked:
    """One asked question: its half of the documents, its kind, and of each sentence read both readers' scores and
    whether it holds a gold answer: float64 (sentences, 3)."""

    half: int
    kind: str
    sentences: Array


@dataclass(frozen=True, slots=True)
class Learnt:
    """Weights, the bias last: of a sentence's two scores, and of the best sentence's joint score."""

    reading: Array
    gate: Array

    def best(self, asked: Asked) -> tuple[float, bool]:
        """The confidence in the best sentence of a question, and whether it holds a gold answer."""
        joint = asked.sentences[:, :2] @ self.reading[:-1] + self.reading[-1]
        top = int(joint.argmax())
        return float(1 / (1 + np.exp(-(joint[top] * self.gate[0] + self.gate[1])))), bool(asked.sentences[top, 2])


def rows(path: Path) -> list[dict[str, Any]]:
    """The examples of a reading file (../shared/data/README.md describes the format)."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def chosen(examples: Sequence[dict[str, Any]], most: int, seed: int) -> list[dict[str, Any]]:
    """At most `most` examples, the same ones for the same seed."""
    return random.Random(seed).sample(list(examples), min(most, len(examples)))


def ask_all(
    examples: Sequence[dict[str, Any]], off_topic: Sequence[dict[str, Any]], sample: int, seed: int
) -> list[Asked]:
    """Index all contexts of `examples`, ask `sample` questions of each kind (off topic: half as many)."""
    contexts = list(dict.fromkeys((e["title"], e["context"]) for e in examples))
    plan = [("answerable", e) for e in chosen([e for e in examples if e["answers"]], sample, seed)]
    plan += [("unanswerable", e) for e in chosen([e for e in examples if not e["answers"]], sample, seed)]
    plan += [("off topic", e) for e in chosen(off_topic, sample // 2, seed)]
    halves = {title: i % 2 for i, title in enumerate(sorted({t for t, _ in contexts}))}
    config = rag.Config.load({"llm.model": "none", "read.model": "joint"}, environ={})
    found = []
    with tempfile.TemporaryDirectory() as folder, rag.Assistant(Path(folder), config) as assistant:
        for n, (title, context) in enumerate(contexts):
            assistant.add_text(context, title=title, uri=f"eval:{n}")
        for n, (kind, e) in enumerate(plan):
            golds = [a["text"] for a in e["answers"]]
            found.append(Asked(halves.get(e["title"], n % 2), kind, _sentences(assistant, e["question"], golds)))
            if n % 100 == 99:
                print(f"  asked {n + 1} of {len(plan)}", flush=True)
    return found


def _sentences(assistant: rag.Assistant, question: str, golds: Sequence[str]) -> Array:
    """Both scores of each candidate sentence, and 1 where it holds a gold answer."""
    reader = assistant._rooms.reader
    assert isinstance(reader, JointReader)
    texts = [hit.passage.text for hit in assistant.search(question, assistant.config.retrieve.k)]
    readings, parts = reader.parts(question, texts)
    return np.array(
        [
            (p.trained, p.overlap, bool(golds) and holds(span.of(text), golds))
            for text, reading, own in zip(texts, readings, parts, strict=True)
            for (span, _), p in zip(reading.sentences, own, strict=True)
            if p.overlap is not None
        ],
        float,
    )


def learnt(asked: Sequence[Asked]) -> Learnt:
    """Both regressions."""
    rows_ = np.concatenate([a.sentences for a in asked])
    reading = logistic(rows_[:, :2], rows_[:, 2], 1e-6)
    joint = [a.sentences[:, :2] @ reading[:-1] + reading[-1] for a in asked]
    tops = [int(j.argmax()) for j in joint]
    scores = np.array([[j[t]] for j, t in zip(joint, tops, strict=True)])
    right = np.array([a.sentences[t, 2] for a, t in zip(asked, tops, strict=True)])
    return Learnt(reading, logistic(scores, right, 1e-2))


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
    if not args.file.is_file() or not args.off_topic.is_file():
        raise SystemExit(f"{args.file} or {args.off_topic} is not there; this command needs both")
    asked = ask_all(rows(args.file), rows(args.off_topic), args.sample, args.seed)
    halves = [[a for a in asked if a.half == half] for half in (0, 1)]
    measured = {}
    for half in (0, 1):
        measured = report(learnt(halves[half]), halves[1 - half])
        print(f"\nlearnt from half {half}, measured on the other:")
        print("\n".join(f"  {name}: {value}" for name, value in measured.items()))
    gate = stored(learnt(asked), measured)
    print(json.dumps(gate, indent=2))
    if args.write:
        models = Models()
        path = models.locate(models.entry("gate", "gate")) / "gate.json"
        path.write_text(json.dumps(gate, indent=2) + "\n", "utf-8")


def stored(by: Learnt, measured: dict[str, str]) -> dict[str, Any]:
    """The fields of rag.gate.Gate."""
    trained, overlap, bias = (round(float(w), 4) for w in by.reading)
    return {
        "weights": {"sentence": round(float(by.gate[0]), 4)},
        "bias": round(float(by.gate[1]), 4),
        "answered": THRESHOLDS,
        "closest": CLOSEST,
        "reading": {"trained": trained, "overlap": overlap, "bias": bias},
        "measured": measured,
    }


if __name__ == "__main__":
    main()
