"""Claims and the quotes they rest on in; out, how far each claim is supported, and what fails.

The contract first; then `RuleJudge`, which compares numbers, units, dates, names, negation, roles and coverage.
No threshold in here: which score is SUPPORTED is configuration (`AnswerConfig`), calibrated by `rag eval`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Judgement:
    """`score` in [0, 1]: how far the quotes carry the claim; `failures`: what they contradict or do not hold, in words
    a person understands ('the number 260 is not in the quotes')."""

    score: float
    failures: tuple[str, ...] = ()


class Judge(Protocol):
    """Says how far claims are supported. Laws (tests/laws): one judgement per claim, in order; a sentence of its own
    quotes scores 1 without failures; the order of the quotes changes nothing."""

    def judge(self, claims: Sequence[str], quotes: Sequence[Sequence[str]]) -> list[Judgement]:
        """One judgement per claim; `quotes[i]` are the texts that claim i cites."""
        ...
