"""Measures under weights are what they are of the questions written out as often as they weigh."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from rag.evals import bootstrap, scoring

Rows = list[tuple[float, bool, float]]
"""Confidence, whether right (or answerable), F1."""


def test_an_interval_draws_whole_documents() -> None:
    """Two documents, one all right and one all wrong: many draws are one-sided, however many questions each."""
    values, groups = [1.0] * 50 + [0.0] * 50, ["A"] * 50 + ["B"] * 50
    made = bootstrap.figure(groups, bootstrap.mean(values))
    assert (made["value"], made["low"], made["high"], made["of"]) == (0.5, 0.0, 1.0, 100)
    alone = bootstrap.figure([str(n) for n in range(100)], bootstrap.mean(values))
    assert 0.35 < alone["low"] < 0.45 and 0.55 < alone["high"] < 0.65
    assert alone == bootstrap.figure([str(n) for n in range(100)], bootstrap.mean(values))


def test_a_draw_takes_as_many_documents_as_there_are() -> None:
    groups = ["A", "B", "A", "C", "C"]
    for weights in bootstrap.draws(groups, 50):
        assert weights[0] == weights[2] and weights[3] == weights[4]
        assert weights[0] + weights[1] + weights[3] == 3


def silence(rows: Rows) -> float:
    """By trying every confidence seen in the other half. The halves are the rows at even and odd places."""
    total = 0.0
    for side in (0, 1):
        fit, test = rows[1 - side :: 2], rows[side::2]

        def score(cut: float, some: Rows) -> float:
            return sum(f * (c >= cut) if yes else float(c < cut) for c, yes, f in some)

        best = max([0.0, *sorted(c for c, _, _ in fit)], key=lambda cut: score(cut, fit))
        total += score(best, test)
    return total / len(rows)


def columns(rows: Rows) -> tuple[list[float], list[bool], list[float]]:
    return [c for c, _, _ in rows], [r for _, r, _ in rows], [f for _, _, f in rows]


@pytest.mark.parametrize(
    ("of", "plain"),
    [
        (lambda c, r, f: bootstrap.mean(f), lambda rows: sum(f for _, _, f in rows) / len(rows)),
        (lambda c, r, f: bootstrap.ratio(f, c), lambda rows: sum(f for *_, f in rows) / sum(c for c, *_ in rows)),
        (
            lambda c, r, f: bootstrap.auroc(c, r),
            lambda rows: scoring.auroc([c for c, r, _ in rows if r], [c for c, r, _ in rows if not r]),
        ),
    ],
)
def test_a_weight_of_three_is_the_question_three_times(
    of: Callable[..., bootstrap.Measure], plain: Callable[[Rows], float]
) -> None:
    rng = random.Random(5)
    for _ in range(60):
        rows = [(rng.choice([0.1, 0.4, 0.5, 0.9]), rng.random() < 0.5, rng.random()) for _ in range(rng.randint(2, 20))]
        times = [rng.randint(0, 3) for _ in rows]
        written = [row for row, n in zip(rows, times, strict=True) for _ in range(n)]
        found = of(*columns(rows))(np.array(times, float))
        assert math.isnan(found) if not written else found == pytest.approx(plain(written), nan_ok=True)


def test_wrong_at_a_coverage_and_silence_are_what_a_slow_count_says() -> None:
    rng = random.Random(6)
    for _ in range(60):
        rows = [(rng.random(), rng.random() < 0.5, rng.random()) for _ in range(rng.randint(3, 30))]
        sure, right, f1 = columns(rows)
        ones = np.ones(len(rows))
        assert bootstrap.wrong_at(sure, right, 0.6)(ones) == pytest.approx(scoring.wrong_at(sure, right, 0.6))
        half: Sequence[int] = [n % 2 for n in range(len(rows))]
        assert bootstrap.silence(f1, sure, right, half)(ones) == pytest.approx(silence(rows))


def test_the_surest_are_taken_as_often_as_they_were_drawn() -> None:
    wrong = bootstrap.wrong_at([0.9, 0.8, 0.1], [False, True, False], 0.5)
    assert wrong(np.array([1.0, 1.0, 2.0])) == 0.5  # two of four: the first two
    assert wrong(np.array([2.0, 1.0, 1.0])) == 1.0  # the first one twice
    assert math.isnan(wrong(np.zeros(3)))


def test_f1_of_nothing_right_is_nothing() -> None:
    none = bootstrap.harmonic(bootstrap.ratio([0.0], [2.0]), bootstrap.ratio([0.0], [3.0]))
    assert none(np.ones(1)) == 0.0
    assert bootstrap.harmonic(bootstrap.ratio([1.0], [2.0]), bootstrap.ratio([1.0], [1.0]))(np.ones(1)) == 2 / 3
