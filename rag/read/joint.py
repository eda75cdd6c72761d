"""Two readers and the order of retrieval, one judgement: the trained reader reads everything, the one without training
looks at the best sentences.

They err differently. The trained reader knows what kind of thing is asked for; the other one how near a sentence is in
meaning and how much of the question's weight it holds; and a passage that retrieval put first is more often the right
one. One logistic joins what they say of a sentence; `python -m rag.evals.calibrate` learns it and measures it by
halves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rag.read import Reading
from rag.read.overlap import OverlapReader
from rag.read.trained import TrainedReader

SIGNALS = ("evidence", "spans", "relevance", "overlap", "place")
_CANDIDATES = 12  # sentences that both look at: the trained reader has the answer among its first 4 in 96 %
_UNSEEN = -4.0  # what the second reader would say of the others, about its lowest score
_CLIP = 20.0  # logits beyond this say no more


@dataclass(frozen=True, slots=True)
class Part:
    """What is known of one sentence: the trained reader's raw log-odds (`evidence`, `spans`, `relevance` of its text),
    the other reader's logit, None where it was not among the candidates, and `place` = ln(1 + texts before its own)."""

    evidence: float
    spans: float
    relevance: float
    overlap: float | None
    place: float

    def signals(self) -> tuple[float, ...]:
        """The values of SIGNALS."""
        heads = (max(-_CLIP, min(_CLIP, x)) for x in (self.evidence, self.spans, self.relevance))
        return (*heads, _UNSEEN if self.overlap is None else self.overlap, self.place)


class JointReader:
    """`weights`: of each of SIGNALS, and the 'bias', of the logistic that joins them. Texts are read in the order in
    which retrieval gave them, and that order counts."""

    name = "joint"

    def __init__(self, trained: TrainedReader, overlap: OverlapReader, weights: Mapping[str, float]) -> None:
        self._trained, self._overlap, self._weights = trained, overlap, weights
        self.fingerprint = f"{trained.fingerprint}+{overlap.fingerprint}"

    def read(self, question: str, texts: Sequence[str]) -> list[Reading]:
        """One `Reading` per text: the trained reader's, with the joint score of each sentence."""
        readings, parts = self.parts(question, texts)
        return [
            replace(
                reading,
                sentences=tuple((span, self._joined(p)) for (span, _), p in zip(reading.sentences, own, strict=True)),
            )
            for reading, own in zip(readings, parts, strict=True)
        ]

    def parts(self, question: str, texts: Sequence[str]) -> tuple[list[Reading], list[list[Part]]]:
        """The trained reader's readings, and what is known of each of their sentences: for calibration."""
        scores = self._trained.scores(question, texts)
        readings = [self._trained.reading(s) for s in scores]
        scored = [(score, t, n) for t, r in enumerate(readings) for n, (_, score) in enumerate(r.sentences)]
        best = sorted(scored, key=lambda item: (-item[0], item[1:]))[:_CANDIDATES]
        places = [(t, n) for _, t, n in best]
        seconds = self._overlap.scores(question, [readings[t].sentences[n][0].of(texts[t]) for t, n in places])
        second = dict(zip(places, seconds, strict=True))
        parts = [
            [
                Part(x.evidence, x.spans, s.relevance, second.get((t, n)), math.log1p(t))
                for n, x in enumerate(s.sentences)
            ]
            for t, s in enumerate(scores)
        ]
        return readings, parts

    def _joined(self, part: Part) -> float:
        return self._weights["bias"] + sum(
            self._weights[name] * value for name, value in zip(SIGNALS, part.signals(), strict=True)
        )
