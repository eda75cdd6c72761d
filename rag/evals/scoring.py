"""Numbers from answers. No model judges here: every measure is a count.

Short-answer normalisation, EM and F1: Rajpurkar et al., EMNLP 2016 (the official SQuAD script's rules).
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalised(text: str) -> list[str]:
    """Lower case, without punctuation and articles, as words.

    >>> normalised("The U.S.")
    ['us']
    """
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return _ARTICLES.sub(" ", text).split()


def exact(said: str, golds: Sequence[str]) -> float:
    """1.0 if `said` equals a gold answer after normalisation."""
    return float(any(normalised(said) == normalised(g) for g in golds))


def f1(said: str, golds: Sequence[str]) -> float:
    """Overlap of words with the best gold answer, in [0, 1]; no gold answers: 1.0 for saying nothing."""
    if not golds:
        return float(not normalised(said))
    return max(_f1(normalised(said), normalised(g)) for g in golds)


def _f1(said: list[str], gold: list[str]) -> float:
    if not said or not gold:
        return float(said == gold)
    common = sum((Counter(said) & Counter(gold)).values())
    return 2 * common / (len(said) + len(gold))


def holds(text: str, golds: Sequence[str]) -> bool:
    """True if a gold answer stands in `text` as whole words: '250' is not in '250th'."""
    plain = " ".join(text.split())
    return any(re.search(rf"(?<!\w){re.escape(' '.join(g.split()))}(?!\w)", plain, re.IGNORECASE) for g in golds)


def auroc(positives: Sequence[float], negatives: Sequence[float]) -> float:
    """Chance that a positive scores above a negative, ties half; nan if either is empty.

    >>> auroc([3.0, 1.0], [2.0, 0.0])
    0.75
    """
    if not positives or not negatives:
        return math.nan
    ranked = sorted([(s, 1) for s in positives] + [(s, 0) for s in negatives])
    rank_sum, i = 0.0, 0
    while i < len(ranked):
        j = i
        while j < len(ranked) and ranked[j][0] == ranked[i][0]:
            j += 1
        rank_sum += sum(is_positive for _, is_positive in ranked[i:j]) * (i + 1 + j) / 2
        i = j
    n = len(positives)
    return (rank_sum - n * (n + 1) / 2) / (n * len(negatives))


def wrong_at(confidences: Sequence[float], right: Sequence[bool], coverage: float) -> float:
    """Share of wrong ones among the most confident `coverage` of all; nan if that is none."""
    order = sorted(range(len(right)), key=lambda i: -confidences[i])[: round(coverage * len(right))]
    return sum(not right[i] for i in order) / len(order) if order else math.nan


def ndcg(found: Sequence[int], ideal: Sequence[int], k: int = 10) -> float:
    """nDCG@k of grades in the order found (Järvelin & Kekäläinen, 2002): gain 2^grade - 1 over log2 of the place + 1.

    >>> round(ndcg([0, 1], [1]), 3)
    0.631
    """

    def gain(grades: Sequence[int]) -> float:
        return sum((2.0**g - 1) / math.log2(n + 2) for n, g in enumerate(grades[:k]))

    best = gain(sorted(ideal, reverse=True))
    return gain(found) / best if best else 0.0


def reciprocal_rank(found: Sequence[int], k: int = 10) -> float:
    """1 / place of the first text that is graded at all, 0.0 if it is not among the first k."""
    return next((1 / n for n, g in enumerate(found[:k], start=1) if g > 0), 0.0)


def recall(found: Sequence[int], ideal: Sequence[int], k: int) -> float:
    """Share of the graded texts that stand among the first k."""
    return sum(g > 0 for g in found[:k]) / len(ideal) if ideal else 0.0


def risk_coverage(confidences: Sequence[float], right: Sequence[bool]) -> list[tuple[float, float]]:
    """(coverage, share wrong among answered), the surest first, one point per question."""
    order = sorted(range(len(right)), key=lambda i: -confidences[i])
    wrong, points = 0, []
    for n, i in enumerate(order, start=1):
        wrong += not right[i]
        points.append((n / len(order), wrong / n))
    return points


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which about `share` of them lie, one of the values themselves. There must be one."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def upper_bound(wrong: int, answered: int, sure: float = 0.95) -> float:
    """One-sided Clopper-Pearson bound: with `wrong` of `answered` seen, the true rate lies below it with chance `sure`.

    >>> round(upper_bound(0, 59), 3)
    0.05
    """
    if answered == 0 or wrong >= answered:
        return 1.0
    low, high = wrong / answered, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _binomial_cdf(wrong, answered, middle) > 1 - sure else (low, middle)
    return high


def _binomial_cdf(k: int, n: int, p: float) -> float:
    if p >= 1:
        return float(k >= n)
    logs = (
        math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * math.log(p) + (n - i) * math.log1p(-p)
        for i in range(k + 1)
    )
    return min(1.0, sum(math.exp(x) for x in logs)) if p > 0 else 1.0
