"""A question and some texts in; out, for each text, how relevant it is, which sentences answer, and with which words.

The contract first; then `trained.TrainedReader`: one MiniLM cross-encoder with several heads, trained by this project
(models/trained/reader); `overlap.OverlapReader`, which needs no training: sentence scores from the embedder, word
weights and answer type; and `joint.JointReader`, the default, which asks both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rag.types import Span


@dataclass(frozen=True, slots=True)
class Short:
    """The best short answer inside a sentence: its span, its score, and its lead, the log-odds by which it is ahead of
    the best other words of the sentence, those that it shares none with (infinite where the reader cannot tell)."""

    span: Span
    score: float
    lead: float = math.inf


@dataclass(frozen=True, slots=True)
class Reading:
    """What the reader makes of one text. Spans are code points of that text.

    All scores are logits: higher is better, comparable across the texts of one call. `sentences` are the evidence
    candidates in text order, each with its score. `best` is the short answer's span, with `best_score`; `null` is the
    score of 'this text does not hold the answer', so that `best_score - null > 0` leans to yes. `answers`: the best
    short answer inside each sentence, None where it holds nothing of that kind.
    """

    relevance: float
    sentences: tuple[tuple[Span, float], ...]
    best: Span | None
    best_score: float
    null: float
    answers: tuple[Short | None, ...] = ()


class Reader(Protocol):
    """Reads texts with a question in mind.

    Laws (tests/laws): one reading per text, in order; scores are comparable across the texts of one call; every span
    lies in its text; a text of any length is read to its end.
    """

    name: str
    fingerprint: str

    def read(self, question: str, texts: Sequence[str]) -> list[Reading]:
        """One `Reading` per text."""
        ...
