"""Readings in, evidence out: the sentences that answer, best first, each thing said once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest

from rag.read import Reading
from rag.text import terms
from rag.types import Evidence, Hit, Span

_MOST = 20
_NEAR = 3.0  # log-odds below the best short answer up to which another one is marked too
_SAME = 0.85  # share of common terms from which two sentences say the same


def ranked(hits: Sequence[Hit], readings: Sequence[Reading]) -> list[Evidence]:
    """Every sentence of the hits as evidence, best first, each thing said once; support is the reader's logit through
    the logistic, so in [0, 1]. A short answer is marked in the first one, and in others where the reader thinks nearly
    as much of it as of the best."""
    best = max((a[1] for r in readings for a in r.answers if a is not None), default=0.0)
    found: list[tuple[float, int, Evidence, Span | None]] = []
    for hit, reading in zip(hits, readings, strict=True):
        shift = hit.passage.span.start - (len(hit.passage.heading) + 1 if hit.passage.heading else 0)
        for (span, score), answer in zip_longest(reading.sentences, reading.answers):
            if span.start + shift < hit.passage.span.start:
                continue  # the heading is read, but it is no part of the passage
            support = 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))
            inside = answer[0].shift(shift) if answer is not None else None
            sure = answer is not None and answer[1] >= best - _NEAR
            evidence = Evidence(hit, span.shift(shift), support, inside if sure else None)
            found.append((-score, len(found), evidence, inside))
    ordered = sorted(found, key=lambda item: item[:2])
    first = [replace(evidence, answer=inside) for _, _, evidence, inside in ordered[:1]]
    return _distinct(first + [evidence for _, _, evidence, _ in ordered[1:]])


def _distinct(evidence: Sequence[Evidence]) -> list[Evidence]:
    """The evidence without sentences that say again what a better one said."""
    kept: list[tuple[Evidence, set[str]]] = []
    for e in evidence:
        said = set(terms(e.text))
        if said and not any(_same(said, other) for _, other in kept):
            kept.append((e, said))
        if len(kept) == _MOST:
            break
    return [e for e, _ in kept]


def _same(one: set[str], two: set[str]) -> bool:
    """True if two sentences share nearly all terms, and all with digits: 250 trees are not 300."""
    return len(one & two) >= _SAME * min(len(one), len(two)) and not any(c.isdigit() for t in one ^ two for c in t)
