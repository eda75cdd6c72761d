"""A measure of some questions in; out, the measure with the interval in which it would lie on other documents.

95 % of what comes out when whole documents are drawn with replacement, a thousand times (Efron, 1979): questions about
one document succeed and fail together. A draw is a weight per question, how often its document was drawn, so a measure
is a function of weights; all ones give its value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float64]
Measure = Callable[[Weights], float]
"""The value under one weight per question; nan where they leave nothing to measure."""
TIMES = 1000


def figure(groups: Sequence[str], of: Measure, count: int | None = None) -> dict[str, Any]:
    """{value, low, high, of}: the measure, its interval, and of how many (default: questions) it is. `groups`: the
    document of each question. Draws in which there is nothing to measure are left out."""
    value = of(np.ones(len(groups)))
    drawn = [v for weights in draws(groups) if not math.isnan(v := of(weights))]
    low, high = np.quantile(drawn, [0.025, 0.975]) if drawn else (math.nan, math.nan)
    return {"value": value, "low": float(low), "high": float(high), "of": len(groups) if count is None else count}


def draws(groups: Sequence[str], times: int = TIMES) -> Weights:
    """(times, questions): how often each question is drawn, the same for the same groups."""
    names, at = np.unique(np.array(groups, dtype=str), return_inverse=True)
    if not len(names):
        return np.empty((0, 0))
    counts = np.random.default_rng(0).multinomial(len(names), np.full(len(names), 1 / len(names)), times)
    return counts[:, at].astype(np.float64)


def ratio(above: Sequence[float], below: Sequence[float]) -> Measure:
    """One sum over another, as of citations that are right over citations."""
    a, b = np.array(above, float), np.array(below, float)
    return lambda w: float(w @ a / total) if (total := float(w @ b)) else math.nan


def mean(values: Sequence[float]) -> Measure:
    """The mean of one value per question."""
    return ratio(values, [1.0] * len(values))


def harmonic(one: Measure, two: Measure) -> Measure:
    """F1 of a precision and a recall."""

    def of(w: Weights) -> float:
        p, r = one(w), two(w)
        return 2 * p * r / (p + r) if p + r else 0.0

    return of


def auroc(scores: Sequence[float], positive: Sequence[bool]) -> Measure:
    """Chance that a positive scores above a negative, ties half."""
    values, yes = np.array(scores, float), np.array(positive, bool)
    levels, at = np.unique(values, return_inverse=True)

    def of(w: Weights) -> float:
        up = np.bincount(at, w * yes, len(levels))
        down = np.bincount(at, w * ~yes, len(levels))
        pairs = up.sum() * down.sum()
        return float(up @ (np.cumsum(down) - down / 2) / pairs) if pairs else math.nan

    return of


def wrong_at(confidences: Sequence[float], right: Sequence[bool], coverage: float) -> Measure:
    """Share of wrong ones among the most confident `coverage` of all; nan if that is none."""
    order = np.argsort(-np.array(confidences, float), kind="stable")
    wrong = ~np.array(right, bool)[order]

    def of(w: Weights) -> float:
        drawn = w[order]
        most = round(coverage * float(drawn.sum()))
        taken = np.diff(np.minimum(np.cumsum(drawn), most), prepend=0.0)
        return float(taken @ wrong / most) if most else math.nan

    return of


def silence(f1: Sequence[float], confidences: Sequence[float], answerable: Sequence[bool],
            half: Sequence[int]) -> Measure:  # fmt: skip
    """Mean F1 when silence is allowed: an answerable question below the confidence needed scores nothing, another one
    1. The confidence needed is the best of the other half (0 or 1)."""
    gain = np.array(f1, float) * np.array(answerable, bool)
    sure, other, side = np.array(confidences, float), ~np.array(answerable, bool), np.array(half)
    order = np.argsort(sure, kind="stable")
    levels, first = np.unique(sure[order], return_index=True)

    def best(w: Weights) -> float:
        """The lowest confidence, of those seen, that scores most; 0 for the lowest of all: nothing is silenced."""
        said = np.r_[0.0, np.cumsum((w * gain)[order])]
        quiet = np.r_[0.0, np.cumsum((w * other)[order])]
        seen = np.flatnonzero(np.add.reduceat(w[order], first) > 0)
        scores = (said[-1] - said[first] + quiet[first])[seen]
        return float(levels[seen[np.argmax(scores)]]) if len(seen) and scores.argmax() else 0.0

    def of(w: Weights) -> float:
        needed = np.where(side == 0, best(w * (side == 1)), best(w * (side == 0)))
        return float(w @ np.where(sure >= needed, gain, other) / w.sum())

    return of
