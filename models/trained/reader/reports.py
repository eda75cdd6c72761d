"""What the scores are worth: questions that were read, in; calibration, reports and thresholds, out.

Everything that is reported about squad2-calibration is out of fold: constants fitted on half of its articles, scored on
the other half, both ways.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from data import plain
from measure import auroc, exact, f1, interval, logistic, wrong_at

from rag.gate import signals
from rag.read import Reading
from rag.read.trained import Scores, TrainedReader
from rag.text import terms

Row = dict[str, Any]
Judged = tuple[str, float, float]
"""(kind of question, the gate's logit, 1.0 if the first sentence holds a gold answer)."""
Weigh = Callable[[Sequence[str]], Mapping[str, float]]
NAMES = ("evidence", "spans", "relevance", "bias")
GATE = ("span", "sentence", "relevance", "lead", "coverage", "names")


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


def gate_signals(reader: TrainedReader, some: Sequence[Asked], weigh: Weigh, constants: Any) -> list[list[float]]:
    """The signals of rag/gate.py for each question."""
    made = []
    for a in some:
        weights = weigh(list(dict.fromkeys(terms(a.row["question"]))))
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


def full_report(reader: TrainedReader, some: Sequence[Asked], weigh: Weigh) -> tuple[Row, list[Judged]]:
    """Everything retrieved: evidence, errors at 60 % coverage, AUROCs; out of fold. And (kind, confidence, right)."""
    judged: list[Judged] = []
    top1, top3, passage, first_found, titles = [], [], [], [], []
    baseline, f1s = [], []
    for fit, test in halves(some):
        constants = calibrated(fit)
        right = {id(a): float(holds(a, best_sentences(readings(reader, a, constants))[0])) for a in some}
        beta = logistic(np.array(gate_signals(reader, fit, weigh, constants)), np.array([right[id(a)] for a in fit]))
        for a, values in zip(test, gate_signals(reader, test, weigh, constants), strict=True):
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
    wrong = wrong_at([j[1] for j in answerable], [j[2] for j in answerable], 0.6)
    score = {k: [j[1] for j in judged if j[0] == k] for k in ("answerable", "same paragraph", "wrong corpus")}
    report = {
        "questions": len(answerable), "evidence top-1": mean(top1), "evidence top-3": mean(top3),
        "top-1 95%": [round(100 * x, 1) for x in interval([float(t) for t in top1], titles)],
        "right passage first, reader": mean(passage), "right passage first, retrieval": mean(first_found),
        "baseline: first sentence of the first passage": mean(baseline), "short-answer F1": mean(f1s),
        "wrong among answered at 60 % coverage": round(100 * wrong, 2),
        "AUROC same paragraph": round(auroc(score["answerable"], score["same paragraph"]), 4),
        "AUROC wrong corpus": round(auroc(score["answerable"], score["wrong corpus"]), 4),
    }  # fmt: skip
    return report, judged


def thresholds(judged: Sequence[Judged]) -> Row:
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
        costs[name] = (
            f"answers {mean(share['answerable'])} % of answerable questions, {mean(errors or [0.0])} % of these wrong; "
            f"{mean(share['same paragraph'] or [0.0])} % of those that only their own paragraph could answer and does "
            f"not, {mean(share['wrong corpus'] or [0.0])} % of those about something else"
        )
    off = sorted(1 / (1 + math.exp(-z)) for _, z, _ in kinds["wrong corpus"])
    closest = round(min(off[int(0.9 * len(off))], cuts["lenient"]), 4) if off else 0.1
    return {"answered": cuts, "closest": closest, "measured": costs}
