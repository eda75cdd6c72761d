"""Readings in, evidence out: the sentences that answer, best first, each thing said once."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rag.read import Reading
from rag.text import terms
from rag.types import Evidence, Hit

_MOST = 20
_SAME = 0.85  # share of common terms from which two sentences say the same


def ranked(hits: Sequence[Hit], readings: Sequence[Reading]) -> list[Evidence]:
    """Every sentence of the hits as evidence, best first, each thing said once; support is the reader's logit through
    the logistic, so in [0, 1]."""
    found: list[tuple[float, int, Evidence]] = []
    for hit, reading in zip(hits, readings, strict=True):
        shift = hit.passage.span.start - (len(hit.passage.heading) + 1 if hit.passage.heading else 0)
        for span, score in reading.sentences:
            if span.start + shift < hit.passage.span.start:
                continue  # the heading is read, but it is no part of the passage
            answer = reading.best if reading.best is not None and reading.best in span else None
            support = 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))
            place = Evidence(hit, span.shift(shift), support, answer.shift(shift) if answer is not None else None)
            found.append((-score, len(found), place))
    return _distinct([e for _, _, e in sorted(found, key=lambda item: item[:2])])


def _distinct(evidence: Sequence[Evidence]) -> list[Evidence]:
    """The evidence without sentences that say again what a better one said."""
    kept: list[tuple[Evidence, set[str]]] = []
    for e in evidence:
        said = set(terms(e.text))
        if said and all(len(said & other) < _SAME * min(len(said), len(other)) for _, other in kept):
            kept.append((e, said))
        if len(kept) == _MOST:
            break
    return [e for e, _ in kept]
