"""Hits in, the same hits out in a better order: the first ones are read with the question in mind.

The retriever compares a question with each passage by two numbers that were made before it was asked; the reader reads
both together. What it says of relevance is stretched to [0, 1] over the passages read, as the two rankings are before
they are fused (rag/fuse.py), and joins them with a weight, chosen and measured by `python -m rag.evals.rerank`. It is
not the default, for its some 10 ms a passage: questions gain (nDCG@10 +1.2 on 350 of squad2-calibration), while claims
(scifact, 346: -0.1, from -1.0 to 0.8) and long questions of engineers (cranfield, 225: -0.2) stay as they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

from rag.read import Reader
from rag.types import Hit


def reranked(question: str, hits: Sequence[Hit], reader: Reader, depth: int, weight: float) -> list[Hit]:
    """The hits by (score + weight x relevance) / (1 + weight), best first, ties as they were; only the first `depth`
    are read, and none that was not read overtakes one that was. `ranks` says how the reader alone would have it."""
    texts = titled(hits[:depth])
    relevance = [reading.relevance for reading in reader.read(question, texts)] if texts else []
    ranks = {at: n for n, at in enumerate(sorted(range(len(relevance)), key=lambda at: -relevance[at]), start=1)}
    gains = [*stretched(relevance), *[0.0] * (len(hits) - len(relevance))]
    scored = [
        replace(
            hit,
            score=(hit.score + weight * gain) / (1 + weight),
            ranks=MappingProxyType({**hit.ranks, **({"reader": ranks[at]} if at in ranks else {})}),
        )
        for at, (hit, gain) in enumerate(zip(hits, gains, strict=True))
    ]
    return sorted(scored, key=lambda hit: -hit.score)


def titled(hits: Sequence[Hit]) -> list[str]:
    """The text of each under the title of its source and its heading: often they alone name what it speaks of."""
    parts = [(h.passage.source.title, h.passage.heading, h.passage.text) for h in hits]
    return ["\n".join(dict.fromkeys(filter(None, some))) for some in parts]


def stretched(values: Sequence[float]) -> list[float]:
    """The values on [0, 1] between their least and their greatest; all 1 where they are equal.

    >>> stretched([2.0, -2.0, 0.0])
    [1.0, 0.0, 0.5]
    """
    if not values:
        return []
    least, most = min(values), max(values)
    return [(v - least) / (most - least) if most > least else 1.0 for v in values]
