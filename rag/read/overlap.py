"""A reader without training: how much of the question's weight a sentence holds, how near it is in meaning, and whether
it has the kind of thing that was asked for (a number for 'how many', a name for 'who', a date for 'when').

It stands in where the trained reader's file is missing, and is the baseline that the trained one must beat.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rag.read import Reading, Short
from rag.text import sentences, terms, words
from rag.types import Span

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
Weigh = Callable[[Sequence[str]], Mapping[str, float]]

_NUMBER = re.compile(r"[$€£¥]?\d[\d,.]*(?:\s?(?:%|percent|million|billion|trillion|hundred|thousand|dozen))?")
_DATE = re.compile(
    r"\b(?:(?:January|February|March|April|May|June|July|August|September|October|November|December)\b[\s\d,]*"
    r"|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|(?:1[0-9]|20)\d\d)"
)
_NAME = re.compile(r"\b[A-Z][\w’'.-]*(?:\s+(?:of\s+|the\s+|de\s+|von\s+)?[A-Z][\w’'.-]*)*")
_KINDS = (
    (
        re.compile(
            r"\bhow (?:many|much|often|long|old|far|high|tall|large|big)\b|\bwhat (?:percent|number|share|rate)", re.I
        ),
        _NUMBER,
    ),
    (re.compile(r"\bwhen\b|\bwhat (?:year|month|day|date)|\bwhich (?:year|month|day|date)", re.I), _DATE),
    (re.compile(r"\bwho\b|\bwhom\b|\bwhose\b|\bwhere\b|\bwhich\b", re.I), _NAME),
)
# A logistic over (cosine, share of the question's weight held, kind found): chosen by eye, then left alone.
_WEIGHTS, _BIAS = (5.0, 3.0, 1.0), -4.2


class OverlapReader:
    """`embed` turns texts into unit vectors; `weigh` gives the idf of stems."""

    name = fingerprint = "overlap"

    def __init__(self, embed: Embed, weigh: Weigh) -> None:
        self._embed, self._weigh = embed, weigh

    def read(self, question: str, texts: Sequence[str]) -> list[Reading]:
        """One `Reading` per text; its relevance and best score are those of its best sentence."""
        spans = [sentences(text) for text in texts]
        flat = [span.of(text) for text, some in zip(texts, spans, strict=True) for span in some]
        scores = iter(self.scores(question, flat))
        return [
            self._reading(question, text, some, [next(scores) for _ in some])
            for text, some in zip(texts, spans, strict=True)
        ]

    def scores(self, question: str, sentences: Sequence[str]) -> list[float]:
        """The logit of each sentence."""
        if not sentences:
            return []
        cosines = self._embed([_short(s) for s in sentences]) @ self._embed([_short(question)])[0]
        weights = self._weigh(list(dict.fromkeys(terms(question))))
        return [self._score(question, s, float(c), weights) for s, c in zip(sentences, cosines, strict=True)]

    def _score(self, question: str, sentence: str, cosine: float, weights: Mapping[str, float]) -> float:
        held = set(terms(sentence))
        total = sum(weights.values())
        share = sum(w for t, w in weights.items() if t in held) / total if total else 0.0
        kind = 1.0 if _wanted(question, sentence) is not None else 0.0
        return sum(w * x for w, x in zip(_WEIGHTS, (cosine, share, kind), strict=True)) + _BIAS

    def _reading(self, question: str, text: str, spans: Sequence[Span], scores: Sequence[float]) -> Reading:
        scored = tuple(zip(spans, scores, strict=True))
        if not scored:
            return Reading(_BIAS, (), None, _BIAS, 0.0)
        top, score = max(scored, key=lambda item: item[1])
        found = [_wanted(question, span.of(text)) for span in spans]
        answers = tuple(
            Short(inside.shift(span.start), own) if inside is not None else None
            for inside, (span, own) in zip(found, scored, strict=True)
        )
        inside = answers[scored.index((top, score))]
        return Reading(score, scored, inside.span if inside is not None else top, score, 0.0, answers)


def _wanted(question: str, sentence: str) -> Span | None:
    """The first thing in `sentence` of the kind that `question` asks for, that is not in the question itself."""
    asked = set(terms(question))
    for pattern, kind in _KINDS:
        if pattern.search(question):
            for found in kind.finditer(sentence):
                if not set(terms(found.group())) <= asked:
                    return Span(*found.span())
            return None
    return None


def _short(text: str) -> str:
    """The first words of a text, within any embedder's window."""
    spans = words(text)
    return text if len(spans) <= 120 and len(text) < 800 else text[: min(800, spans[min(119, len(spans) - 1)].end)]
