"""The gate's weights and thresholds, learnt from questions with and without an answer.

    python -m rag.evals.calibrate ../shared/data/reading/squad2-calibration.jsonl.gz --off-topic FILE [--write]

Every context of the file becomes a document of one index; its questions are asked through the public API without the
LLM, answerable ones and unanswerable ones alike, and questions of the off-topic file, whose contexts are not in the
index. A logistic regression (Newton's method, L2) learns from the signals of each answer the chance that its first
quote holds the answer; documents are split in two, so that what is printed was not learnt from. With --write the gate
is stored beside the reader.
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

NAMES = ("span", "sentence", "relevance", "lead", "coverage", "names")
THRESHOLDS = {"strict": 0.75, "balanced": 0.5, "lenient": 0.3}
_L2 = 1e-2
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Asked:
    """One asked question: its half of the documents, its signals, and whether the best evidence holds the answer."""

    half: int
    kind: str
    signals: tuple[float, ...]
    right: bool


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
    """Index all contexts of `examples`, ask `sample` questions of each kind."""
    contexts = list(dict.fromkeys((e["title"], e["context"]) for e in examples))
    with_answer = [e for e in examples if e["answers"]]
    without = [e for e in examples if not e["answers"]]
    plan = [("answerable", e) for e in chosen(with_answer, sample, seed)]
    plan += [("unanswerable", e) for e in chosen(without, sample, seed)]
    plan += [("off topic", e) for e in chosen(off_topic, sample // 2, seed)]
    halves = {title: i % 2 for i, title in enumerate(sorted({t for t, _ in contexts}))}
    found = []
    with tempfile.TemporaryDirectory() as folder, rag.Assistant(Path(folder), _settings()) as assistant:
        for n, (title, context) in enumerate(contexts):
            assistant.add_text(context, title=title, uri=f"eval:{n}")
        for n, (kind, e) in enumerate(plan):
            found.append(_asked(assistant, kind, e, halves.get(e["title"], n % 2)))
            if n % 100 == 99:
                print(f"  asked {n + 1} of {len(plan)}", flush=True)
    return found


def _settings() -> rag.Config:
    """The trained reader even where it has no gate yet: its signals are what is wanted, not the outcome."""
    return rag.Config.load({"llm.model": "none"}, environ={})


def _asked(assistant: rag.Assistant, kind: str, e: dict[str, Any], half: int) -> Asked:
    answer = assistant.ask(e["question"])
    golds = [a["text"] for a in e["answers"]]
    right = kind == "answerable" and bool(answer.evidence) and holds(answer.evidence[0].text, golds)
    return Asked(half, kind, tuple(answer.trace.signals[n] for n in NAMES), right)


def fitted(asked: Sequence[Asked]) -> tuple[Array, Array]:
    """Weights (last one the bias) by Newton's method on standardised signals, and the weights on the raw ones."""
    x = np.array([a.signals for a in asked])
    y = np.array([a.right for a in asked], float)
    mean, spread = x.mean(0), x.std(0) + 1e-9
    z = np.c_[(x - mean) / spread, np.ones(len(x))]
    w = np.zeros(z.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-z @ w))
        gradient = z.T @ (p - y) + _L2 * len(y) * np.r_[w[:-1], 0]
        hessian = (z * (p * (1 - p))[:, None]).T @ z + _L2 * len(y) * np.eye(len(w))
        w -= np.linalg.solve(hessian, gradient)
    raw = w[:-1] / spread
    return w, np.r_[raw, w[-1] - (raw * mean).sum()]


def confidences(weights: Array, asked: Sequence[Asked]) -> list[float]:
    """The calibrated chance of each."""
    x = np.c_[np.array([a.signals for a in asked]), np.ones(len(asked))]
    return [float(c) for c in 1 / (1 + np.exp(-x @ weights))]


def report(weights: Array, asked: Sequence[Asked]) -> dict[str, str]:
    """What the gate does on documents that it did not learn from."""
    c = confidences(weights, asked)
    by_kind = {
        k: [s for s, a in zip(c, asked, strict=True) if a.kind == k]
        for k in ("answerable", "unanswerable", "off topic")
    }
    said = {
        "AUROC answerable against unanswerable": f"{auroc(by_kind['answerable'], by_kind['unanswerable']):.3f}",
        "AUROC answerable against off topic": f"{auroc(by_kind['answerable'], by_kind['off topic']):.3f}",
    }
    answerable = [(s, a.right) for s, a in zip(c, asked, strict=True) if a.kind == "answerable"]
    said["wrong among answered at 60 % coverage, answerable"] = (
        f"{wrong_at([s for s, _ in answerable], [r for _, r in answerable], 0.6):.1%}"
    )
    for name, threshold in THRESHOLDS.items():
        answered = [(a.kind, a.right) for s, a in zip(c, asked, strict=True) if s >= threshold]
        wrong = sum(not right for _, right in answered)
        shares = ", ".join(f"{k} {sum(s >= threshold for s in by_kind[k]) / len(by_kind[k]):.1%}" for k in by_kind)
        said[name] = (
            f"answers {shares}; wrong {wrong} of {len(answered)} answered "
            f"({wrong / max(1, len(answered)):.1%}, below {upper_bound(wrong, len(answered)):.1%} with 95 % confidence)"
        )
    return said


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--off-topic", type=Path, required=True)
    parser.add_argument("--sample", type=int, default=400, help="questions of each kind (off topic: half)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path, help="store the gate in this file")
    args = parser.parse_args()
    if not args.file.is_file() or not args.off_topic.is_file():
        raise SystemExit(f"{args.file} or {args.off_topic} is not there; this command needs both")
    asked = ask_all(rows(args.file), rows(args.off_topic), args.sample, args.seed)
    for half in (0, 1):
        learnt = fitted([a for a in asked if a.half == half])[1]
        measured = report(learnt, [a for a in asked if a.half != half])
        print(f"\nlearnt from half {half}, measured on the other:")
        print("\n".join(f"  {name}: {value}" for name, value in measured.items()))
    _, whole = fitted(asked)
    far = sorted(s for s, a in zip(confidences(whole, asked), asked, strict=True) if a.kind == "off topic")
    gate = {
        "weights": dict(zip(NAMES, np.round(whole[:-1], 4).tolist(), strict=True)),
        "bias": round(float(whole[-1]), 4),
        "answered": THRESHOLDS,
        "closest": round(far[int(0.9 * len(far))], 4),
        "measured": measured,
    }
    print(json.dumps(gate, indent=2))
    if args.write:
        args.write.write_text(json.dumps(gate, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
