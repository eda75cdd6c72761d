"""Two readers, one judgement: the trained one reads everything, the one without training looks at the best sentences.

They err differently. The trained reader knows what kind of thing is asked for; the other one how near a sentence is in
meaning and how much of the question's weight it holds. On 300 questions of squad2-calibration, full retrieval, the
first sentence held the answer in 84 % of cases by the trained reader alone, 81 % by the other, 88 % by the plain sum of
both (seen once, by hand, on the questions that the sum was chosen on; `python -m rag.evals.calibrate` measures the
joint reader by halves).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rag.read import Reading
from rag.read.overlap import OverlapReader
from rag.read.trained import TrainedReader

_CANDIDATES = 12  # sentences that both look at: the trained reader has the answer among its first 4 in 96 %
_UNSEEN = -4.0  # what the second reader would say of the others, about its lowest score


@dataclass(frozen=True, slots=True)
class Part:
    """What each reader says of one sentence, as logits; `overlap` is None where it was not among the candidates."""

    trained: float
    overlap: float | None


class JointReader:
    """`weights`: of 'trained' and 'overlap', and the 'bias', of the logistic that joins them."""

    name = "joint"

    def __init__(self, trained: TrainedReader, overlap: OverlapReader, weights: Mapping[str, float]) -> None:
        self._trained, self._overlap, self._weights = trained, overlap, weights
        self.fingerprint = f"{trained.fingerprint}+{overlap.fingerprint}"

    def read(self, question: str, texts: Sequence[str]) -> list[Reading]:
        """One `Reading` per text: the trained reader's, its sentences' scores joined with the other's."""
        readings, parts = self.parts(question, texts)
        return [
            replace(
                reading,
                sentences=tuple((span, self._joined(p)) for (span, _), p in zip(reading.sentences, own, strict=True)),
            )
            for reading, own in zip(readings, parts, strict=True)
        ]

    def parts(self, question: str, texts: Sequence[str]) -> tuple[list[Reading], list[list[Part]]]:
        """The trained reader's readings, and for each of their sentences what each reader says: for calibration."""
        readings = self._trained.read(question, texts)
        scored = [(score, t, n) for t, r in enumerate(readings) for n, (_, score) in enumerate(r.sentences)]
        best = sorted(scored, key=lambda item: (-item[0], item[1:]))[:_CANDIDATES]
        places = [(t, n) for _, t, n in best]
        seconds = self._overlap.scores(question, [readings[t].sentences[n][0].of(texts[t]) for t, n in places])
        second = dict(zip(places, seconds, strict=True))
        parts = [
            [Part(score, second.get((t, n))) for n, (_, score) in enumerate(r.sentences)]
            for t, r in enumerate(readings)
        ]
        return readings, parts

    def _joined(self, part: Part) -> float:
        overlap = _UNSEEN if part.overlap is None else part.overlap
        return self._weights["trained"] * part.trained + self._weights["overlap"] * overlap + self._weights["bias"]
