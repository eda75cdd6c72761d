"""A claim and the evidence in; out, the evidence sentences it rests on.

Citations are pointers, never generated text: the claim is aligned with whole evidence sentences by the words, weighted
by rarity, that they share, and the host cuts the quote from the document. One sentence where one is enough; another
only if it carries words or numbers that the first does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rag.text import terms
from rag.types import Evidence

_MOST = 3
_WORTH = 0.15  # a further sentence must carry this share of the claim's weight


def cite(claim: str, evidence: Sequence[Evidence], weights: Mapping[str, float]) -> list[Evidence]:
    """The evidence that `claim` rests on, best first; [] if it shares no word with any. `weights`: idf by stem; a stem
    that is not in it weighs 1."""
    wanted = set(terms(claim))
    whole = sum(weights.get(t, 1.0) for t in wanted)
    held = [set(terms(e.text)) for e in evidence]
    chosen: list[int] = []
    while len(chosen) < _MOST and wanted:
        gains = [sum(weights.get(t, 1.0) for t in wanted & words) for words in held]
        best = max(range(len(gains)), key=lambda i: (gains[i], -i), default=None)
        if best is None or gains[best] <= (_WORTH * whole if chosen else 0):
            break
        chosen.append(best)
        wanted -= held[best]
    return [evidence[i] for i in chosen]
