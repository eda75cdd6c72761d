"""The measures, none needing a model: SQuAD's EM and F1, AUROC, risk at a coverage, a small logistic."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def normal(text: str) -> str:
    """SQuAD's official normalisation: lower case, no punctuation, no articles, single spaces."""
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def exact(said: str, golds: Sequence[str]) -> float:
    """1.0 if `said` is one of the golds; no golds and nothing said agree."""
    return float(normal(said) in [normal(g) for g in golds]) if golds else float(not said)


def f1(said: str, golds: Sequence[str]) -> float:
    """Word F1 against the best gold; without golds 1.0 for saying nothing."""
    if not golds or not said:
        return float(not golds and not said)
    return max(_f1(normal(said).split(), normal(g).split()) for g in golds)


def _f1(said: list[str], gold: list[str]) -> float:
    if not said or not gold:
        return float(said == gold)
    same = sum((Counter(said) & Counter(gold)).values())
    return 2 * same / (len(said) + len(gold))


def auroc(yes: Sequence[float], no: Sequence[float]) -> float:
    """The chance that a random `yes` scores over a random `no`, ties counted half."""
    values = np.concatenate([np.asarray(yes, float), np.asarray(no, float)])
    order, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    n, m = len(yes), len(no)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m)) if n and m and len(order) else float("nan")


def wrong_at(confidence: Sequence[float], right: Sequence[float], coverage: float) -> float:
    """Share of wrong ones among the `coverage` most confident."""
    best = np.argsort(-np.asarray(confidence), kind="stable")[: max(1, round(coverage * len(confidence)))]
    return float(1 - np.asarray(right, float)[best].mean())


def logistic(signals: Floats, labels: Floats, weights: Floats | None = None, ridge: float = 1e-3) -> Floats:
    """Coefficients of a logistic regression by Newton's method; the last column of `signals` is the constant 1."""
    w = np.ones(len(labels)) if weights is None else weights
    beta = np.zeros(signals.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-np.clip(signals @ beta, -30, 30)))
        slope = signals.T @ (w * (p - labels)) + ridge * w.sum() * beta
        bend = (signals * (w * p * (1 - p))[:, None]).T @ signals + ridge * w.sum() * np.eye(len(beta))
        step = np.linalg.solve(bend, slope)
        beta -= step
        if np.abs(step).max() < 1e-6:
            break
    return beta


def interval(values: Sequence[float], groups: Sequence[str], times: int = 1000) -> tuple[float, float]:
    """95 % bootstrap interval of the mean, whole documents drawn with replacement."""
    names = sorted(set(groups))
    sums = dict.fromkeys(names, (0.0, 0))
    for value, name in zip(values, groups, strict=True):
        total, count = sums[name]
        sums[name] = (total + value, count + 1)
    table = np.array([sums[n] for n in names])
    drawn = table[np.random.default_rng(0).integers(0, len(names), (times, len(names)))].sum(1)
    low, high = np.percentile(drawn[:, 0] / drawn[:, 1], [2.5, 97.5])
    return float(low), float(high)
