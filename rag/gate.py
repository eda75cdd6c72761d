"""Is it there at all? Several weak signals in, one calibrated confidence out, and an outcome.

A logistic regression over what the reader, the words and the names say; weights and thresholds belong to one reader and
are calibrated by `python -m rag.evals.calibrate` on questions with and without an answer. A user chooses how strict to
be; what each choice costs is written beside the thresholds.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rag.errors import ModelDamaged, ModelMissing
from rag.read import Reading
from rag.text import fold, stem, stems, terms, words
from rag.types import Outcome

_CLIP = 12.0  # logits beyond this say no more


@dataclass(frozen=True, slots=True)
class Gate:
    """`weights` by signal and `bias` give the confidence; `answered` by strictness and `closest` are its thresholds;
    `reading` are the weights of the joint reader that it was calibrated with; `measured` is what each choice costs."""

    weights: Mapping[str, float]
    bias: float
    answered: Mapping[str, float]
    closest: float
    reading: Mapping[str, float] = field(default_factory=dict)
    measured: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def load(path: Path) -> Gate:
        """The gate that `rag.evals.calibrate` stored. Raises ModelMissing, or ModelDamaged if it is not whole."""
        try:
            data = json.loads(path.read_text("utf-8"))
            return Gate(**{name: data[name] for name in Gate.__dataclass_fields__})
        except OSError as e:
            raise ModelMissing(f"{path} is not there", "python -m rag.evals.calibrate makes it") from e
        except (ValueError, KeyError, TypeError) as e:
            raise ModelDamaged(f"{path} is no gate: {e!r}", "python -m rag.evals.calibrate makes it anew") from e

    def confidence(self, signals: Mapping[str, float]) -> float:
        """The calibrated chance, in [0, 1], that the documents answer the question."""
        z = self.bias + sum(w * signals[name] for name, w in self.weights.items())
        return 1 / (1 + math.exp(-max(-_CLIP, min(_CLIP, z))))

    def outcome(self, confidence: float, strictness: str) -> Outcome:
        """What to do at this confidence."""
        if confidence >= self.answered[strictness]:
            return Outcome.ANSWERED
        return Outcome.CLOSEST if confidence >= self.closest else Outcome.NOTHING


# For the reader without training.
OVERLAP = Gate(
    weights={"sentence": 0.8, "coverage": 3.0, "names": 1.5},
    bias=-3.0,
    answered={"strict": 0.8, "balanced": 0.6, "lenient": 0.4},
    closest=0.15,
)


def signals(
    question: str, readings: Sequence[Reading], texts: Sequence[str], weights: Mapping[str, float]
) -> dict[str, float]:
    """What speaks for an answer, beside its sentence: the reader's logits (best span over null, relevance, lead of the
    best passage), and the shares, in [0, 1], of the question's weight and of its names and numbers that the best
    passage holds. `readings`, one at least, of `texts`; `weights`: idf by stem of the question's terms.
    """
    spans = [r.best_score - r.null for r in readings]
    tops = [max((s for _, s in r.sentences), default=-_CLIP) for r in readings]
    best = max(range(len(readings)), key=lambda i: (spans[i] + tops[i], -i))
    others = [spans[i] for i in range(len(readings)) if i != best]
    held = set(terms(texts[best]))
    total = sum(weights.values())
    return {
        "span": _clip(spans[best]),
        "relevance": _clip(readings[best].relevance),
        "lead": _clip(spans[best] - max(others)) if others else 0.0,
        "coverage": sum(w for t, w in weights.items() if t in held) / total if total else 0.0,
        "names": _share_of_names(question, texts[best]),
    }


def names(question: str) -> list[str]:
    """Words of the question that name something: numbers, and words in capitals that do not open it."""
    found = words(question)
    shouting = question.upper() == question
    return [
        s.of(question)
        for i, s in enumerate(found)
        if re.search(r"\d", s.of(question))
        or (i > 0 and not shouting and s.of(question)[0].isupper() and s.of(question) != "I")
    ]


def _share_of_names(question: str, text: str) -> float:
    wanted = names(question)
    if not wanted:
        return 1.0
    held = {fold(s.of(text)) for s in words(text)} | stems(text)
    return sum(fold(n) in held or stem(n) in held for n in wanted) / len(wanted)


def _clip(logit: float) -> float:
    return max(-_CLIP, min(_CLIP, logit))
